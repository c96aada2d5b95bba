//! Stacks that are full: x86 guard pages and double faults, `corrupted stack end`, and what stackprotector finds.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, fact, sentences};
use crate::recursion;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if !matches!(report.kind, Kind::StackOverflow | Kind::DoubleFault)
        && !case.headline_has("stack-protector")
    {
        return None;
    }
    if case.headline_has("stack-protector") {
        return Some(canary(case));
    }
    let mut evidence = vec![case.shows(report.headline.clone(), super::short(&report.headline, 40).as_str())];
    let guard = report.headline.contains("guard page");
    let rsp = case.register("rsp");
    if let (Some(rsp), Some(cr2)) = (rsp, case.register("cr2"))
        && cr2.abs_diff(rsp) < 0x1000
    {
        evidence.push(case.shows(
            format!(
                "CR2 {cr2:#x} is {:#x} bytes from RSP {rsp:#x}: a push or call met the page below the stack",
                cr2.abs_diff(rsp)
            ),
            "CR2:",
        ));
    } else if !guard && report.kind == Kind::DoubleFault {
        return None;
    }
    let cycle = recursion::cycle(&report.frames);
    let frames = report.frames.iter().filter(|frame| frame.reliable).count();
    let (cause, summary, confidence) = match &cycle {
        Some(cycle) => {
            evidence.push(fact(format!(
                "{} <- repeats {} times in the trace",
                cycle.functions.join(" <- "),
                cycle.turns
            )));
            (
                "stack-recursion",
                format!(
                    "The stack overflowed by recursion: {} calls itself, {} turns are in the trace.",
                    cycle.functions.join(" <- "),
                    cycle.turns
                ),
                Confidence::Certain,
            )
        }
        None if frames > 0 => (
            "stack-overflow",
            format!(
                "The stack overflowed in {}; the trace's {frames} frames show no recursion: deep calls or large frames.",
                case.in_function()
            ),
            Confidence::Likely,
        ),
        None => (
            "stack-overflow",
            format!("The stack overflowed in {}.", case.in_function()),
            Confidence::Possible,
        ),
    };
    Some(Diagnosis {
        cause,
        summary,
        confidence,
        evidence,
        advice: sentences([
            "bound the recursion: find which input decides its depth",
            "large frames show in the build with CONFIG_FRAME_WARN and scripts/checkstack.pl; KASAN makes every frame larger",
        ]),
    })
}

fn canary(case: &Case<'_>) -> Diagnosis {
    Diagnosis {
        cause: "stack-corrupted",
        summary: format!(
            "{} wrote past a local buffer: the canary behind it had changed when the function returned.",
            case.in_function()
        ),
        confidence: Confidence::Certain,
        evidence: vec![case.shows("the stack protector stopped it", "stack-protector")],
        advice: sentences([
            "look at the arrays on the stack of the named function and at who fills them; KASAN names the write itself",
        ]),
    }
}
