#![allow(clippy::unwrap_used)]
use std::path::Path;

use kvet_image::Arch;

use super::*;

const RAM: u64 = 0x4000_0000;

/// 1 MiB of physical memory with these words.
fn memory(arch: Arch, words: &[(u64, u64)]) -> Memory {
    let base = if arch == Arch::Arm64 { RAM } else { 0 };
    let mut bytes = vec![0; 1 << 20];
    for (at, word) in words {
        bytes[(at - base) as usize..][..8].copy_from_slice(&word.to_le_bytes());
    }
    Memory::from_bytes(Path::new("test"), bytes, arch).unwrap()
}

fn x86(five_levels: bool) -> Tables {
    Tables { scheme: Scheme::X86(super::x86::Scheme { five_levels }), root: 0x1000 }
}

fn arm64(page_shift: u32, va_bits: u32, lpa2: bool) -> Tables {
    Tables { scheme: Scheme::Arm64(super::arm64::Scheme { page_shift, va_bits, lpa2 }), root: RAM + 0x10000 }
}

#[test]
fn x86_four_levels_to_a_small_and_a_large_page() {
    let m = memory(
        Arch::X86_64,
        &[
            (0x1000 + 511 * 8, 0x2063),
            (0x2000 + 510 * 8, 0x3063),
            (0x3000 + 8 * 8, 0x8000_0000_0020_01e3), // 2 MiB at 0x200000, nx
            (0x3000 + 9 * 8, 0x4063),
            (0x4000 + 3 * 8, 0x7121), // 4 KiB at 0x7000, read-only, executable
        ],
    );
    let large = x86(false).translate(&m, 0xffff_ffff_8100_1234).unwrap();
    assert_eq!((large.physical, large.page), (0x20_1234, 1 << 21));
    assert_eq!(large.rights, Rights { write: true, execute: false, user: false, global: true });
    let walk = x86(false).walk(&m, 0xffff_ffff_8120_3010);
    let End::Mapped(small) = walk.end else { panic!("{walk:?}") };
    assert_eq!((small.physical, small.page, small.rights.letters().as_str()), (0x7010, 4096, "r-x-g"));
    assert_eq!(walk.steps.iter().map(|s| s.level).collect::<Vec<_>>(), ["PGD", "PUD", "PMD", "PTE"]);
    assert_eq!(x86(false).walk(&m, 0xffff_ffff_8120_4000).end, End::NotPresent);
    assert_eq!(x86(false).walk(&m, 0x1000).end, End::NonCanonical);
}

#[test]
fn x86_five_levels() {
    let m = memory(
        Arch::X86_64,
        &[
            (0x1000 + 511 * 8, 0x2063),
            (0x2000 + 511 * 8, 0x3063),
            (0x3000 + 510 * 8, 0x4063),
            (0x4000, 0x1e3),
        ],
    );
    assert_eq!(x86(true).translate(&m, 0xffff_ffff_8000_0042).unwrap().physical, 0x42);
    // Not an address of 4 levels.
    assert_eq!(x86(true).walk(&m, 0xff00_0000_0000_0000).end, End::NotPresent);
    assert_eq!(x86(false).walk(&m, 0xff00_0000_0000_0000).end, End::NonCanonical);
}

#[test]
fn a_wrong_entry_and_a_missing_table_are_named() {
    let m = memory(
        Arch::X86_64,
        &[
            (0x1000 + 511 * 8, 0x20e3),
            (0x1000 + 510 * 8, 0x2063),
            (0x2000, 0xffff_f000_0063),
            (0x2000 + 8, 0x1001e3),
        ],
    );
    let pgd = x86(false).walk(&m, 0xffff_ff80_0000_0000);
    assert_eq!((pgd.end, pgd.steps[0].wrong.is_some()), (End::Broken, true));
    let gone = x86(false).walk(&m, 0xffff_ff00_0000_0000);
    assert_eq!(gone.steps[2].wrong.as_deref(), Some("the table is not in this memory"));
    let bits = x86(false).walk(&m, 0xffff_ff00_4000_0000);
    assert!(bits.steps[1].wrong.as_deref().unwrap().contains("reserved bits"));
}

#[test]
fn tables_that_lead_to_themselves_end() {
    // Every entry of the table is the table itself.
    let words: Vec<_> = (0..512).map(|i| (0x1000 + i * 8, 0x1063)).collect();
    let m = memory(Arch::X86_64, &words);
    let (mut leaves, mut wrong) = (0_u64, 0_u64);
    let whole = x86(true).each_leaf(&m, 1 << 20, &mut |_| leaves += 1, &mut |_, _, _| wrong += 1);
    assert!(!whole, "the bound was met");
    assert!(leaves + wrong <= 1 << 20);
    let words: Vec<_> = (0..512).map(|i| (RAM + 0x10000 + i * 8, (RAM + 0x10000) | 3)).collect();
    let m = memory(Arch::Arm64, &words);
    assert!(!arm64(12, 48, false).each_leaf(&m, 1 << 20, &mut |_| {}, &mut |_, _, _| {}));
}

#[test]
fn leaves_are_all_found_by_address() {
    let m = memory(
        Arch::X86_64,
        &[
            (0x1000 + 511 * 8, 0x2063),
            (0x2000 + 510 * 8, 0x3063),
            (0x3000, 0x1e3),
            (0x3000 + 8, 0x4063),
            (0x4000 + 8, 0x5063),
        ],
    );
    let mut seen = Vec::new();
    assert!(x86(false).each_leaf(
        &m,
        1 << 20,
        &mut |l| seen.push((l.address, l.mapping.page)),
        &mut |_, _, _| {}
    ));
    assert_eq!(seen, [(0xffff_ffff_8000_0000, 1 << 21), (0xffff_ffff_8020_1000, 4096)]);
}

#[test]
fn arm64_granules_and_address_sizes() {
    let root = RAM + 0x10000;
    // 4 KiB, 39 bits: three levels; 0xffffffc008000000.
    let m = memory(
        Arch::Arm64,
        &[
            (root, (RAM + 0x20000) | 3),
            (root + 0x20 * 8, (RAM + 0x20000) | 3),
            (RAM + 0x20000 + 64 * 8, 0x0040_0000_4020_0701),
        ],
    );
    let t = arm64(12, 39, false);
    assert_eq!(t.levels().iter().map(|l| l.shift).collect::<Vec<_>>(), [30, 21, 12]);
    let block = t.translate(&m, 0xffff_ff80_0800_0010).unwrap();
    assert_eq!((block.physical, block.page), (0x4020_0010, 1 << 21));
    assert_eq!(block.rights, Rights { write: true, execute: true, user: false, global: true });
    // 4 KiB, 48 bits has four levels; 16 KiB, 47 has three; 64 KiB, 48 has three, 42 two; 52 bits with 64 KiB three.
    let shifts = |t: Tables| t.levels().iter().map(|l| (l.shift, l.bits)).collect::<Vec<_>>();
    assert_eq!(shifts(arm64(12, 48, false)), [(39, 9), (30, 9), (21, 9), (12, 9)]);
    assert_eq!(shifts(arm64(12, 52, true)), [(48, 4), (39, 9), (30, 9), (21, 9), (12, 9)]);
    assert_eq!(shifts(arm64(14, 47, false)), [(36, 11), (25, 11), (14, 11)]);
    assert_eq!(shifts(arm64(14, 48, false)), [(47, 1), (36, 11), (25, 11), (14, 11)]);
    assert_eq!(shifts(arm64(16, 48, false)), [(42, 6), (29, 13), (16, 13)]);
    assert_eq!(shifts(arm64(16, 42, false)), [(29, 13), (16, 13)]);
    assert_eq!(shifts(arm64(16, 52, false)), [(42, 10), (29, 13), (16, 13)]);
}

#[test]
fn arm64_64k_pages_and_kpti_bits() {
    let root = RAM + 0x10000;
    let m = memory(
        Arch::Arm64,
        // 42 bits, 64 KiB: a table, then a page that is read-only, never executed, not global.
        &[
            (root + 8, (RAM + 0x20000) | 3),
            (RAM + 0x20000 + 5 * 8, (1 << 53) | 0x4123_0000 | (1 << 11) | (1 << 7) | 3),
        ],
    );
    let t = arm64(16, 42, false);
    let page = t.translate(&m, 0xffff_fc00_2005_0004).unwrap();
    assert_eq!((page.physical, page.page), (0x4123_0004, 1 << 16));
    assert_eq!(page.rights, Rights { write: false, execute: false, user: false, global: false });
    // The reserved type at the last level.
    let m = memory(Arch::Arm64, &[(root + 8, (RAM + 0x20000) | 3), (RAM + 0x20000 + 5 * 8, 0x4123_0001)]);
    assert_eq!(t.walk(&m, 0xffff_fc00_2005_0004).end, End::Broken);
}

proptest::proptest! {
    #[test]
    fn no_table_makes_a_walk_panic(words in proptest::collection::vec((0_u64..0x1000, proptest::num::u64::ANY), 0..64), address in proptest::num::u64::ANY) {
        for arch in [Arch::X86_64, Arch::Arm64] {
            let base = if arch == Arch::Arm64 { RAM } else { 0 };
            let placed: Vec<_> = words.iter().map(|(at, word)| (base + 0x1000 + at * 8, word & !0xffff_ffff_fff0_0000 | (word & 0xf_ffff) | base)).collect();
            let m = memory(arch, &placed);
            let all = [x86(false), x86(true), arm64(12, 48, false), arm64(14, 47, false), arm64(16, 52, false), arm64(12, 52, true)];
            for t in all {
                t.walk(&m, address | 0xffff_8000_0000_0000);
                t.each_leaf(&m, 1 << 12, &mut |_| {}, &mut |_, _, _| {});
            }
        }
    }
}
