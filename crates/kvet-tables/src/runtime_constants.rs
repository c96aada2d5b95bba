//! runtime-constants: instructions whose constants the kernel fills in once, when it knows them.
//!
//! One section for each variable, `runtime_ptr_NAME`, `runtime_shift_NAME` and (7.x) `runtime_mask_NAME`, with a
//! signed 32-bit distance for each place.
//!
//! # What the kernel does
//!
//! `runtime_const_fixup` (arch/x86/include/asm/runtime-const.h and arch/arm64/include/asm/runtime-const.h of 6.12.107
//! and 7.3) overwrites what each entry leads to without a look: 8, 1 or 4 bytes of an immediate on x86-64, the
//! immediate fields of one or four instructions on arm64. The compiler leaves a placeholder there, which proves the
//! entry.

use kvet_finding::Severity;
use kvet_image::{Arch, Image, Section, VirtAddr};

use crate::entries::Examination;
use crate::lists::{distances, hex};
use crate::{Bounds, Context, LocatedBy, Table, TableReport};

const NAME: &str = "runtime-constants";
/// What stands in the place of a pointer, a mask and a shift.
const POINTER: u64 = 0x0123_4567_89ab_cdef;
const MASK: u32 = 0x1234_5678;
const SHIFT: u8 = 12;

/// What is filled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Constant {
    Pointer,
    Shift,
    Mask,
}

impl Constant {
    /// By the section's name, with the variable's.
    fn of(section: &str) -> Option<(Constant, &str)> {
        let of = |prefix, constant| section.strip_prefix(prefix).map(|name| (constant, name));
        of("runtime_ptr_", Constant::Pointer)
            .or_else(|| of("runtime_shift_", Constant::Shift))
            .or_else(|| of("runtime_mask_", Constant::Mask))
    }

    /// What the compiler leaves, in words.
    fn expected(self, arch: Arch) -> &'static str {
        match (arch, self) {
            (Arch::X86_64, Constant::Pointer) => "the immediate of mov $0x123456789abcdef, %reg",
            (Arch::X86_64, Constant::Shift) => "the immediate of shr $12, %reg",
            (Arch::X86_64, Constant::Mask) => "the immediate of and $0x12345678, %reg",
            (Arch::Arm64, Constant::Pointer) => "movz and three movk of 0x123456789abcdef",
            (Arch::Arm64, Constant::Shift) => "lsr %w, %w, #12",
            (Arch::Arm64, Constant::Mask) => "ubfx %w, %w, #0, #32",
        }
    }

    /// Whether that is there.
    fn is_at(self, image: &Image, site: VirtAddr) -> bool {
        if !image.is_executable(site) {
            return false;
        }
        match image.arch() {
            Arch::X86_64 => self.is_x86(image, site).unwrap_or(false),
            Arch::Arm64 => self.is_arm64(image, site).unwrap_or(false),
        }
    }

    /// The entry leads to the immediate; the opcode stands before it.
    fn is_x86(self, image: &Image, site: VirtAddr) -> Option<bool> {
        let before = |n: u64| image.u8(VirtAddr(site.0.wrapping_sub(n)));
        Some(match self {
            // REX.W, perhaps REX.B, and the opcode with the register.
            Constant::Pointer => {
                image.u64(site)? == POINTER
                    && matches!(before(2)?, 0x48 | 0x49)
                    && matches!(before(1)?, 0xb8..=0xbf)
            }
            Constant::Shift => {
                image.u8(site)? == SHIFT && before(2)? == 0xc1 && matches!(before(1)?, 0xe8..=0xef)
            }
            // The accumulator has a form of its own.
            Constant::Mask => {
                let with_register = before(2)? == 0x81 && matches!(before(1)?, 0xe0..=0xe7);
                image.u32(site)? == MASK && (with_register || before(1)? == 0x25)
            }
        })
    }

    /// The entry leads to the first instruction.
    fn is_arm64(self, image: &Image, site: VirtAddr) -> Option<bool> {
        if !site.0.is_multiple_of(4) {
            return Some(false);
        }
        let word = |i: u64| image.u32(VirtAddr(site.0.wrapping_add(i * 4)));
        Some(match self {
            Constant::Pointer => {
                let register = word(0)? & 0x1f;
                // movz, then movk with each next half-word.
                (0..4u64).all(|i| {
                    let opcode = if i == 0 { 0xd280_0000 } else { 0xf280_0000 };
                    let half = (POINTER >> (16 * i)) as u32 & 0xffff;
                    word(i) == Some(opcode | (i as u32) << 21 | half << 5 | register)
                })
            }
            // ubfm with immr = 12 and imms = 31; with 0 and 31.
            Constant::Shift => word(0)? & !0x3ff == 0x5300_7c00 | u32::from(SHIFT) << 16,
            Constant::Mask => word(0)? & !0x3ff == 0x5300_7c00,
        })
    }
}

/// The table `runtime-constants`.
pub struct RuntimeConstants;

impl Table for RuntimeConstants {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        let lists: Vec<(&Section, Constant, &str)> = image
            .sections()
            .iter()
            .filter_map(|section| Constant::of(&section.name).map(|(kind, name)| (section, kind, name)))
            .collect();
        let (first, ..) = lists.first()?;
        let bounds =
            Bounds { start: first.addr, end: first.addr, located_by: LocatedBy::Section("runtime_*".into()) };
        let mut examination = Examination::new(image, NAME, &bounds, 4, "runtime-constants/size");
        let mut places = Vec::new();
        for (section, constant, name) in &lists {
            list(&mut examination, section, *constant, name, &mut places);
        }
        examination.report.entries = places.len() as u64;
        examination.report.layout = Some(format!("4 bytes each, {} variables", lists.len()));
        examination.duplicates("runtime-constants/duplicate", "the place", &places);
        examination.proved(&[
            "whole entries",
            "the compiler's placeholder at every place",
            "one entry a place",
        ]);
        Some(examination.finish())
    }
}

fn list<'a>(
    examination: &mut Examination<'a>,
    section: &'a Section,
    constant: Constant,
    name: &str,
    places: &mut Vec<(VirtAddr, u64)>,
) {
    let image = examination.image;
    let (sites, rest) = distances(image.section_bytes(section), section.addr);
    if rest != 0 {
        let message = format!("{} has {} bytes, 4 an entry", section.name, section.size);
        examination.error("runtime-constants/size", places.len() as u64, section.addr, message);
    }
    for site in sites {
        let index = places.len() as u64;
        places.push((site, index));
        if !constant.is_at(image, site) {
            let found = hex(image.bytes_up_to(site, 8));
            let message = format!(
                "the place of {name} ({}): expected {}, found {found}",
                section.name,
                constant.expected(image.arch())
            );
            let finding =
                examination.finding("runtime-constants/place", Severity::Error, index, site, message);
            // Written without a look, before any console speaks.
            let finding = match crate::mapped::page_fault(image, site) {
                Some(line) => finding.at_boot(line, true),
                None => finding,
            };
            examination.report.findings.push(finding);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testimage::{A, AX, TestImage, rel32};

    const TEXT: u64 = 0xffff_ffff_8100_0000;
    const LISTS: u64 = 0xffff_ffff_8200_0000;

    fn text(arch: Arch) -> (Vec<u8>, [u64; 3]) {
        let mut text = vec![0x90; 0x80];
        match arch {
            Arch::X86_64 => {
                text[0x10..0x12].copy_from_slice(&[0x49, 0xbf]);
                text[0x12..0x1a].copy_from_slice(&POINTER.to_le_bytes());
                text[0x20..0x23].copy_from_slice(&[0xc1, 0xe8, 12]);
                text[0x30] = 0x25;
                text[0x31..0x35].copy_from_slice(&MASK.to_le_bytes());
                (text, [0x12, 0x22, 0x31])
            }
            Arch::Arm64 => {
                // movz x3, #0xcdef; movk x3, #0x89ab, lsl #16; ...; lsr w1, w2, #12; ubfx w1, w2, #0, #32
                let words = [0xd299_bde3, 0xf2b1_3563, 0xf2c8_ace3, 0xf2e0_2463, 0x530c_7c41, 0x5300_7c41u32];
                let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                text[0x10..0x10 + bytes.len()].copy_from_slice(&bytes);
                (text, [0x10, 0x20, 0x24])
            }
        }
    }

    fn rules(
        arch: Arch,
        change: impl FnOnce(&mut Vec<u8>, &mut [u64; 3]),
    ) -> Vec<(&'static str, Option<u64>)> {
        let (mut text, mut sites) = text(arch);
        change(&mut text, &mut sites);
        let mut t = TestImage::new(arch);
        t.section(".text", TEXT, AX, &text);
        for ((name, site), i) in
            ["runtime_ptr_a", "runtime_shift_b", "runtime_mask_c"].iter().zip(sites).zip(0..)
        {
            let start = LISTS + i * 0x100;
            t.section(name, start, A, &rel32(start, TEXT + site));
        }
        let image = t.build();
        let report = RuntimeConstants.check(&Context::new(&image, None)).expect("a report");
        assert_eq!(report.entries, 3);
        report.findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn damage_is_found_at_its_entry() {
        for arch in [Arch::X86_64, Arch::Arm64] {
            assert_eq!(rules(arch, |_, _| {}), [], "{arch:?}");
            for entry in 0..3 {
                let expected = [("runtime-constants/place", Some(entry))];
                let moved = rules(arch, |_, sites| sites[entry as usize] += 1);
                assert_eq!(moved, expected, "{arch:?}");
                let edited = rules(arch, |text, sites| {
                    text[sites[entry as usize] as usize + 1
                        - usize::from(entry == 1 && arch == Arch::X86_64)] ^= 0xff
                });
                assert_eq!(edited, expected, "{arch:?}");
            }
        }
        let twice = rules(Arch::X86_64, |text, sites| {
            text[0x40..0x50].copy_within(0..0, 0);
            sites[2] = sites[1];
        });
        assert_eq!(twice, [("runtime-constants/place", Some(2)), ("runtime-constants/duplicate", Some(2))]);
    }
}
