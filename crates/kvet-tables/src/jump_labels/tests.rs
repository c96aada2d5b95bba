//! Small tables, each wrong in one way.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image};

use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, Table, TableReport};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const TABLE: u64 = 0xffff_ffff_8200_0000;
const DATA: u64 = 0xffff_ffff_8300_0000;
const BSS: u64 = 0xffff_ffff_8400_0000;

/// An entry as a test writes it: offsets into text, the key's address, its two bits.
#[derive(Clone, Copy)]
struct Entry {
    code: u64,
    target: u64,
    key: u64,
    bits: u64,
}

fn entry(code: u64, target: u64, key: u64, bits: u64) -> Entry {
    Entry { code, target, key, bits }
}

fn table(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (entry, at) in entries.iter().zip((TABLE..).step_by(16)) {
        bytes.extend(rel32(at, TEXT + entry.code));
        bytes.extend(rel32(at + 4, TEXT + entry.target));
        bytes.extend((entry.key | entry.bits).wrapping_sub(at + 8).to_le_bytes());
    }
    bytes
}

/// `swap_writepage` with its site at +0x1c, as in the report of a ThinLTO kernel that died there
/// (ClangBuiltLinux issue 1731), before two functions with good sites.
fn kernel(site: &[u8], entries: &[Entry]) -> TestImage {
    kernel_with_table(site, &table(entries))
}

fn kernel_with_table(site: &[u8], table: &[u8]) -> TestImage {
    let mut text = vec![0x90; 0x400];
    text[0x1c..0x21].copy_from_slice(&[0xeb, 0x1c, 0x48, 0x89, 0xdf]);
    text[0x1c..0x1c + site.len()].copy_from_slice(site);
    // A nop in `second`, and one that does not reach its target in 2 bytes.
    text[0x80..0x82].copy_from_slice(&[0x66, 0x90]);
    text[0x90..0x95].copy_from_slice(&[0x0f, 0x1f, 0x44, 0, 0]);
    // A jump in `third` to +0x10, and a 5-byte instruction.
    text[0x300..0x302].copy_from_slice(&[0xeb, 0x0e]);
    text[0x320..0x325].copy_from_slice(&[0xb8, 0, 0, 0, 0]);
    let mut data = vec![0; 0x40];
    data[..9].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 1]);
    data[0x20..0x28].copy_from_slice(&[7; 8]);
    let mut image = TestImage::new(Arch::X86_64);
    image
        .section(".text", TEXT, AX, &text)
        .section("__jump_table", TABLE, A, table)
        .section(".data", DATA, WA, &data)
        .nobits(".bss", BSS, 0x100)
        .function("swap_writepage", TEXT, 0x60)
        .function("second", TEXT + 0x60, 0x1a0)
        .function("third", TEXT + 0x200, 0x180)
        .function("third.cold", TEXT + 0x380, 0x80)
        .object("enabled_key", DATA, 16)
        .object("frontswap_enabled_key", BSS, 16)
        .object("second_key", BSS + 16, 16)
        .object("unaligned_things", BSS + 0x40, 16);
    image
}

/// The entries of a sound kernel: a nop in the first function, two in the second, a jump in the third.
const SOUND: [Entry; 4] = [
    Entry { code: 0x1c, target: 0x3a, key: BSS, bits: 2 },
    Entry { code: 0x80, target: 0xa0, key: BSS + 16, bits: 2 },
    Entry { code: 0x90, target: 0x190, key: BSS + 16, bits: 2 },
    Entry { code: 0x300, target: 0x310, key: DATA, bits: 0 },
];

const NOP2: &[u8] = &[0x66, 0x90];

fn check(image: &Image) -> TableReport {
    super::JumpLabels.check(&Context::new(image, None)).expect("a report")
}

/// The findings after one entry was changed.
fn changed(index: usize, change: impl FnOnce(&mut Entry)) -> Vec<Finding> {
    let mut entries = SOUND;
    change(&mut entries[index]);
    check(&kernel(NOP2, &entries).build()).findings
}

/// The rules and entries of findings.
fn rules(findings: &[Finding]) -> Vec<(&str, Option<u64>)> {
    findings.iter().map(|finding| (finding.rule, finding.index)).collect()
}

fn at_boot(finding: &Finding) -> (&str, bool, Option<&str>) {
    let at_boot = finding.at_boot.as_ref().expect("the kernel notices");
    (&at_boot.line, at_boot.fatal, at_boot.when.as_deref())
}

#[test]
fn a_sound_table_has_no_findings() {
    let report = check(&kernel(NOP2, &SOUND).build());
    assert_eq!(report.findings, []);
    assert_eq!((report.entries, report.skipped), (4, vec![]));
}

#[test]
fn the_thinlto_kernel_of_the_mailing_list_is_found_with_the_line_it_died_with() {
    let findings = check(&kernel(&[], &SOUND).build()).findings;
    assert_eq!(rules(&findings), [("jump-labels/initial-state", Some(0))]);
    assert_eq!(
        at_boot(&findings[0]),
        (
            "jump_label: Fatal kernel bug, unexpected op at swap_writepage+0x1c/0x60 [(____ptrval____)] \
             (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1",
            true,
            Some("when the key frontswap_enabled_key is first enabled")
        )
    );
    assert!(findings[0].message.contains("the bytes are wrong"), "{}", findings[0].message);
}

#[test]
fn a_nop_where_the_key_wants_a_jump() {
    let findings = changed(1, |e| e.bits ^= 1);
    assert_eq!(rules(&findings), [("jump-labels/initial-state", Some(1))]);
    assert_eq!(
        at_boot(&findings[0]).0,
        "jump_label: Fatal kernel bug, unexpected op at second+0x20/0x1a0 [(____ptrval____)] \
         (66 90 90 90 90 != eb 1e 00 00 00)) size:2 type:0"
    );
    assert!(findings[0].message.contains("the branch bit or the key is wrong"), "{}", findings[0].message);
}

#[test]
fn the_older_wording_is_read_from_the_image() {
    let mut image = kernel(&[0xe9, 0x1a, 0, 0, 0], &SOUND);
    let format = b"\x012jump_label: Fatal kernel bug, unexpected op at %pS [%p] (%5ph) %d\n\0";
    image.section(".rodata", 0xffff_ffff_8500_0000, A, format);
    let findings = check(&image.build()).findings;
    let finding = findings.iter().find(|f| f.rule == "jump-labels/initial-state").expect("found");
    assert_eq!(
        at_boot(finding).0,
        "jump_label: Fatal kernel bug, unexpected op at swap_writepage+0x1c/0x60 [(____ptrval____)] \
         (e9 1a 00 00 00) 47"
    );
}

#[test]
fn a_jump_that_goes_elsewhere() {
    let findings = changed(3, |e| e.target = 0x312);
    assert_eq!(rules(&findings), [("jump-labels/jump", Some(3))]);
    assert_eq!(
        at_boot(&findings[0]),
        (
            "jump_label: Fatal kernel bug, unexpected op at third+0x100/0x180 [(____ptrval____)] \
             (eb 0e 90 90 90 != eb 10 00 00 00)) size:2 type:0",
            true,
            Some("when the key enabled_key is first disabled")
        )
    );
}

#[test]
fn a_site_of_other_instructions() {
    // 1-byte nops: the length is neither 2 nor 5.
    let findings = changed(0, |e| e.code = 0x10);
    assert_eq!(rules(&findings), [("jump-labels/site", Some(0))]);
    assert_eq!(at_boot(&findings[0]).0, "kernel BUG at arch/x86/kernel/jump_label.c:25!");
    // A 5-byte instruction: compared, and printed.
    let findings = changed(3, |e| (e.code, e.target) = (0x320, 0x330));
    assert_eq!(rules(&findings), [("jump-labels/site", Some(3))]);
    assert!(at_boot(&findings[0]).0.ends_with("(b8 00 00 00 00 != e9 0b 00 00 00)) size:5 type:0"));
}

#[test]
fn a_site_or_a_target_that_is_no_code() {
    let findings = changed(1, |e| e.code = DATA - TEXT);
    assert_eq!(rules(&findings), [("jump-labels/code", Some(1))]);
    assert_eq!(at_boot(&findings[0]).0, "can't patch jump_label at enabled_key+0x0/0x40");
    assert!(!at_boot(&findings[0]).1);
    assert!(rules(&changed(3, |e| e.target = DATA - TEXT)).contains(&("jump-labels/target", Some(3))));
}

#[test]
fn targets_in_other_functions_and_other_parts() {
    assert!(rules(&changed(1, |e| e.target = 0x210)).contains(&("jump-labels/function", Some(1))));
    // The cold part is the same function.
    let findings = changed(3, |e| e.target = 0x390);
    assert_eq!(rules(&findings), [("jump-labels/jump", Some(3))]);
}

#[test]
fn a_target_in_the_middle_of_an_instruction() {
    let mut entries = SOUND.to_vec();
    entries[1].target = 0x92;
    assert_eq!(
        rules(&check(&kernel(NOP2, &entries).build()).findings),
        [("jump-labels/target-boundary", Some(1))]
    );
}

#[test]
fn targets_and_the_length_of_the_site() {
    let findings = changed(1, |e| e.target = 0x190);
    assert_eq!(rules(&findings), [("jump-labels/reach", Some(1))]);
    assert!(at_boot(&findings[0]).0.starts_with("kernel BUG at arch/x86/include/asm/text-patching.h"));
    let findings = changed(2, |e| e.target = 0xa0);
    assert_eq!(rules(&findings), [("jump-labels/long-form", Some(2))]);
    assert_eq!(findings[0].severity, Severity::Warning);
}

#[test]
fn keys_that_are_none() {
    let key = |key: u64| {
        rules(&changed(0, |e| e.key = key)).first().map(|(rule, index)| ((*rule).to_owned(), *index))
    };
    let bad = Some(("jump-labels/key".to_owned(), Some(0)));
    assert_eq!(key(BSS + 4), bad, "not aligned");
    assert_eq!(key(BSS + 8), bad, "half of one, half of the next");
    assert_eq!(key(DATA + 0x20), bad, "no key's values");
    assert_eq!(key(TEXT), bad, "in text");
    assert_eq!(key(0xffff_ffff_9000_0000), bad, "nowhere");
    assert_eq!(key(BSS + 0x40), None, "another key in the same state cannot be told from the right one");
}

#[test]
fn keys_that_overlap_are_found_without_symbols() {
    let mut entries = SOUND;
    entries[0].key = BSS + 24;
    let mut image = kernel(NOP2, &entries);
    let elf = {
        image = std::mem::replace(&mut image, TestImage::new(Arch::X86_64));
        image.build()
    };
    assert_eq!(rules(&check(&elf).findings), [("jump-labels/key", Some(0))]);
}

#[test]
fn objtools_mark() {
    let findings = changed(1, |e| e.bits ^= 2);
    assert_eq!(rules(&findings), [("jump-labels/flag", Some(1))]);
    assert_eq!(rules(&changed(3, |e| e.bits ^= 2)), [("jump-labels/flag", Some(3))]);
}

#[test]
fn one_site_twice() {
    let findings = changed(1, |e| *e = SOUND[0]);
    assert_eq!(rules(&findings), [("jump-labels/duplicate-site", Some(1))]);
    assert_eq!(
        at_boot(&findings[0]),
        (
            "jump_label: Fatal kernel bug, unexpected op at swap_writepage+0x1c/0x60 [(____ptrval____)] \
             (eb 1c 48 89 df != 66 90 0f 1f 00)) size:2 type:1",
            true,
            Some("when the key frontswap_enabled_key is switched before the other CPUs are started")
        )
    );
}

#[test]
fn sites_that_overlap() {
    let mut image = kernel(NOP2, &[SOUND[0], SOUND[1], SOUND[2], entry(0x92, 0x94, DATA, 0)]);
    image.bytes_mut(".text")[0x92..0x94].copy_from_slice(&[0xeb, 0]);
    let findings = check(&image.build()).findings;
    assert!(rules(&findings).iter().any(|(rule, _)| *rule == "jump-labels/overlap"), "{findings:?}");
}

#[test]
fn a_table_of_no_whole_number_of_entries() {
    let findings = check(&kernel_with_table(NOP2, &table(&SOUND)[..60]).build()).findings;
    assert_eq!(rules(&findings), [("jump-labels/size", None)]);
}

#[test]
fn alternatives_on_a_site() {
    const REPLACEMENT: u64 = 0xffff_ffff_8600_0000;
    const ALTERNATIVES: u64 = 0xffff_ffff_8700_0000;
    let mut alternative = Vec::new();
    alternative.extend(rel32(ALTERNATIVES, TEXT + 0x7e));
    alternative.extend(rel32(ALTERNATIVES + 4, REPLACEMENT));
    alternative.extend([1, 0, 4, 3]);
    let mut image = kernel(NOP2, &SOUND);
    image.section(".altinstructions", ALTERNATIVES, A, &alternative).section(
        ".altinstr_replacement",
        REPLACEMENT,
        AX,
        &[0x90; 16],
    );
    let findings = check(&image.build()).findings;
    assert_eq!(rules(&findings), [("jump-labels/shared-with-alternative", Some(1))]);
}

#[test]
fn arm64_sites() {
    const NOP: [u8; 4] = 0xd503_201f_u32.to_le_bytes();
    let arm = |site: [u8; 4], target: u64, bits: u64| {
        let mut text = [NOP; 0x40].concat();
        text[0x10..0x14].copy_from_slice(&site);
        let mut image = TestImage::new(Arch::Arm64);
        image
            .section(".text", TEXT, AX, &text)
            .section("__jump_table", TABLE, A, &table(&[entry(0x10, target, BSS, bits)]))
            .nobits(".bss", BSS, 0x100)
            .function("f", TEXT, 0x100)
            .object("key", BSS, 16);
        check(&image.build()).findings
    };
    assert_eq!(arm(NOP, 0x20, 0), []);
    // B +0x10.
    let b = 0x1400_0004_u32.to_le_bytes();
    assert_eq!(arm(b, 0x20, 1), []);
    assert_eq!(rules(&arm(b, 0x24, 1)), [("jump-labels/jump", Some(0))]);
    let findings = arm(b, 0x20, 0);
    assert_eq!(rules(&findings), [("jump-labels/initial-state", Some(0))]);
    assert_eq!(findings[0].at_boot, None, "arm64 overwrites without looking");
    assert_eq!(rules(&arm([0; 4], 0x20, 0)), [("jump-labels/site", Some(0))]);
    assert_eq!(rules(&arm(NOP, 0x22, 0)), [("jump-labels/reach", Some(0))]);
    assert_eq!(rules(&arm(NOP, 0x20, 2)), [("jump-labels/flag", Some(0))]);
}

#[test]
fn hostile_tables_end_in_findings() {
    let mut seeded = crate::realkernels::Seeded(1);
    for _ in 0..200 {
        let mut image = kernel(NOP2, &SOUND);
        for byte in image.bytes_mut("__jump_table") {
            *byte = seeded.next() as u8;
        }
        assert!(!check(&image.build()).findings.is_empty());
    }
}
