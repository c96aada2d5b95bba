//! Look-ups, and memory against the file, on small images.

use kvet_image::{Arch, Image, SymbolKind, VirtAddr};

use super::*;
use crate::testimage::{A, AX, TestImage, WA, rel32};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const TABLE: u64 = 0xffff_ffff_8220_0000;
const KEY: u64 = 0xffff_ffff_8300_0000;
const ALT: u64 = 0xffff_ffff_8320_0000;
const REPLACEMENT: u64 = 0xffff_ffff_8330_0000;
const RETURNS: u64 = 0xffff_ffff_8340_0000;
const LOCKS: u64 = 0xffff_ffff_8350_0000;
const EXTABLE: u64 = 0xffff_ffff_8360_0000;

/// At +0 a jump label (5-byte nop, target +0x30), at +8 an alternative of 3 bytes, at +0x10 a jump to the return
/// thunk at +0x40, at +0x18 a lock prefix, at +0x20 `mov $0xffffffff82345678,%rdi`, at +0x28 a load that may fault.
fn image() -> Image {
    let mut text = vec![0x90_u8; 0x50];
    let mut put = |at: usize, bytes: &[u8]| text[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0x0f, 0x1f, 0x44, 0, 0]);
    put(8, &[0x0f, 0x1f, 0x00]);
    put(0x10, &[0xe9, 0x2b, 0, 0, 0]);
    put(0x18, &[0xf0, 0x48, 0xff, 0x07]);
    put(0x20, &[0x48, 0xc7, 0xc7, 0x78, 0x56, 0x34, 0x82]);
    put(0x28, &[0x48, 0x8b, 0x07]);
    let mut label = Vec::new();
    label.extend(rel32(TABLE, TEXT));
    label.extend(rel32(TABLE + 4, TEXT + 0x30));
    label.extend((KEY.wrapping_sub(TABLE + 8)).to_le_bytes());
    let mut alternative = Vec::new();
    alternative.extend(rel32(ALT, TEXT + 8));
    alternative.extend(rel32(ALT + 4, REPLACEMENT));
    alternative.extend([0x14, 0x01, 3, 3]);
    let mut extable = Vec::new();
    extable.extend(rel32(EXTABLE, TEXT + 0x28));
    extable.extend(rel32(EXTABLE + 4, TEXT + 0x48));
    extable.extend([3, 0, 0, 0]);
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &text).function("f", TEXT, 0x40).function("thunk", TEXT + 0x40, 0x10);
    t.section("__jump_table", TABLE, WA, &label).section(".data", KEY, WA, &[0; 16]);
    t.symbol("my_key", KEY, 16, SymbolKind::Object);
    t.section(".altinstructions", ALT, A, &alternative);
    t.section(".altinstr_replacement", REPLACEMENT, AX, &[0x0f, 0x01, 0xcb]);
    t.section(".return_sites", RETURNS, A, &rel32(RETURNS, TEXT + 0x10));
    t.section(".smp_locks", LOCKS, A, &[rel32(LOCKS, TEXT + 0x18), [0; 4]].concat());
    t.section("__ex_table", EXTABLE, A, &extable);
    t.build()
}

fn words(image: &Image, offset: u64) -> Vec<String> {
    let found = Sites::of(image, None).at(image, None, VirtAddr(TEXT + offset));
    found.iter().map(|s| s.site.describe(image)).collect()
}

#[test]
fn an_address_leads_to_its_entries() {
    let image = image();
    for inside in [0, 4] {
        assert_eq!(words(&image, inside), ["jump label 0 of the static key my_key (initially off)"]);
    }
    assert_eq!(words(&image, 5), Vec::<String>::new());
    assert_eq!(words(&image, 9), ["alternative 0 for 8*32+20"]);
    assert_eq!(words(&image, 0x11), ["a return"]);
    assert_eq!(words(&image, 0x18), ["a lock prefix"]);
    assert_eq!(words(&image, 0x19), Vec::<String>::new());
    assert_eq!(words(&image, 0x28), ["exception entry 0, which goes on at thunk+0x8/0x10"]);
    assert_eq!(words(&image, 0x48), ["the fixup of exception entry 0, for f+0x28/0x40"]);
    let sites = Sites::of(&image, None);
    let replacement = sites.at(&image, None, VirtAddr(REPLACEMENT + 1));
    assert!(matches!(&replacement[..], [SiteAt { site: Site::Replacement { index: 0, .. }, .. }]));
    assert!(sites.may_change(VirtAddr(TEXT + 2), VirtAddr(TEXT + 3)));
    assert!(
        !sites.may_change(VirtAddr(TEXT + 0x28), VirtAddr(TEXT + 0x2b)),
        "an exception entry patches nothing"
    );
}

/// The file's text with edits, compared.
fn compare(edits: &[(usize, &[u8])], slide: Option<u64>) -> Vec<(u64, u64, String)> {
    let image = image();
    let mut memory = image.bytes(VirtAddr(TEXT), 0x50).expect("text").to_vec();
    for (at, bytes) in edits {
        memory[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    let sites = Sites::of(&image, None);
    let found = sites.differences(&image, None, VirtAddr(TEXT), &memory, slide);
    let words = |p: &Patched| match &p.why {
        Explained::Table { what, .. } => what.clone(),
        Explained::Int3 { site } => format!("int3 at {:?}", site.as_ref().map(|s| s.site.table())),
        Explained::Relocated => "relocated".into(),
        Explained::Unexplained => "unexplained".into(),
    };
    found.iter().map(|p| (p.start.0 - TEXT, p.len, words(p))).collect()
}

#[test]
fn what_the_kernel_patches_is_explained() {
    assert_eq!(compare(&[], None), []);
    let one = |at, len, words: &str| vec![(at, len, words.to_owned())];
    assert_eq!(compare(&[(0, &[0xe9, 0x2b, 0, 0, 0])], None), one(0, 5, "the key is on: a jump"));
    assert_eq!(
        compare(&[(8, &[0x0f, 0x01, 0xcb])], None),
        one(8, 3, "replaced: the CPU has feature 8*32+20")
    );
    let plain = "a plain return: no return thunk on this CPU";
    assert_eq!(compare(&[(0x10, &[0xc3, 0xcc, 0xcc, 0xcc, 0xcc])], None), one(0x10, 5, plain));
    assert_eq!(compare(&[(0x18, &[0x3e])], None), one(0x18, 1, "one CPU: no lock prefix"));
    // text_poke's int3, and a kprobe's.
    assert_eq!(compare(&[(0, &[0xcc])], None), one(0, 1, "int3 at Some(\"jump-labels\")"));
    assert_eq!(compare(&[(0x28, &[0xcc])], None), one(0x28, 1, "int3 at None"));
    let moved = 0x8234_5678_u32 + 0x1c00_0000;
    let field = moved.to_le_bytes();
    assert_eq!(compare(&[(0x23, &field)], Some(0x1c00_0000)), one(0x23, 4, "relocated"));
}

#[test]
fn what_nothing_patches_is_not() {
    let one = |at, len| vec![(at, len, "unexplained".to_owned())];
    // A jump to elsewhere than the entry's target, a replacement with one bit wrong, an int3 inside an instruction.
    assert_eq!(compare(&[(0, &[0xe9, 0x2c, 0, 0, 0])], None), one(0, 3));
    assert_eq!(compare(&[(8, &[0x0f, 0x01, 0xca])], None), one(9, 2));
    assert_eq!(compare(&[(0x2a, &[0xcc])], None), one(0x2a, 1));
    let field = (0x8234_5678_u32 + 0x1c00_1000).to_le_bytes();
    let found = compare(&[(0x23, &field)], Some(0x1c00_0000));
    assert!(!found.is_empty() && found.iter().all(|f| f.2 == "unexplained"), "{found:?}");
}

#[test]
fn a_site_across_the_edge_is_not_judged() {
    let image = image();
    let sites = Sites::of(&image, None);
    // Only the last two bytes of the label's jump are known.
    let found = sites.differences(&image, None, VirtAddr(TEXT + 3), &[1, 2], None);
    assert!(
        matches!(&found[..], [Patched { len: 2, why: Explained::Table { what, .. }, .. }] if what.contains("part"))
    );
}
