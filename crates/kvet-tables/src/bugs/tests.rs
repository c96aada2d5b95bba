//! Tests on small images that the test builds.

use kvet_finding::Severity;
use kvet_image::{Arch, Image, VirtAddr};

use super::read::{BRK, Layout};
use super::{Bugs, bugs_in_function, scan};
use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, LocatedBy, Table, TableReport};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const RODATA: u64 = 0xffff_ffff_8200_0000;
const TABLE: u64 = 0xffff_ffff_8300_0000;
/// Where each site's function begins, by index.
const STEP: u64 = 16;
const COUNT: u64 = 40;

const VERBOSE: Layout = Layout { size: 12, format: None, file: Some(4), flags: 10, from_entry: false };
const OLD: Layout = Layout { from_entry: true, ..VERBOSE };
const FORMAT: Layout = Layout { size: 16, format: Some(4), file: Some(8), flags: 14, from_entry: false };
const QUIET: Layout = Layout { size: 8, format: None, file: None, flags: 4, from_entry: false };
const QUIET_FORMAT: Layout = Layout { size: 12, format: Some(4), file: None, flags: 8, from_entry: false };

/// Text of `COUNT` traps, each in a function `f<i>` of its own, and their table.
struct Kernel {
    arch: Arch,
    layout: Layout,
    text: Vec<u8>,
    table: Vec<u8>,
    table_name: &'static str,
}

/// The strings: at 1 a path, at 32 one with a control character, at 64 a format.
fn rodata() -> Vec<u8> {
    let mut bytes = vec![0; 96];
    bytes[1..10].copy_from_slice(b"mm/slub.c");
    bytes[32..36].copy_from_slice(b"a\x02c\0");
    bytes[64..72].copy_from_slice(b"bad: %d\n");
    bytes
}

impl Kernel {
    fn new(arch: Arch, layout: Layout) -> Kernel {
        let mut kernel =
            Kernel { arch, layout, text: Vec::new(), table: Vec::new(), table_name: "__bug_table" };
        for i in 0..COUNT {
            let site = TEXT + i * STEP;
            kernel.text.extend(match arch {
                Arch::X86_64 => [&[0x0f, 0x0b][..], &[0x90; 14]].concat(),
                Arch::Arm64 => [BRK, 0xd503_201f, 0xd503_201f, 0xd65f_03c0].map(u32::to_le_bytes).concat(),
            });
            kernel.table.resize(((i + 1) * layout.size) as usize, 0);
            kernel.addr(i, site);
            if layout.file.is_some() {
                kernel.file(i, RODATA + 1);
                kernel.line(i, 100 + i as u16);
            }
            kernel.flags(i, (i % 2) as u16);
        }
        kernel
    }

    fn put(&mut self, index: u64, field: u64, bytes: &[u8]) {
        let at = (index * self.layout.size + field) as usize;
        self.table[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn addr(&mut self, index: u64, addr: u64) {
        self.put(index, 0, &rel32(TABLE + index * self.layout.size, addr));
    }

    fn file(&mut self, index: u64, addr: u64) {
        let at = self.layout.file.expect("a layout with files");
        let base = TABLE + index * self.layout.size + if self.layout.from_entry { 0 } else { at };
        self.put(index, at, &rel32(base, addr));
    }

    fn line(&mut self, index: u64, line: u16) {
        self.put(index, self.layout.file.expect("a layout with lines") + 4, &line.to_le_bytes());
    }

    fn format(&mut self, index: u64, addr: u64) {
        let at = self.layout.format.expect("a layout with formats");
        self.put(index, at, &rel32(TABLE + index * self.layout.size + at, addr));
    }

    fn flags(&mut self, index: u64, flags: u16) {
        self.put(index, self.layout.flags, &flags.to_le_bytes());
    }

    /// Makes an entry's site a WARN with arguments that loads the entry at `loaded`.
    fn arguments(&mut self, index: u64, loaded: u64) {
        let site = TEXT + index * STEP;
        let at = (index * STEP) as usize;
        self.text[at..at + 3].copy_from_slice(&[0x48, 0x8d, 0x3d]);
        self.text[at + 3..at + 7].copy_from_slice(&rel32(site + 7, TABLE + loaded * self.layout.size));
        self.addr(index, site + 7);
        self.format(index, RODATA + 64);
        self.flags(index, 0x11);
    }

    fn build(&self) -> Image {
        let mut t = TestImage::new(self.arch);
        t.section(".text", TEXT, AX, &self.text).section(".rodata", RODATA, A, &rodata());
        t.section(self.table_name, TABLE, WA, &self.table);
        for i in 0..COUNT {
            t.function(&format!("f{i}"), TEXT + i * STEP, STEP);
        }
        t.build()
    }

    fn check(&self) -> TableReport {
        Bugs.check(&Context::new(&self.build(), None)).expect("a report")
    }

    /// The rule, severity and index of every finding.
    fn findings(&self) -> Vec<(&'static str, Severity, Option<u64>)> {
        self.check().findings.iter().map(|f| (f.rule, f.severity, f.index)).collect()
    }
}

fn x86() -> Kernel {
    Kernel::new(Arch::X86_64, VERBOSE)
}

#[test]
fn every_layout_is_recognised_and_clean() {
    for layout in [VERBOSE, OLD, FORMAT, QUIET, QUIET_FORMAT] {
        for arch in [Arch::X86_64, Arch::Arm64] {
            let report = Kernel::new(arch, layout).check();
            assert_eq!(report.layout, Some(layout.words()), "{layout:?} {arch:?}");
            assert_eq!((report.entries, &report.findings[..]), (COUNT, &[][..]), "{layout:?} {arch:?}");
            assert!(report.skipped.is_empty() && !report.proved.is_empty());
        }
    }
}

#[test]
fn a_moved_address_is_found() {
    for arch in [Arch::X86_64, Arch::Arm64] {
        let mut kernel = Kernel::new(arch, VERBOSE);
        kernel.addr(7, TEXT + 7 * STEP + 4);
        let findings = kernel.findings();
        assert_eq!(findings[0], ("bugs/site", Severity::Error, Some(7)), "{arch:?}");
        // arm64 shows the trap that lost its entry too.
        let missing = (arch == Arch::Arm64).then_some(("bugs/missing", Severity::Error, None));
        assert_eq!(findings.get(1), missing.as_ref());
    }
    let mut kernel = x86();
    kernel.addr(8, RODATA);
    assert_eq!(kernel.findings(), [("bugs/site", Severity::Error, Some(8))]);
    assert!(kernel.check().findings[0].message.contains("not executable"));
}

#[test]
fn a_trap_that_was_overwritten_is_found() {
    let mut kernel = x86();
    kernel.text[3 * STEP as usize] = 0x90;
    let finding = kernel.check().findings.remove(0);
    assert_eq!(
        (finding.rule, finding.index, finding.symbol.as_deref()),
        ("bugs/site", Some(3), Some("f3+0x0/0x10"))
    );
    assert!(finding.message.ends_with("expected ud2 (0f 0b), found 90 0b"), "{}", finding.message);
}

#[test]
fn a_trap_without_an_entry_is_found_on_arm64() {
    let mut kernel = Kernel::new(Arch::Arm64, VERBOSE);
    kernel.text[4..8].copy_from_slice(&BRK.to_le_bytes());
    let report = kernel.check();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(
        (report.findings[0].rule, report.findings[0].address),
        ("bugs/missing", Some(VirtAddr(TEXT + 4)))
    );
    let at_boot = report.findings[0].at_boot.as_ref().expect("a line");
    assert!(at_boot.line.contains("BRK") && at_boot.fatal);
}

#[test]
fn names_and_lines_that_cannot_be_are_found() {
    let mut kernel = x86();
    kernel.file(2, TEXT - 0x1000);
    kernel.file(4, RODATA + 32);
    kernel.line(6, 0);
    let report = kernel.check();
    let rules: Vec<_> = report.findings.iter().map(|f| (f.rule, f.index)).collect();
    assert_eq!(rules, [("bugs/file", Some(2)), ("bugs/file", Some(4)), ("bugs/line", Some(6))]);
    // Entry 6 is a BUG: its line is what the kernel will print.
    let line = &report.findings[2].at_boot.as_ref().expect("a line").line;
    assert_eq!(line, "kernel BUG at mm/slub.c:0!");
}

#[test]
fn flags_that_no_kernel_sets_are_found() {
    for (flags, found) in [
        (0x21, "bits 0x20"),
        (5, "BUGFLAG_DONE"),
        (0xff01, "taint flag 255"),
        (0x11, "BUGFLAG_ARGS"),
        (8, "without BUGFLAG_WARNING"),
    ] {
        let mut kernel = x86();
        kernel.flags(9, flags);
        let report = kernel.check();
        assert_eq!(report.findings.len(), 1, "{flags:#x}");
        let finding = &report.findings[0];
        assert_eq!(
            (finding.rule, finding.severity, finding.index),
            ("bugs/flags", Severity::Warning, Some(9))
        );
        assert!(finding.message.contains(found), "{}", finding.message);
    }
    let mut kernel = x86();
    kernel.flags(9, 0x90b); // a WARN_ONCE with its own cut, TAINT_WARN
    assert_eq!(kernel.findings(), []);
}

#[test]
fn two_entries_for_one_address_are_found() {
    let mut kernel = x86();
    kernel.addr(30, TEXT + 5 * STEP);
    let report = kernel.check();
    let rules: Vec<_> = report.findings.iter().map(|f| (f.rule, f.index)).collect();
    assert_eq!(rules, [("bugs/duplicate", Some(30))]);
    assert!(report.findings[0].message.contains("entries 5 and 30"));
}

#[test]
fn a_part_of_an_entry_is_found() {
    let mut kernel = x86();
    kernel.table.truncate(kernel.table.len() - 4);
    let report = kernel.check();
    assert_eq!((report.entries, report.findings.len()), (COUNT - 1, 1));
    assert_eq!(report.findings[0].rule, "bugs/size");
}

#[test]
fn a_warning_with_arguments_loads_its_own_entry() {
    let mut kernel = Kernel::new(Arch::X86_64, FORMAT);
    kernel.arguments(11, 11);
    assert_eq!(kernel.findings(), []);
    kernel.arguments(12, 13);
    assert_eq!(kernel.findings(), [("bugs/site", Severity::Error, Some(12))]);
    kernel.arguments(12, 12);
    kernel.format(12, TEXT - 0x1000);
    assert_eq!(kernel.findings(), [("bugs/format", Severity::Error, Some(12))]);
    kernel.format(12, RODATA + 64);
    kernel.text[12 * STEP as usize + 1] = 0x8b; // mov, not lea
    assert_eq!(kernel.findings(), [("bugs/site", Severity::Error, Some(12))]);
}

#[test]
fn what_is_no_bug_table_is_said() {
    let mut kernel = x86();
    kernel.table.fill(0);
    let report = kernel.check();
    assert_eq!((report.entries, report.findings.len()), (0, 0));
    assert!(report.skipped[0].contains("fit no known layout"), "{:?}", report.skipped);
    kernel.table_name = ".data";
    assert!(kernel.check().skipped[0].contains("nothing in the image has the form of one"));
}

#[test]
fn the_scan_finds_a_damaged_table_whole() {
    for layout in [VERBOSE, OLD] {
        let mut kernel = Kernel::new(Arch::Arm64, layout);
        kernel.table_name = ".data";
        kernel.addr(20, TEXT + 2);
        // Other data before and behind.
        kernel.table.extend([7; 400]);
        let image = kernel.build();
        let table = scan::find(&image).expect("a table");
        assert_eq!((table.len(), table.layout, table.bounds.start), (COUNT, layout, VirtAddr(TABLE)));
        let report = kernel.check();
        assert_eq!(report.located_by, Some(LocatedBy::Scan));
        assert_eq!((report.findings[0].rule, report.findings[0].index), ("bugs/site", Some(20)));
    }
}

#[test]
fn a_function_has_the_bugs_of_its_parts() {
    let kernel = x86();
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &kernel.text).section(".rodata", RODATA, A, &rodata());
    t.section("__bug_table", TABLE, WA, &kernel.table);
    t.function("slab", TEXT, 2 * STEP).function("slab_other", TEXT + 2 * STEP, STEP);
    t.function("slab.cold", TEXT + 10 * STEP, STEP).function(
        "slab.constprop.0.isra.0",
        TEXT + 8 * STEP,
        STEP,
    );
    t.label("slab.part.1", TEXT + 12 * STEP).label("next", TEXT + 13 * STEP);
    let image = t.build();
    let context = Context::new(&image, None);
    let lines: Vec<u16> = bugs_in_function(&context, "slab").iter().map(|bug| bug.line).collect();
    assert_eq!(lines, [100, 101, 108, 110, 112]);
    let bug = bugs_in_function(&context, "slab")[0];
    assert_eq!(bug.kernel_bug_line(&image), "kernel BUG at mm/slub.c:100!");
    assert_eq!(bugs_in_function(&context, "sla"), []);
    // A module asks its kernel.
    let module = TestImage::new(Arch::X86_64).section(".text", TEXT, AX, &[0; 4]).build();
    assert_eq!(bugs_in_function(&Context::new(&module, Some(&image)), "slab_other").len(), 1);
}

#[test]
fn without_files_the_kernel_names_the_place() {
    let kernel = Kernel::new(Arch::X86_64, QUIET);
    let image = kernel.build();
    let bug = bugs_in_function(&Context::new(&image, None), "f4")[0];
    assert_eq!((bug.file, bug.line), (None, 0));
    assert_eq!(bug.kernel_bug_line(&image), "kernel BUG at f4+0x0/0x10 [verbose debug info unavailable]");
}

#[test]
fn a_name_may_begin_its_section() {
    // A module's .rodata.str1.1, right behind a section that does not end in 0, and a table of one entry.
    let mut kernel = x86();
    kernel.table.truncate(12);
    kernel.file(0, RODATA);
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &kernel.text).section("__mcount_loc", RODATA - 8, A, &[0xff; 8]);
    t.section(".rodata.str1.1", RODATA, A, b"net/a.c\0").section("__bug_table", TABLE, WA, &kernel.table);
    let image = t.build();
    let report = Bugs.check(&Context::new(&image, None)).expect("a report");
    assert_eq!((report.layout, report.entries, &report.findings[..]), (Some(VERBOSE.words()), 1, &[][..]));
}
