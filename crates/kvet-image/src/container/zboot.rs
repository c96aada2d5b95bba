//! EFI zboot images (`vmlinuz.efi`): a generic EFI decompressor around a compressed kernel, of arm64, RISC-V and
//! LoongArch since Linux 6.1.
//!
//! drivers/firmware/efi/libstub/zboot-header.S: `MZ`, at 4 the image type `zimg`, at 8 the payload's offset, at 12
//! its size (without the 4-byte size that kbuild appends), at 24 the compression's name, at 0x3c the PE header.

use std::ops::Range;

use super::{le32, pe};
use crate::ErrorKind;

const OFFSET: usize = 8;
const SIZE: usize = 12;
const COMPRESSION: Range<usize> = 24..0x38;

/// Where the payload stands in the file.
///
/// # Errors
/// The image is for another architecture, names no payload, or ends inside it.
pub(crate) fn payload(file: &[u8]) -> Result<Range<usize>, ErrorKind> {
    if let Some(machine) = pe::machine(file).filter(|m| *m != pe::MACHINE_ARM64 && *m != pe::MACHINE_X86_64) {
        return Err(ErrorKind::Architecture {
            found: format!("an EFI zboot image for {}", pe::name(machine)),
        });
    }
    let short = || ErrorKind::Truncated {
        what: "the EFI zboot header".into(),
        needed: 64,
        available: file.len() as u64,
    };
    let offset = u64::from(le32(file, OFFSET).ok_or_else(short)?);
    let size = u64::from(le32(file, SIZE).ok_or_else(short)?);
    if offset < 64 || size == 0 {
        return Err(ErrorKind::Damaged {
            what: "EFI zboot header".into(),
            expected: "the place of a payload".into(),
            found: format!("offset {offset:#x}, size {size:#x}"),
        });
    }
    let end = offset + size;
    let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
    match range.filter(|(_, end)| *end <= file.len()) {
        Some((start, end)) => Ok(start..end),
        None => Err(ErrorKind::Truncated {
            what: "the EFI zboot payload".into(),
            needed: end,
            available: file.len() as u64,
        }),
    }
}

/// The compression's name as the header has it, for messages.
pub(crate) fn compression(file: &[u8]) -> String {
    let name = file.get(COMPRESSION).unwrap_or(&[]);
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    name[..end].escape_ascii().to_string()
}
