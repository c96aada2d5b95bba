//! Which of many differences matter: sets of them are built and run until it is decided whether their rate dropped.

use std::collections::BTreeMap;

use kvet_bisect::minimise::{Set, Tested, minimise};
use kvet_bisect::{Decision, Sprt, Tally};
use serde::Serialize;

use super::Failure;
use super::drive::Bench;
use super::entry::{Built, Entry, Ran, Shown};
use super::live::View;
use super::state::State;
use super::verdict::Subject;

/// Failures of all differences together that are waited for: they tell the rate that the others are held against.
const CALIBRATION: u64 = 6;
/// A set fails less when its rate is below this share of the estimated one; between, it leans to either side.
const LOW_RATE: f64 = 0.125;
/// Decisions on which the error is shared out: there are seldom more.
const DECISIONS: f64 = 16.0;
/// So many runs in a row that fail otherwise make a set untestable.
const OTHERS: u64 = 12;

/// Differences of which sets can be built and run.
pub trait Differences {
    /// Their names.
    fn names(&self) -> Vec<String>;
    /// Whether sets must be built.
    fn is_built(&self) -> bool;
    /// What a set becomes with all that it needs and brings along; `None` when it cannot be had by itself.
    ///
    /// # Errors
    /// The search cannot go on.
    fn closure(&mut self, state: &State, set: &Set) -> Result<Option<Set>, Failure>;
    /// Builds a set.
    ///
    /// # Errors
    /// The search cannot go on.
    fn build(&mut self, state: &State, set: &Set, name: &str) -> Result<Built, Failure>;
    /// What is run of a set that was built.
    ///
    /// # Errors
    /// The search cannot go on.
    fn subject(&mut self, state: &State, set: &Set, name: &str) -> Result<Subject, Failure>;
}

/// One set and what was seen of it.
#[derive(Clone, Debug, Serialize)]
pub struct SetEvidence {
    /// The differences, with those that they bring along.
    pub set: Vec<usize>,
    /// Runs that failed and passed.
    pub tally: Tally,
    /// `fails`, `passes` or `unresolved`.
    pub verdict: &'static str,
    /// How its build went.
    pub build: Option<Built>,
    /// A run that failed.
    pub example: Option<String>,
    /// That failure in one line.
    pub title: Option<String>,
}

/// What came out.
pub struct Minimal {
    /// Names of all differences.
    pub names: Vec<String>,
    /// Those that matter; empty when the failure was not reproduced.
    pub set: Set,
    /// What they bring along or need.
    pub with: Set,
    /// Each of them was shown to be necessary.
    pub is_minimal: bool,
    /// Whether all differences together failed at all.
    pub reproduced: bool,
    /// Every set that was tested, in order.
    pub tests: Vec<SetEvidence>,
    /// The rate of all differences together, as estimated.
    pub rate: f64,
}

struct Searching<'a, 'b> {
    bench: &'a mut Bench<'b>,
    view: &'a mut View,
    differences: &'a mut dyn Differences,
    names: Vec<String>,
    tests: Vec<SetEvidence>,
    known: BTreeMap<Set, Tested>,
    /// Of sets that fail.
    failing: Tally,
}

/// Searches.
///
/// # Errors
/// The search cannot go on.
pub fn search(
    bench: &mut Bench<'_>,
    differences: &mut dyn Differences,
    view: &mut View,
) -> Result<Minimal, Failure> {
    let names = differences.names();
    bench.same(Entry::Round { candidates: names.clone() })?;
    let n = names.len();
    let mut searching = Searching {
        bench,
        view,
        differences,
        names,
        tests: Vec::new(),
        known: BTreeMap::new(),
        failing: Tally::default(),
    };
    let all: Set = (0..n).collect();
    searching.calibrate(&all)?;
    let reproduced = searching.failing.fails > 0;
    let (mut set, mut with, mut is_minimal) = (Set::new(), Set::new(), false);
    if reproduced {
        if searching.test(&Set::new())? == Tested::Fails {
            return Err(Failure::said(
                "the good end fails as the bad one does: nothing between them is to blame",
            ));
        }
        (set, is_minimal) = minimise(n, |set| searching.ask(set))?;
        let closed =
            searching.differences.closure(&searching.bench.state, &set)?.unwrap_or_else(|| all.clone());
        with = closed.difference(&set).copied().collect();
    }
    let rate = searching.rate();
    let Searching { names, tests, view, .. } = searching;
    view.clear();
    Ok(Minimal { names, set, with, is_minimal, reproduced, tests, rate })
}

impl Searching<'_, '_> {
    fn rate(&self) -> f64 {
        let Tally { fails, passes } = self.failing;
        // Runs were stopped at a failure: one less of both makes the estimate fair.
        let all = (fails + passes) as f64;
        if fails > 1 { (fails - 1) as f64 / (all - 1.0) } else { fails as f64 / all.max(1.0) }
    }

    /// What is said of a set.
    fn name(&self, set: &Set) -> String {
        let shown: Vec<&str> =
            set.iter().take(3).filter_map(|&e| self.names.get(e)).map(String::as_str).collect();
        match set.len() {
            0 => "none of the differences".into(),
            len if len == self.names.len() => "all differences".into(),
            len if len > 3 => format!("{len} differences: {}, ...", shown.join(", ")),
            _ => shown.join(", "),
        }
    }

    fn calibrate(&mut self, all: &Set) -> Result<(), Failure> {
        let give_up = self.bench.common.give_up.max(1);
        let mut evidence = self.evidence(all);
        if !self.built(all, &mut evidence)? {
            let why = evidence.build.and_then(|b| b.why).unwrap_or_default();
            return Err(Failure::said(format!("the bad end does not build: {why}")));
        }
        let boots = u32::try_from(give_up).unwrap_or(u32::MAX);
        let (others, skipped) = self.run(all, boots, &mut evidence, &mut |tally| {
            tally.fails >= CALIBRATION || (tally.fails == 0 && tally.passes >= give_up)
        })?;
        if skipped || (others >= OTHERS && evidence.tally == Tally::default()) {
            return Err(Failure::said(
                "the bad end cannot be tested: it fails otherwise than hunted every time",
            ));
        }
        self.failing = evidence.tally;
        evidence.verdict = if self.failing.fails > 0 { "fails" } else { "passes" };
        self.tests.push(evidence);
        self.known.insert(all.clone(), Tested::Fails);
        Ok(())
    }

    fn evidence(&self, set: &Set) -> SetEvidence {
        SetEvidence {
            set: set.iter().copied().collect(),
            tally: Tally::default(),
            verdict: "unresolved",
            build: None,
            example: None,
            title: None,
        }
    }

    fn ask(&mut self, set: &Set) -> Result<Tested, Failure> {
        let Some(closed) = self.differences.closure(&self.bench.state, set)? else {
            return Ok(Tested::Unresolved);
        };
        // What brings everything along tells nothing of its own.
        if closed.len() == self.names.len() {
            return Ok(Tested::Unresolved);
        }
        self.test(&closed)
    }

    fn test(&mut self, set: &Set) -> Result<Tested, Failure> {
        if let Some(&known) = self.known.get(set) {
            return Ok(known);
        }
        let mut evidence = self.evidence(set);
        let tested = if self.built(set, &mut evidence)? {
            self.decide(set, &mut evidence)?
        } else {
            Tested::Unresolved
        };
        evidence.verdict = match tested {
            Tested::Fails => "fails",
            Tested::Passes => "passes",
            Tested::Unresolved => "unresolved",
        };
        let Tally { fails, passes } = evidence.tally;
        if tested == Tested::Fails {
            self.failing.fails += fails;
            self.failing.passes += passes;
        }
        let name = self.name(set);
        self.view.says(&format!("{name}: {} ({fails} of {} runs failed)", evidence.verdict, fails + passes));
        self.tests.push(evidence);
        self.known.insert(set.clone(), tested);
        Ok(tested)
    }

    fn built(&mut self, set: &Set, evidence: &mut SetEvidence) -> Result<bool, Failure> {
        if !self.differences.is_built() {
            return Ok(true);
        }
        let name = self.name(set);
        self.view.says(&format!("building {name}"));
        let differences = &mut *self.differences;
        let built = self.bench.built(|state| differences.build(state, set, &name))?;
        self.view.built(&built);
        let ok = built.ok;
        evidence.build = Some(built);
        Ok(ok)
    }

    /// Wald's test of the estimated rate against an eighth of it.
    fn decide(&mut self, set: &Set, evidence: &mut SetEvidence) -> Result<Tested, Failure> {
        let rate = self.rate();
        let error = (1.0 - self.bench.common.confidence) / DECISIONS;
        let mut test = Sprt::new(rate * LOW_RATE, rate, error);
        let mut seen = Tally::default();
        let (others, skipped) = self.run(set, u32::MAX, evidence, &mut |tally| {
            test.record(tally.fails > seen.fails);
            seen = tally;
            test.decision() != Decision::Open
        })?;
        if skipped || (others >= OTHERS && test.decision() == Decision::Open) {
            return Ok(Tested::Unresolved);
        }
        Ok(if test.decision() == Decision::High { Tested::Fails } else { Tested::Passes })
    }

    /// Runs a set until `enough` says so of its tally; how often it failed otherwise in a row, and whether a command
    /// said that it cannot be tested.
    fn run(
        &mut self,
        set: &Set,
        boots: u32,
        evidence: &mut SetEvidence,
        enough: &mut dyn FnMut(Tally) -> bool,
    ) -> Result<(u64, bool), Failure> {
        let name = self.name(set);
        let differences = &mut *self.differences;
        let (mut others, mut skipped) = (0, false);
        let view = &mut *self.view;
        self.bench.runs(|state| differences.subject(state, set, &name), boots, &mut |ran: &Ran| {
            match ran.shown {
                Shown::Fail => {
                    evidence.tally.fails += 1;
                    others = 0;
                    if evidence.example.is_none() {
                        (evidence.example, evidence.title) = (ran.run.clone(), ran.title.clone());
                    }
                }
                Shown::Pass => {
                    evidence.tally.passes += 1;
                    others = 0;
                }
                Shown::Other => {
                    others += 1;
                    view.says(&format!("  failed otherwise: {}", ran.title.as_deref().unwrap_or("")));
                    return others >= OTHERS;
                }
                Shown::Spoilt => return false,
                Shown::Skip => {
                    skipped = true;
                    return true;
                }
            }
            enough(evidence.tally)
        })?;
        Ok((others, skipped))
    }
}
