//! Where the culprit is believed to be, the unknown rates integrated out.
//!
//! Candidates are numbered 1..=n in order, 0 is the known good end. The culprit `c` is the first bad one: `i` is
//! bad when `i >= c`. Two culprits between the same pair of tested candidates explain the data equally well, so
//! the posterior is a list of [`Segment`]s, not of candidates: its cost does not grow with n.

use std::collections::BTreeMap;

use crate::rates::{Rate, Rates};

/// What was seen of one candidate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Tally {
    /// Boots that failed in the hunted way.
    pub fails: u64,
    /// Boots that did not.
    pub passes: u64,
}

/// Culprits that no test tells apart: `first..=last`, with their common probability.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Segment {
    /// First culprit of the segment.
    pub first: u64,
    /// Last culprit; this candidate itself has been tested, or is the known bad end.
    pub last: u64,
    /// Probability that the culprit is one of them.
    pub mass: f64,
    /// Expected failure rate of bad candidates, if the culprit is one of them.
    pub bad_rate: f64,
    /// Expected failure rate of good candidates, if the culprit is one of them.
    pub good_rate: f64,
}

impl Segment {
    /// Number of culprits.
    pub fn len(&self) -> u64 {
        self.last - self.first + 1
    }

    /// Never; a segment has at least one culprit.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// The segments, ascending, for what was seen of `1..=n`.
///
/// Needs work proportional to the tested candidates, whatever `n` is.
pub(crate) fn segments(rates: &Rates, n: u64, seen: &BTreeMap<u64, Tally>) -> Vec<Segment> {
    let parts = unnormalised(rates, n, seen);
    let top = parts.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    // Data that no culprit explains leave what was believed before.
    let n = n as f64;
    let weight = |segment: &Segment, ln: f64| {
        if top.is_finite() { (ln - top).exp() } else { segment.len() as f64 / n }
    };
    let sum: f64 = parts.iter().map(|(segment, ln)| weight(segment, *ln)).sum();
    let share = |(segment, ln): (Segment, f64)| Segment { mass: weight(&segment, ln) / sum, ..segment };
    parts.into_iter().map(share).collect()
}

/// The segments with the logarithms of their unnormalised masses.
fn unnormalised(rates: &Rates, n: u64, seen: &BTreeMap<u64, Tally>) -> Vec<(Segment, f64)> {
    let all = sum(seen.values());
    let mut good = seen.get(&0).copied().unwrap_or_default();
    let mut first = 1;
    let mut parts = Vec::with_capacity(seen.len() + 1);
    let ends = seen.range(1..n).map(|(&at, &tally)| (at, tally)).chain([(n, Tally::default())]);
    for (last, tally) in ends {
        let bad = Tally { fails: all.fails - good.fails, passes: all.passes - good.passes };
        parts.push(weigh(rates, first, last, bad, good));
        good = sum([&good, &tally]);
        first = last + 1;
    }
    parts
}

fn sum<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Tally {
    let add = |a: Tally, t: &Tally| Tally { fails: a.fails + t.fails, passes: a.passes + t.passes };
    tallies.into_iter().fold(Tally::default(), add)
}

/// Probability that the known good end is bad as well, when that was as likely beforehand as any one culprit.
pub(crate) fn ends_are_alike(rates: &Rates, n: u64, seen: &BTreeMap<u64, Tally>) -> f64 {
    let all = sum(seen.values());
    let (_, alike) = weigh(rates, 1, 1, all, Tally::default());
    let parts = unnormalised(rates, n, seen);
    let top = parts.iter().map(|p| p.1).fold(alike, f64::max);
    if !top.is_finite() {
        return 0.0;
    }
    let others: f64 = parts.iter().map(|p| (p.1 - top).exp()).sum();
    let alike = (alike - top).exp();
    alike / (alike + others)
}

/// One segment, and the logarithm of its unnormalised mass.
fn weigh(rates: &Rates, first: u64, last: u64, bad: Tally, good: Tally) -> (Segment, f64) {
    let (mut a, top_a) = likelihoods(&rates.bad, bad);
    let (mut b, top_b) = likelihoods(&rates.good, good);
    let mut of_good = vec![0.0; b.len()];
    of_good[0] = a.iter().sum();
    for (i, value) in a.iter_mut().enumerate() {
        // Summed anew for each: a difference of running sums would lose what is small but not nothing.
        let window = rates.window(i);
        of_good[window.clone()].iter_mut().for_each(|sum| *sum += *value);
        *value *= b[0] + b[window].iter().sum::<f64>();
    }
    b.iter_mut().zip(&of_good).for_each(|(value, sum)| *value *= sum);
    let total: f64 = a.iter().sum();
    let mean = |weights: &[f64], grid: &[Rate]| {
        let sum: f64 = weights.iter().zip(grid).map(|(w, r)| w * r.p).sum();
        if total > 0.0 { sum / total } else { 0.5 }
    };
    let (bad_rate, good_rate) = (mean(&a, &rates.bad), mean(&b, &rates.good));
    let ln = total.ln() + top_a + top_b + ((last - first + 1) as f64).ln();
    (Segment { first, last, mass: 0.0, bad_rate, good_rate }, ln)
}

/// Prior times likelihood on a grid, scaled so that the greatest is 1; and the logarithm of the scale.
fn likelihoods(grid: &[Rate], tally: Tally) -> (Vec<f64>, f64) {
    let (fails, passes) = (tally.fails as f64, tally.passes as f64);
    let mut values: Vec<f64> = grid.iter().map(|r| r.ln_prior + r.ln_likelihood(fails, passes)).collect();
    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    values.iter_mut().for_each(|v| *v = (*v - top).exp());
    (values, top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tallies(list: &[(u64, u64, u64)]) -> BTreeMap<u64, Tally> {
        list.iter().map(|&(at, fails, passes)| (at, Tally { fails, passes })).collect()
    }

    #[test]
    fn nothing_seen_is_uniform() {
        let parts = segments(&Rates::new(), 100, &BTreeMap::new());
        assert_eq!(parts.len(), 1);
        assert!((parts[0].mass - 1.0).abs() < 1e-12);
        assert_eq!((parts[0].first, parts[0].last), (1, 100));
    }

    #[test]
    fn a_failure_points_below_and_passes_point_above() {
        let rates = Rates::new();
        let parts = segments(&rates, 100, &tallies(&[(100, 5, 5), (50, 1, 0)]));
        assert!(parts[0].mass > 0.85, "{}", parts[0].mass);
        let parts = segments(&rates, 100, &tallies(&[(100, 5, 5), (50, 0, 20)]));
        assert!(parts[1].mass > 0.99, "{}", parts[1].mass);
    }

    #[test]
    fn masses_sum_to_one_and_agree_with_the_closed_form() {
        // Without a constraint between the rates and with p0 = 0 certain, the marginal likelihood of f failures
        // and s passes is B(f + 1/2, s + 1/2) / B(1/2, 1/2); one pass at 50 with nothing else: 1/2 against 1.
        let parts = segments(&Rates::new(), 100, &tallies(&[(50, 0, 1)]));
        assert!((parts.iter().map(|p| p.mass).sum::<f64>() - 1.0).abs() < 1e-12);
        let ratio = parts[0].mass / parts[1].mass;
        // The good rate is 0 half of the time and lower than the bad rate else: between 1/2 and 1.
        assert!((0.4..0.8).contains(&ratio), "{ratio}");
    }

    #[test]
    fn huge_counts_do_not_break_it() {
        let parts =
            segments(&Rates::new(), u64::MAX / 2, &tallies(&[(7, 0, 1 << 40), (1000, 1 << 40, 1 << 20)]));
        assert!(parts.iter().all(|p| p.mass.is_finite()));
        assert!((parts[1].mass - 1.0).abs() < 1e-9);
    }
}
