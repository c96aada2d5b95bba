//! Memory ran out.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let panics = case.headline_has("Out of memory") || case.headline_has("System is deadlocked on memory");
    if case.report.kind != Kind::OutOfMemory && !panics {
        return None;
    }
    let mut evidence =
        vec![case.shows(case.report.headline.clone(), &super::short(&case.report.headline, 60))];
    evidence.extend(case.quote("Killed process").map(|found| line("the kernel killed this one", found)));
    evidence.extend(case.anywhere("Memory: ").map(|found| line("what the machine had", found)));
    let init = case.headline_has("deadlocked on memory");
    Some(Diagnosis {
        cause: "out-of-memory",
        summary: if init {
            "Memory ran out and nothing is left to kill: too little memory, or the initial ramdisk is too large for it.".into()
        } else {
            "Memory ran out.".into()
        },
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([
            "give the machine more memory, or look in the table of the OOM report for what has it all",
        ]),
    })
}
