//! Compressions by magic number, and undoing them.

use super::output::Output;
use super::{Limit, judge, le32, lz4, lzo, stream, zstd};
use crate::ErrorKind;
use crate::backing::Backing;

/// A compression that a kernel, an image or a module may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// RFC 1952.
    Gzip,
    /// bzip2, one stream or several.
    Bzip2,
    /// The `.lzma` ("alone") container, with or without a size.
    Lzma,
    /// The `.xz` container with any of its filters, among them the BCJ filter that the kernel's build uses.
    Xz,
    /// lzop's container of LZO1X blocks.
    Lzo,
    /// LZ4's legacy frame, the kernel's.
    Lz4Legacy,
    /// LZ4's frame, which `lz4` writes without `-l`.
    Lz4Frame,
    /// RFC 8878.
    Zstd,
}

pub(super) const GZIP: &[u8] = &[0x1f, 0x8b, 8];
pub(super) const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
pub(super) const LZ4_FRAME: &[u8] = &[0x04, 0x22, 0x4d, 0x18];

impl Format {
    /// The compression that some bytes begin with.
    pub(crate) fn of(bytes: &[u8]) -> Option<Format> {
        match bytes {
            b if b.starts_with(GZIP) => Some(Format::Gzip),
            b if stream::is_bzip2(b) => Some(Format::Bzip2),
            b if b.starts_with(XZ) => Some(Format::Xz),
            b if b.starts_with(lzo::MAGIC) => Some(Format::Lzo),
            b if b.starts_with(lz4::MAGIC) => Some(Format::Lz4Legacy),
            b if b.starts_with(LZ4_FRAME) => Some(Format::Lz4Frame),
            b if zstd::is_frame(b) => Some(Format::Zstd),
            b if is_lzma(b) => Some(Format::Lzma),
            _ => None,
        }
    }

    /// The name as the kernel's configuration spells it (`CONFIG_KERNEL_*`), in small letters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Gzip => "gzip",
            Format::Bzip2 => "bzip2",
            Format::Lzma => "lzma",
            Format::Xz => "xz",
            Format::Lzo => "lzo",
            Format::Lz4Legacy | Format::Lz4Frame => "lz4",
            Format::Zstd => "zstd",
        }
    }

    pub(super) fn error(self, reason: impl ToString) -> ErrorKind {
        ErrorKind::Decompress { format: self.name(), reason: reason.to_string() }
    }
}

/// The `.lzma` container has no magic number: properties 0x5d (lc 3, lp 0, pb 2, which every encoder writes), a
/// dictionary of 2^n or 2^n + 2^(n-1) bytes, and a size below 256 GiB or all ones. liblzma's decoder
/// (alone_decoder.c) tells it from noise in the same way.
fn is_lzma(bytes: &[u8]) -> bool {
    let (Some(0x5d), Some(dict), Some(size)) = (bytes.first(), le32(bytes, 1), super::le64(bytes, 5)) else {
        return false;
    };
    let low = dict.trailing_zeros();
    let round = dict.is_power_of_two() || (dict != 0 && dict >> low == 3) || dict == u32::MAX;
    round && dict >= 4096 && (size == u64::MAX || size < 1 << 38)
}

/// Decompresses all of a payload; what follows its end is left alone.
///
/// # Errors
/// The stream is damaged or ends early; its first bytes are no kernel's; it gives more than `outer` or its own
/// header promises; or memory is short.
pub(crate) fn decompress(input: &[u8], format: Format, outer: Limit) -> Result<Backing, ErrorKind> {
    let judge = |prefix: &[u8]| judge(prefix, format, outer);
    let mut output = Output::new(format, input.len(), &judge)?;
    match format {
        Format::Gzip => stream::gzip(input, &mut output),
        Format::Bzip2 => stream::bzip2(input, &mut output),
        Format::Lzma => stream::lzma(input, &mut output),
        Format::Xz => stream::xz(input, &mut output),
        Format::Lz4Frame => stream::lz4_frame(input, &mut output),
        Format::Lzo => lzo::decompress(input, &mut output),
        Format::Lz4Legacy => lz4::decompress(input, &mut output),
        Format::Zstd => zstd::decompress(input, &mut output),
    }?;
    output.finish()
}
