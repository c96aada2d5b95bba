//! arm64: `kernel BUG at arch/arm64/kernel/alternative.c`, the check `alt_len == orig_len` of an entry that is no
//! callback.
//!
//! From 4.16 to 5.17 an entry whose capability number is ARM64_CB_PATCH, defined as ARM64_NCAPS, is a callback and has
//! alt_len 0. Assembly objects hold the number of the header that they were built with. When capabilities are added
//! or removed and such an object is not built again, its callbacks bear a number that is none any more: the kernel
//! takes them for plain entries, and their lengths cannot agree. Since 5.13 the numbers are generated
//! (arch/arm64/include/generated/asm/cpucaps.h, commit 0c6c2d3615ef), which `make` did not know to be a dependency of
//! assembly files. 5.18 replaced the number by a bit of its own (ARM64_CB_BIT), so that this cannot be mistaken.

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};

/// What an entry was found to hold.
#[derive(Default)]
struct Entry {
    capability: Option<u64>,
    orig_len: Option<u64>,
    alt_len: Option<u64>,
}

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let at_bug = case.says("arch/arm64/kernel/alternative.c").or_else(|| case.says("Bad alt region"));
    let inside = case.through("__apply_alternatives").or_else(|| case.through("apply_alternatives"));
    let is_bug = case.report.headline.contains("BUG") || case.says("Oops - BUG").is_some();
    let bug = at_bug.or_else(|| {
        inside.filter(|_| is_bug).map(|_| (case.report.span.first_line, case.report.headline.as_str()))
    })?;
    if !matches!(case.report.arch, None | Some(kvet_console::Arch::Arm64)) {
        return None;
    }
    let mut evidence = vec![line(
        "the kernel stopped at an alternative entry whose two lengths differ, while it patched itself",
        (bug.0, bug.1.to_owned()),
    )];
    let registers = from_code(case, &mut evidence);
    let debug = from_debug_lines(case, &mut evidence);
    let limit = limit(case, &mut evidence);
    let entry = Entry {
        capability: debug.capability.or(registers.capability),
        orig_len: debug.orig_len.or(registers.orig_len),
        alt_len: debug.alt_len.or(registers.alt_len),
    };
    let beyond = matches!((entry.capability, limit), (Some(number), Some(limit)) if number >= limit);
    let is_callback = entry.alt_len == Some(0) && entry.orig_len.is_some_and(|len| len > 0);
    let holders = holders(case, &mut evidence);
    image(case, &mut evidence);
    let confidence = match (beyond, is_callback) {
        (true, true) => Confidence::Certain,
        (true, false) | (false, true) => Confidence::Likely,
        (false, false) => Confidence::Possible,
    };
    let number = match (entry.capability, limit) {
        (Some(number), Some(limit)) => {
            format!(" capability {number} where this kernel has only {limit} (ARM64_NCAPS)")
        }
        (Some(number), None) => format!(" capability {number}"),
        _ => " a capability number of another header".to_owned(),
    };
    let marker = if is_callback {
        ", alt_len 0: the callback marker (ARM64_CB_PATCH) of another version of the generated header"
    } else {
        ""
    };
    let held = if holders.is_empty() {
        String::new()
    } else {
        format!(" Such entries stand in {}.", holders.join(", "))
    };
    Some(Diagnosis {
        cause: "stale-alternatives-object",
        summary: format!(
            "A stale object: an alternative entry bears{number}{marker}. It was assembled before arch/arm64/include/generated/asm/cpucaps.h changed and was not built again.{held}"
        ),
        confidence,
        evidence,
        advice: sentences([
            "rebuild from a clean tree (`make clean` is enough): forcing one object only moves the failure to the next stale one",
            "run `kvet check vmlinux` before booting: alternatives/unknown-capability names every such entry and its section, alternatives/inconsistent-capability the rest",
            "make assembly files depend on the generated header arch/arm64/include/generated/asm/cpucaps.h, so that a change of arch/arm64/tools/cpucaps rebuilds entry.S, the KVM vectors and the others",
        ]),
    })
}

/// `ldrb w1, [x19, #11]; ldrb w2, [x19, #10]; cmp w2, w1; b.eq; brk`: the registers hold the entry.
fn from_code(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Entry {
    let mut entry = Entry::default();
    let Some(code) = case.report.code.as_ref().filter(|code| code.unit == 4) else { return entry };
    let words = code.bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
    // ldrb (immediate, unsigned offset): 0x39400000 | imm12 << 10 | Rn << 5 | Rt. struct alt_instr: s32 orig, s32 alt,
    // u16 cpufeature, u8 orig_len, u8 alt_len.
    let loads = words
        .filter(|word| word & 0xffc0_0000 == 0x3940_0000)
        .map(|word| ((word >> 10) & 0xfff, (word >> 5) & 31, word & 31));
    let mut base = None;
    for (offset, from, to) in loads {
        let value = case.register(&format!("x{to}"));
        match offset {
            10 => (entry.orig_len, base) = (value, Some(from)),
            11 => (entry.alt_len, base) = (value, Some(from)),
            _ => {}
        }
    }
    let (Some(orig), Some(alt), Some(base)) = (entry.orig_len, entry.alt_len, base) else {
        return Entry::default();
    };
    let at = case.register(&format!("x{base}"));
    let place = at.map_or_else(String::new, |at| format!(", entry at {at:#x} (x{base})"));
    evidence.push(case.shows(
        format!("Code: loads orig_len and alt_len of the entry and compares them: the registers hold orig_len {orig}, alt_len {alt}{place}"),
        "Code:",
    ));
    // The capability was loaded before: in 5.13's __apply_alternatives it is still in x0.
    if let Some(number) = case.register("x0").filter(|number| (1..=0x7fff).contains(number) && alt == 0) {
        evidence.push(case.shows(
            format!("x0 holds {number:#x}: capability {number}, if it still is what the loop tested"),
            "x0 :",
        ));
        entry.capability = Some(number);
    }
    entry
}

/// `alternatives: alt->cpufeature = 63`, which people print while they search.
fn from_debug_lines(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Entry {
    let mut entry = Entry::default();
    let mut number = |needle: &str, says: &str| {
        let found = case.anywhere(needle)?;
        let value = super::number_after(&found.1, needle)?;
        evidence.push(line(format!("{says} {value}"), found));
        Some(value)
    };
    entry.capability = number("alt->cpufeature =", "the entry's capability number is");
    if entry.capability.is_some() {
        entry.orig_len = number("alt->orig_len =", "the entry replaces this many bytes:");
        entry.alt_len =
            number("alt->alt_len =", "the entry's replacement has this many bytes (0 marks a callback):");
    }
    entry
}

/// ARM64_NCAPS, from the image or from what somebody wrote.
fn limit(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Option<u64> {
    let found = case.anywhere("ARM64_NCAPS is")?;
    let limit = super::number_after(&found.1, "ARM64_NCAPS is")?;
    evidence.push(line(format!("the header of this kernel ends at {limit}"), found));
    Some(limit)
}

/// Where the entries stand, by the `ptr = ..., symbol+0x../0x..` lines.
fn holders(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> Vec<String> {
    let mut holders: Vec<String> = Vec::new();
    for (number, text) in case.everywhere("alternatives: ptr =") {
        let Some((_, symbol)) = text.split_once(", ") else { continue };
        let symbol = symbol.trim();
        let name = symbol.split('+').next().unwrap_or(symbol);
        let object = object_of(name);
        let size = symbol.rsplit_once("/0x").and_then(|(_, size)| u64::from_str_radix(size, 16).ok());
        let what = match (object, size) {
            (_, Some(size)) if size > 0x4000 => format!(
                "{symbol}: no function is that long; the address lies past the last symbol of its section (a vector or code without symbols), {name} is only its nearest neighbour"
            ),
            (Some(object), _) => format!("{symbol}: that is {object}"),
            (None, _) => format!("{symbol} holds such an entry's site"),
        };
        evidence.push(line(what, (number, text.clone())));
        let holder = match (object, size) {
            (_, Some(size)) if size > 0x4000 => format!("code past {name}"),
            (Some(object), _) => format!("{name} ({object})"),
            (None, _) => name.to_owned(),
        };
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }
    holders
}

/// The assembly file of some symbols with callbacks.
fn object_of(symbol: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| symbol.starts_with(prefix));
    if starts(&["el0_", "el1_", "ret_to_user", "vectors", "tramp_", "__entry_tramp"]) {
        Some("arch/arm64/kernel/entry.S")
    } else if starts(&[
        "__bp_harden_hyp_vecs",
        "__kvm_hyp_vector",
        "el1_sync",
        "hyp_",
        "__smccc_workaround",
        "__guest_",
    ]) {
        Some("arch/arm64/kvm/hyp/hyp-entry.S")
    } else {
        None
    }
}

/// The image's own verdict.
fn image(case: &Case<'_>, evidence: &mut Vec<Evidence>) {
    let Some(kernel) = case.kernel.filter(|kernel| kernel.image.arch() == kvet_image::Arch::Arm64) else {
        return;
    };
    let findings = kvet_tables::TABLES
        .iter()
        .filter(|table| table.name() == "alternatives")
        .filter_map(|table| table.check(kernel));
    let bad: Vec<_> = findings
        .flat_map(|report| report.findings)
        .filter(|f| f.severity == kvet_finding::Severity::Error)
        .collect();
    if bad.is_empty() {
        evidence.push(fact("the given image has no such entry: it is not the one that wrote this log"));
    }
    for finding in bad.iter().take(4) {
        let place = finding.symbol.as_deref().unwrap_or("an unnamed place");
        evidence.push(fact(format!(
            "the image, entry {} at {place}: {}",
            finding.index.unwrap_or(0),
            finding.message
        )));
    }
    if bad.len() > 4 {
        evidence.push(fact(format!("and {} more such entries in the image", bad.len() - 4)));
    }
}
