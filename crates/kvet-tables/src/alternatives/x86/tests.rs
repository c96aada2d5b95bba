//! Each kind of damage, on small kernels that the tests write themselves.

use kvet_finding::{Finding, Severity};
use kvet_image::Arch;

use super::*;
use crate::Table;
use crate::alternatives::{Alternatives as Main, VdsoAlternatives};
use crate::testimage::{A, AX, TestImage, WA, rel32};

const TEXT: u64 = 0xffff_ffff_8100_0000;
/// `apply_alternatives` of the test's kernel.
const APPLY: u64 = TEXT + 0x800;
const RODATA: u64 = TEXT + 0x10_0000;
const BUGS: u64 = TEXT + 0x11_0000;
const TABLE: u64 = TEXT + 0x20_0000;
const REPLACED: u64 = TEXT + 0x21_0000;
const FILE: &[u8] = b"arch/x86/kernel/alternative.c\0";

const STAC: &[u8] = &[0x0f, 0x01, 0xcb];
const SMAP: u16 = 9 * 32 + 20;

/// An entry to be: its site's offset in `.text`, what stands there, what replaces it.
#[derive(Clone)]
struct Spec {
    site: u64,
    original: Vec<u8>,
    replacement: Vec<u8>,
    feature: u16,
    flags: u16,
}

fn spec(site: u64, original: &[u8], replacement: &[u8], feature: u16) -> Spec {
    Spec { site, original: original.to_vec(), replacement: replacement.to_vec(), feature, flags: 0 }
}

/// `count` stacs, 16 bytes apart.
fn stacs(count: u64) -> Vec<Spec> {
    (0..count).map(|i| spec(0x10 + i * 16, &[0x90; 3], STAC, SMAP)).collect()
}

/// A kernel with a table in the given layout; `damage` may change the table's bytes.
struct Kernel {
    layout: Layout,
    test: TestImage,
    table: Vec<u8>,
}

impl Kernel {
    fn new(layout: Layout, specs: Vec<Spec>) -> Kernel {
        let mut text = vec![0x90; 0x2000];
        let mut replacements = Vec::new();
        let mut table = Vec::new();
        for s in &specs {
            let at = s.site as usize;
            text[at..at + s.original.len()].copy_from_slice(&s.original);
            let entry = TABLE + table.len() as u64;
            let replacement = REPLACED + replacements.len() as u64;
            table.extend(rel32(entry, TEXT + s.site));
            table.extend(rel32(entry + 4, replacement));
            if layout == Layout::Flags {
                table.extend(s.feature.to_le_bytes());
                table.extend(s.flags.to_le_bytes());
            } else {
                table.extend((s.feature | s.flags << 15).to_le_bytes());
            }
            table.extend([s.original.len() as u8, s.replacement.len() as u8]);
            if layout == Layout::Padlen {
                table.push(0);
            }
            replacements.extend_from_slice(&s.replacement);
        }
        let mut test = TestImage::new(Arch::X86_64);
        apply_alternatives(&mut text, &mut test);
        test.section(".text", TEXT, AX, &text);
        test.section(".altinstr_replacement", REPLACED, AX, &replacements);
        test.function("f", TEXT, 0x800).function("apply_alternatives", APPLY, 0x40);
        test.function("g", TEXT + 0x1000, 0x1000);
        Kernel { layout, test, table }
    }

    /// The bytes of entry `i`.
    fn entry(&mut self, i: usize) -> &mut [u8] {
        let size = self.layout.size();
        &mut self.table[i * size..(i + 1) * size]
    }

    /// Where the two lengths stand in an entry.
    fn lengths(&self) -> usize {
        if self.layout == Layout::Flags { 12 } else { 10 }
    }

    fn report(&mut self) -> TableReport {
        let table = self.table.clone();
        let image = self.test.section(".altinstructions", TABLE, A, &table).build();
        Main.check(&Context::new(&image, None)).expect("a report")
    }

    fn findings(&mut self) -> Vec<Finding> {
        self.report().findings
    }
}

/// Code with the two comparisons of 6.1's `apply_alternatives`, its bug table, and names for 24 words.
fn apply_alternatives(text: &mut [u8], test: &mut TestImage) {
    #[rustfmt::skip]
    let code = [
        0x80, 0x7b, 0x0a, 0xff,       // cmpb $0xff,0xa(%rbx)
        0x74, 0x08,                   // je 1f
        0x66, 0x81, 0xfa, 0xff, 0x02, // cmp $0x2ff,%dx
        0x77, 0x03,                   // ja 2f
        0xc3,
        0x0f, 0x0b,                   // 1: ud2
        0x0f, 0x0b,                   // 2: ud2
    ];
    let at = (APPLY - TEXT) as usize;
    text[at..at + code.len()].copy_from_slice(&code);
    let mut bugs = Vec::new();
    for (trap, line) in [(APPLY + 14, 304u16), (APPLY + 16, 305)] {
        let entry = BUGS + bugs.len() as u64;
        bugs.extend(rel32(entry, trap));
        bugs.extend(rel32(entry + 4, RODATA));
        bugs.extend(line.to_le_bytes());
        bugs.extend([0, 0]);
    }
    test.section(".rodata", RODATA, A, &[FILE, &[0; 64]].concat());
    test.section("__bug_table", BUGS, WA, &bugs);
}

/// The one error of a rule, and that nothing else is reported about another entry.
fn only<'f>(findings: &'f [Finding], rule: &str, index: u64) -> &'f Finding {
    let found = findings.iter().find(|f| f.rule == rule && f.index == Some(index));
    let found = found.unwrap_or_else(|| panic!("no {rule} at {index}: {findings:#?}"));
    assert_eq!(found.severity, Severity::Error);
    assert!(findings.iter().all(|f| f.index == Some(index)), "{findings:#?}");
    found
}

fn boot_line(finding: &Finding) -> (&str, bool) {
    let boot = finding.at_boot.as_ref().expect("the kernel notices");
    (&boot.line, boot.fatal)
}

#[test]
fn a_clean_table_is_read_in_each_layout() {
    for layout in Layout::ALL {
        for count in [1, 7, 30] {
            let mut kernel = Kernel::new(layout, stacs(count));
            let report = kernel.report();
            assert_eq!(report.findings, [], "{layout:?}");
            assert_eq!(report.entries, count);
            assert!(report.layout.is_some_and(|l| l.starts_with(&layout.size().to_string())));
            assert!(report.proved.iter().any(|p| p.contains("below 768, the limit that apply_alternatives")));
        }
    }
}

#[test]
fn a_feature_out_of_range_stops_the_boot_at_its_line() {
    for layout in Layout::ALL {
        let mut kernel = Kernel::new(layout, stacs(20));
        kernel.entry(5)[8..10].copy_from_slice(&768u16.to_le_bytes());
        kernel.entry(9)[8..10].copy_from_slice(&900u16.to_le_bytes());
        let findings = kernel.findings();
        let unknown: Vec<_> =
            findings.iter().filter(|f| f.rule == "alternatives/unknown-capability").collect();
        assert_eq!(unknown.iter().map(|f| f.index).collect::<Vec<_>>(), [Some(5), Some(9)]);
        assert_eq!(boot_line(unknown[0]), ("kernel BUG at arch/x86/kernel/alternative.c:305!", true));
        let when = |i: usize| unknown[i].at_boot.as_ref().and_then(|b| b.when.clone());
        assert_eq!(when(0), None);
        assert!(when(1).is_some_and(|w| w.contains("once entry 5 is repaired")));
    }
}

#[test]
fn the_last_feature_in_range_is_no_error() {
    let mut kernel = Kernel::new(Layout::Plain, vec![spec(0x10, &[0x90; 3], STAC, 767)]);
    assert_eq!(kernel.findings(), []);
}

#[test]
fn a_site_longer_than_the_buffer_stops_the_boot_at_its_line() {
    let mut kernel = Kernel::new(Layout::Plain, vec![spec(0x10, &[0x90; 3], STAC, SMAP)]);
    let at = kernel.lengths();
    kernel.entry(0)[at] = 255;
    let findings = kernel.findings();
    let finding = only(&findings, "alternatives/site-length", 0);
    assert_eq!(boot_line(finding), ("kernel BUG at arch/x86/kernel/alternative.c:304!", true));
}

#[test]
fn lengths_that_do_not_go_together_are_found() {
    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    kernel.entry(3)[10] = 2;
    only(&kernel.findings(), "alternatives/replacement-length", 3);
    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    kernel.entry(3)[11] = 2;
    let findings = kernel.findings();
    only(&findings, "alternatives/replacement-place", 3);
    only(&findings, "alternatives/replacement-instructions", 3);
    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    kernel.entry(3)[10] = 0;
    only(&kernel.findings(), "alternatives/empty-site", 3);
}

#[test]
fn a_site_that_cuts_an_instruction_is_found() {
    // mov $0x12345678,%eax and a NOP before the site: moving it by one cuts the mov.
    let mut specs = stacs(20);
    specs[4] = spec(0x50, &[0xb8, 0x78, 0x56, 0x34, 0x12], STAC, SMAP);
    let clean = Kernel::new(Layout::Plain, specs.clone()).findings();
    assert!(clean.iter().all(|f| f.rule == "alternatives/inconsistent-original"), "{clean:#?}");
    let mut kernel = Kernel::new(Layout::Plain, specs.clone());
    kernel.entry(4)[10] = 4;
    only(&kernel.findings(), "alternatives/original-instructions", 4);
    let mut kernel = Kernel::new(Layout::Plain, specs);
    let entry = TABLE + 4 * 12;
    kernel.entry(4)[..4].copy_from_slice(&rel32(entry, TEXT + 0x51));
    only(&kernel.findings(), "alternatives/site-boundary", 4);
}

#[test]
fn sites_outside_code_are_found() {
    let cases = [
        (RODATA, None),
        (TEXT - (1 << 30), Some("BUG: unable to handle page fault for address: ffffffff41000000")),
    ];
    for (site, line) in cases {
        let mut kernel = Kernel::new(Layout::Flags, stacs(20));
        let entry = TABLE + 7 * 14;
        kernel.entry(7)[..4].copy_from_slice(&rel32(entry, site));
        let findings = kernel.findings();
        let finding = only(&findings, "alternatives/site", 7);
        assert_eq!(finding.at_boot.as_ref().map(|b| b.line.as_str()), line);
    }
}

#[test]
fn a_replacement_elsewhere_is_found() {
    let mut kernel = Kernel::new(Layout::Flags, stacs(20));
    let entry = TABLE + 7 * 14;
    kernel.entry(7)[4..8].copy_from_slice(&rel32(entry + 4, TEXT + 0x30));
    only(&kernel.findings(), "alternatives/replacement", 7);
    let mut kernel = Kernel::new(Layout::Flags, stacs(20));
    kernel.entry(7)[4..8].copy_from_slice(&rel32(entry + 4, REPLACED));
    only(&kernel.findings(), "alternatives/replacement-place", 7);
}

#[test]
fn overlaps_duplicates_and_order_are_found() {
    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    let entry = TABLE + 7 * 12;
    kernel.entry(7)[..4].copy_from_slice(&rel32(entry, TEXT + 0x10 + 8 * 16 + 2));
    let findings = kernel.findings();
    let at: Vec<_> = findings.iter().filter(|f| f.rule == "alternatives/overlap").map(|f| f.index).collect();
    assert_eq!(at, [Some(7), Some(8)]);

    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    let copy = kernel.entry(6)[8..].to_vec();
    kernel.entry(7)[8..].copy_from_slice(&copy);
    kernel.entry(7)[..4].copy_from_slice(&rel32(entry, TEXT + 0x10 + 6 * 16));
    kernel.entry(7)[4..8].copy_from_slice(&rel32(entry + 4, REPLACED + 6 * 3));
    only(&kernel.findings(), "alternatives/duplicate", 7);

    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    kernel.entry(7)[..4].copy_from_slice(&rel32(entry, TEXT + 0x10));
    only(&kernel.findings(), "alternatives/order", 7);
}

#[test]
fn a_table_that_ends_inside_an_entry_is_found() {
    let mut kernel = Kernel::new(Layout::Plain, stacs(20));
    kernel.table.truncate(20 * 12 - 5);
    let findings = kernel.findings();
    assert!(findings.iter().any(|f| f.rule == "alternatives/size" && f.index == Some(19)), "{findings:#?}");
}

#[test]
fn one_replacement_names_one_feature() {
    // popcnt %edi,%eax is for one feature; stac may serve another at a few places.
    let popcnt: &[u8] = &[0xf3, 0x0f, 0xb8, 0xc7];
    let call = [0xe8, 0, 0, 0, 0];
    let specs: Vec<_> = (0..6).map(|i| spec(0x100 + i * 16, &call, popcnt, 151)).collect();
    for wrong in 0..6 {
        let mut specs = specs.clone();
        specs[wrong].feature = 152;
        let findings = Kernel::new(Layout::Flags, specs).findings();
        let finding = only(&findings, "alternatives/inconsistent-capability", wrong as u64);
        assert_eq!(finding.at_boot, None);
        assert!(finding.message.contains("5 other entries"), "{}", finding.message);
    }
    let mut two = stacs(60);
    two[20].feature = 12 * 32 + 6;
    assert_eq!(Kernel::new(Layout::Flags, two.clone()).findings(), []);
    two[20].feature = SMAP + 1;
    only(&Kernel::new(Layout::Flags, two).findings(), "alternatives/inconsistent-capability", 20);
}

#[test]
fn a_flag_that_others_do_not_have_is_found() {
    let cli: &[u8] = &[0xfa, 0x90];
    for layout in [Layout::Plain, Layout::Flags] {
        let mut specs: Vec<_> = (0..40).map(|i| spec(0x100 + i * 16, &[0x90; 2], cli, 272)).collect();
        specs.iter_mut().for_each(|s| s.flags = 1);
        assert_eq!(Kernel::new(layout, specs.clone()).findings(), []);
        specs[11].flags = 0;
        only(&Kernel::new(layout, specs).findings(), "alternatives/inconsistent-capability", 11);
    }
    let mut specs = stacs(3);
    specs[1].flags = 8;
    only(&Kernel::new(Layout::Flags, specs).findings(), "alternatives/unknown-flags", 1);
}

/// `static_cpu_has` of a feature: jmp to a test of its bit, replaced by a jmp to "no" and by nothing.
fn static_cpu_has(kernel: &mut Kernel, features: &[u16]) {
    const AUX: u64 = TEXT + 0x30_0000;
    const CAPABILITY: u64 = TEXT + 0x40_0028;
    let mut aux = Vec::new();
    for feature in features {
        let at = AUX + aux.len() as u64;
        let byte = CAPABILITY + u64::from(feature / 8);
        aux.extend([0xf6, 0x05]);
        aux.extend((byte.wrapping_sub(at + 7) as u32).to_le_bytes());
        aux.push(1 << (feature % 8));
        aux.push(0xc3);
    }
    kernel.test.section(".altinstr_aux", AUX, AX, &aux);
}

fn static_cpu_has_specs(features: &[u16]) -> Vec<Spec> {
    let mut specs = Vec::new();
    for (i, &feature) in (0u64..).zip(features) {
        let site = 0x100 + i * 16;
        let to = (0x30_0000 + i * 8).wrapping_sub(site + 5) as u32;
        let jmp: Vec<u8> = [&[0xe9][..], &to.to_le_bytes()].concat();
        // The replacement is a jmp too; where to does not matter here, if it is code.
        let no = (TEXT + site + 8).wrapping_sub(REPLACED + i * 5 + 5) as u32;
        specs.push(spec(site, &jmp, &[&[0xe9][..], &no.to_le_bytes()].concat(), 117));
        specs.push(spec(site, &jmp, &[], feature));
    }
    specs
}

#[test]
fn a_feature_that_its_own_test_contradicts_is_found() {
    let features = [SMAP, 16, 308 + 2, 500];
    let run = |change: &dyn Fn(&mut Kernel)| {
        let mut kernel = Kernel::new(Layout::Plain, static_cpu_has_specs(&features));
        static_cpu_has(&mut kernel, &features);
        change(&mut kernel);
        kernel.findings()
    };
    assert_eq!(run(&|_| {}), []);
    for (i, feature) in features.into_iter().enumerate() {
        // The choice, by a little and by much; the default; the NOT flag.
        for new in [feature + 1, 700] {
            let findings = run(&|k| k.entry(2 * i + 1)[8..10].copy_from_slice(&new.to_le_bytes()));
            only(&findings, "alternatives/inconsistent-capability", 2 * i as u64 + 1);
        }
        let findings = run(&|k| k.entry(2 * i)[8..10].copy_from_slice(&118u16.to_le_bytes()));
        only(&findings, "alternatives/inconsistent-capability", 2 * i as u64);
        let findings = run(&|k| k.entry(2 * i + 1)[9] |= 0x80);
        only(&findings, "alternatives/inconsistent-capability", 2 * i as u64 + 1);
    }
}

#[test]
fn a_direct_call_of_the_wrong_shape_is_found() {
    let indirect = [0xff, 0x15, 0, 0, 0, 0];
    let call = |i: u64| {
        let to = (TEXT + 0x1000).wrapping_sub(REPLACED + i * 5 + 5) as u32;
        [&[0xe8][..], &to.to_le_bytes()].concat()
    };
    let specs: Vec<_> =
        (0..3).map(|i| Spec { flags: 2, ..spec(0x100 + i * 16, &indirect, &call(i), 117) }).collect();
    assert_eq!(Kernel::new(Layout::Flags, specs.clone()).findings(), []);

    let mut wrong = specs.clone();
    wrong[1].original = vec![0xff, 0x14, 0x25, 0, 0, 0, 0];
    let findings = Kernel::new(Layout::Flags, wrong).findings();
    let finding = only(&findings, "alternatives/direct-call", 1);
    let line = "SMP alternatives: ALT_FLAG_DIRECT_CALL set for unrecognized indirect call";
    assert_eq!(boot_line(finding), (line, true));

    let mut kernel = Kernel::new(Layout::Flags, specs);
    kernel.entry(2)[10] = 0;
    kernel.test.function("BUG_func", TEXT + 0x1000, 0x10);
    only(&kernel.findings(), "alternatives/direct-call", 2);
}

#[test]
fn branches_that_would_miss_at_the_site_are_found() {
    // Before 6.4 a conditional jump out of the replacement is copied as it is.
    let out = (TEXT + 0x1000).wrapping_sub(REPLACED + 6) as u32;
    let jcc: Vec<u8> = [&[0x0f, 0x84][..], &out.to_le_bytes()].concat();
    let specs = vec![spec(0x100, &[0x90; 6], &jcc, SMAP)];
    let mut kernel = Kernel::new(Layout::Plain, specs.clone());
    only(&kernel.findings(), "alternatives/branch-reach", 0);
    // Since then it is relocated.
    let mut kernel = Kernel::new(Layout::Plain, specs);
    kernel.test.function("text_poke_apply_relocation", TEXT + 0x900, 16);
    assert_eq!(kernel.findings(), []);
    // But a short one does not reach.
    let mut kernel = Kernel::new(
        Layout::Plain,
        vec![spec(0x100, &[0x90; 2], &[0x74, 0x10], SMAP), spec(0x200, &[0x90; 0x20], &[0x90; 0x20], 1)],
    );
    kernel.test.function("text_poke_apply_relocation", TEXT + 0x900, 16);
    only(&kernel.findings(), "alternatives/branch-reach", 0);
    // And a target where nothing is cannot be right.
    let mut kernel = Kernel::new(Layout::Plain, vec![spec(0x100, &[0x90; 5], &[0xe8, 0, 0, 0, 0x10], SMAP)]);
    only(&kernel.findings(), "alternatives/branch-target", 0);
}

#[test]
fn a_kernel_without_the_table_says_so() {
    let image = TestImage::new(Arch::X86_64).section(".text", TEXT, AX, &[0x90; 16]).build();
    let report = Main.check(&Context::new(&image, None)).expect("a report");
    assert_eq!((report.entries, report.findings.len()), (0, 0));
    assert!(report.located_by.is_none() && !report.skipped.is_empty());
}

/// A vDSO: an ELF with `.text`, `.altinstructions`, `.altinstr_replacement`, linked at 0.
fn vdso(feature: u16) -> Vec<u8> {
    let mut t = TestImage::new(Arch::X86_64);
    let table = |at: u64| [&rel32(at, 64)[..], &rel32(at + 4, 96), &feature.to_le_bytes(), &[3, 3]].concat();
    // The builder aligns each section to 16 in the file: text at 64, table at 80, replacement at 96.
    t.section(".text", 64, AX, &[0x90; 16]).section(".altinstructions", 80, A, &table(80));
    t.section(".altinstr_replacement", 96, AX, &[0x0f, 0x01, 0xf9]);
    let mut elf = t.elf();
    elf[16] = 3;
    elf.resize(4096, 0);
    elf
}

fn kernel_with_vdso(elf: &[u8], symbol: Option<(u64, u64)>) -> TableReport {
    const VDSO: u64 = TEXT + 0x50_0000;
    let mut kernel = Kernel::new(Layout::Plain, stacs(3));
    let table = kernel.table.clone();
    kernel.test.section(".altinstructions", TABLE, A, &table).section(".vdso", VDSO, A, elf);
    if let Some((alt, len)) = symbol {
        let words = [VDSO, elf.len() as u64, alt, len].map(u64::to_le_bytes).concat();
        kernel.test.section(".data", TEXT + 0x60_0000, WA, &words).object(
            "vdso_image_64",
            TEXT + 0x60_0000,
            32,
        );
    }
    let image = kernel.test.build();
    VdsoAlternatives.check(&Context::new(&image, None)).expect("a report")
}

#[test]
fn the_vdso_is_found_by_symbol_and_by_its_header() {
    for symbol in [None, Some((80, 12))] {
        let report = kernel_with_vdso(&vdso(59), symbol);
        assert_eq!((report.entries, report.findings.as_slice()), (1, &[][..]), "{symbol:?}");
        let report = kernel_with_vdso(&vdso(800), symbol);
        let finding = only(&report.findings, "vdso-alternatives/unknown-capability", 0);
        assert_eq!(boot_line(finding), ("kernel BUG at arch/x86/kernel/alternative.c:305!", true));
    }
    let report = kernel_with_vdso(&vdso(59), Some((68, 24)));
    assert_eq!(report.findings.iter().map(|f| f.rule).collect::<Vec<_>>(), ["vdso-alternatives/bounds"]);
}
