//! lzop's container, as lib/decompress_unlzo.c reads it.
//!
//! A header of big-endian fields, then blocks: the decompressed size (0 ends the file), the compressed size,
//! checksums as the header's flags say, and the bytes, stored plainly where both sizes are equal. The checksums
//! are not verified: the kernel does not either, and the first damaged byte that matters shows in the ELF.

use super::compress::Format;
use super::output::Output;
use super::{be16, be32};
use crate::ErrorKind;

pub(super) const MAGIC: &[u8] = &[0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a];

/// `LZO_BLOCK_SIZE` of lib/decompress_unlzo.c, which refuses longer ones.
const BLOCK: usize = 256 << 10;

/// From this version on, the header has a level, a minimum version, filter information and a high time word.
const VERSION_LEVEL: u16 = 0x0940;

// lzop's header flags.
const ADLER32_D: u32 = 0x1;
const ADLER32_C: u32 = 0x2;
const EXTRA_FIELD: u32 = 0x40;
const CRC32_D: u32 = 0x100;
const CRC32_C: u32 = 0x200;
const FILTER: u32 = 0x800;

struct Header {
    flags: u32,
    end: usize,
}

pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let header = header(input).ok_or_else(|| Format::Lzo.error("its header is cut off"))?;
    if header.flags & FILTER != 0 {
        return Err(Format::Lzo.error("it uses an lzop filter, which the kernel does not undo"));
    }
    let mut at = header.end;
    loop {
        let size = field(input, at, output)?;
        if size == 0 {
            return Ok(());
        }
        let packed = field(input, at + 4, output)?;
        if size > BLOCK || packed > size || packed == 0 {
            return Err(Format::Lzo.error(format_args!(
                "block at {at:#x}: expected at most {BLOCK} bytes that were compressed to fewer, found {packed} for {size}"
            )));
        }
        let start = at + 8 + checksums(header.flags, packed < size);
        let Some(block) = input.get(start..start + packed) else { return Err(cut_off(output)) };
        let room = output.block(size)?;
        if room.len() < size {
            return Err(output.too_much());
        }
        let written = if packed == size {
            room.copy_from_slice(block);
            size
        } else {
            match lzo::decompress_into(block, room) {
                Ok(written) => written,
                Err(e) => return Err(Format::Lzo.error(format_args!("block at {at:#x}: {e}"))),
            }
        };
        if written != size {
            return Err(
                Format::Lzo.error(format_args!("block at {at:#x}: expected {size} bytes, found {written}"))
            );
        }
        output.wrote(written)?;
        at = start + packed;
    }
}

fn header(input: &[u8]) -> Option<Header> {
    let version = be16(input, MAGIC.len())?;
    let modern = version >= VERSION_LEVEL;
    // version and library version; then the version needed, method and level, or the method alone
    let mut at = MAGIC.len() + 4 + if modern { 4 } else { 1 };
    let flags = be32(input, at)?;
    at += 4;
    if flags & FILTER != 0 {
        at += 4;
    }
    at += if modern { 12 } else { 8 }; // mode and times
    let name = usize::from(*input.get(at)?);
    at += 1 + name + 4;
    if flags & EXTRA_FIELD != 0 {
        let length = usize::try_from(be32(input, at)?).ok()?;
        at = at.checked_add(length)?.checked_add(8)?;
    }
    (at <= input.len()).then_some(Header { flags, end: at })
}

/// How many bytes of checksums a block has; those of the compressed data only where it is compressed.
fn checksums(flags: u32, compressed: bool) -> usize {
    let always = [ADLER32_D, CRC32_D].iter().filter(|f| flags & **f != 0).count();
    let packed = [ADLER32_C, CRC32_C].iter().filter(|f| compressed && flags & **f != 0).count();
    (always + packed) * 4
}

fn field(input: &[u8], at: usize, output: &Output<'_>) -> Result<usize, ErrorKind> {
    be32(input, at).and_then(|v| usize::try_from(v).ok()).ok_or_else(|| cut_off(output))
}

fn cut_off(output: &Output<'_>) -> ErrorKind {
    let done = output.len();
    Format::Lzo
        .error(format_args!("it is cut off: it ends before its end mark, after {done} bytes of output"))
}
