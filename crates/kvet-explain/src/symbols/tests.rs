//! Tests on small images.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use kvet_console::{Boot, Frame, Kind, Log, Report};
use kvet_image::{Image, VirtAddr};

use super::*;

/// A report with nothing in it.
pub(crate) fn report() -> Report {
    Report::new(Kind::Oops, "")
}

const TEXT: u64 = 0xffff_ffff_8100_0000;
const RODATA: u64 = 0xffff_ffff_8200_0000;

const BANNER: &str =
    "Linux version 6.1.0-test (builder@host) (gcc-12, GNU ld 2.40) #1 SMP PREEMPT_DYNAMIC 2026-11-16";

/// A vmlinux: `outer` of 0x20 bytes, which calls `inner`; two functions `twin`, of 0x10 bytes, the second of which
/// calls `inner`; `inner.isra.0` and `clone.llvm.77`.
pub(crate) fn kernel() -> Image {
    let mut text = vec![0x90_u8; 0x100];
    let mut put = |at: usize, bytes: &[u8]| text[at..at + bytes.len()].copy_from_slice(bytes);
    let call = |at: i32, to: i32| -> [u8; 5] {
        let [a, b, c, d] = (to - at - 5).to_le_bytes();
        [0xe8, a, b, c, d]
    };
    put(0x08, &call(0x08, 0x80));
    put(0x1b, &call(0x1b, 0x80)); // the last instruction: its return address is the function's end
    put(0x28, &call(0x28, 0x90));
    put(0x38, &call(0x38, 0x80));
    let symbols = [
        ("outer", 0x00, 0x20),
        ("twin", 0x20, 0x10),
        ("twin", 0x30, 0x10),
        ("long", 0x40, 0x18),
        ("inner", 0x80, 0x10),
        ("inner.isra.0", 0x90, 0x10),
        ("clone.llvm.77", 0xa0, 0x20),
        ("last", 0xc0, 0x40),
    ];
    let mut banner = BANNER.as_bytes().to_vec();
    banner.extend(b"\n\0");
    let file = elf(&[(".text", TEXT, 6, &text), (".rodata", RODATA, 2, &banner)], &symbols);
    Image::from_bytes(Path::new("vmlinux"), file).unwrap()
}

/// An ELF file with these sections (name, address, flags, bytes) and functions (name, offset in the first, size).
fn elf(sections: &[(&str, u64, u64, &[u8])], functions: &[(&str, u64, u64)]) -> Vec<u8> {
    let (mut out, mut names) = (vec![0_u8; 64], vec![0_u8]);
    let mut headers: Vec<[u64; 8]> = vec![[0; 8]];
    let name = |names: &mut Vec<u8>, text: &str| {
        let at = names.len() as u64;
        names.extend(text.bytes().chain([0]));
        at
    };
    for (title, addr, flags, bytes) in sections {
        headers.push([name(&mut names, title), 1, *flags, *addr, out.len() as u64, bytes.len() as u64, 0, 0]);
        out.extend(*bytes);
    }
    let (mut symtab, mut strtab) = (vec![0_u8; 24], vec![0_u8]);
    for (title, offset, size) in functions {
        symtab.extend((name(&mut strtab, title) as u32).to_le_bytes());
        symtab.extend([0x12, 0, 1, 0]);
        symtab.extend((sections[0].1 + offset).to_le_bytes());
        symtab.extend(size.to_le_bytes());
    }
    let link = headers.len() as u64 + 1;
    headers.push([name(&mut names, ".symtab"), 2, 0, 0, out.len() as u64, symtab.len() as u64, link, 24]);
    out.extend(symtab);
    headers.push([name(&mut names, ".strtab"), 3, 0, 0, out.len() as u64, strtab.len() as u64, 0, 0]);
    out.extend(strtab);
    let own = name(&mut names, ".shstrtab");
    headers.push([own, 3, 0, 0, out.len() as u64, names.len() as u64, 0, 0]);
    out.extend(names);
    let table = out.len() as u64;
    for [title, kind, flags, addr, offset, size, link, each] in &headers {
        out.extend((*title as u32).to_le_bytes());
        out.extend((*kind as u32).to_le_bytes());
        for value in [flags, addr, offset, size] {
            out.extend(value.to_le_bytes());
        }
        out.extend((*link as u32).to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        out.extend(1_u64.to_le_bytes());
        out.extend(each.to_le_bytes());
    }
    out[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    out[16..20].copy_from_slice(&[2, 0, 62, 0]);
    out[20] = 1;
    out[40..48].copy_from_slice(&table.to_le_bytes());
    out[52] = 64;
    out[58] = 64;
    out[60] = headers.len() as u8;
    out[62] = headers.len() as u8 - 1;
    out
}

fn frame(symbol: &str, offset: u64, size: u64) -> Frame {
    Frame { symbol: symbol.into(), offset, size: Some(size), reliable: true, ..Frame::default() }
}

fn verdict(symbol: &str, offset: u64, size: u64) -> Verdict {
    let image = kernel();
    Symbolizer::new(&image).frame(&frame(symbol, offset, size), Role::Return).verdict
}

#[test]
fn a_frame_needs_its_symbol_its_size_and_a_call() {
    assert_eq!(verdict("outer", 0xd, 0x20), Verdict::Fits);
    assert_eq!(verdict("outer", 0x20, 0x20), Verdict::Fits, "behind a last call the offset is the size");
    assert_eq!(verdict("outer", 0xd, 0x30), Verdict::WrongSize { sizes: vec![0x20] });
    assert_eq!(verdict("outer", 0x21, 0x20), Verdict::PastEnd { size: 0x20 });
    assert_eq!(verdict("outer", 0xe, 0x20), Verdict::NoCall { before: "nop".into() });
    assert_eq!(verdict("outer", 0xa, 0x20), Verdict::NoCall { before: String::new() }, "inside the call");
    assert_eq!(verdict("nowhere", 1, 2), Verdict::NoSymbol { similar: Vec::new() });
    let similar = vec!["inner".to_owned(), "inner.isra.0".to_owned()];
    assert_eq!(verdict("inner.constprop.0", 1, 0x10), Verdict::NoSymbol { similar });
    // kallsyms' size of `long` reaches to `inner`, ELF's does not.
    assert!(!matches!(verdict("long", 0x18, 0x40), Verdict::WrongSize { .. }));
    assert!(!matches!(verdict("long", 0x18, 0x18), Verdict::WrongSize { .. }));
    // Clang's suffix, which some kernels cut off.
    assert!(!matches!(verdict("clone", 8, 0x20), Verdict::NoSymbol { .. }));
}

#[test]
fn exact_addresses_and_return_addresses_look_at_their_own_line() {
    let image = kernel();
    let symbolizer = Symbolizer::new(&image);
    let at = |role, offset| symbolizer.frame(&frame("outer", offset, 0x20), role);
    let lookup = |r: ResolvedFrame| r.place().unwrap().lookup.0 - TEXT;
    assert_eq!(lookup(at(Role::Return, 0xd)), 0xc);
    assert_eq!(lookup(at(Role::Exact, 0xd)), 0xd);
    assert_eq!(lookup(at(Role::Unknown, 0xd)), 0xc);
    assert_eq!(lookup(at(Role::Unknown, 0xe)), 0xe, "no call before it: an interrupted address");
    assert_eq!(at(Role::Exact, 0xa).verdict, Verdict::InsideInstruction);
    // An int3 in the place of the call's first byte.
    let int3 = at(Role::AfterInt3, 9);
    assert_eq!((lookup(int3.clone()), int3.verdict), (8, Verdict::Fits));
}

#[test]
fn twins_are_told_apart_by_the_call_they_made() {
    let image = kernel();
    let symbolizer = Symbolizer::new(&image);
    // +0xd is behind a call in both, so one alone is ambiguous.
    let alone = symbolizer.frame(&frame("twin", 0xd, 0x10), Role::Return);
    assert_eq!((alone.verdict, alone.places.len()), (Verdict::Ambiguous, 2));
    let trace = [frame("outer", 0xd, 0x20), frame("twin", 0xd, 0x10)];
    let inner = symbolizer.trace(&trace, None);
    assert_eq!(inner[1].verdict, Verdict::Ambiguous, "neither calls `outer`");
    let mut trace = [frame("inner", 5, 0x10), frame("twin", 0xd, 0x10)];
    trace[0].size = Some(0x10);
    let settled = symbolizer.trace(&trace, Some(&frame("inner", 5, 0x10)));
    assert_eq!(settled[1].verdict, Verdict::Fits);
    assert_eq!(settled[1].place().unwrap().start, VirtAddr(TEXT + 0x30));
}

#[test]
fn below_an_exceptions_entry_the_address_is_exact() {
    let image = kernel();
    let symbolizer = Symbolizer::new(&image);
    let trace =
        [frame("asm_exc_page_fault", 0x22, 0x30), frame("outer", 0xe, 0x20), frame("outer", 0xe, 0x20)];
    let resolved = symbolizer.trace(&trace, None);
    assert_eq!(resolved[1].verdict, Verdict::Fits);
    assert_eq!(resolved[1].place().unwrap().lookup, VirtAddr(TEXT + 0xe));
    assert!(matches!(resolved[2].verdict, Verdict::NoCall { .. }), "but only directly below");
}

fn log(banner: Option<&str>, frames: Vec<Frame>) -> Log {
    let boot = Boot { banner: banner.map(str::to_owned), ..Boot::default() };
    Log { boots: vec![boot], reports: vec![Report { frames, ..report() }.into()], ..Log::default() }
}

#[test]
fn a_log_of_another_kernel_is_called_that() {
    let image = kernel();
    let symbolizer = Symbolizer::new(&image);
    let answer = |log: &Log| {
        let resolved: Vec<_> = log.reports.iter().map(|r| symbolizer.report(r)).collect();
        symbolizer.same_kernel(log, &resolved)
    };
    let good = || vec![frame("outer", 0xd, 0x20); 3];
    assert_eq!(answer(&log(None, good())).answer, Same::Perhaps);
    assert_eq!(answer(&log(Some(BANNER), good())).answer, Same::Yes);
    let other = answer(&log(Some("Linux version 6.1.0-test (builder@host) (gcc-13) #2 SMP"), good()));
    assert_eq!((other.answer, other.banner), (Same::No, Some(false)));
    let bad = vec![
        frame("outer", 0xd, 0x28),
        frame("gone", 1, 2),
        frame("outer", 0xe, 0x20),
        frame("outer", 0x40, 0x20),
    ];
    let refused = answer(&log(None, bad));
    assert_eq!(refused.answer, Same::No);
    assert_eq!((refused.no_symbol, refused.wrong_size, refused.no_call, refused.past_end), (1, 1, 1, 1));
    assert!(
        refused.why.starts_with("this log is not from this kernel (6.1.0-test): 0 of 4 frames fit"),
        "{}",
        refused.why
    );
    let mut mixed = good();
    mixed.push(frame("gone", 1, 2));
    assert_eq!(answer(&log(Some(BANNER), mixed)).answer, Same::Partly);
}

#[test]
fn a_gap_behind_a_function_is_placed() {
    let image = kernel();
    let symbolizer = Symbolizer::new(&image);
    let placed = symbolizer.place_symbol("long", 0x20, Some(0x40));
    assert_eq!(placed.len(), 1);
    assert_eq!(placed[0].what, What::GapInCode);
    let sentence = &placed[0].sentence;
    assert!(
        sentence.ends_with("0x8 bytes past the end of long (0x18 bytes long), 0x20 before inner"),
        "{sentence}"
    );
    assert_eq!(symbolizer.place_address(TEXT + 0x2c00_0008, Some(0x2c00_0000), false).what, What::Function);
    assert_eq!(symbolizer.place_address(0x8, None, false).region, Region::NullPage);
}
