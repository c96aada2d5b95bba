//! x86-64 relocations (arch/x86/kernel/module.c: `__apply_relocate_add` in 6.1, `__write_relocate_add` in 7.3).

use object::elf;

use super::RelocationTrouble as Trouble;

/// Stores `value` (S + A) into the field at `place`.
///
/// A PC-relative 32-bit field is not checked for overflow: the kernel does not, as modules lie within 2 GiB of
/// all that they may refer to.
pub(super) fn apply(field: &mut [u8], kind: u32, value: u64, place: u64) -> Result<(), Trouble> {
    match kind {
        elf::R_X86_64_NONE => Ok(()),
        elf::R_X86_64_64 => store(field, value.to_le_bytes()),
        elf::R_X86_64_32 => {
            store(field, (value as u32).to_le_bytes())?;
            fits(u64::from(value as u32) == value)
        }
        elf::R_X86_64_32S => {
            store(field, (value as u32).to_le_bytes())?;
            fits(i64::from(value as i32) == value as i64)
        }
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => {
            store(field, (value.wrapping_sub(place) as u32).to_le_bytes())
        }
        elf::R_X86_64_PC64 => store(field, value.wrapping_sub(place).to_le_bytes()),
        _ => Err(Trouble::UnknownType),
    }
}

fn fits(yes: bool) -> Result<(), Trouble> {
    if yes { Ok(()) } else { Err(Trouble::Overflow) }
}

/// Stores the value, and fails when the field was not zero: the loader takes that for a module that has been
/// relocated before.
fn store<const N: usize>(field: &mut [u8], value: [u8; N]) -> Result<(), Trouble> {
    let field: &mut [u8; N] = field.first_chunk_mut().ok_or(Trouble::OutsideSection)?;
    let was = std::mem::replace(field, value);
    if was == [0; N] { Ok(()) } else { Err(Trouble::NonZeroTarget) }
}
