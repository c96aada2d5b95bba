//! arm64: `Insufficient stack space to handle exception!`.
//!
//! `kernel_ventry` (arch/arm64/kernel/entry.S) takes room for a `struct pt_regs` before anything else and tests one bit
//! of sp to see whether that left the stack. Two things lead here. Recursion: the stack is full, and the trace repeats
//! itself. Or the stack has lost its mapping: saving the registers faults, which takes another frame, which faults, ...
//! until sp leaves the stack; then sp is a whole number of exception frames below the last good frame (x29), FAR is in
//! the stack, and the walk ends before a page.

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};
use crate::recursion;

/// sizeof(struct pt_regs), by the kernels that have it: 320 (4.14 to 5.7), 336 (5.10 to 6.12; with lockdep's and RCU's
/// words), 304 and 288 (4.9 and older, without the frame record).
const FRAMES: &[u64] = &[320, 336, 304, 288];

/// So many of the reports that follow are looked at.
const MANY: usize = 16;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if !report.headline.contains("Insufficient stack space") {
        return None;
    }
    let sp = case.register("sp")?;
    let (_, low, high) = report.stacks.iter().find(|(name, ..)| name == "task")?.clone();
    let mut evidence = Vec::new();
    let inside = (low..high).contains(&sp);
    let shown = |text: &str| case.quote(text);
    let place = if inside {
        format!(
            "sp {sp:#x} lies inside the task stack [{low:#x}..{high:#x}], {:#x} bytes above its lower end: by the numbers it is not full",
            sp - low
        )
    } else {
        format!("sp {sp:#x} lies outside the task stack [{low:#x}..{high:#x}]")
    };
    evidence.push(Evidence { says: place, line: shown("Task stack:") });
    let fault = fault(case, sp, &mut evidence);
    let walk = walk(case, sp, &mut evidence);
    let frames = exception_frames(case, sp, low, high, &mut evidence);
    let cycle = recursion::cycle(&report.frames);
    let rewrites = tables_rewritten(case, &mut evidence);
    let consequences = consequences(case);
    if let Some(cycle) = &cycle {
        evidence.push(fact(format!(
            "the trace repeats {} {} times",
            cycle.functions.join(" <- "),
            cycle.turns
        )));
    }
    let unmapped = fault.translation && inside && (walk || frames.is_some() || rewrites);
    if !unmapped {
        return full(case, evidence, cycle, high.saturating_sub(sp.max(low)));
    }
    let by = if rewrites {
        " kpti_install_ng_mappings, which rewrites the kernel's page tables, was at work (lr)."
    } else {
        ""
    };
    let tries = frames.map_or_else(String::new, |(count, size)| {
        format!(" {count} exception frames of {size} bytes lie between x29 and sp: each attempt to save the registers faulted again.")
    });
    let later = if consequences.is_empty() {
        ""
    } else {
        " The aborts after it are consequences: printing the backtrace walks the same stack."
    };
    evidence.extend(consequences);
    let confidence = if walk && frames.is_some() { Confidence::Certain } else { Confidence::Likely };
    Some(Diagnosis {
        cause: "stack-unmapped",
        summary: format!(
            "The stack is not too small but gone: its mapping was lost while the task ran on it.{tries}{by}{later}"
        ),
        confidence,
        evidence,
        advice: advice(rewrites),
    })
}

fn advice(rewrites: bool) -> Vec<String> {
    let mut advice = Vec::new();
    if rewrites {
        advice.extend(sentences([
            "boot with kpti=off: if the failure goes, it is the rewriting of the tables (idmap_kpti_install_ng_mappings in arch/arm64/mm/proc.S)",
            "look at how the walk rewrites table descriptors: the entry that maps the stack was seen as invalid (0) by the walker while, or after, it was written; bits that it sets to remember its way are to be ignored by hardware, which wants checking on this CPU",
            "in a guest, check the host's CPU errata and its stage-2 handling as well: the failure was seen in KVM guests on one vendor's CPU",
        ]));
    } else {
        advice.push("find what changed the kernel's own mappings at that moment (vmalloc stacks: vunmap, page attributes, hot-unplugged memory)".to_owned());
    }
    advice.push("do not enlarge the stack: its size is not the cause".to_owned());
    advice
}

/// The stack is full, or nothing tells.
fn full(
    case: &Case<'_>,
    mut evidence: Vec<Evidence>,
    cycle: Option<recursion::Cycle>,
    used: u64,
) -> Option<Diagnosis> {
    let _ = case;
    evidence.push(fact(format!("{used:#x} bytes of the task stack are in use")));
    let (summary, confidence) = match &cycle {
        Some(cycle) => (
            format!("The stack is full: {} calls itself again and again.", cycle.functions.first()?),
            Confidence::Certain,
        ),
        None => ("The stack is full, or a wild sp: the walk does not show a lost mapping, and the trace no recursion.".to_owned(), Confidence::Possible),
    };
    Some(Diagnosis {
        cause: "stack-recursion",
        summary,
        confidence,
        evidence,
        advice: sentences([
            "find the call that closes the circle, or the large frames (scripts/checkstack.pl)",
        ]),
    })
}

struct Fault {
    translation: bool,
}

/// ESR and FAR.
fn fault(case: &Case<'_>, sp: u64, evidence: &mut Vec<Evidence>) -> Fault {
    let trap = case.report.trap.as_ref();
    let esr = trap.and_then(|trap| trap.esr).or_else(|| super::hex_after(&case.quote("ESR:")?.1, "ESR:"));
    let far = trap.and_then(|trap| trap.address).or_else(|| super::hex_after(&case.quote("FAR:")?.1, "FAR:"));
    if let Some(far) = far {
        let says = if far == sp {
            "FAR equals sp: the access that faulted was the saving of registers on the stack".to_owned()
        } else {
            format!("FAR {far:#x} is {:#x} bytes from sp", far.abs_diff(sp))
        };
        evidence.push(case.shows(says, "FAR:"));
    }
    let Some(esr) = esr else { return Fault { translation: false } };
    let (ec, dfsc, wnr) = (esr >> 26 & 0x3f, esr & 0x3f, esr >> 6 & 1);
    let translation = dfsc & 0x3c == 0x04;
    let what = match dfsc & 0x3c {
        0x04 => format!("level-{} translation fault", dfsc & 3),
        0x08 => format!("level-{} access flag fault", dfsc & 3),
        0x0c => format!("level-{} permission fault", dfsc & 3),
        _ => "other fault".to_owned(),
    };
    let access = if wnr == 1 { "a write (WnR=1)" } else { "a read (WnR=0)" };
    let level = if ec == 0x25 { "at the current EL" } else { "not from a data abort of the current EL" };
    evidence.push(case.shows(
        format!("ESR {esr:#x}: EC {ec:#x}, {access} that met a {what} (DFSC {dfsc:#04x}) {level}"),
        "ESR:",
    ));
    Fault { translation: translation && ec == 0x25 }
}

/// A walk of an address of the same stack, printed by this report or by the aborts that follow, ends early.
fn walk(case: &Case<'_>, sp: u64, evidence: &mut Vec<Evidence>) -> bool {
    for seed in
        case.seeds.iter().skip_while(|seed| seed.report.span.start < case.report.span.start).take(MANY)
    {
        let report = &seed.report;
        let Some(trap) = report.trap.as_ref().filter(|_| report.boot == case.report.boot) else { continue };
        let Some((level, _)) = trap.walk.last().filter(|(_, value)| *value == 0) else { continue };
        // One pmd entry maps 2 MiB (4k pages): the walk speaks for sp when both lie under the same.
        let same = trap.address.is_some_and(|address| address >> 21 == sp >> 21);
        if !same {
            continue;
        }
        let walk: Vec<String> = trap.walk.iter().map(|(name, value)| format!("{name}={value:x}")).collect();
        let says = format!(
            "the walk ends at {level}=0 ({}): the entry that maps the stack is empty",
            walk.join(", ")
        );
        let quoted = case.text.find_in(&report.span, &format!("{level}=0"));
        evidence.push(Evidence { says, line: quoted });
        return true;
    }
    false
}

/// sp is a whole number of exception frames below x29.
fn exception_frames(
    case: &Case<'_>,
    sp: u64,
    low: u64,
    high: u64,
    evidence: &mut Vec<Evidence>,
) -> Option<(u64, u64)> {
    let x29 = case.register("x29")?;
    let distance = x29.checked_sub(sp).filter(|_| (low..high).contains(&x29))?;
    let size = *FRAMES.iter().find(|size| distance % **size == 0 && distance / **size >= 4)?;
    let count = distance / size;
    evidence.push(case.shows(
        format!("x29 {x29:#x} to sp is {distance:#x} = {count} exception frames of {size} bytes (struct pt_regs) exactly: no function's frames, nothing was called"),
        "x29:",
    ));
    Some((count, size))
}

fn tables_rewritten(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> bool {
    const WRITERS: &[&str] =
        &["kpti_install_ng_mappings", "__kpti_install_ng_mappings", "idmap_kpti_install_ng_mappings"];
    let report = case.report;
    let mut frames = report.lr.iter().chain(report.ip.iter()).chain(&report.frames);
    let Some(writer) = frames.find(|frame| WRITERS.contains(&frame.function.as_str())) else { return false };
    evidence.push(case.shows(
        format!("lr is in {}, which rewrites the kernel's page tables", writer.function),
        &writer.function,
    ));
    true
}

fn consequences(case: &Case<'_>) -> Vec<Evidence> {
    let after = case
        .seeds
        .iter()
        .skip_while(|seed| seed.report.span.start < case.report.span.start)
        .take(MANY)
        .map(|seed| &seed.report)
        .filter(|r| r.boot == case.report.boot && r.span.start > case.report.span.start);
    let printing = |r: &&std::sync::Arc<kvet_console::Report>| {
        r.ip.iter().chain(&r.frames).any(|f| {
            f.function.contains("unwind") || f.function == "dump_backtrace" || f.function == "show_stack"
        })
    };
    after
        .filter(|r| r.trap.is_some())
        .filter(printing)
        .map(|r| {
            line(
                "the next abort happens while the backtrace walks the lost stack",
                (r.span.first_line, r.headline.clone()),
            )
        })
        .take(3)
        .collect()
}
