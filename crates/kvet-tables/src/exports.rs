//! exports: the symbols that modules may use.
//!
//! `__ksymtab`, and up to 6.x `__ksymtab_gpl`, have one entry each: the symbol's value, its name and its namespace,
//! as distances of 32 bits. `__kcrctab` (and `_gpl`) or, without symbol versions, nothing, and in 7.x `__kflagstab`
//! go with it, entry by entry.
//!
//! # What the kernel does
//!
//! `find_exported_symbol_in_section` (kernel/module/main.c; include/linux/export.h for the layout; 5.10.223 to 7.3)
//! searches by bisection over the names, so the table must be sorted by them (the linker does that). Nothing checks
//! it: a name out of order hides itself or others, and a module that needs it is refused with
//! `Unknown symbol NAME (err -2)`.

use kvet_finding::{Finding, Severity};
use kvet_image::{Image, VirtAddr};

use crate::entries::{Examination, is_identifier, is_in_image, locate};
use crate::lists::place;
use crate::{Bounds, Context, Table, TableReport};

const NAME: &str = "exports";
const SIZE: u64 = 12;

/// A table of exports: its name, its boundary symbols, and the tables that must be as long: a section, its
/// boundary symbols, and the bytes of one of its entries.
struct Part {
    section: &'static str,
    symbols: (&'static str, &'static str),
    companions: &'static [(&'static str, (&'static str, &'static str), u64)],
}

const PARTS: [Part; 2] = [
    Part {
        section: "__ksymtab",
        symbols: ("__start___ksymtab", "__stop___ksymtab"),
        companions: &[
            ("__kcrctab", ("__start___kcrctab", "__stop___kcrctab"), 4),
            ("__kflagstab", ("__start___kflagstab", "__stop___kflagstab"), 1),
        ],
    },
    Part {
        section: "__ksymtab_gpl",
        symbols: ("__start___ksymtab_gpl", "__stop___ksymtab_gpl"),
        companions: &[("__kcrctab_gpl", ("__start___kcrctab_gpl", "__stop___kcrctab_gpl"), 4)],
    },
];

/// The table `exports`.
pub struct Exports;

impl Table for Exports {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        let mut whole: Option<TableReport> = None;
        let mut absent = None;
        for part in &PARTS {
            match locate(image, NAME, part.section, part.symbols) {
                Ok(bounds) => {
                    let before = whole.as_ref().map_or(0, |report| report.entries);
                    let report = check_part(image, part, &bounds, before);
                    whole = Some(match whole.take() {
                        None => report,
                        Some(first) => join(first, report),
                    });
                }
                Err(report) => absent = absent.or(report),
            }
        }
        whole.or(absent)
    }
}

/// The second table's entries count on where the first's end.
fn join(mut first: TableReport, second: TableReport) -> TableReport {
    first.entries += second.entries;
    first.findings.extend(second.findings);
    first.skipped.extend(second.skipped);
    first
}

fn check_part(image: &Image, part: &Part, bounds: &Bounds, before: u64) -> TableReport {
    let mut examination = Examination::new(image, NAME, bounds, SIZE, "exports/size");
    let mut last: Option<&str> = None;
    for entry in 0..examination.report.entries {
        let index = before + entry;
        let Some(at) = bounds.start.checked_add(entry * SIZE) else { break };
        let name = name(&mut examination, index, at);
        if let (Some(name), Some(last)) = (name, last)
            && name.as_bytes() <= last.as_bytes()
        {
            let message = format!("{name} stands behind {last}: the search for either of them goes astray");
            let finding = examination.finding("exports/order", Severity::Error, index, at, message);
            let finding = refused(finding, image, name);
            examination.report.findings.push(finding);
        }
        last = name.or(last);
        value(&mut examination, index, at, name);
        namespace(&mut examination, index, at, name);
    }
    companions(&mut examination, part, before);
    examination.proved(&[
        "whole entries",
        "sorted by name",
        "every name that symbols know leads to its symbol",
    ]);
    examination.finish()
}

/// What a module that needs the symbol meets; of a module's own exports nobody can say who needs them.
fn refused(finding: Finding, image: &Image, name: &str) -> Finding {
    if image.module_name().is_some() {
        return finding;
    }
    let line = format!("Unknown symbol {name} (err -2)");
    finding.at_boot_when(line, false, "a module that needs it is loaded")
}

fn name<'a>(examination: &mut Examination<'a>, index: u64, at: VirtAddr) -> Option<&'a str> {
    let image = examination.image;
    let target = at.checked_add(4).and_then(|field| image.rel32(field));
    let name = target.and_then(|target| image.cstr(target, 512)).filter(|name| is_identifier(name));
    if name.is_none() {
        examination.error("exports/name", index, at, "the entry has no name that a symbol may have".into());
    }
    name
}

fn value(examination: &mut Examination<'_>, index: u64, at: VirtAddr, name: Option<&str>) {
    let image = examination.image;
    let Some(value) = image.rel32(at) else { return };
    let shown = name.unwrap_or("?");
    if !is_in_image(image, value) {
        let message = format!("the export {shown} leads to {value}, outside the image");
        return examination.error("exports/value", index, value, message);
    }
    let Some(name) = name else { return };
    let mut known = image.symbols().all_by_name(name).peekable();
    if known.peek().is_some() && !known.any(|symbol| symbol.addr == value) {
        let message = format!("the export {name} leads to {}", place(image, value));
        examination.error("exports/value", index, value, message);
    }
}

/// A namespace is a string, empty for none; a distance of 0 is none, too.
fn namespace(examination: &mut Examination<'_>, index: u64, at: VirtAddr, name: Option<&str>) {
    let image = examination.image;
    let Some(field) = at.checked_add(8) else { return };
    if image.i32(field) == Some(0) {
        return;
    }
    let namespace = image.rel32(field).and_then(|target| image.cstr(target, 4096));
    if namespace.is_none_or(|namespace| !namespace.bytes().all(|b| b.is_ascii_graphic())) {
        let message = format!("the namespace of the export {} is no string", name.unwrap_or("?"));
        examination.error("exports/namespace", index, at, message);
    }
}

/// The tables that go with it have as many entries.
fn companions(examination: &mut Examination<'_>, part: &Part, before: u64) {
    let image = examination.image;
    let entries = examination.report.entries;
    for (section, symbols, size) in part.companions {
        // An empty one is not there: CONFIG_MODVERSIONS=n, or another version's.
        let Some(bounds) = Bounds::locate(image, section, symbols.0, symbols.1).filter(|b| !b.is_empty())
        else {
            continue;
        };
        if bounds.len() != entries * size {
            let message = format!(
                "{section} has {} bytes, {size} an entry, and {} {entries} entries: expected as many",
                bounds.len(),
                part.section
            );
            let finding = Finding::new("exports/length", Severity::Error, message).at(image, bounds.start);
            examination.report.findings.push(finding);
        }
        if *size == 1 {
            flags(examination, &bounds, before);
        }
    }
}

/// KSYM_FLAG_GPL_ONLY is the only flag (include/linux/module_symbol.h of 7.x).
fn flags(examination: &mut Examination<'_>, bounds: &Bounds, before: u64) {
    let bytes = bounds.bytes(examination.image).unwrap_or(&[]);
    for (index, byte) in (before..).zip(bytes) {
        if byte & !1 != 0 {
            let at = VirtAddr(bounds.start.0.wrapping_add(index - before));
            let message = format!("flags {byte:#04x}, of which this kernel knows the first bit");
            examination.error("exports/flags", index, at, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use kvet_image::Arch;

    use super::*;
    use crate::testimage::{A, AX, TestImage, WA, rel32};

    const TABLE: u64 = 0xffff_ffff_8200_0000;
    const GPL: u64 = TABLE + 0x100;
    const STRINGS: u64 = TABLE + 0x1000;
    const TEXT: u64 = TABLE + 0x3000;
    /// alpha, beta, gamma, a namespace, nothing, no name.
    const NAMES: &[u8] = b"alpha\0beta\0gamma\0NS\0\0a b\0";

    struct Tables {
        first: Vec<(u64, u64, u64)>,
        gpl: Vec<(u64, u64, u64)>,
        sums: usize,
        flags: Vec<u8>,
    }

    fn sound() -> Tables {
        let none = STRINGS + 20;
        Tables {
            first: vec![(TEXT, STRINGS, none), (TEXT + 0x10, STRINGS + 6, STRINGS + 17)],
            gpl: vec![(TEXT + 0x20, STRINGS + 11, none)],
            sums: 8,
            flags: vec![0, 1],
        }
    }

    fn rules(change: impl FnOnce(&mut Tables)) -> Vec<(&'static str, Option<u64>)> {
        let mut tables = sound();
        change(&mut tables);
        let bytes = |start: u64, entries: &[(u64, u64, u64)]| {
            let mut out = Vec::new();
            for ((value, name, space), at) in entries.iter().zip((start..).step_by(12)) {
                out.extend([rel32(at, *value), rel32(at + 4, *name), rel32(at + 8, *space)].concat());
            }
            out
        };
        let mut t = TestImage::new(Arch::X86_64);
        t.section("__ksymtab", TABLE, A, &bytes(TABLE, &tables.first))
            .section("__ksymtab_gpl", GPL, A, &bytes(GPL, &tables.gpl))
            .section("__kcrctab", TABLE + 0x200, A, &vec![7; tables.sums])
            .section("__kflagstab", TABLE + 0x300, A, &tables.flags)
            .section("__ksymtab_strings", STRINGS, A, NAMES)
            .section(".text", TEXT, AX, &[0x90; 64])
            .section(".data", TEXT + 0x1000, WA, &[0; 64])
            .function("alpha", TEXT, 16)
            .function("beta", TEXT + 0x10, 16)
            .function("gamma", TEXT + 0x20, 16);
        let image = t.build();
        let report = Exports.check(&Context::new(&image, None)).expect("a report");
        assert_eq!(report.entries, 3);
        report.findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        assert_eq!(rules(|_| {}), []);
        assert_eq!(rules(|t| t.first.swap(0, 1)), [("exports/order", Some(1))]);
        assert_eq!(rules(|t| t.first[1].0 = TEXT + 0x18), [("exports/value", Some(1))]);
        assert_eq!(rules(|t| t.gpl[0].0 = 0xffff_ffff_9000_0000), [("exports/value", Some(2))]);
        assert_eq!(rules(|t| t.first[1].1 = STRINGS + 21), [("exports/name", Some(1))]);
        assert_eq!(rules(|t| t.first[1].1 = STRINGS + 7), [], "eta is a name, and unknown");
        assert_eq!(rules(|t| t.first[0].2 = STRINGS + 21), [("exports/namespace", Some(0))]);
        assert_eq!(rules(|t| t.sums = 4), [("exports/length", None)]);
        assert_eq!(rules(|t| t.flags[1] = 2), [("exports/flags", Some(1))]);
    }
}
