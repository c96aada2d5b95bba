//! Sleeping where nothing may sleep.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.report.kind != Kind::SleepingInAtomic {
        return None;
    }
    let mut evidence =
        vec![case.shows(case.report.headline.clone(), &super::short(&case.report.headline, 60))];
    evidence.extend(case.quote("in_atomic():").map(|found| line("the context", found)));
    evidence.extend(
        case.quote("Preemption disabled at")
            .map(|found| line("where preemption was switched off (the next line)", found)),
    );
    evidence.extend(
        case.report
            .locks
            .iter()
            .take(3)
            .map(|lock| super::fact(format!("held: {}", super::short(lock, 140)))),
    );
    let died = case.seeds.iter().take(1024).any(|seed| {
        crate::causation::is_crash(&seed.report)
            && seed.report.span.start < case.report.span.start
            && seed.report.boot == case.report.boot
    });
    let why = if died {
        "a task that died earlier left its locks or its preemption count behind"
    } else {
        "it holds a spinlock, has interrupts or preemption off, or is in an interrupt"
    };
    Some(Diagnosis {
        cause: "sleeps-in-atomic",
        summary: format!("{} may sleep, but {why}.", case.in_function()),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([
            "find the lock in the list of held locks or the frame that switched preemption off; use GFP_ATOMIC, or move the sleeping call out",
        ]),
    })
}
