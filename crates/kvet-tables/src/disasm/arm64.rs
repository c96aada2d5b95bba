//! A64 instructions: text for evidence, and the few fields that the tables' checks decode.
//!
//! The fields are those of the kernel's own decoder (arch/arm64/include/asm/insn.h, arch/arm64/lib/insn.c; the
//! same from 5.10 to 7.3): what it relocates, it relocates by these, and what it refuses, it refuses by these.

use disarm64::decoder;
use kvet_finding::Code;
use kvet_image::{Image, VirtAddr};

/// `nop`.
pub(crate) const NOP: u32 = 0xd503_201f;

/// `isb`.
pub(crate) const ISB: u32 = 0xd503_3fdf;

/// Whether an instruction is the `nop` that the kernel writes (`aarch64_insn_gen_nop`).
pub(crate) fn is_nop(word: u32) -> bool {
    word == NOP
}

/// Whether an instruction is an unconditional `b`.
pub(crate) fn is_b(word: u32) -> bool {
    word & 0xfc00_0000 == 0x1400_0000
}

/// Whether an instruction is `bl`.
pub(crate) fn is_bl(word: u32) -> bool {
    word & 0xfc00_0000 == 0x9400_0000
}

/// Whether an instruction is `blr`, or one of its forms with pointer authentication (`blraa`, `blraaz`, ...).
pub(crate) fn is_blr(word: u32) -> bool {
    word & 0xfeff_f000 == 0xd63f_0000
}

/// Whether an instruction is `adrp` (`aarch64_insn_is_adrp`).
pub(crate) fn is_adrp(word: u32) -> bool {
    word & 0x9f00_0000 == 0x9000_0000
}

/// Whether an instruction addresses memory relative to its own place in a way that the kernel does not
/// relocate (`aarch64_insn_uses_literal` without `adrp`): `adr`, and the literal forms of `ldr`, `ldrsw`, `prfm`.
pub(crate) fn uses_literal(word: u32) -> bool {
    word & 0x9f00_0000 == 0x1000_0000
        || word & 0xbf00_0000 == 0x1800_0000
        || matches!(word & 0xff00_0000, 0x9800_0000 | 0xd800_0000)
}

/// The immediate of a direct branch: its lowest bit and its width.
fn branch_field(word: u32) -> Option<(u32, u32)> {
    if word & 0x7c00_0000 == 0x1400_0000 {
        return Some((0, 26)); // b, bl
    }
    if word & 0x7e00_0000 == 0x3400_0000 || word & 0xff00_0010 == 0x5400_0000 {
        return Some((5, 19)); // cbz, cbnz, b.cond
    }
    (word & 0x7e00_0000 == 0x3600_0000).then_some((5, 14)) // tbz, tbnz
}

/// Whether an instruction is a direct branch, conditional or not (`aarch64_insn_is_branch_imm`).
pub(crate) fn is_direct_branch(word: u32) -> bool {
    branch_field(word).is_some()
}

/// Where a direct branch at `addr` goes: `b`, `bl`, `b.cond`, `cbz`, `cbnz`, `tbz`, `tbnz`
/// (`aarch64_insn_is_branch_imm`); `None` for any other instruction.
pub(crate) fn branch_target(addr: VirtAddr, word: u32) -> Option<VirtAddr> {
    let (low, width) = branch_field(word)?;
    let field = (word >> low) & ((1 << width) - 1);
    let signed = (i64::from(field) << (64 - width)) >> (64 - width);
    Some(addr.wrapping_offset(signed * 4))
}

/// The same direct branch for another place, or `None` when its target is out of reach from there.
///
/// The kernel does not check the reach: `aarch64_insn_encode_immediate` cuts the offset to the field's width.
pub(crate) fn retarget(word: u32, to: VirtAddr, target: VirtAddr) -> Option<u32> {
    let (low, width) = branch_field(word)?;
    let offset = target.wrapping_distance(to);
    let reach = 1_i64 << (width + 1);
    if offset % 4 != 0 || !(-reach..reach).contains(&offset) {
        return None;
    }
    let mask = ((1_u32 << width) - 1) << low;
    Some((word & !mask) | ((((offset >> 2) as u32) << low) & mask))
}

/// The page that an `adrp` at `addr` computes.
pub(crate) fn adrp_page(addr: VirtAddr, word: u32) -> Option<VirtAddr> {
    if !is_adrp(word) {
        return None;
    }
    let field = ((word >> 3) & 0x1f_fffc) | ((word >> 29) & 3);
    let pages = (i64::from(field) << 43) >> 43;
    Some(VirtAddr(addr.0 & !0xfff).wrapping_offset(pages << 12))
}

/// The same `adrp` for another place, or `None` when its page is further than 4 GiB from there.
pub(crate) fn repage(word: u32, to: VirtAddr, page: VirtAddr) -> Option<u32> {
    let pages = page.wrapping_distance(VirtAddr(to.0 & !0xfff)) >> 12;
    if !is_adrp(word) || !(-(1 << 20)..1 << 20).contains(&pages) {
        return None;
    }
    let field = pages as u32;
    Some((word & 0x9f00_001f) | ((field & 3) << 29) | (((field >> 2) & 0x7_ffff) << 5))
}

/// An instruction without the immediates that depend on where it stands: two places that do the same have the
/// same masked word.
pub(crate) fn mask_position(word: u32) -> u32 {
    if let Some((low, width)) = branch_field(word) {
        return word & !(((1 << width) - 1) << low);
    }
    // adr and adrp keep their register only.
    if word & 0x1f00_0000 == 0x1000_0000 { word & 0x9f00_001f } else { word }
}

/// As [`mask_position`], and without the registers that a compiler chooses: which operation it is, not on what.
/// System registers, barrier and hint numbers, and immediates stay.
pub(crate) fn mask_operands(word: u32) -> u32 {
    const RD: u32 = 0x1f;
    const RN: u32 = 0x1f << 5;
    const RA: u32 = 0x1f << 10;
    const RM: u32 = 0x1f << 16;
    let word = mask_position(word);
    let registers = match (word >> 25) & 0xf {
        // Data processing with an immediate: moves and adr have no Rn; extr has Rm.
        0b1000 | 0b1001 => match (word >> 23) & 7 {
            0b000 | 0b001 | 0b101 => RD,
            0b111 => RD | RN | RM,
            _ => RD | RN,
        },
        // Branches and system: the register of mrs, msr, cbz, tbz; of br, blr, ret the one in Rn.
        0b1010 | 0b1011 => match word >> 25 {
            0x6b => RN,
            _ if word & 0xffc0_0000 == 0xd500_0000 || word & 0x7c00_0000 == 0x3400_0000 => RD,
            _ => 0,
        },
        // Loads and stores.
        0b0100 | 0b0110 | 0b1100 | 0b1110 => match (word >> 27) & 7 {
            0b001 => RD | RN | RA | RM, // exclusive, ordered, compare and swap
            0b011 => RD,
            0b101 => RD | RN | RA, // pairs
            _ if word & (1 << 24) == 0 && word & (1 << 21) != 0 => RD | RN | RM,
            _ => RD | RN,
        },
        // Data processing on registers; three sources have Ra.
        0b0101 | 0b1101 if (word >> 24) & 0x1f == 0b11011 => RD | RN | RM | RA,
        0b0101 | 0b1101 => RD | RN | RM,
        _ => 0,
    };
    word & !registers
}

/// The words of a piece of code; bytes that do not fill a word are left out.
pub(crate) fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.chunks_exact(4).map(|c| u32::from_le_bytes([c[0], c[1], c[2], c[3]]))
}

pub(super) fn code(image: Option<&Image>, address: VirtAddr, bytes: &[u8]) -> Code {
    let lines =
        words(bytes).zip(0_u64..).map(|(word, i)| line(image, VirtAddr(address.0.wrapping_add(i * 4)), word));
    Code { address, bytes: bytes.to_vec(), lines: lines.collect() }
}

/// One instruction as text: `b swap_writepage+0x3c`, `mrs x0, sp_el0`, `.inst 0xffffffff`.
fn line(image: Option<&Image>, addr: VirtAddr, word: u32) -> String {
    let mut raw = String::new();
    let formatted = decoder::decode(word)
        .is_some_and(|insn| disarm64::format_insn::format_insn_pc(addr.0, &mut raw, &insn).is_ok());
    if !formatted || raw.is_empty() {
        return format!(".inst {word:#010x}");
    }
    let text = raw.split_whitespace().collect::<Vec<_>>().join(" ");
    let target = branch_target(addr, word).or_else(|| adrp_page(addr, word));
    alias(match target {
        Some(target) => with_target(image, &text, target),
        None => text,
    })
}

/// Puts a name in the place of the address that ends a line.
fn with_target(image: Option<&Image>, text: &str, target: VirtAddr) -> String {
    let (Some(name), Some(at)) = (image.and_then(|i| i.symbolize(target)), text.rfind("0x")) else {
        return text.to_owned();
    };
    // `name+0x1c/0x60 [module]` without the size, which says nothing about a jump.
    let (place, rest) = name.split_once('/').unwrap_or((&name, ""));
    let module = rest.find(" [").map_or("", |at| &rest[at..]);
    format!("{}{}{module}", &text[..at], place.strip_suffix("+0x0").unwrap_or(place))
}

/// The names that people and other disassemblers use where the decoder gives the base form.
fn alias(text: String) -> String {
    if text == "ret x30" {
        return "ret".into();
    }
    let text = text.strip_suffix(", lsl #0x0").map(str::to_owned).unwrap_or(text);
    if let Some(rest) = text.strip_prefix("movz ").filter(|r| !r.contains("lsl")) {
        return format!("mov {rest}");
    }
    match text.strip_prefix("orr ").and_then(|rest| rest.split_once(", ")) {
        Some((to, from)) if from.starts_with("xzr, ") || from.starts_with("wzr, ") => {
            format!("mov {to}, {}", &from[5..])
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: VirtAddr = VirtAddr(0xffff_8000_0801_0000);

    #[test]
    fn branch_targets_are_those_of_the_architecture() {
        assert_eq!(branch_target(HERE, 0x1400_0001), Some(VirtAddr(HERE.0 + 4)));
        assert_eq!(branch_target(HERE, 0x97ff_ffff), Some(VirtAddr(HERE.0 - 4)));
        assert_eq!(branch_target(HERE, 0x5400_0040), Some(VirtAddr(HERE.0 + 8)));
        assert_eq!(branch_target(HERE, 0xb400_0040), Some(VirtAddr(HERE.0 + 8)));
        assert_eq!(branch_target(HERE, 0x3647_ffe0), Some(VirtAddr(HERE.0 - 4)));
        assert_eq!(branch_target(HERE, NOP), None);
        assert_eq!(branch_target(HERE, 0xd65f_03c0), None);
    }

    #[test]
    fn retarget_moves_a_branch_and_refuses_what_is_out_of_reach() {
        let target = VirtAddr(HERE.0 + 0x1000);
        for word in [0x1400_0000, 0x9400_0000, 0x5400_0001, 0xb400_0003, 0x3600_0003] {
            let moved = retarget(word, HERE, target).expect("in reach");
            assert_eq!(branch_target(HERE, moved), Some(target), "{word:#x}");
            assert_eq!(mask_position(moved), mask_position(word));
        }
        let limits = [(0x1400_0000, 1_i64 << 27), (0x5400_0000, 1 << 20), (0x3600_0000, 1 << 15)];
        for (word, reach) in limits {
            assert!(retarget(word, HERE, HERE.wrapping_offset(reach - 4)).is_some());
            assert!(retarget(word, HERE, HERE.wrapping_offset(-reach)).is_some());
            assert_eq!(retarget(word, HERE, HERE.wrapping_offset(reach)), None);
            assert_eq!(retarget(word, HERE, HERE.wrapping_offset(-reach - 4)), None);
        }
    }

    #[test]
    fn adrp_keeps_its_page_when_moved() {
        let word = 0xd000_0001; // adrp x1, +0x2000
        let page = adrp_page(HERE, word).expect("an adrp");
        assert_eq!(page, VirtAddr((HERE.0 & !0xfff) + 0x2000));
        let there = VirtAddr(HERE.0 + 0x12_3454);
        let moved = repage(word, there, page).expect("in reach");
        assert_eq!(adrp_page(there, moved), Some(page));
        assert_eq!(moved & 0x1f, 1);
        assert_eq!(repage(word, HERE, HERE.wrapping_offset(1 << 33)), None);
    }

    #[test]
    fn literals_are_what_the_kernel_refuses() {
        for word in [0x1000_0001, 0x5800_0041, 0x1800_0041, 0x9800_0041, 0xd800_0041] {
            assert!(uses_literal(word), "{word:#x}");
        }
        for word in [0x9000_0001, NOP, 0x1400_0001, 0xf940_03e0] {
            assert!(!uses_literal(word), "{word:#x}");
        }
    }

    #[test]
    fn operand_masks_keep_the_operation() {
        let same = [
            (0xd53c_d042, 0xd53c_d041), // mrs xN, tpidr_el2
            (0xd518_4600, 0xd518_4613), // msr icc_pmr_el1, xN
            (0xf822_001f, 0xf823_003f), // ldadd
            (0x88df_fc00, 0x88df_fc21), // ldar
            (0xc803_7c04, 0xc804_7c25), // stxr
            (0x93c0_0400, 0x93d3_0673), // extr
            (0xf980_0031, 0xf980_0051), // prfm pstl1strm
        ];
        for (a, b) in same {
            assert_eq!(mask_operands(a), mask_operands(b), "{a:#x} {b:#x}");
        }
        let different = [
            (NOP, ISB),
            (0xd53c_d042, 0xd538_d082), // tpidr_el2, tpidr_el1
            (0xd500_419f, 0xd500_409f), // msr pan, #1 and #0
            (0xf822_001f, 0xf862_001f), // ldadd, ldaddl
            (0xb822_001f, 0xf822_001f), // 32 and 64 bits
            (0x1400_0000, 0x9400_0000),
        ];
        for (a, b) in different {
            assert_ne!(mask_operands(a), mask_operands(b), "{a:#x} {b:#x}");
        }
    }

    #[test]
    fn the_decoder_survives_any_word() {
        let image = crate::alternatives::arm64::testing::Build::new().image();
        let mut state = 0x1234_5678_9abc_def0_u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            assert!(!line(Some(&image), HERE, (state >> 32) as u32).is_empty());
        }
    }

    #[test]
    fn lines_read_as_people_write_them() {
        let image = crate::alternatives::arm64::testing::Build::new().image();
        let text = |word| line(Some(&image), HERE, word);
        assert_eq!(text(NOP), "nop");
        assert_eq!(text(ISB), "isb");
        assert_eq!(text(0xd421_0000), "brk #0x800");
        assert_eq!(text(0xd538_4100), "mrs x0, sp_el0");
        assert_eq!(text(0xd65f_03c0), "ret");
        assert_eq!(text(0xaa00_03e3), "mov x3, x0");
        assert_eq!(text(0x5280_0000), "mov w0, #0x0");
        assert_eq!(text(0xffff_ffff), ".inst 0xffffffff");
        assert_eq!(text(0x5400_0041), "b.ne _stext+0x8");
    }
}
