//! A rate with its exact interval.

use serde::{Deserialize, Serialize};
use statrs::function::beta::checked_beta_reg;

/// So many failures in so many boots, and what that says of the rate.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rate {
    /// Boots that failed.
    pub failures: u64,
    /// Boots that say something about the kernel: without those that the host or the emulator spoilt.
    pub boots: u64,
    /// Failures a boot; `None` without boots.
    pub estimate: Option<f64>,
    /// The least rate that is compatible.
    pub low: f64,
    /// The greatest rate that is compatible.
    pub high: f64,
    /// How often such an interval holds the true rate, at least.
    pub confidence: f64,
}

impl Rate {
    /// The interval of Clopper and Pearson (Biometrika 26, 1934): it never claims more than it may, for any n.
    pub fn new(failures: u64, boots: u64, confidence: f64) -> Rate {
        let failures = failures.min(boots);
        let tail = (1.0 - confidence) / 2.0;
        let (k, n) = (failures as f64, boots as f64);
        // P(X >= k | p) = I_p(k, n-k+1) and P(X <= k | p) = 1 - I_p(k+1, n-k).
        let low = if failures == 0 { 0.0 } else { root(|p| beta(k, n - k + 1.0, p), tail) };
        let high = if failures == boots { 1.0 } else { root(|p| beta(k + 1.0, n - k, p), 1.0 - tail) };
        let estimate = (boots > 0).then(|| k / n);
        Rate { failures, boots, estimate, low, high, confidence }
    }
}

/// So many boots without a failure bound the rate at `rate` with a confidence: ln(1 - c) / ln(1 - p).
pub fn boots_without_failure(rate: f64, confidence: f64) -> u64 {
    let boots = ((1.0 - confidence).ln() / (-rate).ln_1p()).ceil();
    if boots.is_finite() { boots.max(1.0) as u64 } else { u64::MAX }
}

fn beta(a: f64, b: f64, x: f64) -> f64 {
    // All three are in its domain here; a failure to converge counts as the step it would be.
    checked_beta_reg(a, b, x).unwrap_or(if x < a / (a + b) { 0.0 } else { 1.0 })
}

/// Where a rising function on 0 to 1 reaches a value: bisection to the last bit.
fn root(f: impl Fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if f(middle) < value { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    #[test]
    fn intervals_are_those_of_the_tables() {
        // R: binom.test(k, n)$conf.int
        for (k, n, low, high) in [
            (1, 10, 0.002_53, 0.445_02),
            (5, 10, 0.187_09, 0.812_91),
            (0, 50, 0.0, 0.071_12),
            (4, 500, 0.002_18, 0.020_36),
        ] {
            let rate = Rate::new(k, n, 0.95);
            assert!(close(rate.low, low) && close(rate.high, high), "{rate:?}");
        }
    }

    #[test]
    fn the_ends_are_no_special_case_for_the_reader() {
        let none = Rate::new(0, 0, 0.95);
        assert_eq!((none.estimate, none.low, none.high), (None, 0.0, 1.0));
        let all = Rate::new(7, 7, 0.95);
        assert_eq!((all.estimate, all.high), (Some(1.0), 1.0));
        // (alpha/2)^(1/n)
        assert!(close(all.low, 0.025f64.powf(1.0 / 7.0)), "{all:?}");
        assert_eq!(Rate::new(9, 7, 0.95).failures, 7);
        let many = Rate::new(3, 10_000_000, 0.95);
        assert!(many.low > 0.0 && many.high < 1e-6, "{many:?}");
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        // Exact coverage by summing the binomial distribution.
        for n in [1u64, 5, 20, 100] {
            for p in [0.003, 0.02, 0.1, 0.5, 0.93] {
                let mut covered = 0.0;
                let mut mass = (1.0f64 - p).powi(n as i32);
                for k in 0..=n {
                    let rate = Rate::new(k, n, 0.95);
                    if rate.low <= p && p <= rate.high {
                        covered += mass;
                    }
                    mass *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
                }
                assert!(covered >= 0.95 - 1e-9, "n {n} p {p}: {covered}");
            }
        }
    }

    #[test]
    fn good_boots_that_bound_a_rate() {
        assert_eq!(boots_without_failure(0.001, 0.95), 2995);
        assert_eq!(boots_without_failure(0.01, 0.95), 299);
        assert_eq!(boots_without_failure(0.0, 0.95), u64::MAX);
        assert_eq!(boots_without_failure(1.0, 0.95), 1);
    }
}
