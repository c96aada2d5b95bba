//! The verdict on one run: by a command's exit status, or by a boot and its signature.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use kvet_lab::Outcome;
use kvet_lab::campaign::{self, Campaign, Event};
use kvet_lab::plan::StopRule;
use kvet_lab::store::{Store, StoredBoot};

use super::args::{Common, boot_args};
use super::entry::{Ran, Shown};
use super::state::{last_words, run_shell};
use super::{Failure, stopped};
use crate::boot::args::BootArgs;
use crate::boot::prepare::{Prepared, prepare};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its number on the line, for the command's environment.
    pub number: String,
    /// Its name.
    pub name: String,
    /// The kernel, when one is known.
    pub kernel: Option<PathBuf>,
    /// Options of `kvet boot` that are its own.
    pub options: Vec<String>,
    /// Where a command runs.
    pub place: PathBuf,
}

/// Judges runs.
pub struct Judge {
    run: Option<String>,
    limit: Option<Duration>,
    options: Vec<String>,
    /// What is hunted; `None` while no failure was seen.
    hunted: Option<String>,
    /// The title of the first failure, when that is what is hunted.
    hunted_title: Option<String>,
    any_failure: bool,
    state: PathBuf,
    /// Boots so far: seeds of drawn boots must not come twice.
    boots: u64,
    /// The last prepared subject: hashing an emulator takes longer than a short boot.
    prepared: Option<(PathBuf, Vec<String>, Prepared)>,
}

impl Judge {
    /// By the options.
    ///
    /// # Errors
    /// They contradict each other.
    pub fn new(common: &Common, state: &Path) -> Result<Judge, Failure> {
        boot_args(&common.boot_options)?;
        Ok(Judge {
            run: common.run.clone(),
            limit: common.limit()?,
            options: common.boot_options.clone(),
            hunted: common.signature.clone(),
            hunted_title: None,
            any_failure: common.any_failure,
            state: state.to_owned(),
            boots: 0,
            prepared: None,
        })
    }

    /// What is hunted, once it is known.
    pub fn hunted(&self) -> Option<&str> {
        self.hunted.as_deref()
    }

    /// Takes in a run of an earlier session, or of this one.
    pub fn learn(&mut self, ran: &Ran) {
        self.boots += 1;
        if ran.shown == Shown::Fail && self.hunted.is_none() {
            self.hunted = ran.signature.clone();
            self.hunted_title = ran.title.clone();
        }
    }

    /// Runs a subject up to `boots` times, until `each` has enough.
    ///
    /// # Errors
    /// It cannot be run at all, `each` fails, or Ctrl-C.
    pub fn batch(
        &mut self,
        subject: &Subject,
        boots: u32,
        each: &mut dyn FnMut(&mut Judge, Ran) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        match self.run.clone() {
            Some(command) => self.commands(&command, subject, boots, each),
            None => self.campaign(subject, boots, each),
        }
    }

    fn commands(
        &mut self,
        command: &str,
        subject: &Subject,
        boots: u32,
        each: &mut dyn FnMut(&mut Judge, Ran) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let log = self.state.join("run.log");
        let mut environment =
            vec![("KVET_CANDIDATE", subject.number.clone()), ("KVET_NAME", subject.name.clone())];
        if let Some(kernel) = &subject.kernel {
            environment.push(("KVET_KERNEL", kernel.to_string_lossy().into_owned()));
        }
        for _ in 0..boots {
            if stopped() {
                return Err(Failure::Stopped);
            }
            // Only the last run's words are of interest.
            let _ = std::fs::remove_file(&log);
            let since = Instant::now();
            let status = run_shell(&self.state, command, &subject.place, &environment, &log, self.limit)?;
            let (shown, title) = match status {
                None => (Shown::Fail, "it took too long".to_owned()),
                Some(status) => match status.code() {
                    Some(0) => (Shown::Pass, String::new()),
                    Some(125) => (Shown::Skip, "exit status 125".into()),
                    Some(code @ 1..=127) => (Shown::Fail, format!("exit status {code}")),
                    _ => {
                        let said = last_words(&log).map_or(String::new(), |l| format!("; it said: {l}"));
                        return Err(Failure::said(format!(
                            "{}: the command ended with {status}, which is no verdict{said}",
                            subject.name
                        )));
                    }
                },
            };
            let ran = Ran {
                candidate: subject.number.clone(),
                shown,
                seconds: since.elapsed().as_secs_f64(),
                signature: None,
                title: Some(title).filter(|t| !t.is_empty()),
                run: None,
            };
            if !each(self, ran)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn prepared(
        &mut self,
        subject: &Subject,
        store: &Path,
    ) -> Result<(PathBuf, Vec<String>, Prepared), Failure> {
        let kernel = subject
            .kernel
            .clone()
            .ok_or_else(|| Failure::said(format!("{}: there is no kernel to boot", subject.name)))?;
        let words: Vec<String> = self.options.iter().chain(&subject.options).cloned().collect();
        if let Some(known) = self.prepared.take()
            && (&known.0, &known.1) == (&kernel, &words)
        {
            return Ok(known);
        }
        let args: BootArgs = boot_args(&words)?;
        let prepared = prepare(&args, &kernel, store)?;
        if prepared.record.plan.variants.len() != 1 {
            return Err(Failure::said(
                "the boot options name several machines: give each of --qemu, --accel, --smp, --cpu and --append once",
            ));
        }
        Ok((kernel, words, prepared))
    }

    fn campaign(
        &mut self,
        subject: &Subject,
        boots: u32,
        each: &mut dyn FnMut(&mut Judge, Ran) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let path = self.state.join("boots.sqlite");
        let (kernel, words, prepared) = self.prepared(subject, &path)?;
        let mut record = prepared.record.clone();
        record.plan.boots = u64::from(boots);
        record.plan.stop = StopRule::Never;
        record.plan.seed = record.plan.seed.wrapping_add(self.boots);
        let store = Store::open(&path).map_err(kvet_lab::Error::from)?;
        let id = store.add_campaign(&record).map_err(kvet_lab::Error::from)?;
        let stop = AtomicBool::new(false);
        let (send, receive) = mpsc::channel();
        let result = std::thread::scope(|scope| {
            let campaign =
                Campaign { store, id, plan: &record.plan, qemus: &prepared.qemus, events: send, stop: &stop };
            let runner = scope.spawn(move || campaign::run(campaign));
            let mut seen = Ok(true);
            loop {
                match receive.recv_timeout(Duration::from_millis(100)) {
                    Ok(Event::Finished { boot, .. }) if matches!(seen, Ok(true)) => {
                        let ran = self.classify(subject, id, &boot);
                        seen = each(self, ran);
                    }
                    Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if stopped() || !matches!(seen, Ok(true)) {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            let finished = runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            seen.and(finished.map_err(Failure::from))
        });
        self.prepared = Some((kernel, words, prepared));
        if stopped() {
            return Err(Failure::Stopped);
        }
        result.map(drop)
    }

    fn classify(&self, subject: &Subject, campaign: i64, stored: &StoredBoot) -> Ran {
        let boot = &stored.boot;
        let shown = match boot.outcome {
            Outcome::Passed => Shown::Pass,
            Outcome::Starved | Outcome::Emulator => Shown::Spoilt,
            Outcome::Failed | Outcome::Hung if self.is_hunted(boot) => Shown::Fail,
            Outcome::Failed | Outcome::Hung => Shown::Other,
        };
        Ran {
            candidate: subject.number.clone(),
            shown,
            seconds: boot.wall_s,
            signature: boot.signature.clone(),
            title: boot.title.clone(),
            run: Some(format!("{campaign}.{}", stored.number)),
        }
    }

    fn is_hunted(&self, boot: &kvet_lab::Boot) -> bool {
        let Some(hunted) = &self.hunted else { return true };
        let has = |text: &Option<String>| text.as_ref().is_some_and(|t| t.contains(hunted.as_str()));
        let same =
            |hunted: &String| boot.title.as_ref().is_some_and(|title| differ_by_function(hunted, title));
        self.any_failure
            || has(&boot.signature)
            || has(&boot.title)
            || self.hunted_title.as_ref().is_some_and(same)
    }
}

/// Whether one of two titles is the other one without its " in FUNCTION": a report whose end was never printed, as
/// when a starved guest stopped before the call trace, names no function and has another signature for that.
fn differ_by_function(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() < other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short)
        .and_then(|rest| rest.strip_prefix(" in "))
        .is_some_and(|function| !function.is_empty() && !function.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::differ_by_function;

    #[test]
    fn a_report_that_was_cut_short_is_the_same_failure() {
        let (short, long) = ("kernel panic: out of walruses", "kernel panic: out of walruses in feed");
        assert!(differ_by_function(short, long) && differ_by_function(long, short));
        assert!(!differ_by_function(long, "kernel panic: out of walruses in wash"));
        assert!(!differ_by_function("kernel panic: out", long));
        assert!(!differ_by_function(short, "kernel panic: out of walruses in the zoo"));
    }
}
