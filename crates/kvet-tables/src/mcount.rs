//! mcount: the places that ftrace patches, one at the start of each function that can be traced.
//!
//! Absolute pointers, relocated at run time: `__mcount_loc` (x86-64) and `__patchable_function_entries` (arm64) in a
//! module; in vmlinux between `__start_mcount_loc` and `__stop_mcount_loc`, inside `.init.data`.
//!
//! # What the kernel does
//!
//! `ftrace_process_locs` (kernel/trace/ftrace.c of 5.10.223 to 7.3) skips zeroes (weak functions that another has
//! overridden), adjusts each address and turns what stands there into nops. `ftrace_verify_code` (x86-64) and
//! `ftrace_modify_code` (arm64) compare first; the first site that differs ends ftrace with the `ftrace bug` block.
//!
//! * x86-64: `call __fentry__`, or the nop of five bytes where objtool or the compiler has made it one.
//! * arm64: two nops (5.10 to 6.2), or two in front of the function and two inside (CALL_OPS, 6.3 and later); a BTI
//!   may stand before the inner two.
//! * Sorted at build time (CONFIG_BUILDTIME_MCOUNT_SORT: x86-64 since 5.17, arm64 since 6.15 and the stable series
//!   that has it), the kernel looks no more; else it sorts. The table itself says which.

use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::entries::{Examination, locate};
use crate::lists::{hex, place};
use crate::runs::{self, Likeness, Shape};
use crate::{Bounds, Context, LocatedBy, Table, TableReport};

const NAME: &str = "mcount";
const SIZE: u64 = 8;

/// The first line of the block that tells of a site that is not what it should be.
const FTRACE_BUG: &str = "------------[ ftrace bug ]------------";

const NOP: u32 = 0xd503_201f;
/// `bti c`, `bti j`, `bti jc`, paciasp and pacibsp, which also are landing pads: only `bti` stands before the nops.
const BTI: [u32; 3] = [0xd503_245f, 0xd503_249f, 0xd503_24df];
const X86_NOP: [u8; 5] = [0x0f, 0x1f, 0x44, 0, 0];

/// The table `mcount`.
pub struct Mcount;

impl Table for Mcount {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        let section = match image.arch() {
            Arch::X86_64 => "__mcount_loc",
            Arch::Arm64 => "__patchable_function_entries",
        };
        let found = locate(image, NAME, section, ("__start_mcount_loc", "__stop_mcount_loc"));
        let bounds = match found {
            Ok(bounds) => bounds,
            Err(report) => match by_form(image) {
                Some(bounds) => bounds,
                None => return report,
            },
        };
        Some(check(image, &bounds))
    }
}

/// Pointers to two nops, one after the other. Arrays of functions look the same and have some hundred at most; a
/// relocation table has one in three words, which a hole of one entry does not bridge.
const SHAPE: Shape = Shape { entry: SIZE, align: 8, fewest: 4096, hole: 1, dense: true };

/// In a flat arm64 Image nothing may name it.
fn by_form(image: &Image) -> Option<Bounds> {
    if image.arch() != Arch::Arm64 || !runs::is_coarse(image) {
        return None;
    }
    let is_entry = |at: VirtAddr| {
        let site = image.u64(at).filter(|site| site >> 48 == 0xffff);
        site.is_some_and(|site| arm64_site(image, VirtAddr(site)).is_some())
    };
    let run = runs::find(&runs::data_in_file(image), SHAPE, |at| Likeness::entry_if(is_entry(at)))?;
    Some(Bounds { start: run.start, end: run.end, located_by: LocatedBy::Scan })
}

fn check(image: &Image, bounds: &Bounds) -> TableReport {
    let mut examination = Examination::new(image, NAME, bounds, SIZE, "mcount/size");
    let (entries, _) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<8>();
    let sites: Vec<(VirtAddr, u64)> = entries
        .iter()
        .map(|e| VirtAddr(u64::from_le_bytes(*e)))
        .zip(0..)
        .filter(|(at, _)| at.0 != 0)
        .collect();
    match image.arch() {
        Arch::X86_64 => x86(&mut examination, &sites),
        Arch::Arm64 => arm64(&mut examination, &sites),
    }
    order(&mut examination, &sites);
    let zeroes = entries.len() - sites.len();
    if zeroes != 0 {
        let layout = examination.report.layout.take().unwrap_or_default();
        examination.report.layout = Some(format!("{layout}; {zeroes} zeroes of weak functions"));
    }
    if bounds.located_by == LocatedBy::Scan {
        let why =
            "where zeroes begin the table, they are not counted: nothing tells them from what stands before";
        examination.report.skipped.push(why.into());
    }
    examination.finish()
}

/// The error about a site; the first ends ftrace, on every boot.
fn wrong(examination: &mut Examination<'_>, index: u64, site: VirtAddr, message: String) {
    let image = examination.image;
    let code = crate::disasm::code(image, site, image.bytes_up_to(site, 8));
    let severity = kvet_finding::Severity::Error;
    let finding = examination.finding("mcount/site", severity, index, site, message).with("code", code);
    let first = examination.report.findings.iter().all(|finding| finding.at_boot.is_none());
    let finding = match first && image.is_executable(site) {
        true => finding.at_boot(FTRACE_BUG, false),
        false => finding,
    };
    examination.report.findings.push(finding);
}

fn x86(examination: &mut Examination<'_>, sites: &[(VirtAddr, u64)]) {
    let image = examination.image;
    let fentry = |target: VirtAddr| match image.kind() {
        Kind::Module => image.extern_at(target) == Some("__fentry__"),
        _ => image.symbol_addr("__fentry__") == Some(target),
    };
    let known = image.kind() == Kind::Module || image.symbol_addr("__fentry__").is_some();
    if !known {
        examination.report.skipped.push("nothing names __fentry__: where the calls go is not checked".into());
    }
    let (mut calls, mut nops) = (0u64, 0u64);
    // The same for every entry: looked up once.
    let target = (image.kind() != Kind::Module).then(|| image.symbol_addr("__fentry__")).flatten();
    for (site, index) in sites {
        let bytes = image.bytes(*site, 5).filter(|_| image.is_executable(*site)).unwrap_or(&[]);
        match bytes {
            [0xe8, distance @ ..] => {
                let distance = i32::from_le_bytes(distance.try_into().unwrap_or_default());
                let to = VirtAddr(site.0.wrapping_add(5)).wrapping_offset(i64::from(distance));
                calls += 1;
                if known && target != Some(to) && !fentry(to) {
                    let message = format!("the call goes to {}, not to __fentry__", place(image, to));
                    wrong(examination, *index, *site, message);
                }
            }
            _ if bytes == X86_NOP => nops += 1,
            _ => {
                let found = hex(image.bytes_up_to(*site, 5));
                let message =
                    format!("expected a call to __fentry__ or a nop of five bytes at {site}, found {found}");
                wrong(examination, *index, *site, message);
            }
        }
    }
    examination.report.layout = Some(format!("8 bytes: an address; {calls} calls, {nops} nops"));
    examination.proved(&["whole entries", "a call to __fentry__ or a nop at every site"]);
}

/// What stands at an arm64 site: nops of the plain form, or of the one with two in front of the function.
fn arm64_site(image: &Image, site: VirtAddr) -> Option<bool> {
    if !site.0.is_multiple_of(4) || !image.is_executable(site) {
        return None;
    }
    let word = |i: u64| site.checked_add(i * 4).and_then(|at| image.u32(at)).unwrap_or(0);
    let two = |i: u64| {
        let i = if BTI.contains(&word(i)) { i + 1 } else { i };
        word(i) == NOP && word(i + 1) == NOP
    };
    if !two(0) {
        return None;
    }
    Some(word(0) == NOP && two(2))
}

fn arm64(examination: &mut Examination<'_>, sites: &[(VirtAddr, u64)]) {
    let image = examination.image;
    let forms: Vec<Option<bool>> = sites.iter().map(|(site, _)| arm64_site(image, *site)).collect();
    let four = forms.iter().filter(|form| **form == Some(true)).count() * 2 > forms.len();
    for ((site, index), form) in sites.iter().zip(&forms) {
        if form.is_none() || (four && *form == Some(false)) {
            let expected = if four { "two nops and two more behind them" } else { "two nops" };
            let found = hex(image.bytes_up_to(*site, 16));
            wrong(examination, *index, *site, format!("expected {expected} at {site}, found {found}"));
        }
    }
    let form = if four { "two nops before the function and two in it" } else { "two nops in the function" };
    examination.report.layout = Some(format!("8 bytes: an address; {form}"));
    examination.proved(&["whole entries", "nops at every site"]);
}

/// In order, where the build has sorted the table: a few entries that are not among many that are.
fn order(examination: &mut Examination<'_>, sites: &[(VirtAddr, u64)]) {
    let places = sites.to_vec();
    examination.duplicates("mcount/duplicate", "the site", &places);
    if examination.image.kind() == Kind::Module {
        return;
    }
    let back: Vec<&[(VirtAddr, u64)]> = sites.windows(2).filter(|pair| pair[0].0 > pair[1].0).collect();
    if back.len() * 1000 > sites.len() && back.len() > 8 {
        let layout = examination.report.layout.take().unwrap_or_default();
        examination.report.layout = Some(format!("{layout}; the kernel sorts it at boot"));
        return;
    }
    for pair in back {
        let message =
            format!("{} stands behind {}: the kernel's search for either goes astray", pair[1].0, pair[0].0);
        examination.error("mcount/order", pair[1].1, pair[1].0, message);
    }
    examination.proved(&["sorted", "one entry a site"]);
}

#[cfg(test)]
mod tests {
    use kvet_finding::Finding;

    use super::*;
    use crate::testimage::{AX, TestImage, WA, rel32};

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const TABLE: u64 = 0xffff_ffff_8200_0000;
    const STEP: u64 = 0x20;

    fn check(arch: Arch, sites: &[u64], change: impl FnOnce(&mut Vec<u8>)) -> Vec<Finding> {
        let mut text = vec![0; 0x800];
        for i in 0..0x20 {
            let at = (i * STEP) as usize;
            match arch {
                Arch::X86_64 if i % 2 == 0 => text[at..at + 5].copy_from_slice(&X86_NOP),
                Arch::X86_64 => {
                    text[at] = 0xe8;
                    text[at + 1..at + 5].copy_from_slice(&rel32(i * STEP + 5, 0x700));
                }
                Arch::Arm64 => (0..4).for_each(|w| {
                    text[at + w * 4..at + w * 4 + 4].copy_from_slice(&NOP.to_le_bytes());
                }),
            }
        }
        change(&mut text);
        let bytes: Vec<u8> = sites.iter().flat_map(|site| site.to_le_bytes()).collect();
        let mut t = TestImage::new(arch);
        t.section(".text", TEXT, AX, &text)
            .section(".init.data", TABLE, WA, &[&bytes[..], &[0; 8]].concat())
            .function("__fentry__", TEXT + 0x700, 16)
            .label("__start_mcount_loc", TABLE)
            .label("__stop_mcount_loc", TABLE + bytes.len() as u64);
        let image = t.build();
        Mcount.check(&Context::new(&image, None)).expect("a report").findings
    }

    fn sites() -> Vec<u64> {
        let mut sites: Vec<u64> = (0..0x20).map(|i| TEXT + i * STEP).collect();
        sites[0] = 0;
        sites
    }

    fn rules(findings: &[Finding]) -> Vec<(&str, Option<u64>)> {
        findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        for arch in [Arch::X86_64, Arch::Arm64] {
            assert_eq!(check(arch, &sites(), |_| {}), [], "{arch:?}");
            let text = check(arch, &sites(), |text| text[3 * STEP as usize] ^= 0x40);
            assert_eq!(rules(&text), [("mcount/site", Some(3))]);
            assert_eq!(text[0].at_boot.as_ref().map(|a| a.line.as_str()), Some(FTRACE_BUG));
            let mut moved = sites();
            moved[3] += 4;
            let moved = check(arch, &moved, |_| {});
            assert_eq!(rules(&moved), [("mcount/site", Some(3))]);
            let mut swapped = sites();
            swapped.swap(4, 5);
            assert_eq!(rules(&check(arch, &swapped, |_| {})), [("mcount/order", Some(5))]);
            let mut twice = sites();
            twice[6] = twice[5];
            assert_eq!(rules(&check(arch, &twice, |_| {})), [("mcount/duplicate", Some(6))]);
            let mut data = sites();
            data[31] = TABLE;
            assert_eq!(rules(&check(arch, &data, |_| {})), [("mcount/site", Some(31))]);
        }
    }

    #[test]
    fn a_call_elsewhere_is_found() {
        let found = check(Arch::X86_64, &sites(), |text| {
            text[0x21..0x25].copy_from_slice(&rel32(0x25, 0x600));
        });
        assert_eq!(rules(&found), [("mcount/site", Some(1))]);
    }

    #[test]
    fn a_table_without_order_is_the_kernel_s_to_sort() {
        let mut reversed = sites();
        reversed[1..].reverse();
        assert_eq!(check(Arch::X86_64, &reversed, |_| {}), []);
    }
}
