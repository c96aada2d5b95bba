//! Execution of memory that was freed after init, or of padding: x86 fills both with int3 (0xcc).
//!
//! `free_init_pages` fills with POISON_FREE_INITMEM; gaps between functions hold int3 since 4.20.

use kvet_console::{Kind, Phase};

use super::{Case, Confidence, Diagnosis, fact, sentences};

/// So many 0xcc in a row are no code.
const RUN: usize = 8;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    let symbol = by_image(case);
    let code = report.code.as_ref().filter(|code| code.unit == 1 && report.kind == Kind::Breakpoint);
    let run = code.and_then(|code| {
        let marked = code.marked?;
        let (before, after) = code.bytes.split_at_checked(marked)?;
        let after = after.iter().take_while(|byte| **byte == 0xcc).count();
        let before = before.iter().rev().take_while(|byte| **byte == 0xcc).count();
        Some(after + before)
    });
    let is_filled = run.is_some_and(|run| run >= RUN);
    if !is_filled && symbol.is_none() {
        return None;
    }
    let mut evidence = Vec::new();
    if let Some(run) = run.filter(|_| is_filled) {
        evidence.push(case.shows(format!("{run} bytes around RIP are 0xcc: no code, but what fills freed init memory and the gaps between functions"), "Code:"));
    }
    if let Some((name, what)) = &symbol {
        evidence.push(fact(format!("in the image, {name} lies in {what}")));
    }
    let late = matches!(report.phase, Phase::Init | Phase::UserSpace);
    let freed = case.anywhere("Freeing unused kernel").filter(|_| late);
    let after_free = freed.is_some();
    evidence.extend(freed.map(|found| super::line("init memory had been freed before", found)));
    let (cause, summary) = if symbol.is_some() || after_free {
        (
            "freed-init-memory",
            format!(
                "Init memory was used after it had been freed: {} ran or touched what belongs to __init.",
                case.in_function()
            ),
        )
    } else {
        ("executes-padding", "The CPU ran into the padding between functions: a wrong jump, call or return address, or a function that falls off its end.".to_owned())
    };
    Some(Diagnosis {
        cause,
        summary,
        confidence: if symbol.is_some() && after_free { Confidence::Certain } else { Confidence::Likely },
        evidence,
        advice: sentences([
            "build with CONFIG_DEBUG_SECTION_MISMATCH=y: modpost names references from normal code to __init",
            "find the caller in the trace: the function it called is __init, or its pointer is wrong",
        ]),
    })
}

/// Whether the instruction pointer's function, or the address, lies in an init section of the image, after boot.
fn by_image(case: &Case<'_>) -> Option<(String, String)> {
    let kernel = case.kernel.filter(|_| matches!(case.report.phase, Phase::Init | Phase::UserSpace))?;
    let ip = case.report.ip.as_ref()?;
    let start = super::machine::starts(kernel, &ip.function, ip.size).next()?;
    let section = kernel.image.section_at(start).filter(|section| section.name.starts_with(".init"))?;
    Some((ip.function.to_string(), section.name.to_string()))
}
