//! x86 boot images (`bzImage`, installed as `vmlinuz`): where the compressed kernel stands.
//!
//! Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header": a setup part of `setup_sects` sectors behind
//! the boot sector, then the protected-mode part, inside which `payload_offset` and `payload_length` (boot
//! protocol 2.08, Linux 2.6.26) name the compressed vmlinux. arch/x86/boot/compressed/Makefile makes that from
//! the stripped ELF, with relocation data behind it where the kernel is relocatable, and mkpiggy counts the
//! appended 4-byte size into the length.

use std::ops::Range;

use super::{HARD_LIMIT, Limit, le16, le32};
use crate::ErrorKind;

pub(super) const MAGIC_AT: usize = 0x202;
pub(super) const MAGIC: &[u8] = b"HdrS";

const SECTOR: u64 = 512;
const SETUP_SECTS: usize = 0x1f1;
const VERSION: usize = 0x206;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const INIT_SIZE: usize = 0x260;

/// A boot image's payload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Payload {
    /// Where it stands in the file.
    pub(crate) range: Range<usize>,
    /// What it may decompress to.
    pub(crate) limit: Limit,
}

/// Reads the setup header.
///
/// # Errors
/// The boot protocol is older than 2.08, the header names no payload, or the file ends inside it.
pub(crate) fn payload(file: &[u8]) -> Result<Payload, ErrorKind> {
    let short = || truncated("the bzImage setup header", 0x264, file.len());
    let version = le16(file, VERSION).ok_or_else(short)?;
    if version < 0x208 {
        return Err(ErrorKind::Damaged {
            what: "bzImage setup header".into(),
            expected: "boot protocol 2.08 (Linux 2.6.26) or later, which says where the payload is".into(),
            found: format!("{}.{:02}", version >> 8, version & 0xff),
        });
    }
    // "For backwards compatibility, if the setup_sects field contains 0, the real value is 4."
    let sectors = match *file.get(SETUP_SECTS).ok_or_else(short)? {
        0 => 4,
        n => u64::from(n),
    };
    let offset = u64::from(le32(file, PAYLOAD_OFFSET).ok_or_else(short)?);
    let length = u64::from(le32(file, PAYLOAD_LENGTH).ok_or_else(short)?);
    if offset == 0 || length == 0 {
        return Err(ErrorKind::Damaged {
            what: "bzImage setup header".into(),
            expected: "the place of a payload".into(),
            found: format!("payload_offset {offset:#x}, payload_length {length:#x}"),
        });
    }
    // Three u32 and a small factor cannot overflow 64 bits.
    let start = (sectors + 1) * SECTOR + offset;
    let end = start + length;
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let Some((start, end)) = range.filter(|(_, end)| *end <= file.len()) else {
        return Err(truncated("the bzImage payload", end, file.len()));
    };
    Ok(Payload { range: start..end, limit: limit(file, version) })
}

/// `init_size` (boot protocol 2.10) is the memory that the kernel needs to decompress itself in place, so at
/// least what it decompresses to (arch/x86/boot/header.S, `INIT_SIZE`).
fn limit(file: &[u8], version: u16) -> Limit {
    match le32(file, INIT_SIZE) {
        Some(size) if version >= 0x20a && size != 0 => Limit {
            bytes: u64::from(size).min(HARD_LIMIT),
            promised_by: "the bzImage setup header's init_size",
        },
        _ => Limit::HARD,
    }
}

fn truncated(what: &str, needed: u64, available: usize) -> ErrorKind {
    ErrorKind::Truncated { what: what.into(), needed, available: available as u64 }
}
