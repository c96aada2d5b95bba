//! Tests on small images that the test builds.

use kvet_finding::Severity;
use kvet_image::{Arch, Image, SymbolKind, VirtAddr};

use super::kind::{Kind, Numbering};
use super::{ExceptionTable, Exceptions, Layout};
use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, LocatedBy, Table, TableReport};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const RODATA: u64 = 0xffff_ffff_8200_0000;
const TABLE: u64 = 0xffff_ffff_8210_0000;
const DATA: u64 = 0xffff_ffff_8300_0000;
const STEP: u64 = 16;
const COUNT: u64 = 40;

/// `mov (%rdi),%rax`, then nops; `ldr x1, [x2]`, nops, `ret`.
const X86_SITE: [u8; 3] = [0x48, 0x8b, 0x07];
const ARM64_SITE: u32 = 0xf940_0041;
const ARM64_NOP: u32 = 0xd503_201f;

struct Kernel {
    arch: Arch,
    layout: Layout,
    release: &'static str,
    text: Vec<u8>,
    table: Vec<u8>,
    table_name: &'static str,
    sort_needed: u32,
}

impl Kernel {
    fn new(arch: Arch, layout: Layout) -> Kernel {
        let mut kernel = Kernel {
            arch,
            layout,
            release: "6.1.0",
            text: Vec::new(),
            table: Vec::new(),
            table_name: "__ex_table",
            sort_needed: 0,
        };
        for i in 0..COUNT {
            kernel.text.extend(match arch {
                Arch::X86_64 => [&X86_SITE[..], &[0x90; 13]].concat(),
                Arch::Arm64 => [ARM64_SITE, ARM64_NOP, ARM64_NOP, 0xd65f_03c0].map(u32::to_le_bytes).concat(),
            });
            kernel.table.resize(((i + 1) * layout.size()) as usize, 0);
            kernel.insn(i, TEXT + i * STEP);
            kernel.fixup(i, TEXT + i * STEP + 8);
            match layout {
                Layout::Pair => {}
                // The handler is the first function.
                Layout::Handler => kernel.put(i, 8, &rel32(TABLE + i * 12 + 8, TEXT)),
                Layout::Data => kernel.put(i, 8, &3u32.to_le_bytes()),
                Layout::TypeData => kernel.put(i, 8, &(2u32 | 0x3ff << 16).to_le_bytes()),
            }
        }
        kernel
    }

    fn put(&mut self, index: u64, field: u64, bytes: &[u8]) {
        let at = (index * self.layout.size() + field) as usize;
        self.table[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn insn(&mut self, index: u64, addr: u64) {
        self.put(index, 0, &rel32(TABLE + index * self.layout.size(), addr));
    }

    fn fixup(&mut self, index: u64, addr: u64) {
        self.put(index, 4, &rel32(TABLE + index * self.layout.size() + 4, addr));
    }

    fn third(&mut self, index: u64, word: u32) {
        self.put(index, 8, &word.to_le_bytes());
    }

    fn build(&self) -> Image {
        let mut t = TestImage::new(self.arch);
        let banner = format!("\0Linux version {} (test)\n\0", self.release);
        t.section(".text", TEXT, AX, &self.text).section(".rodata", RODATA, A, banner.as_bytes());
        t.section(self.table_name, TABLE, A, &self.table);
        t.section(".init.data", DATA, WA, &self.sort_needed.to_le_bytes());
        t.symbol("main_extable_sort_needed", DATA, 4, SymbolKind::Object);
        for i in 0..COUNT {
            t.function(&format!("f{i}"), TEXT + i * STEP, STEP);
        }
        t.build()
    }

    fn check(&self) -> TableReport {
        Exceptions.check(&Context::new(&self.build(), None)).expect("a report")
    }

    fn findings(&self) -> Vec<(&'static str, Severity, Option<u64>)> {
        self.check().findings.iter().map(|f| (f.rule, f.severity, f.index)).collect()
    }
}

fn x86() -> Kernel {
    Kernel::new(Arch::X86_64, Layout::Data)
}

fn arm64() -> Kernel {
    Kernel::new(Arch::Arm64, Layout::TypeData)
}

const ERROR: Severity = Severity::Error;

#[test]
fn every_layout_is_recognised_and_clean() {
    for (arch, layout) in [
        (Arch::X86_64, Layout::Handler),
        (Arch::X86_64, Layout::Data),
        (Arch::Arm64, Layout::Pair),
        (Arch::Arm64, Layout::TypeData),
    ] {
        let report = Kernel::new(arch, layout).check();
        assert_eq!(report.layout.as_deref(), Some(layout.words()), "{arch:?}");
        assert_eq!((report.entries, &report.findings[..]), (COUNT, &[][..]), "{arch:?} {layout:?}");
        assert!(report.skipped.is_empty() && !report.proved.is_empty());
    }
}

#[test]
fn a_moved_instruction_is_found() {
    // Into the middle of an instruction.
    let mut kernel = x86();
    kernel.insn(5, TEXT + 5 * STEP + 1);
    assert_eq!(kernel.findings(), [("exceptions/instruction", ERROR, Some(5))]);
    // Onto one that cannot fault.
    let mut kernel = arm64();
    kernel.insn(6, TEXT + 6 * STEP + 4);
    assert_eq!(kernel.findings(), [("exceptions/instruction", ERROR, Some(6))]);
    // Out of the text, and so out of order too.
    for mut kernel in [x86(), arm64()] {
        kernel.insn(9, RODATA);
        assert_eq!(
            kernel.findings(),
            [("exceptions/instruction", ERROR, Some(9)), ("exceptions/order", ERROR, Some(9))]
        );
    }
}

#[test]
fn a_moved_fixup_is_found() {
    let mut kernel = x86();
    kernel.fixup(5, RODATA);
    kernel.fixup(7, TEXT + 2);
    assert_eq!(
        kernel.findings(),
        [("exceptions/fixup", ERROR, Some(5)), ("exceptions/fixup", ERROR, Some(7))]
    );
    let mut kernel = arm64();
    kernel.fixup(39, TEXT + 2);
    assert_eq!(kernel.findings(), [("exceptions/fixup", ERROR, Some(39))]);
}

#[test]
fn entries_out_of_order_are_found() {
    // Each is still a sound entry, so only its place is wrong.
    for (index, site) in [(20, 39), (20, 0), (0, 30), (39, 3)] {
        let mut kernel = x86();
        kernel.text.extend([&X86_SITE[..], &[0x90; 13]].concat());
        // Another function's start, next to a site that has an entry.
        kernel.insn(index, TEXT + site * STEP + 3);
        assert_eq!(kernel.findings(), [("exceptions/order", ERROR, Some(index))], "{index} at {site}");
    }
    let mut kernel = x86();
    kernel.insn(20, TEXT + 39 * STEP + 3);
    kernel.sort_needed = 1;
    let report = kernel.check();
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].severity, Severity::Note);
    assert_eq!(report.findings[0].at_boot.as_ref().expect("a line").line, "Sorting __ex_table...");
}

#[test]
fn two_entries_for_one_instruction_are_found() {
    let mut kernel = x86();
    kernel.insn(11, TEXT + 10 * STEP);
    let report = kernel.check();
    let rules: Vec<_> = report.findings.iter().map(|f| (f.rule, f.index)).collect();
    assert_eq!(rules, [("exceptions/duplicate", Some(11))]);
    assert!(report.findings[0].message.contains("entries 10 and 11"));
}

#[test]
fn a_type_that_the_kernel_does_not_know_is_a_bug_when_it_faults() {
    let mut kernel = x86();
    kernel.third(13, 0x63);
    kernel.third(14, 7);
    assert_eq!(
        kernel.findings(),
        [("exceptions/type", ERROR, Some(13)), ("exceptions/type", ERROR, Some(14))]
    );
    let mut kernel = arm64();
    kernel.third(15, 9);
    assert_eq!(kernel.findings(), [("exceptions/type", ERROR, Some(15))]);
}

#[test]
fn at_boot_is_the_bug_at_the_end_of_fixup_exception() {
    let mut kernel = arm64();
    kernel.third(3, 0);
    let mut t = TestImage::new(Arch::Arm64);
    let bug_text = 0xffff_ffff_8101_0000u64;
    let strings = RODATA + 0x100;
    let bugs = 0xffff_ffff_8301_0000u64;
    let mut table = Vec::new();
    for i in 0..4u64 {
        let entry = bugs + i * 12;
        table.extend(rel32(entry, bug_text + i * 4));
        table.extend(rel32(entry + 4, strings + 1));
        table.extend([70 + i as u8, 0, u8::from(i != 2), 0]);
    }
    t.section(".text", TEXT, AX, &kernel.text).section("__ex_table", TABLE, A, &kernel.table);
    t.section(".text.2", bug_text, AX, &0xd421_0000u32.to_le_bytes().repeat(4));
    t.section(".rodata", strings, A, b"\0arch/arm64/mm/extable.c\0");
    t.section("__bug_table", bugs, WA, &table).function("fixup_exception", bug_text, 16);
    let image = t.build();
    let report = Exceptions.check(&Context::new(&image, None)).expect("a report");
    let at_boot = report.findings[0].at_boot.as_ref().expect("a line");
    assert_eq!(at_boot.line, "kernel BUG at arch/arm64/mm/extable.c:72!");
    assert_eq!((at_boot.when.as_deref(), at_boot.fatal), (Some("this instruction faults"), true));
}

#[test]
fn types_go_with_the_version() {
    let known = |n: Numbering, kind, version| matches!(n.kind(kind, version), Kind::Known(_));
    assert!(known(Numbering::X86, 4, Some((6, 1))) && !known(Numbering::X86, 4, Some((6, 12))));
    assert!(known(Numbering::X86, 21, Some((6, 12))) && !known(Numbering::X86, 21, Some((6, 1))));
    assert_eq!(Numbering::X86.kind(30, Some((7, 4))), Kind::TooNew);
    assert_eq!(Numbering::X86.kind(30, Some((7, 3))), Kind::Unknown);
    assert_eq!(Numbering::X86.kind(0, None), Kind::Unknown);
    assert!(!known(Numbering::Arm64, 5, Some((6, 12))) && known(Numbering::Arm64Cpy, 5, Some((7, 3))));
    assert_eq!(Numbering::Arm64Cpy.kind(1, Some((7, 3))), Kind::Jit);
    let numbering = |release| {
        let mut kernel = arm64();
        kernel.release = release;
        let image = kernel.build();
        let table = ExceptionTable::find(&image).expect("a table");
        Numbering::of(&image, &table.entries(&image).collect::<Vec<_>>())
    };
    assert_eq!(numbering("5.17.1"), Numbering::Arm64Fixup);
    assert_eq!(numbering("6.12.0-rt"), Numbering::Arm64);
    assert_eq!(numbering("7.3.4+deb13-arm64"), Numbering::Arm64Cpy);
    assert_eq!(numbering("6.14.0"), Numbering::Arm64);
}

#[test]
fn data_that_a_type_does_not_take_is_found() {
    let warning = Severity::Warning;
    // A register, unknown flags and an immediate for UACCESS; a unit of 3 for UCOPY_LEN.
    for word in [0x103u32, 0xc003, 0x1_0003, 0x3_0013] {
        let mut kernel = x86();
        kernel.third(17, word);
        assert_eq!(kernel.findings(), [("exceptions/data", warning, Some(17))], "{word:#x}");
    }
    // CLEAR_AX_DX; IMM_REG with -EFAULT in register 5; UCOPY_LEN8 with register 2.
    for word in [0x3003u32, 0xfff2_0511, 0x8_0213] {
        let mut kernel = x86();
        kernel.third(17, word);
        assert_eq!(kernel.findings(), [], "{word:#x}");
    }
    let mut kernel = arm64();
    kernel.third(17, 2 | 0x400 << 16);
    assert_eq!(kernel.findings(), [("exceptions/data", warning, Some(17))]);
}

#[test]
fn a_type_must_fit_its_instruction() {
    // RDMSR_SAFE on a mov, and then on rdmsr.
    let mut kernel = x86();
    kernel.third(19, 11);
    assert_eq!(kernel.findings(), [("exceptions/instruction", ERROR, Some(19))]);
    kernel.text[19 * STEP as usize..][..3].copy_from_slice(&[0x0f, 0x32, 0x90]);
    assert_eq!(kernel.findings(), []);
    // ZEROPAD goes on right behind its load.
    let mut kernel = x86();
    kernel.third(19, 20);
    assert_eq!(kernel.findings(), [("exceptions/instruction", ERROR, Some(19))]);
    kernel.fixup(19, TEXT + 19 * STEP + 3);
    assert_eq!(kernel.findings(), []);
    // LOAD_UNALIGNED_ZEROPAD names the load's registers, x1 and x2.
    let mut kernel = arm64();
    kernel.third(19, 4 | (1 | 2 << 5) << 16);
    assert_eq!(kernel.findings(), []);
    kernel.third(19, 4 | (1 | 3 << 5) << 16);
    assert_eq!(kernel.findings(), [("exceptions/instruction", ERROR, Some(19))]);
}

#[test]
fn a_handler_is_the_start_of_a_function() {
    let mut kernel = Kernel::new(Arch::X86_64, Layout::Handler);
    kernel.put(21, 8, &rel32(TABLE + 21 * 12 + 8, TEXT + 4));
    kernel.put(22, 8, &rel32(TABLE + 22 * 12 + 8, RODATA));
    assert_eq!(
        kernel.findings(),
        [("exceptions/handler", ERROR, Some(21)), ("exceptions/handler", ERROR, Some(22))]
    );
}

#[test]
fn a_part_of_an_entry_is_found() {
    let mut kernel = x86();
    kernel.table.truncate(kernel.table.len() - 4);
    assert_eq!(kernel.findings(), [("exceptions/size", ERROR, None)]);
}

#[test]
fn the_scan_finds_a_damaged_table_whole() {
    for layout in [Layout::TypeData, Layout::Pair] {
        let mut kernel = Kernel::new(Arch::Arm64, layout);
        kernel.table_name = ".rodata.2";
        kernel.insn(20, TEXT + 20 * STEP + 4);
        kernel.table.extend([0xee; 400]);
        let image = kernel.build();
        let table = ExceptionTable::find(&image).expect("a table");
        assert_eq!(table.located_by(), &LocatedBy::Scan);
        assert_eq!((table.len(), table.layout, table.bounds.start), (COUNT, layout, VirtAddr(TABLE)));
        let report = kernel.check();
        assert_eq!((report.findings[0].rule, report.findings[0].index), ("exceptions/instruction", Some(20)));
    }
}

#[test]
fn what_is_no_exception_table_is_said() {
    let mut kernel = x86();
    kernel.table.fill(0);
    assert!(kernel.check().skipped[0].contains("fit no known layout"));
    kernel.table_name = ".data";
    assert!(kernel.check().skipped[0].contains("nothing in the image has the form of one"));
}
