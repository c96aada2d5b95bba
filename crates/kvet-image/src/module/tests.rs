//! Tests of modules built byte by byte, and of damaged ones.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::{LoadFault, RelocationTrouble, arm64, x86};
use crate::testing::{Numbers, Part, Rela, TestElf, build_id_note, read_everything};
use crate::{ErrorKind, Image, Kind, SymbolSource, VirtAddr};

const X86: u16 = 62;
const ARM64: u16 = 183;

/// Relocation types: branch, 32-bit and 64-bit PC-relative, 64-bit absolute.
const TYPES: [(u16, [u32; 4]); 2] = [(X86, [4, 2, 24, 1]), (ARM64, [283, 261, 260, 257])];

/// A module with a call, a jump label, a pointer, and one symbol of every sort.
fn module(machine: u16) -> TestElf {
    let [branch, rel32, rel64, abs64] = TYPES.iter().find(|(m, _)| *m == machine).unwrap().1;
    let mut text = vec![0; 64];
    let call = if machine == X86 { Rela(1, 4, branch, -4) } else { Rela(0, 4, branch, 0) };
    text[..4].copy_from_slice(if machine == X86 { &[0xe8, 0, 0, 0] } else { &[0, 0, 0, 0x94] });
    let mut this_module = vec![0; 128];
    this_module[24..31].copy_from_slice(b"example");
    let jump_table = [Rela(0, 1, rel32, 0x10), Rela(4, 1, rel32, 0x20), Rela(8, 3, rel64, 1)];
    TestElf {
        kind: 1,
        machine,
        parts: vec![
            Part::new(".text", 6, &text),
            Part::rela(".rela.text", 1, &[call]),
            Part::new(".init.text", 6, &[0; 8]),
            Part::new("__jump_table", 3, &[0; 16]),
            Part::rela(".rela__jump_table", 4, &jump_table),
            Part::new(".data", 3, &[0; 16]),
            Part::rela(".rela.data", 6, &[Rela(0, 2, abs64, 0)]),
            Part::nobits(".bss", 32),
            Part::new(".modinfo", 2, b"license=GPL\0name=example\0vermagic=6.1.0-test SMP mod_unload \0"),
            build_id_note(&[0xab; 20]),
            Part::new(".gnu.linkonce.this_module", 3, &this_module),
            Part::new(".rodata", 2, b"text\0"),
        ],
        symbols: vec![
            ("", 0x03, 1, 0, 0),
            ("do_work", 0x12, 1, 0x10, 0x10),
            ("state_key", 0x11, 6, 8, 8),
            ("printk", 0x10, 0, 0, 0),
            ("maybe", 0x20, 0, 0, 0),
            ("answer", 0x10, 0xfff1, 42, 0),
            ("counter", 0x11, 8, 4, 4),
        ],
    }
}

fn open(file: &TestElf) -> Result<Image, ErrorKind> {
    Image::from_bytes(Path::new("example.ko"), file.build()).map_err(|e| e.kind)
}

#[test]
fn a_module_is_laid_out_and_relocated() {
    for (machine, _) in TYPES {
        let image = open(&module(machine)).unwrap();
        assert_eq!(image.kind(), Kind::Module);
        assert_eq!(image.load_faults(), &[]);
        let addr = |name: &str| image.section(name).unwrap().addr;
        // The loader's order, in file order within a group; each group on a page of its own.
        let order: Vec<_> = image.sections().iter().map(|s| s.name.as_str()).collect();
        let expected = [
            ".text",
            ".note.gnu.build-id",
            ".rodata",
            "__jump_table",
            ".data",
            ".bss",
            ".gnu.linkonce.this_module",
            ".init.text",
            ".modinfo",
        ];
        assert_eq!(order, expected);
        assert_eq!(addr("__jump_table").0 & 0xfff, 0);
        assert_eq!(addr(".data").0 & 0xfff, 0);

        let (text, table) = (addr(".text"), addr("__jump_table"));
        assert_eq!(image.rel32(table), text.checked_add(0x10));
        assert_eq!(image.rel32(table.checked_add(4).unwrap()), text.checked_add(0x20));
        let key = table.checked_add(8).unwrap();
        let to = key.wrapping_offset(image.u64(key).unwrap() as i64);
        assert_eq!(Some(to.wrapping_offset(-1)), image.symbol_addr("state_key"));
        assert_eq!(image.u64(addr(".data")), Some(text.0 + 0x10));

        let target = if machine == X86 {
            image.rel32(text.checked_add(1).unwrap()).unwrap().wrapping_offset(4)
        } else {
            text.wrapping_offset(i64::from(image.u32(text).unwrap() & 0x3ff_ffff) * 4)
        };
        assert_eq!(image.extern_at(target), Some("printk"));
        assert_eq!(image.extern_at(target.wrapping_offset(8)), None);
        assert_eq!(image.extern_around(target.wrapping_offset(8)), Some(("printk", 8)));
        assert!(image.section_at(target).is_none() && !image.is_executable(target));
        assert_eq!(image.externs().iter().map(|(_, n)| n.as_str()).collect::<Vec<_>>(), ["printk", "maybe"]);
        assert!(image.is_executable(text) && !image.is_writable(text) && image.is_writable(table));
    }
}

#[test]
fn symbols_have_addresses_and_facts_come_from_the_module() {
    let image = open(&module(X86)).unwrap();
    let text = image.section(".text").unwrap().addr;
    assert_eq!(image.symbols().source(), SymbolSource::Elf);
    assert_eq!(image.symbol_addr("do_work"), text.checked_add(0x10));
    assert_eq!(image.symbol_addr("counter"), image.section(".bss").unwrap().addr.checked_add(4));
    assert_eq!(image.symbol_addr("answer"), Some(VirtAddr(42)));
    assert_eq!(image.symbol_addr("printk"), None);
    assert_eq!(image.module_name(), Some("example"));
    assert_eq!(image.release(), Some("6.1.0-test"));
    assert_eq!(image.build_id(), Some(&[0xab; 20][..]));
    // The last symbol of the module's text reaches to the end of its page, as the kernel counts.
    let name = image.symbolize(text.checked_add(0x14).unwrap()).unwrap();
    assert_eq!(name, "do_work+0x4/0xff0 [example]");
}

/// The only fault of a module whose `.text` has this one relocation.
fn fault_of(machine: u16, relocation: Rela, text: &[u8]) -> (RelocationTrouble, u64) {
    let mut file = module(machine);
    file.parts[0] = Part::new(".text", 6, text);
    file.parts[1] = Part::rela(".rela.text", 1, &[relocation]);
    let image = open(&file).unwrap();
    match image.load_faults() {
        [LoadFault::Relocation(fault)] => {
            assert_eq!((fault.section.as_str(), fault.table, fault.index), (".text", 2, 0));
            assert_eq!(fault.kind, relocation.2);
            (fault.trouble, fault.addr.0.wrapping_sub(image.section(".text").unwrap().addr.0))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_the_loader_refuses_is_kept_as_a_fault() {
    use RelocationTrouble::{NoSuchSymbol, NonZeroTarget, OutsideSection, Overflow, UnknownType};
    assert_eq!(fault_of(X86, Rela(8, 2, 9, 0), &[0; 64]), (UnknownType, 8));
    assert_eq!(fault_of(ARM64, Rela(8, 2, 311, 0), &[0; 64]), (UnknownType, 8));
    assert_eq!(fault_of(X86, Rela(8, 2, 2, 0), &[1; 64]), (NonZeroTarget, 8));
    // An address of a module does not fit into 32 bits without a sign.
    assert_eq!(fault_of(X86, Rela(8, 2, 10, 0), &[0; 64]), (Overflow, 8));
    assert_eq!(fault_of(X86, Rela(8, 2, 11, -0x7000_0000), &[0; 64]), (Overflow, 8));
    assert_eq!(fault_of(ARM64, Rela(8, 2, 258, 0), &[0; 64]), (Overflow, 8));
    assert_eq!(fault_of(ARM64, Rela(8, 2, 280, 1 << 21), &[0; 64]), (Overflow, 8));
    assert_eq!(fault_of(X86, Rela(62, 2, 2, 0), &[0; 64]), (OutsideSection, 62));
    assert_eq!(fault_of(ARM64, Rela(61, 2, 283, 0), &[0; 64]), (OutsideSection, 61));
    assert_eq!(fault_of(X86, Rela(8, 99, 2, 0), &[0; 64]), (NoSuchSymbol, 8));
    assert_eq!(fault_of(X86, Rela(u64::MAX, 2, 2, 0), &[0; 64]).0, OutsideSection);
}

#[test]
fn symbols_and_tables_that_the_loader_refuses_are_kept_as_faults() {
    let mut file = module(X86);
    file.symbols.push(("common", 0x11, 0xfff2, 4, 4));
    file.symbols.push(("__gnu_lto_slim", 0x11, 0xfff2, 1, 1));
    file.symbols.push(("lost", 0x12, 200, 0, 0));
    file.parts[6].kind = 9;
    let faults = open(&file).unwrap().load_faults().to_vec();
    assert_eq!(
        faults,
        [
            LoadFault::CommonSymbol { name: "common".into() },
            LoadFault::SymbolSection { name: "lost".into(), section: 200, largest: 15 },
            LoadFault::RelWithoutAddend { section: ".data".into() },
        ]
    );
}

#[test]
fn faults_are_bounded() {
    let mut file = module(X86);
    file.parts[1] = Part::rela(".rela.text", 1, &[Rela(0, 2, 9, 0); 1000]);
    assert_eq!(open(&file).unwrap().load_faults().len(), super::FAULTS_MAX);
}

#[test]
fn sections_that_cannot_be_laid_out_are_damage() {
    let with = |change: fn(&mut TestElf)| {
        let mut file = module(X86);
        change(&mut file);
        open(&file).err().unwrap().to_string()
    };
    let align = with(|f| f.parts[0].align = 1 << 40);
    assert!(align.contains("section .text") && align.contains("0x10000000000"), "{align}");
    assert!(with(|f| f.parts[0].align = 3).contains("power of two"));
    assert!(with(|f| f.parts[7].size = 1 << 60).contains("section .bss"));
    assert!(with(|f| f.parts[7].size = u64::MAX).contains("512 MiB"));
}

#[test]
fn relocation_sections_may_not_share_their_entries() {
    let mut bytes = module(X86).build();
    let table = u64::from_le_bytes(bytes[0x28..0x30].try_into().unwrap()) as usize;
    // Both remaining tables are made to span the whole file.
    for number in [2, 5, 7] {
        let header = table + number * 64;
        let size = bytes.len() as u64;
        bytes[header + 24..header + 32].fill(0);
        bytes[header + 32..header + 40].copy_from_slice(&size.to_le_bytes());
    }
    let error = Image::from_bytes(Path::new("x.ko"), bytes).err().unwrap();
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn slots_of_externs_shrink_to_keep_within_reach_of_a_branch() {
    let mut file = module(ARM64);
    let names: Vec<&'static str> = (0..20_000).map(|i| &*format!("extern_{i}").leak()).collect();
    file.symbols.extend(names.iter().map(|n| (*n, 0x10, 0, 0, 0)));
    let image = open(&file).unwrap();
    let externs = image.externs();
    assert_eq!(externs.len(), 20_002);
    assert!(externs.windows(2).all(|w| w[1].0.0 - w[0].0.0 >= 16));
    assert!(externs[20_001].0.0 - image.sections()[0].addr.0 < 64 << 20);
    assert_eq!(image.extern_at(externs[777].0), Some(externs[777].1.as_str()));
}

/// Applies one relocation to a word of code.
fn arm64_word(kind: u32, insn: u32, value: u64, place: u64) -> (u32, bool) {
    let mut field = insn.to_le_bytes();
    let done = arm64::apply(&mut field, kind, value, place);
    (u32::from_le_bytes(field), done.is_ok())
}

#[test]
fn arm64_immediates_are_encoded_as_the_architecture_says() {
    let place = 0xffff_8000_0000_1004;
    // Type, word before, value, word after (as an assembler encodes it), whether it fits.
    let cases = [
        (283, 0x9400_0000, place + 0x1000, 0x9400_0400, true), // bl .+0x1000
        (282, 0x1400_0000, place - 4, 0x17ff_ffff, true),      // b .-4
        (283, 0x9400_0000, place + (1 << 30), 0x9400_0000, true), // out of reach: a PLT's matter
        (280, 0x5400_0001, place + 8, 0x5400_0041, true),      // b.ne .+8
        (280, 0x5400_0001, place + (1 << 20), 0x5480_0001, false),
        (279, 0x3600_0003, place + 16, 0x3600_0083, true), // tbz w3, #0, .+16
        (279, 0x3600_0003, place + 0x8000, 0x3604_0003, false),
        (273, 0x5800_0002, place + 0x20, 0x5800_0102, true), // ldr x2, .+0x20
        (274, 0x1000_0001, place + 5, 0x3000_0021, true),    // adr x1, .+5
        (275, 0x9000_0000, 0xffff_8000_0000_3abc, 0xd000_0000, true), // adrp x0, two pages on
        (275, 0x9000_0000, place + (1 << 33), 0x9000_0000, false),
        (276, 0x9000_0000, place + (1 << 33), 0x9000_0000, true),
        (277, 0x9100_0000, 0xabc, 0x912a_f000, true), // add x0, x0, #0xabc
        (278, 0x3940_0000, 0x123, 0x3944_8c00, true), // ldrb w0, [x0, #0x123]
        (284, 0x7940_0000, 0x124, 0x7942_4800, true), // ldrh w0, [x0, #0x124]
        (285, 0xb940_0000, 0x124, 0xb941_2400, true), // ldr w0, [x0, #0x124]
        (286, 0xf940_0000, 0x128, 0xf940_9400, true), // ldr x0, [x0, #0x128]
        (299, 0x3dc0_0000, 0x120, 0x3dc0_4800, true), // ldr q0, [x0, #0x120]
        (264, 0xd280_0000, 0x1_2345, 0xd284_68a0, true), // movz x0, #0x2345
        (263, 0xd280_0000, 0x1_2345, 0xd284_68a0, false),
        (265, 0xf2a0_0000, 0x1_2345, 0xf2a0_0020, true), // movk x0, #1, lsl #16
        (269, 0xf2e0_0000, 0xffff_8000_0000_0000, 0xf2ff_ffe0, true), // movk x0, #0xffff, lsl #48
        (270, 0xd280_0000, 5, 0xd280_00a0, true),        // movz x0, #5
        (270, 0xd280_0000, -6i64 as u64, 0x9280_00a0, true), // movn x0, #5
        (287, 0xd280_0000, place - 6, 0x9280_00a0, true),
        (293, 0xd2e0_0000, place - 6, 0x92e0_0000, true),
        (261, 0, place - 2, 0xffff_fffe, true),
        (261, 0, place + (1 << 31), 0x8000_0000, false),
        (258, 0, 0xffff_fff0, 0xffff_fff0, true),
        (258, 0, 1 << 32, 0, false),
        (256, 7, 9, 7, true),
    ];
    for (kind, before, value, after, fits) in cases {
        let got = arm64_word(kind, before, value, place);
        assert_eq!(got, (after, fits), "type {kind} value {value:#x}: {:#010x}", got.0);
    }
    let mut half = [0; 2];
    assert!(arm64::apply(&mut half, 262, place - 3, place).is_ok());
    assert_eq!(half, [0xfd, 0xff]);
    assert_eq!(arm64::apply(&mut half, 259, 0x1_0000, place), Err(RelocationTrouble::Overflow));
}

#[test]
fn x86_fields_are_stored_as_the_loader_does() {
    let place = 0xffff_ffff_c000_1000;
    let store = |kind, value: u64| {
        let mut field = [0; 8];
        let done = x86::apply(&mut field, kind, value, place);
        (u64::from_le_bytes(field), done)
    };
    assert_eq!(store(0, 5), (0, Ok(())));
    assert_eq!(store(1, u64::MAX), (u64::MAX, Ok(())));
    assert_eq!(store(2, place - 16), (0xffff_fff0, Ok(())));
    assert_eq!(store(4, place + 16), (16, Ok(())));
    assert_eq!(store(24, place - 16), (u64::MAX - 15, Ok(())));
    assert_eq!(store(10, 0xffff_ffff), (0xffff_ffff, Ok(())));
    assert_eq!(store(11, place), (0xc000_1000, Ok(())));
    assert_eq!(store(11, 0x8000_0000), (0x8000_0000, Err(RelocationTrouble::Overflow)));
    // The loader looks only at the field, not at what follows it.
    let mut field = [0, 0, 0, 0, 9];
    assert_eq!(x86::apply(&mut field, 2, place, place), Ok(()));
}

#[test]
fn a_truncated_module_is_an_error_at_every_length() {
    let file = module(X86).build();
    for len in 0..file.len() {
        assert!(Image::from_bytes(Path::new("x.ko"), file[..len].to_vec()).is_err(), "{len} bytes");
    }
}

#[test]
fn damaged_modules_neither_panic_nor_hang() {
    for (machine, _) in TYPES {
        let file = module(machine).build();
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut opened = 0;
        for _ in 0..6000 {
            let mut damaged = file.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(damaged.len());
                damaged[at] = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
            }
            if let Ok(image) = Image::from_bytes(Path::new("x.ko"), damaged) {
                read_everything(&image);
                opened += 1;
            }
        }
        assert!(opened > 1000, "only {opened} could be opened: the test reads too little");
    }
}
