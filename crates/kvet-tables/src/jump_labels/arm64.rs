//! Sites on arm64: one A64 instruction.
//!
//! arch/arm64/kernel/jump_label.c and arch/arm64/include/asm/jump_label.h, 5.10 to 7.3: the kernel writes
//! `aarch64_insn_gen_nop()` or a B to the target, and never looks at what stands there.

use kvet_image::VirtAddr;

use super::check::{Form, Site};

/// `hint #0`.
const NOP: u32 = 0xd503_201f;
/// B reaches 128 MiB either way (aarch64_insn_gen_branch_imm).
pub(super) const REACH: i64 = 128 << 20;

/// What stands at a site.
pub(super) fn site(bytes: &[u8], code: VirtAddr) -> Site {
    let form = match bytes.first_chunk::<4>().map(|b| u32::from_le_bytes(*b)) {
        Some(NOP) => Form::Nop,
        Some(word) if word >> 26 == 0b000101 => Form::Jump(code.wrapping_offset(displacement(word))),
        _ => Form::Other,
    };
    Site { form, size: 4 }
}

/// The signed byte distance of a B: imm26 words.
fn displacement(word: u32) -> i64 {
    i64::from((word << 6).cast_signed() >> 6) * 4
}

/// Whether a B at a site reaches its target.
pub(super) fn reaches(code: VirtAddr, target: VirtAddr) -> bool {
    (-REACH..REACH).contains(&target.wrapping_distance(code)) && target.0.is_multiple_of(4)
}
