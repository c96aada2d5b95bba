//! What to test next: the candidate and the size of the batch that tell most per cost.

use std::collections::BTreeSet;

use crate::posterior::Segment;
use crate::rates::{Rate, Rates};

/// Sizes of a batch that are weighed against each other; a batch ends early at its first failure.
const BATCHES: [u32; 17] = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584];
/// Where a segment may be split, as shares of its culprits.
const SPLITS: [f64; 9] = [0.08, 0.18, 0.28, 0.39, 0.5, 0.61, 0.72, 0.82, 0.92];
/// Segments with less are not worth a test of their own.
const NEGLIGIBLE: f64 = 1e-3;

/// What is known of the candidates beside their boots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builds {
    /// Candidates that are built: testing them costs boots only.
    pub(crate) done: BTreeSet<u64>,
    /// Candidates that cannot be tested.
    pub(crate) broken: BTreeSet<u64>,
    /// What a build costs, in boots.
    pub(crate) cost: f64,
}

impl Builds {
    /// Probability that `at` can be built: breakage comes in runs, so the neighbours of a broken one are suspect.
    fn chance(&self, at: u64, reach: u64) -> f64 {
        if self.done.contains(&at) {
            return 1.0;
        }
        let near = self.broken.range(at.saturating_sub(reach)..=at.saturating_add(reach)).next().is_some();
        let (good, bad) = (self.done.len() as f64, self.broken.len() as f64);
        let base = (good + 1.0) / (good + bad + 1.0);
        if near { base * 0.4 } else { base }
    }

    /// The testable candidate next to `at` within `low..=high`.
    fn testable(&self, at: u64, low: u64, high: u64) -> Option<u64> {
        if !self.broken.contains(&at) {
            return Some(at);
        }
        let up = (at..=high).find(|c| !self.broken.contains(c));
        let down = (low..=at).rev().find(|c| !self.broken.contains(c));
        match (up, down) {
            (Some(u), Some(d)) => Some(if u - at <= at - d { u } else { d }),
            (one, other) => one.or(other),
        }
    }

    /// Whether no test can tell the segment's culprits apart.
    pub(crate) fn is_final(&self, segment: &Segment) -> bool {
        segment.len() == 1
            || self.broken.range(segment.first..segment.last).count() as u64 == segment.len() - 1
    }
}

/// The next test.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Plan {
    pub(crate) candidate: u64,
    pub(crate) boots: u32,
    /// Bits a boot's cost.
    value: f64,
}

/// Tables of powers for the batches that a policy may choose.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    batches: Vec<u32>,
    bad: Table,
    good: Table,
}

#[derive(Clone, Debug)]
struct Table {
    pass: Vec<Vec<f64>>,
    boots: Vec<Vec<f64>>,
}

impl Table {
    fn new(grid: &[Rate], batches: &[u32]) -> Table {
        let map = |f: &dyn Fn(&Rate, u32) -> f64| {
            batches.iter().map(|&m| grid.iter().map(|r| f(r, m)).collect()).collect()
        };
        Table { pass: map(&|r, m| r.all_pass(m)), boots: map(&|r, m| r.expected_boots(m)) }
    }
}

/// One batch size's sums over the segments before each segment (as bad) and after it (as good).
#[derive(Clone, Copy, Default)]
struct Sums {
    pass: f64,
    entropy: f64,
    boots: f64,
}

impl Sums {
    fn of(pass: f64, boots: f64) -> Sums {
        Sums { pass, entropy: binary_entropy(pass), boots }
    }

    fn plus(self, other: Sums, mass: f64) -> Sums {
        Sums {
            pass: self.pass + mass * other.pass,
            entropy: self.entropy + mass * other.entropy,
            boots: self.boots + mass * other.boots,
        }
    }
}

impl Policy {
    /// The policy that weighs every batch size.
    pub(crate) fn new(rates: &Rates) -> Policy {
        Policy::with_batches(rates, &BATCHES)
    }

    /// A policy with other batch sizes: one boot a step is the greedy search that this one is compared with.
    pub(crate) fn with_batches(rates: &Rates, batches: &[u32]) -> Policy {
        Policy {
            batches: batches.to_vec(),
            bad: Table::new(&rates.bad, batches),
            good: Table::new(&rates.good, batches),
        }
    }

    /// The test with the most information about the culprit per cost; `None` when no test tells anything.
    pub(crate) fn choose(&self, segments: &[Segment], builds: &Builds) -> Option<Plan> {
        let points = points(segments, builds);
        let mut best: Option<Plan> = None;
        for (batch, &boots) in self.batches.iter().enumerate() {
            let bad: Vec<Sums> = segments.iter().map(|s| self.bad.at(batch, &s.bad)).collect();
            let good: Vec<Sums> = segments.iter().map(|s| self.good.at(batch, &s.good)).collect();
            let mut before = Sums::default();
            let mut after = segments.iter().zip(&good).fold(Sums::default(), |a, (s, &g)| a.plus(g, s.mass));
            let mut next = points.iter().peekable();
            for (i, segment) in segments.iter().enumerate() {
                after = after.plus(good[i], -segment.mass);
                while let Some(point) = next.next_if(|p| p.segment == i) {
                    let sums = before
                        .plus(after, 1.0)
                        .plus(bad[i], segment.mass * point.share)
                        .plus(good[i], segment.mass * (1.0 - point.share));
                    let bits = binary_entropy(sums.pass) - sums.entropy;
                    let value = bits * point.chance / (point.build + sums.boots);
                    if best.is_none_or(|b| value > b.value) {
                        best = Some(Plan { candidate: point.at, boots, value });
                    }
                }
                before = before.plus(bad[i], segment.mass);
            }
        }
        best.filter(|b| b.value > 1e-12)
    }
}

impl Table {
    /// Expectations of one batch under a posterior on the grid.
    fn at(&self, batch: usize, weights: &[f64]) -> Sums {
        let dot = |values: &[f64]| weights.iter().zip(values).map(|(w, v)| w * v).sum::<f64>();
        Sums::of(dot(&self.pass[batch]).min(1.0), dot(&self.boots[batch]))
    }
}

/// A candidate worth weighing.
struct Point {
    segment: usize,
    at: u64,
    /// The share of its segment's culprits that make it bad.
    share: f64,
    build: f64,
    chance: f64,
}

/// The candidates worth weighing, ascending: those tested before, and splits of every segment that matters.
fn points(segments: &[Segment], builds: &Builds) -> Vec<Point> {
    let mut points = Vec::new();
    for (i, segment) in segments.iter().enumerate() {
        let is_end = i + 1 == segments.len();
        if segment.mass > NEGLIGIBLE && !builds.is_final(segment) {
            let len = segment.len() as f64;
            let high = segment.last - 1;
            let mut last = 0;
            for split in SPLITS {
                let wanted = segment.first + ((len * split) as u64).min(high - segment.first);
                let Some(at) = builds.testable(wanted, segment.first, high) else { continue };
                if at <= last {
                    continue;
                }
                last = at;
                points.push(Point {
                    segment: i,
                    at,
                    share: (at - segment.first + 1) as f64 / len,
                    build: if builds.done.contains(&at) { 0.0 } else { builds.cost },
                    chance: builds.chance(at, segment.len() / 8 + 1),
                });
            }
        }
        if !is_end {
            let build = if builds.done.contains(&segment.last) { 0.0 } else { builds.cost };
            points.push(Point { segment: i, at: segment.last, share: 1.0, build, chance: 1.0 });
        }
    }
    points
}

/// Entropy of a coin, in bits.
pub(crate) fn binary_entropy(p: f64) -> f64 {
    let term = |x: f64| if x <= 0.0 { 0.0 } else { -x * x.log2() };
    term(p) + term(1.0 - p)
}
