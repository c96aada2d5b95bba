//! Wald's sequential test: is the rate p0 or p1, with as few boots as can be.

use serde::{Deserialize, Serialize};

/// What the test has decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The rate is the lower one (or less).
    Low,
    /// The rate is the higher one (or more).
    High,
}

/// The test (Wald, Annals of Mathematical Statistics 16, 1945).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Sprt {
    fail: f64,
    pass: f64,
    upper: f64,
    lower: f64,
    sum: f64,
}

impl Sprt {
    /// Between rates `p0` < `p1`; `alpha` is the probability to say high at p0, `beta` to say low at p1. `None`
    /// unless 0 < p0 < p1 < 1 and the errors are between 0 and 1/2.
    pub fn new(p0: f64, p1: f64, alpha: f64, beta: f64) -> Option<Sprt> {
        let errors = [alpha, beta].iter().all(|e| *e > 0.0 && *e < 0.5);
        (0.0 < p0 && p0 < p1 && p1 < 1.0 && errors).then(|| Sprt {
            fail: (p1 / p0).ln(),
            pass: ((1.0 - p1) / (1.0 - p0)).ln(),
            upper: ((1.0 - beta) / alpha).ln(),
            lower: (beta / (1.0 - alpha)).ln(),
            sum: 0.0,
        })
    }

    /// Takes the next boot, in the order in which the boots were started.
    pub fn add(&mut self, failed: bool) -> Option<Decision> {
        self.sum += if failed { self.fail } else { self.pass };
        self.decision()
    }

    /// What is decided so far.
    pub fn decision(&self) -> Option<Decision> {
        if self.sum >= self.upper {
            Some(Decision::High)
        } else if self.sum <= self.lower {
            Some(Decision::Low)
        } else {
            None
        }
    }

    /// So many more passes in a row decide for the lower rate.
    pub fn passes_left(&self) -> u64 {
        ((self.lower - self.sum) / self.pass).ceil().max(0.0) as u64
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small generator of known quality (splitmix64), so that tests need no crate and repeat.
    pub(crate) struct Random(pub u64);

    impl Random {
        pub(crate) fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    fn run(p: f64, random: &mut Random) -> (Decision, u64) {
        let mut test = Sprt::new(0.001, 0.01, 0.05, 0.05).expect("a test");
        for boots in 1.. {
            if let Some(decision) = test.add(random.uniform() < p) {
                return (decision, boots);
            }
        }
        unreachable!("the test ends with probability 1")
    }

    #[test]
    fn errors_and_boots_are_those_of_the_theory() {
        let mut random = Random(1);
        let mut at = |p| {
            let runs: Vec<_> = (0..4000).map(|_| run(p, &mut random)).collect();
            let high = runs.iter().filter(|(d, _)| *d == Decision::High).count() as f64 / 4000.0;
            let boots = runs.iter().map(|(_, n)| *n as f64).sum::<f64>() / 4000.0;
            (high, boots)
        };
        let (high, boots) = at(0.001);
        assert!(high < 0.05, "says high at p0: {high}");
        assert!((360.0..430.0).contains(&boots), "{boots} boots when fixed");
        let (high, boots) = at(0.01);
        // Wald's bounds are of the errors' sum: a little more than beta is possible.
        assert!(high > 0.94, "says high at p1: {high}");
        // Wald's 188 leaves out that two failures overshoot the bound.
        assert!((188.0..275.0).contains(&boots), "{boots} boots when not");
    }

    #[test]
    fn the_ends() {
        let mut test = Sprt::new(0.001, 0.01, 0.05, 0.05).expect("a test");
        assert_eq!(test.decision(), None);
        let left = test.passes_left();
        for _ in 0..left - 1 {
            assert_eq!(test.add(false), None);
        }
        assert_eq!(test.add(false), Some(Decision::Low));
        let mut all_fail = Sprt::new(0.001, 0.01, 0.05, 0.05).expect("a test");
        assert_eq!(all_fail.add(true), None);
        assert_eq!(all_fail.add(true), Some(Decision::High));
        for bad in
            [(0.0, 0.1, 0.05), (0.1, 0.1, 0.05), (0.1, 1.0, 0.05), (0.1, 0.2, 0.5), (f64::NAN, 0.2, 0.05)]
        {
            assert!(Sprt::new(bad.0, bad.1, bad.2, bad.2).is_none(), "{bad:?}");
        }
    }
}
