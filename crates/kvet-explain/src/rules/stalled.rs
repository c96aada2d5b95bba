//! A CPU that does not come on, and RCU that waits for it.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, line, machine, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if !matches!(report.kind, Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall) {
        return None;
    }
    let mut evidence = vec![case.shows(report.headline.clone(), &super::short(&report.headline, 60))];
    let starved = case.quote("kthread starved for");
    if let Some(starved) = &starved {
        evidence.push(line("RCU's own thread did not run either", starved.clone()));
    }
    if let Some(timer) = case.quote("kthread timer wakeup didn't happen") {
        evidence.push(line("a timer that should have woken RCU's thread did not fire", timer));
    }
    let machine = machine::machine(case);
    let spins = spins(case);
    let (cause, mut summary) = match (report.kind, spins) {
        (_, Some(lock)) => {
            evidence.push(case.shows(format!("the CPU spins in {lock}"), lock));
            (
                "waits-for-lock",
                format!(
                    "A CPU waits for a lock that nobody gives back: {lock}, asked for by {}.",
                    case.in_function()
                ),
            )
        }
        (Kind::RcuStall, None) => (
            "cpu-stalled",
            format!(
                "A CPU did not pass through the scheduler for too long; its work was {}.",
                case.in_function()
            ),
        ),
        (Kind::HardLockup, None) => (
            "cpu-stalled",
            format!("A CPU did not even take interrupts for too long, in {}.", case.in_function()),
        ),
        _ => (
            "cpu-stalled",
            format!("A CPU did not leave the kernel for too long; its work was {}.", case.in_function()),
        ),
    };
    if case.function.is_none() {
        summary = "A CPU did not come on for too long; the log shows no trace of it.".to_owned();
    }
    let cpus: Vec<u32> = report.stalled_cpus.iter().copied().take(16).collect();
    if !cpus.is_empty() {
        let list: Vec<String> = cpus.iter().map(u32::to_string).collect();
        evidence.push(super::fact(format!("stalled: CPU {}", list.join(", "))));
    }
    let mut advice = sentences([
        "look for a loop without an end or without cond_resched() in the named function and below; several reports of one stall show which frames stay",
    ]);
    if machine.qemu {
        advice.push("on an overloaded host a virtual CPU may lose its real one for longer than the watchdog waits: compare with an idle host".to_owned());
        evidence.extend(machine.evidence.into_iter().take(1));
    }
    Some(Diagnosis {
        cause,
        summary,
        confidence: if spins.is_some() { Confidence::Likely } else { Confidence::Possible },
        evidence: evidence.into_iter().collect::<Vec<Evidence>>(),
        advice,
    })
}

/// The lock function that the stalled CPU is in.
fn spins<'a>(case: &Case<'a>) -> Option<&'a str> {
    const SPINNING: &[&str] = &[
        "queued_spin_lock_slowpath",
        "native_queued_spin_lock_slowpath",
        "queued_write_lock_slowpath",
        "queued_read_lock_slowpath",
        "kvm_wait",
        "__pv_queued_spin_lock_slowpath",
        "pv_queued_spin_lock_slowpath",
        "osq_lock",
        "rwsem_spin_on_owner",
        "mutex_spin_on_owner",
    ];
    let ip = case.report.ip.as_ref().or_else(|| case.report.frames.iter().find(|frame| frame.reliable));
    ip.map(|frame| frame.function.as_str()).filter(|function| SPINNING.contains(function))
}
