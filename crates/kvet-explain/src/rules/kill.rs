//! Panics on purpose: sysrq, and warnings or stalls that were told to panic.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, sentences};

const WORDS: &[(&str, &str, &str)] = &[
    ("sysrq triggered crash", "on-purpose", "Somebody asked for this crash (sysrq-c)."),
    (
        "panic_on_warn",
        "panic-on-warn",
        "A warning before was told to panic (panic_on_warn): the warning is what to look at.",
    ),
    (
        "hung_task: blocked tasks",
        "panic-on-hung-task",
        "A hung task was told to panic (hung_task_panic): its report is what to look at.",
    ),
    (
        "softlockup: hung tasks",
        "panic-on-lockup",
        "A soft lockup was told to panic (softlockup_panic): its report is what to look at.",
    ),
    (
        "RCU Stall",
        "panic-on-stall",
        "An RCU stall was told to panic (panic_on_rcu_stall): its report is what to look at.",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.headline_has("corrupted stack end detected") {
        return Some(Diagnosis {
            cause: "stack-overrun",
            summary: format!(
                "The task's stack has overflowed before: the word at its end is overwritten, and the scheduler noticed only now (the task was in {}).",
                case.in_function()
            ),
            confidence: Confidence::Certain,
            evidence: vec![case.shows("the scheduler looks at the stack's last word", "corrupted stack end")],
            advice: sentences([
                "look for large local variables and deep call chains in the trace; CONFIG_VMAP_STACK catches the overflow where it happens",
            ]),
        });
    }
    if !matches!(case.report.kind, Kind::Panic | Kind::PageFault | Kind::Oops) {
        return None;
    }
    if case.function == Some("sysrq_handle_crash") {
        let evidence = vec![case.shows("the crash is sysrq's own", "sysrq_handle_crash")];
        return Some(Diagnosis {
            cause: "on-purpose",
            summary: WORDS[0].2.to_owned(),
            confidence: Confidence::Certain,
            evidence,
            advice: Vec::new(),
        });
    }
    let (mark, cause, summary) = WORDS.iter().find(|(mark, ..)| case.report.headline.contains(mark))?;
    Some(Diagnosis {
        cause,
        summary: (*summary).to_owned(),
        confidence: Confidence::Certain,
        evidence: vec![case.shows("the panic says why", mark)],
        advice: sentences([
            "look at the report before this line; if it is not in the log, the log begins too late",
        ]),
    })
}
