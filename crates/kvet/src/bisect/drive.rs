//! A search along a line of candidates: the engine says what to test, the axis builds, the judge runs, and every
//! fact is in the journal before the next one is looked for.

use std::collections::BTreeMap;

use kvet_bisect::{Answer, Problem, Search, Step, Tally, Verdict, Why};
use serde::Serialize;

use super::args::Common;
use super::entry::{Built, Entry, Ran, Shown};
use super::live::View;
use super::state::State;
use super::verdict::{Judge, Subject};
use super::{Failure, stopped};

/// So many runs in a row that say nothing of the candidate (another failure) make it untestable.
const OTHERS: u64 = 12;
/// So many runs in a row that the host or the emulator spoilt end the search: it can be gone on with.
const SPOILT: u64 = 20;
/// What a build costs, in runs, before any was measured.
const BUILD_COST: f64 = 20.0;

/// A line of candidates.
pub trait Axis {
    /// Names of candidates 0..=n, 0 the good end.
    fn names(&self) -> Vec<String>;
    /// Whether candidates must be built, at a cost.
    fn is_built(&self) -> bool;
    /// Builds one.
    ///
    /// # Errors
    /// The search cannot go on; that one does not build is none.
    fn build(&mut self, state: &State, at: u64) -> Result<Built, Failure>;
    /// What is run of one that was built.
    ///
    /// # Errors
    /// The search cannot go on.
    fn subject(&mut self, state: &State, at: u64) -> Result<Subject, Failure>;
}

/// What was seen of a candidate.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Evidence {
    /// Runs with the hunted failure.
    pub failures: u64,
    /// Runs that passed.
    pub passes: u64,
    /// Of both, those of the confirming test.
    pub confirming: Tally,
    /// Runs that failed otherwise.
    pub others: u64,
    /// Runs that the host or the emulator spoilt.
    pub spoilt: u64,
    /// How its build went, when it was built.
    pub build: Option<Built>,
    /// A run that failed: campaign and boot in the store.
    pub example: Option<String>,
    /// That failure in one line.
    pub title: Option<String>,
}

/// What was spent.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Spent {
    /// Runs, also spoilt ones.
    pub runs: u64,
    /// Builds.
    pub builds: u64,
    /// Builds that failed.
    pub failed_builds: u64,
    /// Candidates that were found built.
    pub cached: u64,
    /// Seconds of builds.
    pub build_seconds: f64,
    /// Seconds of runs, one after the other.
    pub run_seconds: f64,
    /// Objects that were built again because they could not be trusted.
    pub rebuilt: u64,
}

/// How a round ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// With a culprit.
    Found(Answer),
    /// The bad end did not fail.
    NotReproduced(u64),
}

/// A round that has ended.
pub struct Round {
    /// Names of its candidates.
    pub names: Vec<String>,
    /// How.
    pub ended: Ended,
    /// What was seen, by candidate.
    pub evidence: BTreeMap<u64, Evidence>,
    /// Where the culprit was believed to be, at the end.
    pub posterior: Vec<kvet_bisect::Segment>,
}

/// All that a round works with.
pub struct Bench<'a> {
    /// Journal and directory.
    pub state: State,
    /// The judge.
    pub judge: Judge,
    /// Options.
    pub common: &'a Common,
    /// What it has cost so far, over all rounds.
    pub spent: Spent,
    /// Seconds of builds after the first, which is a whole one.
    build_times: Vec<f64>,
    run_times: Vec<f64>,
}

impl<'a> Bench<'a> {
    /// Begins.
    pub fn new(state: State, judge: Judge, common: &'a Common) -> Bench<'a> {
        Bench {
            state,
            judge,
            common,
            spent: Spent::default(),
            build_times: Vec::new(),
            run_times: Vec::new(),
        }
    }

    /// The next entry: of an earlier session, or `make`'s, which is written down.
    fn entry(&mut self, make: impl FnOnce(&mut Self) -> Result<Entry, Failure>) -> Result<Entry, Failure> {
        if let Some(entry) = self.state.journal.replay() {
            return Ok(entry);
        }
        if stopped() {
            return Err(Failure::Stopped);
        }
        let entry = make(self)?;
        self.state.journal.append(&entry)?;
        Ok(entry)
    }

    /// Writes an entry, which an earlier session must have written just so.
    ///
    /// # Errors
    /// It wrote another: the search does not go on as it began.
    pub fn same(&mut self, wanted: Entry) -> Result<(), Failure> {
        let found = self.entry(|_| Ok(wanted.clone()))?;
        if found == wanted {
            return Ok(());
        }
        Err(Failure::said(format!(
            "{}: the journal goes on otherwise than this search would (another version of kvet, or what is searched \
             has changed); begin anew with another --state",
            crate::text::path(&self.state.directory)
        )))
    }

    /// Builds, unless the journal has it.
    ///
    /// # Errors
    /// The search cannot go on.
    pub fn built(&mut self, make: impl FnOnce(&State) -> Result<Built, Failure>) -> Result<Built, Failure> {
        match self.entry(|bench| make(&bench.state).map(Entry::Built))? {
            Entry::Built(built) => {
                self.spent.rebuilt += built.rebuilt.len() as u64;
                match (built.cached, built.ok) {
                    (true, _) => self.spent.cached += 1,
                    (false, true) => {
                        self.spent.builds += 1;
                        self.spent.build_seconds += built.seconds;
                        if self.spent.builds > 1 {
                            self.build_times.push(built.seconds);
                        }
                    }
                    (false, false) => {
                        self.spent.failed_builds += 1;
                        self.spent.build_seconds += built.seconds;
                    }
                }
                Ok(built)
            }
            _ => Err(self.strange()),
        }
    }

    fn strange(&self) -> Failure {
        Failure::said(format!(
            "{}: the journal's entries are not in an order that this search writes; begin anew with another --state",
            crate::text::path(&self.state.directory)
        ))
    }

    /// What a build costs in runs: as measured, once both were.
    fn build_cost(&self) -> f64 {
        if let Some(cost) = self.common.build_cost {
            return cost;
        }
        match (median(&self.build_times), median(&self.run_times)) {
            (Some(build), Some(run)) if run > 0.0 => (build / run).clamp(0.0, 1e6),
            _ => BUILD_COST,
        }
    }

    fn count(&mut self, ran: &Ran) {
        self.spent.runs += 1;
        self.spent.run_seconds += ran.seconds;
        if matches!(ran.shown, Shown::Pass | Shown::Fail) && self.run_times.len() < 1000 {
            self.run_times.push(ran.seconds);
        }
        self.judge.learn(ran);
    }

    /// Runs a subject until `enough` says so, at most `boots` runs that count; runs of an earlier session first.
    ///
    /// # Errors
    /// The search cannot go on.
    pub fn runs(
        &mut self,
        subject: impl FnOnce(&State) -> Result<Subject, Failure>,
        boots: u32,
        enough: &mut dyn FnMut(&Ran) -> bool,
    ) -> Result<(), Failure> {
        let mut counted = 0;
        let mut spoilt = 0;
        let mut take = |bench: &mut Spendings, ran: &Ran| -> Result<bool, Failure> {
            bench(ran);
            counted += u32::from(matches!(ran.shown, Shown::Pass | Shown::Fail));
            spoilt = if ran.shown == Shown::Spoilt { spoilt + 1 } else { 0 };
            if spoilt >= SPOILT {
                let why = ran.title.clone().unwrap_or_default();
                return Err(Failure::said(format!(
                    "{spoilt} runs in a row were spoilt by the host or the emulator ({why}); --resume goes on later"
                )));
            }
            Ok(!enough(ran) && counted < boots)
        };
        while let Some(Entry::Ran(_)) = self.state.journal.peek() {
            let Some(Entry::Ran(ran)) = self.state.journal.replay() else { break };
            if !take(&mut |ran: &Ran| self.count(ran), &ran)? {
                return Ok(());
            }
        }
        if self.state.journal.left() > 0 {
            return Err(self.strange());
        }
        let subject = subject(&self.state)?;
        let mut goes_on = true;
        while goes_on {
            let Bench { state, judge, spent, run_times, .. } = self;
            let journal = &mut state.journal;
            judge.batch(&subject, boots, &mut |judge, ran| {
                journal.append(&Entry::Ran(ran.clone()))?;
                goes_on = take(
                    &mut |ran: &Ran| {
                        spent.runs += 1;
                        spent.run_seconds += ran.seconds;
                        if matches!(ran.shown, Shown::Pass | Shown::Fail) && run_times.len() < 1000 {
                            run_times.push(ran.seconds);
                        }
                        judge.learn(ran);
                    },
                    &ran,
                )?;
                Ok(goes_on)
            })?;
        }
        Ok(())
    }

    /// Searches along a line.
    ///
    /// # Errors
    /// The search cannot go on.
    pub fn round(&mut self, axis: &mut dyn Axis, view: &mut View) -> Result<Round, Failure> {
        let names = axis.names();
        self.same(Entry::Round { candidates: names.clone() })?;
        let candidates = (names.len() as u64).saturating_sub(1);
        let problem = Problem {
            candidates,
            build_cost: if axis.is_built() { BUILD_COST } else { 0.0 },
            confidence: self.common.confidence,
            give_up: self.common.give_up.max(1),
        };
        let mut search = Search::new(problem).map_err(|e| Failure::said(e.to_string()))?;
        let mut evidence: BTreeMap<u64, Evidence> = BTreeMap::new();
        let ended = loop {
            if axis.is_built() {
                search.set_build_cost(self.build_cost());
            }
            match search.next_step() {
                Step::Done(answer) => break Ended::Found(answer),
                Step::NotReproduced { boots } => break Ended::NotReproduced(boots),
                Step::GoodEndFails(tally) => {
                    return Err(Failure::said(format!(
                        "{}: the good end fails as well, in {} of {}: what brought the failure in is older; give a \
                         good end that does not fail",
                        names[0],
                        tally.fails,
                        crate::text::count(tally.fails + tally.passes, "run")
                    )));
                }
                Step::Test { candidate, boots, why } => {
                    self.same(Entry::Step { candidate, boots, why })?;
                    view.step(&names, &search, self.spent, (candidate, boots, why));
                    let seen = evidence.entry(candidate).or_default();
                    self.test(axis, &mut search, seen, (candidate, boots, why), view)?;
                    if search.is_skipped(candidate) && (candidate == candidates || candidate == 0) {
                        let why = seen.build.as_ref().and_then(|b| b.why.clone());
                        return Err(Failure::said(format!(
                            "{}: the {} end cannot be tested{}",
                            names[candidate as usize],
                            if candidate == 0 { "good" } else { "bad" },
                            why.map_or(String::new(), |w| format!(": {w}"))
                        )));
                    }
                }
            }
        };
        view.clear();
        Ok(Round { names, ended, evidence, posterior: search.posterior() })
    }

    /// One step: build, then run until the batch is over or fails.
    fn test(
        &mut self,
        axis: &mut dyn Axis,
        search: &mut Search,
        seen: &mut Evidence,
        (candidate, boots, why): (u64, u32, Why),
        view: &mut View,
    ) -> Result<(), Failure> {
        if !search.is_built(candidate) {
            if axis.is_built() {
                view.says(&format!("building {}", axis.names()[candidate as usize]));
                let built = self.built(|state| axis.build(state, candidate))?;
                view.built(&built);
                let ok = built.ok;
                seen.build = Some(built);
                if !ok {
                    search.record(candidate, Verdict::Skip);
                    return Ok(());
                }
            }
            search.record(candidate, Verdict::Built);
        }
        let confirms = matches!(why, Why::ConfirmCulprit | Why::ConfirmParent);
        let mut others = 0;
        self.runs(|state| axis.subject(state, candidate), boots, &mut |ran| {
            let verdict = match ran.shown {
                Shown::Fail => {
                    seen.failures += 1;
                    seen.confirming.fails += u64::from(confirms);
                    if seen.example.is_none() {
                        (seen.example, seen.title) = (ran.run.clone(), ran.title.clone());
                    }
                    Some(Verdict::Fail)
                }
                Shown::Pass => {
                    seen.passes += 1;
                    seen.confirming.passes += u64::from(confirms);
                    Some(Verdict::Pass)
                }
                Shown::Other => {
                    seen.others += 1;
                    others += 1;
                    (others >= OTHERS && seen.failures + seen.passes == 0).then_some(Verdict::Skip)
                }
                Shown::Spoilt => {
                    seen.spoilt += 1;
                    None
                }
                Shown::Skip => Some(Verdict::Skip),
            };
            if let Some(verdict) = verdict {
                search.record(candidate, verdict);
            }
            view.ran(ran, search);
            matches!(verdict, Some(Verdict::Fail | Verdict::Skip))
        })
    }
}

/// Takes in what a run cost.
type Spendings<'s> = dyn FnMut(&Ran) + 's;

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}
