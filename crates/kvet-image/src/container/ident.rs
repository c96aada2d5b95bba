//! Whether an ELF file is one that kvet reads: class, byte order, machine, type, and completeness.

use super::{EXPECTED, be16, le16, le32, le64};
use crate::ErrorKind;

const EHDR64: usize = 64;
const PHDR64: u64 = 56;
const ET_REL: u16 = 1;
const ET_CORE: u16 = 4;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// Checks the first 64 bytes.
///
/// # Errors
/// The header is cut off, or names another machine, class or byte order.
pub(crate) fn check_header(file: &[u8]) -> Result<(), ErrorKind> {
    let (Some(class), Some(order)) = (file.get(4), file.get(5)) else { return Err(short(file)) };
    let big = *order == 2;
    let machine = if big { be16(file, 18) } else { le16(file, 18) }.ok_or_else(|| short(file))?;
    let ours = matches!(machine, EM_X86_64 | EM_AARCH64);
    if ours && *class == 2 && *order == 1 {
        return if file.len() < EHDR64 { Err(short(file)) } else { Ok(()) };
    }
    let width = match class {
        1 => "a 32-bit ",
        2 => "a 64-bit ",
        _ => "an ",
    };
    let order = if big { "big-endian " } else { "" };
    Err(ErrorKind::Architecture { found: format!("{width}{order}ELF file for {}", machine_name(machine)) })
}

/// Checks a whole file: as [`check_header`], and that it is complete and a kernel's or module's by its type.
///
/// # Errors
/// As [`check_header`]; the section headers are cut off; it is a core dump, a program or a shared library.
pub(crate) fn check(file: &[u8]) -> Result<(), ErrorKind> {
    check_header(file)?;
    if let Some(end) = file_end(file).filter(|end| *end > file.len() as u64) {
        return Err(ErrorKind::Truncated {
            what: "the ELF section header table".into(),
            needed: end,
            available: file.len() as u64,
        });
    }
    let found = match le16(file, 16) {
        Some(ET_CORE) => "an ELF core dump",
        Some(kind) if kind != ET_REL && is_user_space(file) => "a user-space ELF program or shared library",
        _ => return Ok(()),
    };
    Err(ErrorKind::NotAKernel { expected: EXPECTED, found: found.into() })
}

/// The end of the section header table, which linkers and objcopy write last; `None` when there is none.
pub(crate) fn file_end(file: &[u8]) -> Option<u64> {
    let offset = le64(file, 0x28)?;
    let table = u64::from(le16(file, 0x3a)?) * u64::from(le16(file, 0x3c)?);
    (offset != 0).then(|| offset.saturating_add(table))
}

/// A program header names an interpreter or a dynamic section: kernels discard both (`/DISCARD/` in
/// arch/*/kernel/vmlinux.lds.S), arm64's position-independent vmlinux too.
fn is_user_space(file: &[u8]) -> bool {
    let (Some(offset), Some(count)) = (le64(file, 0x20), le16(file, 0x38)) else { return false };
    (0..u64::from(count)).any(|i| {
        let at = offset.checked_add(i * PHDR64).and_then(|at| usize::try_from(at).ok());
        matches!(at.and_then(|at| le32(file, at)), Some(PT_DYNAMIC | PT_INTERP))
    })
}

fn short(file: &[u8]) -> ErrorKind {
    ErrorKind::Truncated {
        what: "the ELF header".into(),
        needed: EHDR64 as u64,
        available: file.len() as u64,
    }
}

fn machine_name(machine: u16) -> String {
    let name = match machine {
        2 | 18 | 43 => "SPARC",
        3 => "x86 (i386)",
        8 => "MIPS",
        15 => "PA-RISC",
        20 => "PowerPC",
        21 => "PowerPC (64-bit)",
        22 => "s390",
        40 => "ARM (32-bit)",
        42 => "SuperH",
        50 => "Itanium",
        62 => "x86-64",
        183 => "arm64",
        243 => "RISC-V",
        247 => "BPF",
        252 => "C-SKY",
        258 => "LoongArch",
        other => return format!("machine {other}"),
    };
    name.into()
}
