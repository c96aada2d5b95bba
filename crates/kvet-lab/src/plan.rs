//! What a campaign shall do: which machines, how many boots, when to stop.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::boot::Limits;
use crate::init::Init;
use crate::machine::{Initrd, Machine};
use crate::outcome::Outcome;
use crate::stats::{Decision, Rate, Sprt, boots_without_failure};
use crate::voice::{Milestone, Success};
use crate::{Error, vary};

/// What makes a boot other than a plain one. Its rate is its own, and is never mixed with the plain rate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amplifier {
    /// The init toggles static keys, and the host is oversubscribed on purpose.
    StaticKeys,
    /// Each boot is deterministic, with a seed of its own.
    Seeds,
    /// Guests are forked from a snapshot.
    Snapshot,
    /// CPU count, model and processors are drawn for each boot.
    Vary,
}

impl Amplifier {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Amplifier::StaticKeys => "stress static-keys",
            Amplifier::Seeds => "seeds",
            Amplifier::Snapshot => "from snapshot",
            Amplifier::Vary => "vary",
        }
    }
}

/// One machine of a campaign.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// What tells it from the others: (`smp`, `4`), (`qemu`, `7.2.22`). Empty when there is one only.
    pub factors: Vec<(String, String)>,
    /// The machine.
    pub machine: Machine,
    /// SHA-256 of its QEMU.
    pub qemu_sha256: String,
    /// Its QEMU's version.
    pub qemu_version: String,
    /// Its command line, as one would type it.
    pub command_line: String,
}

impl Variant {
    /// For people: `smp 4, qemu 7.2.22`.
    pub fn label(&self) -> String {
        label(&self.factors, ", ")
    }
}

/// Factors for people; a value that is no single word is quoted.
pub fn label(factors: &[(String, String)], between: &str) -> String {
    let one = |(factor, level): &(String, String)| match level.is_empty() || level.contains([' ', ',']) {
        true => format!("{factor} \"{level}\""),
        false => format!("{factor} {level}"),
    };
    factors.iter().map(one).collect::<Vec<_>>().join(between)
}

/// When a campaign has answered its question.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopRule {
    /// After the planned number of boots only.
    Never,
    /// At the first failure.
    Failure,
    /// When Wald's test has decided between two rates, with an error of 5 % on either side.
    Rate {
        /// The lower rate.
        p0: f64,
        /// The higher rate.
        p1: f64,
    },
    /// When so many boots have passed that the rate is below one, or at the first failure.
    Confident {
        /// The rate.
        rate: f64,
        /// The confidence.
        confidence: f64,
    },
}

/// How success is known; the serialisable form of [`Success`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuccessSpec {
    /// Our init's line.
    Builtin,
    /// A regular expression.
    Pattern(String),
    /// An orderly power-off, or a login prompt.
    Ordinary,
}

/// A campaign's plan: all that is needed to go on with it, or to have one of its boots again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The machines; boot number n takes machine n modulo their number.
    pub variants: Vec<Variant>,
    /// At most so many boots.
    pub boots: u64,
    /// Guests at once.
    pub jobs: usize,
    /// Wall-clock seconds for one boot.
    pub timeout_s: f64,
    /// Seconds of silence that make a hang; `None` is adaptive.
    pub quiet_s: Option<f64>,
    /// When to stop earlier.
    pub stop: StopRule,
    /// How success is known.
    pub success: SuccessSpec,
    /// Warnings fail a boot.
    pub complaints_fail: bool,
    /// Keep the memory of guests that did not pass, in this directory.
    pub keep_memory: Option<std::path::PathBuf>,
    /// What makes the boots other than plain ones.
    pub amplifier: Option<Amplifier>,
    /// What our init's line carries: no other campaign's console can satisfy this one.
    pub nonce: String,
    /// How many snapshots guests are forked from, in turn.
    #[serde(default)]
    pub snapshots: u64,
    /// How far a boot has come when a snapshot of it is made.
    #[serde(default)]
    pub snapshot_at: Option<Milestone>,
    /// Boots that draw anything draw it from here.
    pub seed: u64,
    /// Our init.
    pub init: Init,
}

impl Plan {
    /// The machine of one boot.
    pub fn machine(&self, boot: u64) -> (usize, Machine) {
        let count = self.variants.len().max(1) as u64;
        let index = (boot % count) as usize;
        let mut machine = self.variants[index].machine.clone();
        match self.amplifier {
            Some(Amplifier::Seeds) => machine.seed = Some(self.seed.wrapping_add(boot / count)),
            Some(Amplifier::Vary) => drop(vary::draw(&mut machine, self.seed, boot)),
            _ => {}
        }
        (index, machine)
    }

    /// Which of a machine's snapshots a boot goes on from. Machines take turns faster than snapshots do, so that each
    /// machine's boots see all of its snapshots.
    pub fn snapshot_turn(&self, boot: u64, snapshots: u64) -> u64 {
        turn(boot, self.variants.len() as u64, snapshots)
    }

    /// What tells a boot's machine from the others': of its variant, and drawn.
    pub fn factors(&self, boot: u64) -> Vec<(String, String)> {
        let (index, _) = self.machine(boot);
        let variant = &self.variants[index];
        let mut factors = variant.factors.clone();
        match self.amplifier {
            Some(Amplifier::Vary) => {
                factors.extend(vary::draw(&mut variant.machine.clone(), self.seed, boot))
            }
            Some(Amplifier::Snapshot) if self.snapshots > 1 => {
                factors.push(("snapshot".into(), self.snapshot_turn(boot, self.snapshots).to_string()));
            }
            _ => {}
        }
        factors
    }

    /// The success to listen for.
    ///
    /// # Errors
    /// The pattern is no regular expression.
    pub fn success(&self) -> Result<Success, Error> {
        Ok(match &self.success {
            SuccessSpec::Builtin => Success::Marker(Init::marker(&self.nonce)),
            SuccessSpec::Ordinary => Success::Ordinary,
            SuccessSpec::Pattern(pattern) => Success::Pattern(
                regex::bytes::Regex::new(pattern).map_err(|e| Error::Usage(format!("--success: {e}")))?,
            ),
        })
    }

    /// Whether the machines boot our init.
    pub fn builtin(&self) -> bool {
        self.variants.iter().any(|v| matches!(v.machine.initrd, Initrd::Builtin(_)))
    }
}

/// Follows the stop rule, fed in the order in which boots were started: a hang takes longer than a pass, and who
/// counted as they end would stop on the passes.
#[derive(Clone, Debug)]
pub struct Stopper {
    rule: StopRule,
    test: Option<Sprt>,
    failures: u64,
    boots: u64,
    next: u64,
    waiting: std::collections::BTreeMap<u64, Outcome>,
}

/// Why a campaign ended.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// All planned boots are done.
    Planned,
    /// A failure came, as asked.
    Failure,
    /// Wald's test has decided.
    Rate(Decision),
    /// No failure came in so many boots that the rate is below the asked one.
    Confident,
    /// It was stopped from outside.
    Stopped,
}

impl Stopper {
    /// Follows a rule.
    ///
    /// # Errors
    /// Its numbers make no sense.
    pub fn new(rule: StopRule) -> Result<Stopper, Error> {
        let test = match rule {
            StopRule::Rate { p0, p1 } => Some(Sprt::new(p0, p1, 0.05, 0.05).ok_or_else(|| {
                Error::Usage(format!("--until-rate {p0}:{p1}: give two rates, 0 < LOW < HIGH < 1"))
            })?),
            StopRule::Confident { rate, confidence } => {
                let fits = |x: f64| x > 0.0 && x < 1.0;
                if !fits(rate) || !fits(confidence) {
                    return Err(Error::Usage("--until-confident: give RATE@CONFIDENCE, as 0.01@95%".into()));
                }
                None
            }
            _ => None,
        };
        Ok(Stopper { rule, test, failures: 0, boots: 0, next: 0, waiting: std::collections::BTreeMap::new() })
    }

    /// Takes the outcome of a boot; the rule's answer, once there is one.
    pub fn add(&mut self, boot: u64, outcome: Outcome) -> Option<Answer> {
        if self.rule == StopRule::Failure && outcome.is_failure() {
            return Some(Answer::Failure);
        }
        self.waiting.insert(boot, outcome);
        while let Some(outcome) = self.waiting.remove(&self.next) {
            self.next += 1;
            if !outcome.counts() {
                continue;
            }
            self.boots += 1;
            self.failures += u64::from(outcome.is_failure());
            let decided = self.test.as_mut().and_then(|t| t.add(outcome.is_failure()));
            if let Some(decision) = decided {
                return Some(Answer::Rate(decision));
            }
            if let StopRule::Confident { rate, confidence } = self.rule {
                if self.failures > 0 {
                    return Some(Answer::Failure);
                }
                if self.boots >= boots_without_failure(rate, confidence) {
                    return Some(Answer::Confident);
                }
            }
        }
        None
    }

    /// How many more boots it takes if all pass; `None` when the rule does not say.
    pub fn passes_left(&self) -> Option<u64> {
        match (self.rule, &self.test) {
            (_, Some(test)) => Some(test.passes_left()),
            (StopRule::Confident { rate, confidence }, _) => {
                Some(boots_without_failure(rate, confidence).saturating_sub(self.boots))
            }
            _ => None,
        }
    }
}

/// Outcomes counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Boots that passed.
    pub passed: u64,
    /// That failed.
    pub failed: u64,
    /// That hung.
    pub hung: u64,
    /// That the host spoilt.
    pub starved: u64,
    /// That QEMU spoilt.
    pub emulator: u64,
}

impl Tally {
    /// Counts one.
    pub fn add(&mut self, outcome: Outcome) {
        *self.slot(outcome) += 1;
    }

    /// The count of an outcome.
    pub fn of(mut self, outcome: Outcome) -> u64 {
        *self.slot(outcome)
    }

    fn slot(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Failed => &mut self.failed,
            Outcome::Hung => &mut self.hung,
            Outcome::Starved => &mut self.starved,
            Outcome::Emulator => &mut self.emulator,
        }
    }

    /// All boots.
    pub fn total(self) -> u64 {
        Outcome::ALL.into_iter().map(|o| self.of(o)).sum()
    }

    /// Failures of the kernel.
    pub fn failures(self) -> u64 {
        self.failed + self.hung
    }

    /// Boots that say something about the kernel.
    pub fn counted(self) -> u64 {
        self.passed + self.failures()
    }

    /// The failure rate, with its exact 95 % interval.
    pub fn rate(self) -> Rate {
        Rate::new(self.failures(), self.counted(), 0.95)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        for outcome in Outcome::ALL {
            *self.slot(outcome) += other.of(outcome);
        }
    }
}

/// Learns how long a good boot may be silent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pace {
    longest_gap_s: f64,
    longest_s: f64,
    passed: u64,
}

impl Pace {
    /// Nothing is known yet.
    pub fn new() -> Pace {
        Pace { longest_gap_s: 0.0, longest_s: 0.0, passed: 0 }
    }

    /// Takes in a boot that passed: its longest silence, and how long it took, in its own time.
    pub fn learn(&mut self, longest_gap_s: f64, own_s: f64) {
        self.longest_gap_s = self.longest_gap_s.max(longest_gap_s);
        self.longest_s = self.longest_s.max(own_s);
        self.passed += 1;
    }

    /// The bounds of the next boot.
    pub fn limits(&self, plan: &Plan) -> Limits {
        /// Before three boots have passed.
        const UNKNOWN: f64 = 40.0;
        /// The kernel's own watchdogs (soft lockup 20 s and up to 4 s to notice, RCU stall 21 s) shall speak first:
        /// they say more than a silence does.
        const WATCHDOGS: f64 = 26.0;
        /// So many times the longest good boot is long enough for any.
        const ENOUGH: f64 = 3.0;
        /// So many times the longest silence of a good boot.
        const TIMES: f64 = 10.0;
        let timeout = Duration::from_secs_f64(plan.timeout_s);
        let adaptive = if self.passed < 3 { UNKNOWN } else { (self.longest_gap_s * TIMES).max(WATCHDOGS) };
        let quiet = Duration::from_secs_f64(plan.quiet_s.unwrap_or(adaptive)).min(timeout);
        let enough = (self.passed > 0).then(|| Duration::from_secs_f64(self.longest_s * ENOUGH));
        Limits { timeout, quiet, enough }
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace::new()
    }
}

fn turn(boot: u64, machines: u64, snapshots: u64) -> u64 {
    (boot / machines.max(1)).checked_rem(snapshots).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_are_no_words_are_quoted() {
        let factor = |name: &str, level: &str| (name.to_owned(), level.to_owned());
        let factors = [factor("smp", "4"), factor("append", ""), factor("accel", "tcg,thread=single")];
        assert_eq!(label(&factors, ", "), "smp 4, append \"\", accel \"tcg,thread=single\"");
    }

    #[test]
    fn each_machine_goes_on_from_each_snapshot() {
        let seen: std::collections::BTreeSet<(u64, u64)> =
            (0..12).map(|boot| (boot % 2, turn(boot, 2, 2))).collect();
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert_eq!(turn(5, 1, 0), 0);
    }

    #[test]
    fn stop_rules_count_in_the_order_of_the_starts() {
        let mut stopper = Stopper::new(StopRule::Confident { rate: 0.01, confidence: 0.95 }).expect("a rule");
        // Boot 0 hangs and ends last: 400 passes after it decide nothing.
        for boot in 1..=400 {
            assert_eq!(stopper.add(boot, Outcome::Passed), None);
        }
        assert_eq!(stopper.add(0, Outcome::Hung), Some(Answer::Failure));
    }

    #[test]
    fn spoilt_boots_say_nothing_of_the_rate() {
        let mut stopper = Stopper::new(StopRule::Confident { rate: 0.5, confidence: 0.95 }).expect("a rule");
        assert_eq!(stopper.passes_left(), Some(5));
        assert_eq!(stopper.add(0, Outcome::Starved), None);
        assert_eq!(stopper.add(1, Outcome::Emulator), None);
        for boot in 2..6 {
            assert_eq!(stopper.add(boot, Outcome::Passed), None);
        }
        assert_eq!(stopper.add(6, Outcome::Passed), Some(Answer::Confident));
        let mut tally = Tally::default();
        for o in [Outcome::Passed, Outcome::Starved, Outcome::Hung, Outcome::Emulator] {
            tally.add(o);
        }
        assert_eq!((tally.total(), tally.counted(), tally.failures()), (4, 2, 1));
        assert_eq!(tally.rate().estimate, Some(0.5));
    }

    #[test]
    fn until_failure_does_not_wait_for_older_boots() {
        let mut stopper = Stopper::new(StopRule::Failure).expect("a rule");
        assert_eq!(stopper.add(3, Outcome::Starved), None);
        assert_eq!(stopper.add(5, Outcome::Failed), Some(Answer::Failure));
    }

    #[test]
    fn walds_test_decides() {
        let mut stopper = Stopper::new(StopRule::Rate { p0: 0.001, p1: 0.01 }).expect("a rule");
        assert_eq!(stopper.add(0, Outcome::Failed), None);
        assert_eq!(stopper.add(1, Outcome::Hung), Some(Answer::Rate(Decision::High)));
        assert!(Stopper::new(StopRule::Rate { p0: 0.1, p1: 0.01 }).is_err());
        assert!(Stopper::new(StopRule::Confident { rate: 1.5, confidence: 0.95 }).is_err());
    }
}
