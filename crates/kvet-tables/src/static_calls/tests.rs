//! Small tables, each wrong in one way.

use kvet_finding::{Finding, Severity};
use kvet_image::Arch;

use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, Table};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const TABLE: u64 = 0xffff_ffff_8200_0000;
const DATA: u64 = 0xffff_ffff_8300_0000;

/// Two trampolines at +0x100 and +0x108, of `__SCK__one` (function at +0x200) and `__SCK__two` (none).
fn kernel(sites: &[(u64, u64)], edit: impl FnOnce(&mut TestImage)) -> Vec<Finding> {
    let mut text = vec![0x90; 0x400];
    let mut put = |at: usize, opcode: u8, to: u64| {
        text[at] = opcode;
        text[at + 1..at + 5].copy_from_slice(&rel32(at as u64 + 5, to));
    };
    put(0x10, 0xe8, 0x100);
    put(0x20, 0xe9, 0x100);
    put(0x30, 0xe8, 0x108);
    put(0x40, 0xe8, 0x108);
    put(0x100, 0xe9, 0x200);
    put(0x108, 0xe9, 0x300);
    text[0x105..0x108].copy_from_slice(&[0x0f, 0xb9, 0xcc]);
    text[0x10d..0x110].copy_from_slice(&[0x0f, 0xb9, 0xcc]);
    let mut table = Vec::new();
    for ((site, key), at) in sites.iter().zip((TABLE..).step_by(8)) {
        table.extend(rel32(at, TEXT + site));
        table.extend(rel32(at + 4, *key));
    }
    let mut data = [0; 0x40];
    data[..8].copy_from_slice(&(TEXT + 0x200).to_le_bytes());
    data[8] = 1;
    data[0x18] = 1;
    let mut image = TestImage::new(Arch::X86_64);
    image
        .section(".text", TEXT, AX, &text)
        .section(".static_call_sites", TABLE, A, &table)
        .section(".data", DATA, WA, &data)
        .section(".rodata", 0xffff_ffff_8400_0000, A, b"\x013trampoline signature fail\0")
        .function("caller", TEXT, 0x100)
        .function("__SCT__one", TEXT + 0x100, 8)
        .function("__SCT__two", TEXT + 0x108, 8)
        .function("one", TEXT + 0x200, 16)
        .object("__SCK__one", DATA, 16)
        .object("__SCK__two", DATA + 16, 16);
    edit(&mut image);
    let image = image.build();
    super::StaticCalls.check(&Context::new(&image, None)).expect("a report").findings
}

const ONE: u64 = DATA;
const TWO: u64 = DATA + 16;
const SOUND: [(u64, u64); 4] = [(0x10, ONE), (0x20, ONE | 1), (0x30, TWO), (0x40, TWO)];

fn changed(index: usize, entry: (u64, u64)) -> Vec<Finding> {
    let mut sites = SOUND;
    sites[index] = entry;
    kernel(&sites, |_| {})
}

fn edited(at: usize, bytes: &[u8]) -> Vec<Finding> {
    kernel(&SOUND, |image| image.bytes_mut(".text")[at..at + bytes.len()].copy_from_slice(bytes))
}

fn rules(findings: &[Finding]) -> Vec<(&str, Option<u64>)> {
    findings.iter().map(|finding| (finding.rule, finding.index)).collect()
}

#[test]
fn a_sound_table_has_no_findings() {
    assert_eq!(kernel(&SOUND, |_| {}), []);
}

#[test]
fn the_tail_bit_and_the_instruction() {
    let findings = changed(0, (0x10, ONE | 1));
    assert_eq!(rules(&findings), [("static-calls/opcode", Some(0))]);
    let at_boot = findings[0].at_boot.as_ref().expect("the kernel notices");
    assert_eq!(at_boot.line, "unexpected static_call insn opcode 0xe8 at caller+0x10/0x100");
    assert_eq!((at_boot.fatal, &at_boot.when), (true, &None), "on every boot");
    let findings = changed(1, (0x20, ONE));
    assert_eq!(rules(&findings), [("static-calls/opcode", Some(1))]);
    assert!(findings[0].at_boot.as_ref().is_some_and(|at_boot| at_boot.line.contains("0xe9")));
}

#[test]
fn before_6_1_the_validation_only_warns() {
    let findings = kernel(&[(0x10, ONE | 1)], |image| image.bytes_mut(".rodata")[5] = b'?');
    assert!(findings[0].at_boot.as_ref().is_some_and(|at_boot| !at_boot.fatal));
}

#[test]
fn other_instructions_at_the_site() {
    let findings = edited(0x10, &[0xb8]);
    assert_eq!(rules(&findings), [("static-calls/opcode", Some(0))]);
    let findings = edited(0x10, &[0x0f, 0x1f, 0x44, 0, 0]);
    assert_eq!(rules(&findings), [("static-calls/patched", Some(0))]);
    assert_eq!((findings[0].severity, &findings[0].at_boot), (Severity::Warning, &None));
    let findings = changed(0, (DATA + 0x30 - TEXT, ONE));
    assert_eq!(rules(&findings), [("static-calls/site", Some(0))]);
    assert!(findings[0].at_boot.as_ref().is_some_and(|at_boot| at_boot.line.contains("opcode 0x0 at")));
}

#[test]
fn keys_that_are_none_or_another() {
    for key in [ONE + 8, ONE + 4, TEXT, DATA + 0x30, 0xffff_ffff_9000_0000] {
        assert_eq!(rules(&changed(0, (0x10, key))), [("static-calls/key", Some(0))], "{key:#x}");
    }
    assert_eq!(rules(&changed(0, (0x10, TWO))), [("static-calls/mismatch", Some(0))]);
}

#[test]
fn a_mismatch_shows_without_the_names_of_keys() {
    let sites = [SOUND[0], SOUND[1], SOUND[2], (0x40, ONE)];
    let bare = |image: &mut TestImage| {
        *image = {
            let mut bare = TestImage::new(Arch::X86_64);
            for (name, addr, flags) in
                [(".text", TEXT, AX), (".static_call_sites", TABLE, A), (".data", DATA, WA)]
            {
                bare.section(name, addr, flags, image.bytes_mut(name));
            }
            bare
        };
    };
    assert_eq!(kernel(&SOUND, bare), []);
    assert_eq!(rules(&kernel(&sites, bare)), [("static-calls/mismatch", Some(3))]);
}

#[test]
fn calls_that_go_elsewhere() {
    assert_eq!(rules(&edited(0x31, &rel32(0x35, 0x100))), [("static-calls/mismatch", Some(2))]);
    assert_eq!(rules(&edited(0x31, &rel32(0x35, 0x200))), [("static-calls/destination", Some(2))]);
}

#[test]
fn trampolines() {
    let findings = edited(0x105, &[0x90]);
    assert_eq!(rules(&findings), [("static-calls/signature", None)]);
    assert_eq!(findings[0].symbol.as_deref(), Some("__SCT__one+0x0/0x8"));
    assert_eq!(rules(&edited(0x101, &rel32(0x105, 0x210))), [("static-calls/trampoline", None)]);
    let findings = edited(0x100, &[0xb8]);
    assert_eq!(rules(&findings), [("static-calls/trampoline", None)]);
    assert!(
        findings[0].at_boot.as_ref().is_some_and(|at_boot| at_boot.line.contains("0xb8 at __SCT__one+0x0"))
    );
}

#[test]
fn entries_of_one_site_and_odd_tables() {
    assert_eq!(rules(&changed(3, SOUND[2])), [("static-calls/duplicate-site", Some(3))]);
    assert_eq!(rules(&changed(0, (0x10, ONE | 2))), [("static-calls/flag", Some(0))]);
}

#[test]
fn hostile_tables_end_in_findings() {
    let mut seeded = crate::realkernels::Seeded(2);
    for _ in 0..200 {
        let findings = kernel(&SOUND, |image| {
            for byte in image.bytes_mut(".static_call_sites") {
                *byte = seeded.next() as u8;
            }
        });
        assert!(!findings.is_empty());
    }
}
