//! What is believed of the two failure rates before anything ran, on a grid, so that they can be integrated out.
//!
//! The rate of a bad candidate has the Jeffreys prior. The rate of a good one is zero with probability 0.6
//! (a failure that is recognised by its signature has no background), else a fraction of the bad rate, from a
//! sixth downwards, its logarithm uniform. Rates that lie closer together cannot be told apart at a cost that
//! anybody would pay; the answer's probability then says so.

/// Distance of grid points in log odds. A posterior from 20 failures has a standard deviation of 0.22.
const STEP: f64 = 0.25;
/// Lowest and highest log odds of the grid: one in 100,000, and 999 in 1,000.
const RANGE: (f64, f64) = (-11.5, 7.0);
/// Probability that a good candidate never fails in the hunted way: it is so when a signature tells failures apart.
const NO_BACKGROUND: f64 = 0.6;
/// Grid points by which a good rate lies below the bad one at least: a factor of 5.8 for small rates.
const GAP: usize = 7;
/// Grid points that a good rate may have from there down, to 1/55 of the bad one; what is lower is like never.
const WINDOW: usize = 10;
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
    pub(crate) fn new(p: f64, prior: f64) -> Rate {
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
    /// Ascending. The prior includes the normalisation over the good rates that go with it.
    pub(crate) bad: Vec<Rate>,
    /// Ascending; the first is [`NEVER`], the others are the bad rate's points.
    pub(crate) good: Vec<Rate>,
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
        let each = (1.0 - NO_BACKGROUND) / WINDOW as f64;
        let mut good = vec![Rate::new(NEVER, NO_BACKGROUND)];
        good.extend(jeffreys.iter().map(|&(p, _)| Rate::new(p, each)));
        let mut rates = Rates { bad: Vec::with_capacity(points), good };
        for (i, &(p, prior)) in jeffreys.iter().enumerate() {
            let lower = NO_BACKGROUND + each * rates.window(i).len() as f64;
            rates.bad.push(Rate::new(p, prior / total / lower));
        }
        rates
    }

    /// Beside [`NEVER`], the good rates that may go with the bad rate `bad`.
    pub(crate) fn window(&self, bad: usize) -> std::ops::Range<usize> {
        // Point i of the bad grid is point i + 1 of the good one.
        let end = (bad + 2).saturating_sub(GAP).max(1);
        end.saturating_sub(WINDOW).max(1)..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_joint_prior_sums_to_one() {
        let rates = Rates::new();
        let mut sum = 0.0;
        for (i, bad) in rates.bad.iter().enumerate() {
            let window = &rates.good[rates.window(i)];
            let good = rates.good[0].ln_prior.exp() + window.iter().map(|g| g.ln_prior.exp()).sum::<f64>();
            sum += bad.ln_prior.exp() * good;
            assert!(window.iter().all(|g| g.p < 0.9 * bad.p || bad.p > 0.5));
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
