//! Are two rates different? Exact tests of two counts.

use serde::{Deserialize, Serialize};
use statrs::function::gamma::ln_gamma;

use super::ratio::ratio_interval;
use super::{Rate, interval};

/// Two rates side by side.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// The first.
    pub a: Rate,
    /// The second.
    pub b: Rate,
    /// Probability of a difference at least so great if the rates were equal: Fisher's exact test, two-sided.
    pub fisher: f64,
    /// The same by Barnard's test, which does not condition on the sum and finds more; `None` where it would take
    /// too long.
    pub barnard: Option<f64>,
    /// `a`'s rate over `b`'s.
    pub ratio: Option<f64>,
    /// Its score interval at the rates' confidence; the upper end is `None` when it is infinite.
    pub ratio_low: f64,
    /// See `ratio_low`.
    pub ratio_high: Option<f64>,
}

impl Comparison {
    /// The test to go by: Barnard's where there is one.
    pub fn p_value(&self) -> f64 {
        self.barnard.unwrap_or(self.fisher)
    }

    /// Whether the difference is more than chance, at the rates' confidence.
    pub fn differs(&self) -> bool {
        self.p_value() < 1.0 - self.a.confidence
    }
}

/// Compares failures in boots.
pub fn compare(a: (u64, u64), b: (u64, u64), confidence: f64) -> Comparison {
    let (ratio_low, ratio_high) = ratio_interval(a, b, confidence);
    let (rate_a, rate_b) = (interval::Rate::new(a.0, a.1, confidence), Rate::new(b.0, b.1, confidence));
    let ratio = match (rate_a.estimate, rate_b.estimate) {
        (Some(p), Some(q)) if q > 0.0 => Some(p / q),
        _ => None,
    };
    Comparison {
        a: rate_a,
        b: rate_b,
        fisher: fisher(a, b),
        barnard: barnard(a, b),
        ratio,
        ratio_low,
        ratio_high: ratio_high.is_finite().then_some(ratio_high),
    }
}

fn ln_choose(n: u64, k: u64) -> f64 {
    let (n, k) = (n as f64, k as f64);
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// Two probabilities that differ by rounding only are equal.
const SAME: f64 = 1.0 + 1e-7;

/// Fisher's exact test, two-sided: all tables with the same sums that are no likelier than this one.
pub fn fisher((k1, n1): (u64, u64), (k2, n2): (u64, u64)) -> f64 {
    let failures = k1 + k2;
    let all = ln_choose(n1 + n2, failures);
    let probability = |k: u64| (ln_choose(n1, k) + ln_choose(n2, failures - k) - all).exp();
    let observed = probability(k1);
    let low = failures.saturating_sub(n2);
    let high = failures.min(n1);
    let p: f64 = (low..=high).map(probability).filter(|p| *p <= observed * SAME).sum();
    p.min(1.0)
}

/// Tables up to this many are worth Barnard's search.
const TABLES: u64 = 60_000;

/// Barnard's test (Nature 156, 1945) with the pooled score statistic: the greatest probability, over all common
/// rates, of a table at least as extreme.
pub fn barnard((k1, n1): (u64, u64), (k2, n2): (u64, u64)) -> Option<f64> {
    if (n1 + 1).saturating_mul(n2 + 1) > TABLES {
        return None;
    }
    if n1 == 0 || n2 == 0 {
        return Some(1.0);
    }
    let score = |a: u64, b: u64| {
        let pooled = (a + b) as f64 / (n1 + n2) as f64;
        let spread = pooled * (1.0 - pooled) * (1.0 / n1 as f64 + 1.0 / n2 as f64);
        let difference = a as f64 / n1 as f64 - b as f64 / n2 as f64;
        if spread > 0.0 { difference * difference / spread } else { 0.0 }
    };
    let observed = score(k1, k2);
    let extreme: Vec<(u64, u64)> = (0..=n1)
        .flat_map(|a| (0..=n2).map(move |b| (a, b)))
        .filter(|&(a, b)| score(a, b) * SAME >= observed)
        .collect();
    // Few sums of (a, b) decide the dependence on the common rate: group by a + b.
    let mut weight = vec![f64::NEG_INFINITY; usize::try_from(n1 + n2 + 1).ok()?];
    for (a, b) in extreme {
        let w = ln_choose(n1, a) + ln_choose(n2, b);
        let slot = &mut weight[usize::try_from(a + b).ok()?];
        let top = slot.max(w);
        *slot = top + ((*slot - top).exp() + (w - top).exp()).ln();
    }
    let n = (n1 + n2) as f64;
    let at = |p: f64| -> f64 {
        let (yes, no) = (p.ln(), (-p).ln_1p());
        (0u64..).zip(&weight).map(|(s, w)| (w + s as f64 * yes + (n - s as f64) * no).exp()).sum()
    };
    // The common rate on a grid that is fine where rates are small, and then finer around the best.
    let logit = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (mut best, mut top) = (0.0, 0.0);
    for i in -1200..=1200 {
        let x = f64::from(i) * 0.01;
        let p = at(logit(x));
        if p > top {
            (best, top) = (x, p);
        }
    }
    for i in -100..=100 {
        top = f64::max(top, at(logit(best + f64::from(i) * 1e-4)));
    }
    Some(top.min(1.0))
}

/// Holm's correction of several tests made at once (Scandinavian Journal of Statistics 6, 1979), in the order of
/// the input.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut worst: f64 = 0.0;
    for (rank, &at) in order.iter().enumerate() {
        worst = worst.max((p_values[at] * (p_values.len() - rank) as f64).min(1.0));
        corrected[at] = worst;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::super::sequential::tests::Random;
    use super::*;

    #[test]
    fn fisher_is_that_of_the_textbooks() {
        // The lady tasting tea: 3 of 4 against 1 of 4.
        assert!((fisher((3, 4), (1, 4)) - 0.485_714).abs() < 1e-5);
        // R: fisher.test(matrix(c(1,9,11,3),2))$p.value
        assert!((fisher((1, 12), (9, 12)) - 0.002_759).abs() < 1e-5);
        assert_eq!(fisher((0, 0), (0, 0)), 1.0);
        assert_eq!(fisher((0, 100), (0, 100)), 1.0);
        assert!((fisher((5, 5), (0, 5)) - 2.0 / 252.0).abs() < 1e-9);
    }

    #[test]
    fn barnard_finds_more_than_fisher_and_keeps_its_level() {
        // Barnard's own example, 3 of 3 against 0 of 3: 1/32 two-sided... his 1945 note gives 1/64 one-sided.
        let p = barnard((3, 3), (0, 3)).expect("small");
        assert!((p - 2.0 / 64.0).abs() < 1e-4, "{p}");
        assert!(p < fisher((3, 3), (0, 3)));
        // The lab's own: 3 of 6 against 0 of 6.
        let stall = barnard((3, 6), (0, 6)).expect("small");
        assert!(stall < fisher((3, 6), (0, 6)), "{stall}");
        // Exact level: over all tables at a common rate, p <= 0.05 comes at most in 5 %.
        let (n1, n2, p) = (8u64, 11u64, 0.3f64);
        let mut level = 0.0;
        for a in 0..=n1 {
            for b in 0..=n2 {
                if barnard((a, n1), (b, n2)).expect("small") <= 0.05 {
                    let weight = ln_choose(n1, a) + ln_choose(n2, b);
                    let (k, n) = ((a + b) as f64, (n1 + n2) as f64);
                    level += (weight + k * p.ln() + (n - k) * (1.0 - p).ln()).exp();
                }
            }
        }
        assert!(level <= 0.05, "{level}");
        assert_eq!(barnard((0, 1000), (1, 1000)), None);
    }

    #[test]
    fn equal_rates_rarely_differ_and_unequal_ones_often() {
        let mut random = Random(3);
        let mut share = |p: f64, q: f64| {
            let mut draw = |p: f64| (0..200).filter(|_| random.uniform() < p).count() as u64;
            let differs = (0..200).filter(|_| fisher((draw(p), 200), (draw(q), 200)) < 0.05).count();
            differs as f64 / 200.0
        };
        assert!(share(0.05, 0.05) < 0.08);
        assert!(share(0.05, 0.2) > 0.9);
    }

    #[test]
    fn corrections_are_holms() {
        assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn nothing_compared_says_nothing() {
        let c = compare((0, 0), (0, 0), 0.95);
        assert_eq!((c.ratio, c.ratio_low, c.ratio_high), (None, 0.0, None));
        assert!(!c.differs());
        let c = compare((0, 500), (0, 10), 0.95);
        assert!(!c.differs() && c.ratio.is_none());
    }
}
