//! paravirt: the indirect calls through `pv_ops` that become direct ones or single instructions.
//!
//! # What the kernel does
//!
//! `apply_paravirt` (arch/x86/kernel/alternative.c of 5.10.223 and 6.1.192; since 6.8 these sites are alternatives)
//! asks `paravirt_patch` for the code of the entry's type, the index of a function pointer in
//! `struct paravirt_patch_template`, and writes it over the entry's length. It never compares the type with what
//! stands at the site: a wrong one calls another operation. `BUG_ON(used > p->len)` where the length is too small for
//! what replaces it.

use std::collections::HashMap;

use kvet_finding::{AtBoot, Severity};
use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::entries::{Examination, locate};
use crate::lists::hex;
use crate::{Bounds, Context, Table, TableReport};

const NAME: &str = "paravirt";
/// `struct paravirt_patch_site`: u64 instr, u8 type, u8 len, and 6 bytes of padding.
const SIZE: u64 = 16;
/// Bytes of the fields.
const FIELDS: usize = 10;

/// The table `paravirt`.
pub struct Paravirt;

impl Table for Paravirt {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        if image.arch() != Arch::X86_64 {
            return None;
        }
        let symbols = ("__parainstructions", "__parainstructions_end");
        match locate(image, NAME, ".parainstructions", symbols) {
            Ok(bounds) => Some(check(context, &bounds)),
            // Nothing is missing from a kernel that has its pv_ops calls among the alternatives.
            Err(_) => None,
        }
    }
}

fn check(context: &Context<'_>, bounds: &Bounds) -> TableReport {
    let image = context.image;
    // Up to 5.10 the last entry comes without its padding.
    let (entries, last) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<16>();
    let mut entries = entries.to_vec();
    let whole =
        Bounds { end: VirtAddr(bounds.start.0.wrapping_add(entries.len() as u64 * SIZE)), ..bounds.clone() };
    let unpadded = (FIELDS..SIZE as usize).contains(&last.len());
    let mut examination =
        Examination::new(image, NAME, if unpadded { &whole } else { bounds }, SIZE, "paravirt/size");
    if unpadded {
        let mut padded = [0; SIZE as usize];
        padded[..last.len()].copy_from_slice(last);
        entries.push(padded);
        examination.report.entries += 1;
    }
    let entries = entries.as_slice();
    let ops = operations(image);
    if ops.is_none() {
        let why = "nothing names pv_ops: that the types agree with the sites is checked among them only";
        examination.report.skipped.push(why.into());
    }
    let calls = entries.iter().map(|entry| called(image, site(entry)));
    let base = ops.or_else(|| vote(entries, calls));
    for (index, raw) in (0..).zip(entries) {
        entry(&mut examination, index, raw, base);
    }
    lengths_at_boot(context, &mut examination, entries, base);
    let places: Vec<(VirtAddr, u64)> = entries.iter().map(site).zip(0..).collect();
    examination.duplicates("paravirt/duplicate", "the site", &places);
    examination
        .proved(&["whole entries", "a call through pv_ops at every site, of the entry's type and length"]);
    examination.finish()
}

/// What a boot says of a wrong length (arch/x86/kernel/alternative.c of 6.1, `apply_paravirt`): its first BUG is for
/// more than the buffer holds, its second for less than the call that `paravirt_patch` writes, or nothing where the
/// operation is `_paravirt_nop`.
fn lengths_at_boot(
    context: &Context<'_>,
    examination: &mut Examination<'_>,
    entries: &[[u8; 16]],
    base: Option<VirtAddr>,
) {
    /// MAX_PATCH_LEN.
    const LONGEST: u8 = 254;
    /// A direct call.
    const CALL: u8 = 5;
    let image = context.image;
    if image.kind() == Kind::Module {
        return;
    }
    let nothing = image.symbol_addr("_paravirt_nop");
    let calls = |kind: u8| {
        let operation = base.and_then(|base| image.u64(VirtAddr(base.0.wrapping_add(u64::from(kind) * 8))));
        operation.map(VirtAddr).is_some_and(|operation| nothing.is_some_and(|nothing| nothing != operation))
    };
    for finding in examination.report.findings.iter_mut().filter(|f| f.rule == "paravirt/length") {
        let entry = finding.index.and_then(|i| entries.get(usize::try_from(i).ok()?));
        let bugs = crate::lists::bugs(context, "apply_paravirt");
        let bug = match entry {
            Some(entry) if entry[9] > LONGEST => bugs.first(),
            Some(entry) if entry[9] < CALL && calls(entry[8]) => bugs.get(1),
            _ => None,
        };
        if let Some(bug) = bug {
            let line = bug.kernel_bug_line(image);
            finding.at_boot = Some(AtBoot { line, when: None, fatal: true, ends: None });
        }
    }
}

/// `pv_ops`, of the kernel or of the one that a module is for.
fn operations(image: &Image) -> Option<VirtAddr> {
    let own = image.externs().iter().find(|(_, name)| name == "pv_ops").map(|(addr, _)| *addr);
    own.or_else(|| image.symbol_addr("pv_ops"))
}

/// Where most entries, their types taken for right, have the first pointer.
fn vote(entries: &[[u8; 16]], calls: impl Iterator<Item = Option<(VirtAddr, u8)>>) -> Option<VirtAddr> {
    let mut votes: HashMap<u64, u32> = HashMap::new();
    for (entry, call) in entries.iter().zip(calls) {
        if let Some((pointer, _)) = call {
            *votes.entry(pointer.0.wrapping_sub(u64::from(entry[8]) * 8)).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(base, count)| (*count, *base)).map(|(base, _)| VirtAddr(base))
}

fn site(entry: &[u8; 16]) -> VirtAddr {
    let [a, b, c, d, e, f, g, h, ..] = *entry;
    VirtAddr(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
}

/// The pointer that a site calls through, and the length of the call: `call *disp(%rip)`, `call *disp32`.
fn called(image: &Image, site: VirtAddr) -> Option<(VirtAddr, u8)> {
    let bytes = image.bytes_up_to(site, 7);
    let signed = |bytes: &[u8]| Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?)));
    match bytes {
        // A tail call, too: 5.10 has two of them.
        [0xff, 0x15 | 0x25, disp @ ..] => {
            let next = VirtAddr(site.0.wrapping_add(6));
            Some((next.wrapping_offset(signed(disp.get(..4)?)?), 6))
        }
        [0xff, 0x14, 0x25, disp @ ..] => Some((VirtAddr(signed(disp)? as u64), 7)),
        _ => None,
    }
}

fn entry(examination: &mut Examination<'_>, index: u64, raw: &[u8; 16], base: Option<VirtAddr>) {
    let image = examination.image;
    let (site, kind, len) = (site(raw), raw[8], raw[9]);
    if !image.is_executable(site) {
        let message = format!("the site is at {site}, which is not executable");
        let finding = examination.finding("paravirt/site", Severity::Error, index, site, message);
        // `apply_paravirt` copies every site before it looks at it.
        examination.report.findings.push(match crate::mapped::page_fault(image, site) {
            Some(line) => finding.at_boot(line, true),
            None => finding,
        });
        return;
    }
    let Some((pointer, length)) = called(image, site) else {
        let found = hex(image.bytes_up_to(site, 7));
        let message = format!("the site holds no call or jmp through a pointer: found {found}");
        return examination.error("paravirt/opcode", index, site, message);
    };
    if len != length {
        let message = format!("length {len}, expected {length}, that of the call");
        return examination.error("paravirt/length", index, site, message);
    }
    let expected = base.map(|base| VirtAddr(base.0.wrapping_add(u64::from(kind) * 8)));
    if expected.is_some_and(|expected| expected != pointer) {
        let of = base.map(|base| pointer.wrapping_distance(base));
        let slot = match of {
            Some(distance) if distance >= 0 && distance % 8 == 0 => format!("that of type {}", distance / 8),
            _ => format!("{pointer}, which is none of pv_ops"),
        };
        let message =
            format!("type {kind}, but the site calls through {slot}: another operation would replace it");
        examination.error("paravirt/type", index, site, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testimage::{A, AX, TestImage, WA, rel32};

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const TABLE: u64 = 0xffff_ffff_8200_0000;
    const OPS: u64 = 0xffff_ffff_8300_0000;

    fn rules(
        named: bool,
        change: impl FnOnce(&mut Vec<(u64, u8, u8)>, &mut Vec<u8>),
    ) -> Vec<(&'static str, Option<u64>)> {
        let mut text = vec![0x90; 0x100];
        let mut entries = Vec::new();
        for i in 0..4u64 {
            let at = (i * 16) as usize;
            text[at..at + 2].copy_from_slice(&[0xff, 0x15]);
            text[at + 2..at + 6].copy_from_slice(&rel32(TEXT + i * 16 + 6, OPS + i * 8));
            entries.push((TEXT + i * 16, i as u8, 6));
        }
        text[0x30..0x33].copy_from_slice(&[0xff, 0x14, 0x25]);
        text[0x33..0x37].copy_from_slice(&((OPS + 24) as u32).to_le_bytes());
        entries[3].2 = 7;
        change(&mut entries, &mut text);
        let mut table = Vec::new();
        for (site, kind, len) in entries {
            table.extend(site.to_le_bytes());
            table.extend([kind, len, 0, 0, 0, 0, 0, 0]);
        }
        let mut t = TestImage::new(Arch::X86_64);
        t.section(".text", TEXT, AX, &text).section(".parainstructions", TABLE, A, &table).section(
            ".data",
            OPS,
            WA,
            &[0; 0x100],
        );
        if named {
            t.object("pv_ops", OPS, 0x100);
        }
        let image = t.build();
        let report = Paravirt.check(&Context::new(&image, None)).expect("a report");
        report.findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        for named in [true, false] {
            assert_eq!(rules(named, |_, _| {}), []);
            assert_eq!(rules(named, |e, _| e[1].1 = 9), [("paravirt/type", Some(1))]);
            assert_eq!(rules(named, |e, _| e[1].2 = 7), [("paravirt/length", Some(1))]);
            assert_eq!(rules(named, |e, _| e[1].0 += 1), [("paravirt/opcode", Some(1))]);
            assert_eq!(rules(named, |_, text| text[0x20] = 0x90), [("paravirt/opcode", Some(2))]);
            assert_eq!(rules(named, |e, _| e[3].0 = OPS), [("paravirt/site", Some(3))]);
        }
        assert_eq!(rules(true, |e, _| e[2] = e[1]), [("paravirt/duplicate", Some(2))]);
    }
}
