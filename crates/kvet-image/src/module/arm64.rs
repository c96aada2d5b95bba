//! arm64 relocations (arch/arm64/kernel/module.c, `apply_relocate_add`; the same types in 6.1 and 7.3).
//!
//! Two things depend on the running machine and are not done here: a branch out of reach goes through a PLT,
//! and an ADRP in the last words of a page becomes an ADR or a veneer on a CPU with erratum 843419.

use object::elf;

use super::RelocationTrouble as Trouble;

/// An immediate field of an instruction.
#[derive(Clone, Copy)]
enum Field {
    /// B, BL: 26 bits at 0.
    Imm26,
    /// B.cond, CBZ, literal LDR: 19 bits at 5.
    Imm19,
    /// TBZ: 14 bits at 5.
    Imm14,
    /// ADD, LDR: 12 bits at 10.
    Imm12,
    /// ADR, ADRP: two bits at 29, nineteen at 5.
    Adr,
}

/// Whether a value that does not fit is an error.
#[derive(Clone, Copy, PartialEq)]
enum Range {
    Checked,
    Unchecked,
}

use Range::{Checked, Unchecked};

/// Stores `value` (S + A) into the field at `place`.
pub(super) fn apply(field: &mut [u8], kind: u32, value: u64, place: u64) -> Result<(), Trouble> {
    let relative = value.wrapping_sub(place) as i64;
    let absolute = value as i64;
    let page = (value & !0xfff).wrapping_sub(place & !0xfff) as i64;
    match kind {
        elf::R_AARCH64_NONE | R_AARCH64_NONE_OLD => Ok(()),
        elf::R_AARCH64_ABS64 => store(field, value.to_le_bytes()),
        elf::R_AARCH64_PREL64 => store(field, relative.to_le_bytes()),
        elf::R_AARCH64_ABS32 => data32(field, absolute, u32::try_from(absolute).is_ok()),
        elf::R_AARCH64_PREL32 => data32(field, relative, i32::try_from(relative).is_ok()),
        elf::R_AARCH64_ABS16 => data16(field, absolute, u16::try_from(absolute).is_ok()),
        elf::R_AARCH64_PREL16 => data16(field, relative, i16::try_from(relative).is_ok()),

        elf::R_AARCH64_MOVW_UABS_G0 => move_keep(field, absolute, 0, Checked),
        elf::R_AARCH64_MOVW_UABS_G0_NC => move_keep(field, absolute, 0, Unchecked),
        elf::R_AARCH64_MOVW_UABS_G1 => move_keep(field, absolute, 16, Checked),
        elf::R_AARCH64_MOVW_UABS_G1_NC => move_keep(field, absolute, 16, Unchecked),
        elf::R_AARCH64_MOVW_UABS_G2 => move_keep(field, absolute, 32, Checked),
        elf::R_AARCH64_MOVW_UABS_G2_NC => move_keep(field, absolute, 32, Unchecked),
        elf::R_AARCH64_MOVW_UABS_G3 => move_keep(field, absolute, 48, Unchecked),
        elf::R_AARCH64_MOVW_SABS_G0 => move_signed(field, absolute, 0, Checked),
        elf::R_AARCH64_MOVW_SABS_G1 => move_signed(field, absolute, 16, Checked),
        elf::R_AARCH64_MOVW_SABS_G2 => move_signed(field, absolute, 32, Checked),
        elf::R_AARCH64_MOVW_PREL_G0 => move_signed(field, relative, 0, Checked),
        elf::R_AARCH64_MOVW_PREL_G0_NC => move_keep(field, relative, 0, Unchecked),
        elf::R_AARCH64_MOVW_PREL_G1 => move_signed(field, relative, 16, Checked),
        elf::R_AARCH64_MOVW_PREL_G1_NC => move_keep(field, relative, 16, Unchecked),
        elf::R_AARCH64_MOVW_PREL_G2 => move_signed(field, relative, 32, Checked),
        elf::R_AARCH64_MOVW_PREL_G2_NC => move_keep(field, relative, 32, Unchecked),
        elf::R_AARCH64_MOVW_PREL_G3 => move_signed(field, relative, 48, Unchecked),

        elf::R_AARCH64_LD_PREL_LO19 | elf::R_AARCH64_CONDBR19 => {
            immediate(field, relative >> 2, 19, Field::Imm19, Checked)
        }
        elf::R_AARCH64_ADR_PREL_LO21 => immediate(field, relative, 21, Field::Adr, Checked),
        elf::R_AARCH64_ADR_PREL_PG_HI21 => immediate(field, page >> 12, 21, Field::Adr, Checked),
        elf::R_AARCH64_ADR_PREL_PG_HI21_NC => immediate(field, page >> 12, 21, Field::Adr, Unchecked),
        elf::R_AARCH64_ADD_ABS_LO12_NC | elf::R_AARCH64_LDST8_ABS_LO12_NC => low12(field, absolute, 0),
        elf::R_AARCH64_LDST16_ABS_LO12_NC => low12(field, absolute, 1),
        elf::R_AARCH64_LDST32_ABS_LO12_NC => low12(field, absolute, 2),
        elf::R_AARCH64_LDST64_ABS_LO12_NC => low12(field, absolute, 3),
        elf::R_AARCH64_LDST128_ABS_LO12_NC => low12(field, absolute, 4),
        elf::R_AARCH64_TSTBR14 => immediate(field, relative >> 2, 14, Field::Imm14, Checked),
        // Out of reach, the loader makes a PLT entry.
        elf::R_AARCH64_JUMP26 | elf::R_AARCH64_CALL26 => {
            immediate(field, relative >> 2, 26, Field::Imm26, Unchecked)
        }
        _ => Err(Trouble::UnknownType),
    }
}

/// "None" has two numbers, and the loader accepts both.
const R_AARCH64_NONE_OLD: u32 = 256;

fn store<const N: usize>(field: &mut [u8], value: [u8; N]) -> Result<(), Trouble> {
    *field.first_chunk_mut().ok_or(Trouble::OutsideSection)? = value;
    Ok(())
}

fn data32(field: &mut [u8], value: i64, fits: bool) -> Result<(), Trouble> {
    store(field, (value as u32).to_le_bytes())?;
    check(fits, Checked)
}

fn data16(field: &mut [u8], value: i64, fits: bool) -> Result<(), Trouble> {
    store(field, (value as u16).to_le_bytes())?;
    check(fits, Checked)
}

fn check(fits: bool, range: Range) -> Result<(), Trouble> {
    if fits || range == Unchecked { Ok(()) } else { Err(Trouble::Overflow) }
}

fn instruction(field: &[u8]) -> Result<u32, Trouble> {
    field.first_chunk().map(|b| u32::from_le_bytes(*b)).ok_or(Trouble::OutsideSection)
}

/// `bits` low bits of a value into an instruction's immediate; it fits when the rest is its sign.
fn immediate(field: &mut [u8], value: i64, bits: u32, to: Field, range: Range) -> Result<(), Trouble> {
    let insn = encode(instruction(field)?, to, value as u32 & ((1 << bits) - 1));
    store(field, insn.to_le_bytes())?;
    let high = value >> (bits - 1);
    check(high == 0 || high == -1, range)
}

/// The low twelve bits of an address, in units of the access size.
fn low12(field: &mut [u8], value: i64, shift: u32) -> Result<(), Trouble> {
    let insn = encode(instruction(field)?, Field::Imm12, (value as u32 & 0xfff) >> shift);
    store(field, insn.to_le_bytes())
}

fn encode(insn: u32, to: Field, value: u32) -> u32 {
    let put = |insn: u32, bits: u32, shift: u32, value: u32| {
        let mask = ((1 << bits) - 1) << shift;
        insn & !mask | value << shift & mask
    };
    match to {
        Field::Imm26 => put(insn, 26, 0, value),
        Field::Imm19 => put(insn, 19, 5, value),
        Field::Imm14 => put(insn, 14, 5, value),
        Field::Imm12 => put(insn, 12, 10, value),
        Field::Adr => put(put(insn, 2, 29, value), 19, 5, value >> 2),
    }
}

/// Sixteen bits into MOVZ or MOVK, leaving the opcode.
fn move_keep(field: &mut [u8], value: i64, shift: u32, range: Range) -> Result<(), Trouble> {
    store_move(field, instruction(field)?, (value >> shift) as u64, range)
}

/// Sixteen bits of a signed value: the opcode becomes MOVZ, or MOVN of the complement when it is negative.
fn move_signed(field: &mut [u8], value: i64, shift: u32, range: Range) -> Result<(), Trouble> {
    let opcode = instruction(field)? & !(3 << 29);
    let part = value >> shift;
    if value >= 0 {
        store_move(field, opcode | 2 << 29, part as u64, range)
    } else {
        store_move(field, opcode, !part as u64, range)
    }
}

fn store_move(field: &mut [u8], insn: u32, part: u64, range: Range) -> Result<(), Trouble> {
    let insn = insn & !(0xffff << 5) | (part as u32 & 0xffff) << 5;
    store(field, insn.to_le_bytes())?;
    check(u16::try_from(part).is_ok(), range)
}
