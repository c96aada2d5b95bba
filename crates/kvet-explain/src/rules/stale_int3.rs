//! An int3 that memory does not hold any more.
//!
//! `text_poke_bp_batch` (arch/x86/kernel/alternative.c; `smp_text_poke_batch_finish` since 6.16) changes an instruction
//! while other CPUs run: int3 over its first byte, then the rest, then the first byte, with a synchronising interrupt
//! after each. `poke_int3_handler` answers an int3 in between; after the patch nobody does. RIP stands one past the
//! int3. When `Code:` shows at RIP-1 the first byte of a whole instruction instead of `cc`, the text is final and the
//! CPU still executed what was there before: a stale instruction.
//!
//! QEMU before 8.1 does that with several translated CPUs (a translation that holds the old int3 can be linked after
//! the guest has rewritten the text; fixed in 8.1.0, "accel/tcg: Always lock pages before translation"). A race in the
//! kernel's own patching has the same symptom, so has a defect of a hypervisor: the symptom alone names nobody.

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, machine, x86};

/// So many neighbours are looked at.
const MANY: usize = 256;

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind != kvet_console::Kind::Breakpoint {
        return None;
    }
    let code = report.code.as_ref().filter(|code| code.unit == 1)?;
    let marked = code.marked?;
    let at = marked.checked_sub(1)?;
    let bytes = code.bytes.get(at..)?;
    // With the int3 in memory only a nop under it can be told, by the rest of it.
    let in_memory = *bytes.first()? == 0xcc;
    let site = match bytes {
        [0xcc, 0x1f, 0x44, 0, 0, ..] => x86::Site::Nop(5),
        [0xcc, 0x90, ..] => x86::Site::Nop(2),
        _ => x86::site(bytes)?,
    };
    if !matches!(site, x86::Site::Nop(2 | 5) | x86::Site::Jump(2 | 5, _) | x86::Site::Call(5, _)) {
        return None;
    }
    let ip = report.ip.as_ref();
    let place = ip.map_or_else(
        || "RIP-1".to_owned(),
        |ip| format!("{}+{:#x}", ip.function, ip.offset.saturating_sub(1)),
    );
    let shown: Vec<String> = bytes[..site.len()].iter().map(|byte| format!("{byte:02x}")).collect();
    let stands = crate::infer::stands(report);
    let seen = match stands {
        true => format!("{}; a nop holds nobody up", report.headline),
        false => format!("the int3 that trapped is at RIP-1, {place}"),
    };
    let shown_at = match stands {
        true => marked - 1,
        false => marked,
    };
    let mut evidence = vec![
        case.shows(seen, ip.map_or("RIP:", |ip| ip.function.as_str())),
        case.shows(
            match in_memory {
                true => format!(
                    "memory holds `{}` there: {} while it is being patched, its first byte an int3",
                    shown.join(" "),
                    site.describe()
                ),
                false => format!(
                    "memory holds `{}` there, {}: the final instruction, not an int3",
                    shown.join(" "),
                    site.describe()
                ),
            },
            &marked_text(code, shown_at),
        ),
    ];
    if crate::infer::is_int3_loop(report) {
        evidence.extend(neighbours(case));
    }
    let key = key(case, &mut evidence);
    let named = key.is_some() || case.kernel.is_some();
    let machine = machine::machine(case);
    let (confidence, blame) = blame(&machine);
    evidence.extend(machine.evidence);
    if let Some(found) = case.anywhere("text_poke_bp_batch") {
        evidence.push(line("text was being patched", found));
    }
    let key_words = key.map_or_else(String::new, |key| format!(" The site belongs to the static key {key}."));
    let what = match site {
        x86::Site::Nop(len) => format!("{len}-byte nop"),
        _ => "instruction".to_owned(),
    };
    let happened = match stands {
        true => format!(
            "CPUs stand for ever at {place}, where memory holds a {what}: only an int3 that was there before the text was patched, and that they still execute, holds them there."
        ),
        false => format!("the CPU took an int3 at {place} although memory already holds the final {what}."),
    };
    let (cause, summary) = match in_memory {
        true => (
            "unclaimed-int3",
            format!(
                "The CPU took an int3 that the patching of text puts at {place}, and poke_int3_handler did not know it: the CPU ran the int3 of a patch that had ended when the next one began (a stale instruction), or the handler raced with the patching.{key_words} {blame}"
            ),
        ),
        false => ("stale-int3", format!("A stale instruction was executed: {happened}{key_words} {blame}")),
    };
    // What the int3 in memory belongs to is not seen, only inferred.
    let confidence = if in_memory { Confidence::Possible } else { confidence };
    Some(Diagnosis {
        cause,
        summary,
        confidence,
        evidence,
        advice: advice(&machine.version, machine.qemu, machine.tcg, named),
    })
}

/// `66 <90>`: how the marked byte and the one before it are printed.
fn marked_text(code: &kvet_console::Code, marked: usize) -> String {
    let before = code.bytes.get(marked.wrapping_sub(1)).copied().unwrap_or(0);
    let after = code.bytes.get(marked).copied().unwrap_or(0);
    format!("{before:02x} <{after:02x}>")
}

/// The reports that wait for the looping CPU.
fn neighbours(case: &Case<'_>) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    for seed in case.seeds.iter().take(MANY) {
        let stall = &seed.report;
        if stall.boot != case.report.boot || std::ptr::eq(&raw const **stall, case.report) {
            continue;
        }
        let says = match stall.kind {
            kvet_console::Kind::RcuStall => "RCU waits",
            kvet_console::Kind::SoftLockup if crate::infer::stands(case.report) => "the watchdog finds a CPU",
            kvet_console::Kind::SoftLockup => "a CPU waits for its answer",
            _ => continue,
        };
        evidence.push(line(says, (stall.span.first_line, stall.headline.clone())));
    }
    for needle in ["Sending NMI from CPU", "kthread starved"] {
        evidence.extend(case.anywhere(needle).map(|found| line("the CPU that does not come on", found)));
    }
    evidence.truncate(6);
    evidence
}

/// The key of the site, by the image's jump table.
fn key(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<String> {
    use kvet_tables::sites::Site;
    let found = case.resolved?.sites.iter().find_map(|at| match &at.site {
        Site::JumpLabel { label, key } => Some((label.index, key.label())),
        _ => None,
    });
    let Some((index, key)) = found else {
        evidence.extend(case.resolved?.sites.first().map(|at| {
            fact(format!("in the image, a patch site of {} bytes begins at {}", at.len, at.start))
        }));
        return None;
    };
    evidence.push(fact(format!(
        "the image's jump table, entry {index}: RIP-1 is a site of the static key {key}"
    )));
    Some(key)
}

fn blame(machine: &machine::Machine) -> (Confidence, String) {
    let several = machine.smp != Some(false);
    match (machine.qemu, machine.tcg, several) {
        (true, Some(true), true) => match machine.version.and_then(|version| version.is_before(8, 1)) {
            Some(true) => (
                Confidence::Likely,
                "This is QEMU with several translated CPUs (TCG) and older than 8.1, which can run a translation of the old int3 after the guest has rewritten the text: the emulator is to blame before the kernel.".into(),
            ),
            Some(false) => (
                Confidence::Possible,
                "QEMU translates (TCG), but it is 8.1 or newer, where the known defect of this kind is fixed: a race in the patching of text, or a new defect.".into(),
            ),
            None => (
                Confidence::Likely,
                "This is QEMU with several translated CPUs (TCG); versions before 8.1 can run a translation of the old int3 after the guest has rewritten the text. Which version it was the log does not say.".into(),
            ),
        },
        (true, None, true) => (
            Confidence::Possible,
            "The machine is QEMU's, but the log does not say whether its CPUs were translated (TCG) or virtual (KVM): with TCG, several CPUs and a QEMU older than 8.1 the emulator is the first suspect, else a race in the patching of text.".into(),
        ),
        _ => (
            Confidence::Possible,
            "Nothing here points to an emulator's translation: a race in the patching of text, or a CPU or hypervisor that did not synchronise its instructions.".into(),
        ),
    }
}

fn advice(version: &Option<machine::Version>, qemu: bool, tcg: Option<bool>, named: bool) -> Vec<String> {
    let mut advice = Vec::new();
    if qemu && tcg != Some(false) {
        advice.push("boot the same kernel many times with `-accel tcg,thread=single`: with one translation thread the emulator's race cannot happen".to_owned());
        if version.and_then(|version| version.is_before(8, 1)) != Some(false) {
            advice.push(
                "boot it with QEMU 8.1 or newer, where the translator locks pages before it reads them"
                    .to_owned(),
            );
        }
        advice.push("load the host while testing: the window is hit when a virtual CPU loses its real one (`kvet boot -n 1000` gives the rate of both sides)".to_owned());
    } else {
        advice.push("look for a patch of this site without a synchronising interrupt in between (text_poke_bp_batch and its callers), and for NMIs or hot-plugged CPUs in that window".to_owned());
    }
    if !named {
        advice.push("give the kernel with --kernel to learn which static key the site belongs to".to_owned());
    }
    advice
}
