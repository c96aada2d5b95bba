//! The verdict on one boot, from all that is known of it: console, QEMU's events, exit, and the host.
//!
//! The exit status alone proves nothing: QEMU exits 0 after a panic when the kernel restarts on panic.

use serde::{Deserialize, Serialize};

use crate::host::Pressure;
use crate::voice::Said;

/// How a boot came out.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The success was said, and no failure.
    Passed,
    /// A failure was reported, or the machine restarted or powered off without success.
    Failed,
    /// No progress, though the host gave the guest what it wanted.
    Hung,
    /// A failure or a hang of a kind that starvation causes, while the host starved the guest.
    Starved,
    /// QEMU itself died.
    Emulator,
}

impl Outcome {
    /// All of them, in the order of output.
    pub const ALL: [Outcome; 5] =
        [Outcome::Passed, Outcome::Failed, Outcome::Hung, Outcome::Starved, Outcome::Emulator];

    /// The word in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed => "failed",
            Outcome::Hung => "hung",
            Outcome::Starved => "starved",
            Outcome::Emulator => "emulator",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|o| o.as_str() == name)
    }

    /// A failure of the kernel on this emulator: what a failure rate counts.
    pub fn is_failure(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Hung)
    }

    /// A boot that says something about the kernel: what a failure rate is a share of.
    pub fn counts(self) -> bool {
        self == Outcome::Passed || self.is_failure()
    }
}

/// What ended a boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EndedBy {
    /// A failure was reported, and has been heard to its end.
    Report,
    /// Success was said, and nothing more was to wait for.
    Success,
    /// The guest powered off.
    PowerOff,
    /// The guest restarted, or the processor gave up (x86 triple fault).
    Reset,
    /// QEMU saw the guest panic (pvpanic).
    Panicked,
    /// QEMU is gone without having said why.
    EmulatorExit {
        /// Exit status, when it exited.
        code: Option<i32>,
        /// Signal, when one killed it.
        signal: Option<i32>,
    },
    /// No progress for too long, in the guest's own time.
    Quiet,
    /// The time for one boot is over.
    Timeout,
}

/// All that is known of a boot that has ended.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// What ended it.
    pub ended_by: &'a EndedBy,
    /// The console's reports, the first cause first.
    pub reports: &'a [Said],
    /// Whether complaints count as failures.
    pub complaints_fail: bool,
    /// Whether success was said.
    pub success: bool,
    /// Whether the kernel said that it would restart.
    pub restart_said: bool,
    /// The last line with text on the console.
    pub last_line: &'a str,
    /// Whether the guest stood still after a watchdog had spoken; `None` when none has, or it is not known.
    pub stuck: Option<bool>,
    /// What QEMU said about itself.
    pub emulator_said: &'a str,
    /// The host.
    pub pressure: &'a Pressure,
    /// How long the boot took, in seconds of the guest's own time.
    pub own_s: f64,
    /// In how many seconds of its own time any good boot of this machine has ended, with a margin.
    pub enough_s: Option<f64>,
    /// Bytes that came on the console.
    pub console_bytes: u64,
}

/// The verdict.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// How it came out.
    pub outcome: Outcome,
    /// Index of the report that decided, when one did.
    pub report: Option<usize>,
    /// The kind of failure where no report decided: `reset`, `silence`, `no-success`, `emulator`.
    pub kind: Option<&'static str>,
    /// One line for people, where no report decided.
    pub title: Option<String>,
}

/// Judges.
pub fn judge(e: &Evidence<'_>) -> Verdict {
    let decisive = e.reports.iter().position(|r| r.failure || e.complaints_fail);
    if let Some(index) = decisive {
        // A failure is called by its cause.
        let index = root(e.reports, index);
        let starved = starvation_explains(&e.reports[index], e.pressure, e.stuck);
        let outcome = if starved { Outcome::Starved } else { Outcome::Failed };
        return Verdict { outcome, report: Some(index), kind: None, title: None };
    }
    let without = |outcome, kind, title: String| Verdict {
        outcome,
        report: None,
        kind: Some(kind),
        title: Some(title),
    };
    let passed = Verdict { outcome: Outcome::Passed, report: None, kind: None, title: None };
    match e.ended_by {
        EndedBy::EmulatorExit { code, signal } => {
            let how = match (code, signal) {
                (_, Some(signal)) => format!("killed by signal {signal}"),
                (Some(code), _) => format!("exited with status {code}"),
                _ => "ended".to_owned(),
            };
            let said = match e.emulator_said.lines().last() {
                Some(line) => format!(": {line}"),
                None => String::new(),
            };
            without(Outcome::Emulator, "emulator", format!("QEMU {how} while the guest ran{said}"))
        }
        _ if e.success => passed,
        EndedBy::Success => passed,
        EndedBy::Panicked => {
            without(Outcome::Failed, "panic", "the guest panicked, without a word on its console".into())
        }
        EndedBy::Reset if e.restart_said => {
            without(Outcome::Failed, "reset", "the guest restarted in order, but before its success".into())
        }
        EndedBy::Reset => without(
            Outcome::Failed,
            "reset",
            format!("the machine reset without a word, after: {}", after(e)),
        ),
        EndedBy::PowerOff => without(
            Outcome::Failed,
            "no-success",
            format!("powered off without success, after: {}", after(e)),
        ),
        EndedBy::Quiet | EndedBy::Timeout | EndedBy::Report => {
            let slow = match e.enough_s {
                Some(enough) => e.own_s < enough,
                None => true,
            };
            let starved = e.ended_by == &EndedBy::Timeout && slow && e.pressure.share() < STARVED_HANG;
            let what = match e.ended_by {
                EndedBy::Timeout if e.console_bytes > FLOOD => "flooded its console until its time was over",
                EndedBy::Timeout => "not finished in time",
                _ => "no progress",
            };
            let outcome = if starved { Outcome::Starved } else { Outcome::Hung };
            without(outcome, "silence", format!("{what}, after: {}", after(e)))
        }
    }
}

/// The first cause of a report; causes stand before their consequences.
fn root(reports: &[Said], mut index: usize) -> usize {
    while let Some(cause) = reports[index].cause.filter(|c| *c < index) {
        index = cause;
    }
    index
}

fn after(e: &Evidence<'_>) -> String {
    if e.last_line.is_empty() { "nothing at all".into() } else { e.last_line.to_owned() }
}

/// A boot says some tens of kilobytes, with `debug` a megabyte.
const FLOOD: u64 = 4 << 20;
/// A guest that got less than this share of the processor time that it wanted has not hung, it was slow.
const STARVED_HANG: f64 = 0.5;
/// A timer that is tested for a tenth of a second fails when QEMU's threads wait as much as they run. Measured:
/// failures at a load of 10 to 18 on 2 processors, none alone.
const STARVED_TIMER: f64 = 0.7;
/// A watchdog waits 20 s: a processor with a tenth of a real one still runs 2 s of it. Guests with an eighth of a
/// processor each showed no lockup of this cause.
const STARVED_WATCHDOG: f64 = 0.04;

/// Whether the host explains a report: it is of a kind that starvation causes, and the guest was starved enough.
///
/// A guest that was only starved goes on once it gets a processor; one that stands still in its own time does not,
/// however busy the host is.
pub fn starvation_explains(report: &Said, pressure: &Pressure, stuck: Option<bool>) -> bool {
    let said = report.headline.as_str();
    let timer = ["IO-APIC + timer doesn't work", "8254 timer not connected", "timer doesn't work through"];
    let diagnosed = report.diagnosis.as_ref().is_some_and(|d| d.cause == "starved-timer");
    if diagnosed || timer.iter().any(|t| said.contains(t)) {
        return pressure.share_at_end < STARVED_TIMER
            || pressure.share() < STARVED_TIMER
            || pressure.steal > 1.0 - STARVED_TIMER;
    }
    match report.kind.as_str() {
        "soft-lockup" | "hard-lockup" | "rcu-stall" | "hung-task" => {
            let slow = pressure.share() < STARVED_HANG || pressure.steal > STARVED_HANG;
            let off = pressure.least_cpu_share < STARVED_WATCHDOG || pressure.steal > 1.0 - STARVED_WATCHDOG;
            match stuck {
                Some(true) => false,
                Some(false) => slow,
                None => off,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, title: &str, failure: bool) -> Said {
        Said {
            kind: kind.into(),
            title: title.into(),
            headline: title.into(),
            function: None,
            signature: kind.into(),
            failure,
            line: 1,
            cause: None,
            diagnosis: None,
        }
    }

    fn idle() -> Pressure {
        Pressure {
            share_at_end: 1.0,
            least_cpu_share: 1.0,
            cpus: 2,
            waited_s: Some(0.0),
            ..Pressure::default()
        }
    }

    fn outcome(ended_by: EndedBy, reports: &[Said], success: bool, pressure: &Pressure) -> Outcome {
        judge(&Evidence {
            ended_by: &ended_by,
            reports,
            complaints_fail: false,
            success,
            restart_said: false,
            last_line: "x",
            emulator_said: "",
            stuck: None,
            pressure,
            own_s: 60.0,
            enough_s: None,
            console_bytes: 1,
        })
        .outcome
    }

    const EXIT_0: EndedBy = EndedBy::EmulatorExit { code: Some(0), signal: None };

    #[test]
    fn a_panic_with_exit_status_0_is_a_failure() {
        let panic = [said("panic", "Kernel panic - not syncing: x", true)];
        for ended_by in [EXIT_0, EndedBy::Reset, EndedBy::Report, EndedBy::PowerOff, EndedBy::Timeout] {
            assert_eq!(outcome(ended_by, &panic, true, &idle()), Outcome::Failed);
        }
    }

    #[test]
    fn exit_status_0_without_a_word_is_no_success() {
        assert_eq!(outcome(EXIT_0, &[], false, &idle()), Outcome::Emulator);
        assert_eq!(outcome(EndedBy::PowerOff, &[], false, &idle()), Outcome::Failed);
        assert_eq!(outcome(EndedBy::Reset, &[], false, &idle()), Outcome::Failed);
        assert_eq!(outcome(EndedBy::PowerOff, &[], true, &idle()), Outcome::Passed);
    }

    #[test]
    fn a_killed_qemu_is_the_emulators_even_after_success() {
        let killed = EndedBy::EmulatorExit { code: None, signal: Some(9) };
        assert_eq!(outcome(killed, &[], true, &idle()), Outcome::Emulator);
    }

    #[test]
    fn a_warning_fails_only_when_asked() {
        let warning = [said("warning", "WARNING: x", false)];
        assert_eq!(outcome(EndedBy::PowerOff, &warning, true, &idle()), Outcome::Passed);
        let strict = judge(&Evidence {
            ended_by: &EndedBy::PowerOff,
            reports: &warning,
            complaints_fail: true,
            success: true,
            restart_said: false,
            last_line: "",
            emulator_said: "",
            stuck: None,
            pressure: &idle(),
            own_s: 60.0,
            enough_s: None,
            console_bytes: 1,
        });
        assert_eq!(strict.outcome, Outcome::Failed);
    }

    #[test]
    fn a_timer_panic_is_the_hosts_only_when_the_host_was_busy() {
        let timer =
            [said("panic", "Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with", true)];
        let busy = Pressure { share_at_end: 0.3, ..idle() };
        assert_eq!(outcome(EndedBy::Reset, &timer, false, &busy), Outcome::Starved);
        assert_eq!(outcome(EndedBy::Reset, &timer, false, &idle()), Outcome::Failed);
        let oops = [said("page-fault", "BUG: kernel NULL pointer dereference", true)];
        assert_eq!(outcome(EndedBy::Reset, &oops, false, &busy), Outcome::Failed);
    }

    #[test]
    fn a_lockup_under_eightfold_load_is_not_the_hosts() {
        let lockup = [said("soft-lockup", "watchdog: BUG: soft lockup - CPU#2 stuck for 45s!", true)];
        let eighth = Pressure { share_at_end: 0.12, least_cpu_share: 0.1, ..idle() };
        assert_eq!(outcome(EndedBy::Report, &lockup, false, &eighth), Outcome::Failed);
        let nothing = Pressure { least_cpu_share: 0.01, ..eighth };
        assert_eq!(outcome(EndedBy::Report, &lockup, false, &nothing), Outcome::Starved);
    }

    #[test]
    fn who_stands_still_in_its_own_time_is_not_starved() {
        let lockup = said("soft-lockup", "watchdog: BUG: soft lockup - CPU#2 stuck for 45s!", true);
        let starved = Pressure {
            ran_s: 38.0,
            waited_s: Some(232.0),
            least_cpu_share: 0.018,
            share_at_end: 0.07,
            ..idle()
        };
        assert!(!starvation_explains(&lockup, &starved, Some(true)));
        assert!(starvation_explains(&lockup, &starved, Some(false)));
        assert!(starvation_explains(&lockup, &starved, None));
        assert!(!starvation_explains(&lockup, &idle(), Some(false)));
    }

    #[test]
    fn a_timeout_of_a_guest_without_processors_is_no_hang() {
        let starved = Pressure { ran_s: 10.0, waited_s: Some(90.0), ..idle() };
        assert_eq!(outcome(EndedBy::Timeout, &[], false, &starved), Outcome::Starved);
        assert_eq!(outcome(EndedBy::Timeout, &[], false, &idle()), Outcome::Hung);
        // Quiet is measured in the guest's own time already.
        assert_eq!(outcome(EndedBy::Quiet, &[], false, &starved), Outcome::Hung);
    }

    #[test]
    fn who_had_the_time_of_any_good_boot_is_not_starved() {
        let starved = Pressure { ran_s: 10.0, waited_s: Some(90.0), ..idle() };
        let verdict = |own_s, console_bytes| {
            judge(&Evidence {
                ended_by: &EndedBy::Timeout,
                reports: &[],
                complaints_fail: false,
                success: false,
                restart_said: false,
                last_line: "x",
                emulator_said: "",
                stuck: None,
                pressure: &starved,
                own_s,
                enough_s: Some(20.0),
                console_bytes,
            })
        };
        assert_eq!(verdict(10.0, 1).outcome, Outcome::Starved);
        assert_eq!(verdict(30.0, 1).outcome, Outcome::Hung);
        let flood = verdict(30.0, 1 << 30).title.unwrap_or_default();
        assert!(flood.starts_with("flooded its console"), "{flood}");
    }

    #[test]
    fn a_failure_is_called_by_its_cause() {
        let mut reports = vec![said("warning", "WARNING in f", false), said("panic", "panic: on warn", true)];
        reports[1].cause = Some(0);
        let verdict = judge(&Evidence {
            ended_by: &EndedBy::Reset,
            reports: &reports,
            complaints_fail: false,
            success: false,
            restart_said: false,
            last_line: "",
            emulator_said: "",
            stuck: None,
            pressure: &idle(),
            own_s: 60.0,
            enough_s: None,
            console_bytes: 1,
        });
        assert_eq!((verdict.outcome, verdict.report), (Outcome::Failed, Some(0)));
    }

    #[test]
    fn names_lead_back() {
        for o in Outcome::ALL {
            assert_eq!(Outcome::from_name(o.as_str()), Some(o));
        }
    }
}
