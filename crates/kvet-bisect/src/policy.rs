//! What to test next: the candidate and the size of the batch that tell most per cost.
//!
//! One step ahead, with two corrections found in simulation. A build counts for no more than what tells
//! [`BUILD_BITS`] bits in boots: else, where builds are dear, every last boot of what is built comes first, though
//! later builds would have told the same. And a build that must come anyway costs nothing now: the range that holds
//! nearly all probability will be split, whatever its boots say; only where the culprit may well be elsewhere would
//! a build be wasted ([`NEEDED_ANYWAY`]).

use std::collections::BTreeSet;

use crate::posterior::Segment;
use crate::rates::Rate;

/// Sizes of a batch that are weighed against each other, in boots times the rate of bad candidates; a batch ends
/// early at its first failure.
const BATCHES: [f64; 14] = [0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0];
/// Where a segment may be split, as shares of its culprits.
const SPLITS: [f64; 9] = [0.08, 0.18, 0.28, 0.39, 0.5, 0.61, 0.72, 0.82, 0.92];
/// Segments with less are not worth a test of their own.
const NEGLIGIBLE: f64 = 1e-3;
/// A build costs at most the boots that tell so many bits, and at least [`LEAST_BUILD_BITS`] if it costs anything.
const BUILD_BITS: f64 = 2.0;
/// However cheap a build is, a kernel's takes a person's disk and patience.
const LEAST_BUILD_BITS: f64 = 1.5;
/// The share of a build's cost that is not counted when it halves a range that surely holds the culprit.
const NEEDED_ANYWAY: f64 = 0.95;

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

/// How many boots a test has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Batch {
    /// As many as tell most per cost.
    Best,
    /// One: the greedy search that the best is compared with.
    One,
}

impl Batch {
    fn sizes(self, bad_rate: f64) -> Vec<u32> {
        match self {
            Batch::One => vec![1],
            Batch::Best => {
                let mut sizes: Vec<u32> =
                    BATCHES.iter().map(|t| (t / bad_rate).ceil().clamp(1.0, 1e9) as u32).collect();
                sizes.dedup();
                sizes
            }
        }
    }
}

/// One batch's sums over the segments before each segment (as bad) and after it (as good).
#[derive(Clone, Copy, Default)]
struct Sums {
    pass: f64,
    entropy: f64,
    boots: f64,
}

impl Sums {
    /// Of a batch at a candidate that fails at `rate`.
    fn of(rate: f64, boots: u32) -> Sums {
        let rate = Rate::new(rate, 1.0);
        let pass = rate.all_pass(boots);
        Sums { pass, entropy: binary_entropy(pass), boots: rate.expected_boots(boots) }
    }

    fn plus(self, other: Sums, mass: f64) -> Sums {
        Sums {
            pass: self.pass + mass * other.pass,
            entropy: self.entropy + mass * other.entropy,
            boots: self.boots + mass * other.boots,
        }
    }
}

/// The test with the most information about the culprit per cost; `None` when no test tells anything. `rates` are
/// the expected ones of bad and good candidates.
pub(crate) fn choose(segments: &[Segment], builds: &Builds, rates: (f64, f64), batch: Batch) -> Option<Plan> {
    let bit = 1.0 / capacity(rates.0, rates.1).max(1e-12);
    let build =
        if builds.cost > 0.0 { builds.cost.clamp(LEAST_BUILD_BITS * bit, BUILD_BITS * bit) } else { 0.0 };
    let points = points(segments, builds, build);
    let mut best: Option<Plan> = None;
    for boots in batch.sizes(rates.0) {
        let bad: Vec<Sums> = segments.iter().map(|s| Sums::of(s.bad_rate, boots)).collect();
        let good: Vec<Sums> = segments.iter().map(|s| Sums::of(s.good_rate, boots)).collect();
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
                let bits = binary_entropy(sums.pass.clamp(0.0, 1.0)) - sums.entropy;
                let value = bits * point.worth / (point.build + sums.boots);
                if best.is_none_or(|b| value > b.value) {
                    best = Some(Plan { candidate: point.at, boots, value });
                }
            }
            before = before.plus(bad[i], segment.mass);
        }
    }
    best.filter(|b| b.value > 1e-12)
}

/// Bits that one boot of the best candidate tells when both rates are known.
pub(crate) fn capacity(bad: f64, good: f64) -> f64 {
    let h = binary_entropy;
    let told = |x: f64| h(x * bad + (1.0 - x) * good) - x * h(bad) - (1.0 - x) * h(good);
    (1..100).map(|i| told(f64::from(i) / 100.0)).fold(0.0, f64::max)
}

/// A candidate worth weighing.
struct Point {
    segment: usize,
    at: u64,
    /// The share of its segment's culprits that make it bad.
    share: f64,
    build: f64,
    /// What its information is worth: less when it may not build.
    worth: f64,
}

/// The candidates worth weighing, ascending: those tested before, and splits of every segment that matters.
fn points(segments: &[Segment], builds: &Builds, cost: f64) -> Vec<Point> {
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
                let share = (at - segment.first + 1) as f64 / len;
                let needed = NEEDED_ANYWAY * segment.mass * binary_entropy(share);
                points.push(Point {
                    segment: i,
                    at,
                    share,
                    build: if builds.done.contains(&at) { 0.0 } else { cost * (1.0 - needed).max(0.0) },
                    worth: builds.chance(at, segment.len() / 8 + 1),
                });
            }
        }
        if !is_end && !builds.broken.contains(&segment.last) {
            let build = if builds.done.contains(&segment.last) { 0.0 } else { cost };
            points.push(Point { segment: i, at: segment.last, share: 1.0, build, worth: 1.0 });
        }
    }
    points
}

/// Entropy of a coin, in bits.
pub(crate) fn binary_entropy(p: f64) -> f64 {
    let term = |x: f64| if x <= 0.0 { 0.0 } else { -x * x.log2() };
    term(p) + term(1.0 - p)
}
