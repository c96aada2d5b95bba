//! The engine against simulated histories: its accuracy and cost can be seen before it is trusted.

use rayon::prelude::*;

use crate::posterior::Tally;
use crate::search::{Problem, ProblemError, Search, Step, Verdict};

/// Consecutive candidates that are broken together.
const BROKEN_RUN: u64 = 4;
/// Boots of the bad end after which a simulated search gives up.
const GIVE_UP: u64 = 1_000_000;
/// Boots that people give a commit when they bisect by hand.
const GIT_BISECT_BOOTS: u32 = 20;

/// What is simulated.
#[derive(Clone, Copy, PartialEq, Debug, serde::Serialize)]
pub struct Setting {
    /// Candidates.
    pub candidates: u64,
    /// Failure rate of bad candidates.
    pub p_bad: f64,
    /// Failure rate of good candidates.
    pub p_good: f64,
    /// Share of candidates that cannot be built, in runs of four.
    pub broken: f64,
    /// What a build costs, in boots.
    pub build_cost: f64,
    /// Probability at which a search stops.
    pub confidence: f64,
    /// Seed of everything.
    pub seed: u64,
}

/// Means over histories.
#[derive(Clone, Copy, PartialEq, Debug, Default, serde::Serialize)]
pub struct Score {
    /// Simulated histories.
    pub histories: u64,
    /// Share of histories whose culprit was named.
    pub accuracy: f64,
    /// Boots a history.
    pub boots_mean: f64,
    /// Of these, boots of the confirming test.
    pub confirm_boots_mean: f64,
    /// Builds that succeeded, a history. The two ends are built before, as for `git bisect`.
    pub builds_mean: f64,
    /// Builds that failed, a history.
    pub failed_builds_mean: f64,
}

/// Who searches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Searcher {
    /// This crate's engine.
    Engine,
    /// `git bisect` with 20 boots a commit.
    GitBisect,
    /// The same posterior, one boot a step, builds not counted, no confirming test.
    Greedy,
}

/// The least boots that any search needs on average: ((1-d) log2 n - h(d)) / C, with C the capacity of one boot
/// as a channel (M. Ben Or and A. Hassidim, 2008; see also Burnashev and Zigangirov, 1974).
pub fn information_bound(setting: &Setting) -> f64 {
    information_bound_of(setting.candidates, (setting.p_bad, setting.p_good), setting.confidence)
}

/// The same for `candidates`, the rates of bad and good ones, and a confidence.
pub fn information_bound_of(candidates: u64, (bad, good): (f64, f64), confidence: f64) -> f64 {
    let d = 1.0 - confidence;
    let bits = (1.0 - d) * (candidates as f64).log2() - crate::policy::binary_entropy(d);
    bits.max(0.0) / crate::policy::capacity(bad, good).max(1e-12)
}

/// Runs `histories` histories on all cores; `tick` is called after each.
///
/// # Errors
/// The setting is nonsense.
pub fn run(
    setting: &Setting,
    searcher: Searcher,
    histories: u64,
    tick: impl Fn() + Sync,
) -> Result<Score, ProblemError> {
    Search::new(problem(setting))?;
    let sum = (0..histories)
        .into_par_iter()
        .map(|i| {
            let mut world = World::new(setting, i);
            let run = match searcher {
                Searcher::Engine => by_engine(&mut world, setting),
                Searcher::GitBisect => by_git_bisect(&mut world),
                Searcher::Greedy => by_greedy(&mut world, setting),
            };
            tick();
            [
                f64::from(u8::from(run.right)),
                run.boots as f64,
                run.confirm as f64,
                run.builds as f64,
                run.failed as f64,
            ]
        })
        .reduce(|| [0.0; 5], |a, b| std::array::from_fn(|i| a[i] + b[i]));
    let [accuracy, boots_mean, confirm_boots_mean, builds_mean, failed_builds_mean] =
        sum.map(|s| s / histories.max(1) as f64);
    Ok(Score { histories, accuracy, boots_mean, confirm_boots_mean, builds_mean, failed_builds_mean })
}

fn problem(setting: &Setting) -> Problem {
    Problem {
        candidates: setting.candidates,
        build_cost: setting.build_cost,
        confidence: setting.confidence,
        give_up: GIVE_UP,
    }
}

/// How one search went.
#[derive(Default)]
struct Run {
    right: bool,
    boots: u64,
    confirm: u64,
    builds: u64,
    failed: u64,
}

/// One simulated history.
struct World {
    random: fastrand::Rng,
    candidates: u64,
    culprit: u64,
    p_bad: f64,
    p_good: f64,
    broken: f64,
    seed: u64,
}

impl World {
    fn new(setting: &Setting, index: u64) -> World {
        let seed = fastrand::Rng::with_seed(setting.seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let culprit = random.u64(1..=setting.candidates);
        let Setting { candidates, p_bad, p_good, broken, .. } = *setting;
        World { random, candidates, culprit, p_bad, p_good, broken, seed }
    }

    fn boot_fails(&mut self, candidate: u64) -> bool {
        let rate = if candidate >= self.culprit { self.p_bad } else { self.p_good };
        self.random.f64() < rate
    }

    /// The ends are what people run already: they can be built.
    fn is_broken(&self, candidate: u64) -> bool {
        if candidate == 0 || candidate == self.candidates || self.broken <= 0.0 {
            return false;
        }
        fastrand::Rng::with_seed(self.seed.wrapping_add(candidate / BROKEN_RUN)).f64() < self.broken
    }
}

fn by_engine(world: &mut World, setting: &Setting) -> Run {
    let Ok(search) = Search::new(problem(setting)) else { return Run::default() };
    drive(world, search)
}

fn by_greedy(world: &mut World, setting: &Setting) -> Run {
    let free = Problem { build_cost: 0.0, ..problem(setting) };
    let Ok(search) = Search::new(free) else { return Run::default() };
    drive(world, search.greedy())
}

/// Runs a search to its end.
fn drive(world: &mut World, mut search: Search) -> Run {
    let mut run = Run::default();
    search.record(0, Verdict::Built);
    search.record(world.candidates, Verdict::Built);
    loop {
        match search.next_step() {
            Step::NotReproduced { .. } | Step::GoodEndFails(_) => return run,
            Step::Done(answer) => {
                run.right = (answer.culprit.0..=answer.culprit.1).contains(&world.culprit);
                return run;
            }
            Step::Test { candidate, boots, why } => {
                use crate::search::Why::{ConfirmCulprit, ConfirmParent};
                let confirms = matches!(why, ConfirmCulprit | ConfirmParent);
                if !search.is_built(candidate) {
                    if world.is_broken(candidate) {
                        run.failed += 1;
                        search.record(candidate, Verdict::Skip);
                        continue;
                    }
                    run.builds += 1;
                    search.record(candidate, Verdict::Built);
                }
                for _ in 0..boots {
                    let failed = world.boot_fails(candidate);
                    run.boots += 1;
                    run.confirm += u64::from(confirms);
                    search.record(candidate, if failed { Verdict::Fail } else { Verdict::Pass });
                    if failed {
                        break;
                    }
                }
            }
        }
    }
}

/// A plain bisection: a commit is good when 20 boots passed.
fn by_git_bisect(world: &mut World) -> Run {
    let mut run = Run::default();
    let (mut good, mut bad) = (0, world.candidates);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        let around = (0..bad - good).flat_map(|d| [middle.checked_add(d), middle.checked_sub(d)]);
        let mut testable = None;
        for at in around.flatten().filter(|&at| at > good && at < bad) {
            if !world.is_broken(at) {
                run.builds += 1;
                testable = Some(at);
                break;
            }
            run.failed += 1;
        }
        let Some(at) = testable else { break };
        let mut tally = Tally::default();
        while tally.fails == 0 && tally.passes < u64::from(GIT_BISECT_BOOTS) {
            run.boots += 1;
            if world.boot_fails(at) { tally.fails += 1 } else { tally.passes += 1 }
        }
        if tally.fails > 0 { bad = at } else { good = at }
    }
    run.right = (good + 1..=bad).contains(&world.culprit);
    run
}
