//! The search as a state machine that is fed with verdicts: it starts no boot and reads no clock.

use std::collections::BTreeMap;

use crate::policy::{self, Batch, Builds};
use crate::posterior::{Segment, Tally, ends_are_alike, segments};
use crate::rates::Rates;
use crate::sprt::{Decision, Sprt};

/// Failures of the known bad end that are waited for before anything else is tested: they tell the rate.
const CALIBRATION: u64 = 3;
/// A culprit with this probability is confirmed: the confirming test's boots are evidence as well.
const CONFIRM_FROM: f64 = 0.4;
/// A confirming test ends when its culprit has become this improbable.
const CONFIRM_TO: f64 = 0.2;
/// The share of the error that a search stops at: the rates' prior is a guess, and who says 95 % must hold it.
const MARGIN: f64 = 0.6;
/// The confirming test's low rate is at most this share of the high one.
const LOW_RATE: f64 = 0.25;
/// The culprit must fail more often than this share of the rate, and than good candidates are believed to. One stray
/// failure is not enough: that good candidates never fail is believed too easily where they do so rarely.
const CULPRIT_LOW_RATE: f64 = 0.15;

/// What is searched.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Problem {
    /// Candidates 1..=n; n is known to be bad, 0 to be good.
    pub candidates: u64,
    /// What a build costs, in boots.
    pub build_cost: f64,
    /// The probability at which a culprit is called found, for example 0.95.
    pub confidence: f64,
    /// Boots of the bad end after which the failure counts as not reproduced.
    pub give_up: u64,
}

/// One thing that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It failed in the hunted way.
    Fail,
    /// It did not fail.
    Pass,
    /// It could be built.
    Built,
    /// It cannot be built, or cannot be tested: neither good nor bad.
    Skip,
}

/// Why a test is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The known bad end, to learn how often it fails.
    Calibrate,
    /// It tells most per cost.
    Search,
    /// The culprit must fail as often as believed.
    ConfirmCulprit,
    /// The candidate before it must not.
    ConfirmParent,
}

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Build `candidate` unless it is built, boot it up to `boots` times, stop at the first failure, and record
    /// every verdict.
    Test {
        /// The candidate.
        candidate: u64,
        /// Boots at most.
        boots: u32,
        /// Why.
        why: Why,
    },
    /// The search has ended.
    Done(Answer),
    /// The good end fails as the bad one does: what brought the failure in is older.
    GoodEndFails(Tally),
    /// The bad end did not fail often enough to be searched for.
    NotReproduced {
        /// Boots of the bad end, all of which passed but fewer than two.
        boots: u64,
    },
}

/// The culprit.
#[derive(Clone, PartialEq, Debug, serde::Serialize)]
pub struct Answer {
    /// First and last culprit that cannot be told apart; equal, unless those between cannot be tested.
    pub culprit: (u64, u64),
    /// Probability that it is right, by the posterior.
    pub probability: f64,
    /// Expected failure rate of bad candidates.
    pub bad_rate: f64,
    /// Expected failure rate of good candidates.
    pub good_rate: f64,
    /// The sequential test agreed: the culprit fails, its parent does not.
    pub confirmed: bool,
}

/// A confirming test under way.
#[derive(Clone, Debug)]
struct Confirm {
    culprit: (u64, u64),
    parent: u64,
    culprit_test: Sprt,
    parent_test: Sprt,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    problem: Problem,
    rates: Rates,
    batch: Batch,
    seen: BTreeMap<u64, Tally>,
    builds: Builds,
    confirm: Option<Confirm>,
    boots: u64,
    built: u64,
    skipped: u64,
}

impl Search {
    /// A search of which nothing is known.
    ///
    /// # Errors
    /// The problem is nonsense: no candidates, a confidence outside 0.5..1, or a negative cost.
    pub fn new(problem: Problem) -> Result<Search, ProblemError> {
        if problem.candidates == 0 {
            return Err(ProblemError::NoCandidates);
        }
        if !(0.5..1.0).contains(&problem.confidence) {
            return Err(ProblemError::Confidence(problem.confidence));
        }
        if !(0.0..1e12).contains(&problem.build_cost) {
            return Err(ProblemError::BuildCost(problem.build_cost));
        }
        let rates = Rates::new();
        Ok(Search {
            problem,
            rates,
            batch: Batch::Best,
            seen: BTreeMap::new(),
            builds: Builds { cost: problem.build_cost, ..Builds::default() },
            confirm: None,
            boots: 0,
            built: 0,
            skipped: 0,
        })
    }

    /// The same search with one boot a test and no confirming test: it ends when a culprit holds the confidence.
    pub(crate) fn greedy(self) -> Search {
        Search { batch: Batch::One, ..self }
    }

    /// Takes in one verdict. Verdicts of candidates that were not asked for are welcome: they are evidence too.
    pub fn record(&mut self, candidate: u64, verdict: Verdict) {
        let failed = match verdict {
            Verdict::Built => {
                self.built += 1;
                self.builds.done.insert(candidate);
                return;
            }
            Verdict::Skip => {
                self.skipped += 1;
                self.builds.broken.insert(candidate);
                self.confirm = self.confirm.take().filter(|c| ![c.parent, c.culprit.1].contains(&candidate));
                return;
            }
            Verdict::Fail => true,
            Verdict::Pass => false,
        };
        self.boots += 1;
        self.builds.done.insert(candidate);
        let tally = self.seen.entry(candidate).or_default();
        if failed {
            tally.fails += 1
        } else {
            tally.passes += 1
        }
        if let Some(confirm) = &mut self.confirm {
            if candidate == confirm.culprit.1 {
                confirm.culprit_test.record(failed);
            } else if candidate == confirm.parent {
                confirm.parent_test.record(failed);
            }
        }
    }

    /// The posterior, ascending.
    pub fn posterior(&self) -> Vec<Segment> {
        segments(&self.rates, self.problem.candidates, &self.seen)
    }

    /// What was seen, by candidate.
    pub fn seen(&self) -> &BTreeMap<u64, Tally> {
        &self.seen
    }

    /// Boots, builds, and candidates that could not be built or tested.
    pub fn spent(&self) -> (u64, u64, u64) {
        (self.boots, self.built, self.skipped)
    }

    /// Whether `candidate` is built.
    pub fn is_built(&self, candidate: u64) -> bool {
        self.builds.done.contains(&candidate)
    }

    /// Whether `candidate` was found not to be testable.
    pub fn is_skipped(&self, candidate: u64) -> bool {
        self.builds.broken.contains(&candidate)
    }

    /// What a build costs from now on, in boots, once it was measured. Whoever repeats a search must say the same
    /// between the same verdicts.
    pub fn set_build_cost(&mut self, boots: f64) {
        if (0.0..1e12).contains(&boots) {
            self.builds.cost = boots;
        }
    }

    /// What to do next. Asking twice without a verdict between gives the same answer.
    pub fn next_step(&mut self) -> Step {
        if let Some(step) = self.calibrate() {
            return step;
        }
        if let Some(&tally) = self.seen.get(&0).filter(|tally| tally.fails > 0)
            && ends_are_alike(&self.rates, self.problem.candidates, &self.seen) >= self.sure()
        {
            return Step::GoodEndFails(tally);
        }
        let posterior = self.posterior();
        if let Some(step) = self.confirming(&posterior) {
            return step;
        }
        if let Some(found) = self.found(&posterior).filter(|_| self.confirm.is_none()) {
            if self.batch == Batch::One {
                return Step::Done(answer(&posterior, found, false));
            }
            let is_testable = |at: u64| !self.builds.broken.contains(&at);
            if is_testable(found.0 - 1) && is_testable(found.1) {
                self.begin_confirm(&posterior, found);
                return self.next_step();
            }
            // Its parent or itself cannot be tested any more: it stays unconfirmed.
            let mass = posterior.iter().find(|s| s.first == found.0).map_or(0.0, |s| s.mass);
            if mass >= self.sure() {
                return Step::Done(answer(&posterior, found, false));
            }
        }
        match policy::choose(&posterior, &self.builds, expected_rates(&posterior), self.batch) {
            Some(plan) => Step::Test { candidate: plan.candidate, boots: plan.boots, why: Why::Search },
            // Nothing left that tells: what is believed most is all that can be had.
            None => {
                let most = posterior.iter().max_by(|a, b| a.mass.total_cmp(&b.mass));
                let culprit = most.map_or((1, self.problem.candidates), |s| (s.first, s.last));
                Step::Done(answer(&posterior, culprit, false))
            }
        }
    }

    /// The probability at which a culprit is believed.
    fn sure(&self) -> f64 {
        1.0 - MARGIN * (1.0 - self.problem.confidence)
    }

    /// The next step of the confirming test, if one is under way and goes on.
    fn confirming(&mut self, posterior: &[Segment]) -> Option<Step> {
        let confirm = self.confirm.as_ref()?;
        let mass = posterior.iter().find(|s| s.first == confirm.culprit.0).map_or(0.0, |s| s.mass);
        let test =
            |candidate, test: &Sprt, why| Some(Step::Test { candidate, boots: test.passes_needed(), why });
        match (confirm.parent_test.decision(), confirm.culprit_test.decision()) {
            (Decision::Low, Decision::High) if mass >= self.sure() => {
                return Some(Step::Done(answer(posterior, confirm.culprit, true)));
            }
            // It agrees, but earlier boots speak against: the search goes on, and the test need not be run again.
            (Decision::Low, Decision::High) if mass >= CONFIRM_TO => return None,
            // Refuted: its boots are in the posterior, which decides where to look now.
            (Decision::High, _) | (_, Decision::Low) | (Decision::Low, Decision::High) => {}
            _ if mass < CONFIRM_TO => {}
            (Decision::Open, _) => return test(confirm.parent, &confirm.parent_test, Why::ConfirmParent),
            (_, Decision::Open) => {
                return test(confirm.culprit.1, &confirm.culprit_test, Why::ConfirmCulprit);
            }
        }
        self.confirm = None;
        None
    }

    /// The bad end is booted until its rate is roughly known.
    fn calibrate(&self) -> Option<Step> {
        let tally = self.seen.get(&self.problem.candidates).copied().unwrap_or_default();
        if tally.fails >= CALIBRATION || self.seen.range(..self.problem.candidates).any(|(_, t)| t.fails > 0)
        {
            return None;
        }
        let boots = tally.fails + tally.passes;
        if boots >= self.problem.give_up {
            return Some(Step::NotReproduced { boots });
        }
        let rest = u32::try_from(self.problem.give_up - boots).unwrap_or(u32::MAX);
        Some(Step::Test { candidate: self.problem.candidates, boots: rest, why: Why::Calibrate })
    }

    /// The segment that is probable enough to be confirmed, or to be the answer, and that no test can split.
    fn found(&self, posterior: &[Segment]) -> Option<(u64, u64)> {
        let from = match self.batch {
            Batch::Best => CONFIRM_FROM,
            Batch::One => self.problem.confidence,
        };
        posterior
            .iter()
            .filter(|s| s.mass >= from && self.builds.is_final(s))
            .max_by(|a, b| a.mass.total_cmp(&b.mass))
            .map(|s| (s.first, s.last))
    }

    fn begin_confirm(&mut self, posterior: &[Segment], culprit: (u64, u64)) {
        let (bad, good) = expected_rates(posterior);
        let error = 1.0 - self.problem.confidence;
        self.confirm = Some(Confirm {
            culprit,
            parent: culprit.0 - 1,
            culprit_test: Sprt::new((bad * CULPRIT_LOW_RATE).max(good.min(bad * LOW_RATE)), bad, error),
            parent_test: Sprt::new(good.min(bad * LOW_RATE), bad, error),
        });
    }
}

fn answer(posterior: &[Segment], culprit: (u64, u64), confirmed: bool) -> Answer {
    let (bad_rate, good_rate) = expected_rates(posterior);
    let probability = posterior.iter().find(|s| s.first == culprit.0).map_or(0.0, |s| s.mass);
    Answer { culprit, probability, bad_rate, good_rate, confirmed }
}

/// Posterior means of the rates of bad and good candidates.
fn expected_rates(posterior: &[Segment]) -> (f64, f64) {
    posterior
        .iter()
        .fold((0.0, 0.0), |(bad, good), s| (bad + s.mass * s.bad_rate, good + s.mass * s.good_rate))
}

/// A problem that cannot be searched.
#[derive(Clone, Copy, PartialEq, Debug, thiserror::Error)]
pub enum ProblemError {
    /// Nothing between good and bad.
    #[error("there is no candidate between the good and the bad end")]
    NoCandidates,
    /// Not a probability to stop at.
    #[error("confidence {0} is not in 0.5..1: give for example 0.95")]
    Confidence(f64),
    /// Not a cost.
    #[error("a build cannot cost {0} boots: give a number from 0")]
    BuildCost(f64),
}
