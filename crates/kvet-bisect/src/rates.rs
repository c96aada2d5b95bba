//! What is believed of the two failure rates before anything ran, on a grid, so that they can be integrated out.
//!
//! The rate of a bad candidate has the Jeffreys prior. The rate of a good one is zero with probability one half
//! (a failure that is recognised by its signature has no background), else Jeffreys below the bad rate.

/// Distance of grid points in log odds. A posterior from 20 failures has a standard deviation of 0.22.
const STEP: f64 = 0.25;
/// Lowest and highest log odds of the grid: one in 100,000, and 999 in 1,000.
const RANGE: (f64, f64) = (-11.5, 7.0);
/// Stands for a rate of zero: one stray failure does not make a candidate impossible, only unbelievable.
const NEVER: f64 = 1e-8;

/// One grid point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) p: f64,
    pub(crate) ln_fail: f64,
    pub(crate) ln_pass: f64,
    pub(crate) ln_prior: f64,
}

impl Rate {
    fn new(p: f64, prior: f64) -> Rate {
        Rate { p, ln_fail: p.ln(), ln_pass: (-p).ln_1p(), ln_prior: prior.ln() }
    }

    /// Log likelihood of so many failures and passes.
    pub(crate) fn ln_likelihood(&self, fails: f64, passes: f64) -> f64 {
        fails * self.ln_fail + passes * self.ln_pass
    }

    /// Probability that `boots` boots all pass.
    pub(crate) fn all_pass(&self, boots: u32) -> f64 {
        (f64::from(boots) * self.ln_pass).exp()
    }

    /// Expected boots of a batch of at most `boots` that stops at its first failure.
    pub(crate) fn expected_boots(&self, boots: u32) -> f64 {
        if self.p * f64::from(boots) < 1e-6 {
            f64::from(boots)
        } else {
            (1.0 - self.all_pass(boots)) / self.p
        }
    }
}

/// The grids of both rates.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    /// Ascending. The prior includes the normalisation of the good rate's prior below it.
    pub(crate) bad: Vec<Rate>,
    /// Ascending; the first is [`NEVER`].
    pub(crate) good: Vec<Rate>,
    /// For each bad rate, how many good rates lie below it.
    pub(crate) below: Vec<usize>,
}

impl Rates {
    pub(crate) fn new() -> Rates {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        // The Jeffreys prior of a proportion is uniform in arcsin(sqrt(p)).
        let arc = |x: f64| std::f64::consts::FRAC_2_PI * logistic(x).sqrt().asin();
        let points = ((RANGE.1 - RANGE.0) / STEP).round() as usize;
        let jeffreys: Vec<(f64, f64)> = (0..points)
            .map(|i| RANGE.0 + STEP * (i as f64 + 0.5))
            .map(|x| (logistic(x), arc(x + STEP / 2.0) - arc(x - STEP / 2.0)))
            .collect();
        let total: f64 = jeffreys.iter().map(|j| j.1).sum();
        let mut good = vec![Rate::new(NEVER, 0.5)];
        good.extend(jeffreys.iter().map(|&(p, prior)| Rate::new(p, 0.5 * prior / total)));
        let mut bad = Vec::with_capacity(points);
        let mut below = Vec::with_capacity(points);
        let mut lower = 0.0;
        for (i, &(p, prior)) in jeffreys.iter().enumerate() {
            lower += good[i].ln_prior.exp();
            bad.push(Rate::new(p, prior / total / lower));
            below.push(i + 1);
        }
        Rates { bad, good, below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joint_prior_sums_to_one() {
        let rates = Rates::new();
        let mut sum = 0.0;
        for (bad, &below) in rates.bad.iter().zip(&rates.below) {
            sum += bad.ln_prior.exp() * rates.good[..below].iter().map(|g| g.ln_prior.exp()).sum::<f64>();
            assert!(rates.good[..below].iter().all(|g| g.p < bad.p));
        }
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    #[test]
    fn a_batch_stops_at_its_first_failure() {
        let half = Rate::new(0.5, 1.0);
        assert!((half.expected_boots(1) - 1.0).abs() < 1e-12);
        assert!((half.expected_boots(2) - 1.5).abs() < 1e-12);
        assert!((Rate::new(NEVER, 1.0).expected_boots(10) - 10.0).abs() < 1e-6);
    }
}
