//! Wald's sequential probability ratio test of one rate against another.

/// What the test has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The rate is the low one.
    Low,
    /// The rate is the high one.
    High,
    /// More boots are needed.
    Open,
}

/// A test of `low` against `high` (A. Wald, Sequential Analysis, 1947), with both errors at `error`.
#[derive(Clone, Copy, Debug)]
pub struct Sprt {
    fail: f64,
    pass: f64,
    bound: f64,
    score: f64,
}

impl Sprt {
    /// Rates are probabilities, `low < high`; they are kept off 0 and 1, where one boot would decide for ever.
    pub fn new(low: f64, high: f64, error: f64) -> Sprt {
        let high = high.clamp(1e-9, 1.0 - 1e-6);
        let low = low.clamp(1e-10, high * 0.999);
        Sprt {
            fail: (high / low).ln(),
            pass: ((1.0 - high) / (1.0 - low)).ln(),
            bound: ((1.0 - error) / error).ln(),
            score: 0.0,
        }
    }

    /// One more boot. Once decided, it stays so: its errors are those of the first crossing.
    pub fn record(&mut self, failed: bool) -> Decision {
        if self.decision() == Decision::Open {
            self.score += if failed { self.fail } else { self.pass };
        }
        self.decision()
    }

    /// What is decided so far.
    pub fn decision(&self) -> Decision {
        if self.score >= self.bound {
            Decision::High
        } else if self.score <= -self.bound {
            Decision::Low
        } else {
            Decision::Open
        }
    }

    /// Boots that still have to pass, all of them, before the low rate is accepted.
    pub fn passes_needed(&self) -> u32 {
        ((self.score + self.bound) / -self.pass).ceil().clamp(1.0, 1e9) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_needed_are_as_published() {
        // Wald, at errors of .05 and 1e-3 against 1e-2: about 393 boots when the rate is the low one.
        let mut random = fastrand::Rng::with_seed(7);
        let (mut boots, mut wrong) = (0u32, 0);
        for _ in 0..2_000 {
            let mut test = Sprt::new(1e-3, 1e-2, 0.05);
            loop {
                boots += 1;
                match test.record(random.f64() < 1e-3) {
                    Decision::Open => {}
                    Decision::Low => break,
                    Decision::High => {
                        wrong += 1;
                        break;
                    }
                }
            }
        }
        let mean = f64::from(boots) / 2_000.0;
        assert!((340.0..440.0).contains(&mean), "{mean}");
        assert!(wrong < 2_000 / 20, "{wrong}");
    }

    #[test]
    fn passes_needed_is_exact() {
        let mut test = Sprt::new(1e-9, 0.1, 0.05);
        let needed = test.passes_needed();
        for i in 1..=needed {
            let decision = test.record(false);
            assert_eq!(decision == Decision::Low, i == needed, "{i} of {needed}");
        }
    }
}
