//! LZ4's legacy frame, the one the kernel's build writes (`lz4 -l`) and lib/decompress_unlz4.c reads.
//!
//! A magic number, then blocks of a little-endian compressed size and that many bytes, each of which gives 8 MiB,
//! the last one less. Nothing marks the end. The magic number may come again where files were concatenated, and
//! the kernel's build appends the decompressed size, which looks like the size of one more block.

use super::compress::Format;
use super::le32;
use super::output::Output;
use crate::ErrorKind;

pub(super) const MAGIC: &[u8] = &[0x02, 0x21, 0x4c, 0x18];
const MAGIC_NUMBER: u32 = 0x184c_2102;

/// `LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE` of lib/decompress_unlz4.c.
const BLOCK: usize = 8 << 20;

/// `LZ4_compressBound(BLOCK)`: no block is longer.
const LONGEST: usize = BLOCK + BLOCK / 255 + 16;

/// One compressed byte stands for at most 255 bytes.
const BEST_RATIO: usize = 255;

pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut at = MAGIC.len();
    let mut last = BLOCK;
    while let Some(size) = le32(input, at) {
        if size == MAGIC_NUMBER {
            at += 4;
            last = BLOCK;
            continue;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        // A block that gave less than 8 MiB was the last one, and no block is longer than the bound: what
        // stands here is the appended size, or whatever follows the stream.
        if last < BLOCK || size == 0 || size > LONGEST {
            break;
        }
        let start = at + 4;
        let Some(block) = input.get(start..start + size) else {
            if input.len() == start {
                break; // Exactly a multiple of 8 MiB, and a small appended size.
            }
            return Err(cut_off(input.len() - start, size, output));
        };
        let room = output.block(BLOCK.min(size.saturating_mul(BEST_RATIO)))?;
        let whole = room.len();
        last = match lz4_flex::block::decompress_into(block, room) {
            Ok(written) => written,
            Err(_) if whole < BLOCK.min(size.saturating_mul(BEST_RATIO)) => return Err(output.too_much()),
            Err(e) => {
                let done = output.len();
                return Err(Format::Lz4Legacy
                    .error(format_args!("block at {at:#x}: {e}, after {done} bytes of output")));
            }
        };
        output.wrote(last)?;
        at = start + size;
    }
    Ok(())
}

fn cut_off(there: usize, needed: usize, output: &Output<'_>) -> ErrorKind {
    let done = output.len();
    Format::Lz4Legacy.error(format_args!(
        "it is cut off: a block of {needed} bytes has {there}, after {done} bytes of output"
    ))
}
