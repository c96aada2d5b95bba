//! The wrappings that a kernel file may have, recognised by content: boot images and compression.
//!
//! [`recognise`] names the outermost form of some bytes; `bzimage` and `zboot` say where a boot image's payload
//! stands; `compress` undoes a compression, one file a format. `describe` puts everything else into words.
//!
//! Sizes that a header claims are never believed: a payload is decompressed into lazily committed memory up to a
//! limit, and its first bytes are judged ([`judge`]) before the rest is, so a file that decompresses to no kernel
//! costs its first 64 KiB and a bomb costs no more than its limit.

pub(crate) mod bzimage;
pub(crate) mod compress;
mod describe;
pub(crate) mod ident;
mod lz4;
mod lzo;
mod output;
mod pe;
mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod zboot;
mod zstd;

use self::compress::Format;
pub(crate) use self::describe::describe;
use crate::ErrorKind;

/// No kernel is larger; more is a decompression bomb.
pub(crate) const HARD_LIMIT: u64 = 2 << 30;

/// What may follow the part of a file that its own header accounts for: relocation data behind a bzImage's ELF,
/// a module's signature.
const SLACK: u64 = 64 << 20;

/// What would have been accepted, for messages.
pub(crate) const EXPECTED: &str =
    "an ELF vmlinux or module, an x86 bzImage, an arm64 Image or an EFI zboot image, plain or compressed";

/// The outermost form of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// ELF of any class and machine; [`ident::check`] says whether it is ours.
    Elf,
    /// Documentation/arch/arm64/booting.rst.
    Arm64Flat,
    /// Documentation/arch/x86/boot.rst.
    BzImage,
    /// drivers/firmware/efi/libstub/zboot-header.S.
    Zboot,
    /// A whole file compressed.
    Compressed(Format),
    /// None of those.
    Other,
}

/// Names the form by magic numbers alone; the first 64 KiB of a file are enough.
pub(crate) fn recognise(bytes: &[u8]) -> Form {
    let at = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|tail| tail.starts_with(magic));
    if at(0, b"\x7fELF") {
        Form::Elf
    } else if at(0x38, b"ARM\x64") {
        Form::Arm64Flat
    } else if at(bzimage::MAGIC_AT, bzimage::MAGIC) && at(0x1fe, &[0x55, 0xaa]) {
        Form::BzImage
    } else if at(0, b"MZ") && at(4, b"zimg") {
        Form::Zboot
    } else if let Some(format) = Format::of(bytes) {
        Form::Compressed(format)
    } else {
        Form::Other
    }
}

/// How many bytes a payload may decompress to, and what says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
    pub(crate) promised_by: &'static str,
}

impl Limit {
    /// What holds where no header promises anything.
    pub(crate) const HARD: Limit =
        Limit { bytes: HARD_LIMIT, promised_by: "the limit for any kernel, 2 GiB," };

    fn or_less(self, other: Limit) -> Limit {
        if other.bytes < self.bytes { other } else { self }
    }
}

/// Judges a payload by its first bytes: how long it may become, or why it is no kernel.
///
/// `outer` is what the container around it promises. `format` is what it is compressed with.
pub(crate) fn judge(prefix: &[u8], format: Format, outer: Limit) -> Result<Limit, ErrorKind> {
    let own = match recognise(prefix) {
        Form::Elf => {
            ident::check_header(prefix)?;
            promised(ident::file_end(prefix), "its ELF header")
        }
        Form::Arm64Flat => promised(le64(prefix, 0x10), "its arm64 Image header"),
        Form::BzImage | Form::Zboot | Form::Compressed(_) => None,
        Form::Other => {
            return Err(ErrorKind::NotAKernel {
                expected: EXPECTED,
                found: format!("{}, compressed with {}", describe(prefix), format.name()),
            });
        }
    };
    Ok(own.unwrap_or(Limit::HARD).or_less(Limit::HARD).or_less(outer))
}

fn promised(bytes: Option<u64>, promised_by: &'static str) -> Option<Limit> {
    let bytes = bytes.filter(|b| *b != 0)?.saturating_add(SLACK);
    Some(Limit { bytes, promised_by })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}
