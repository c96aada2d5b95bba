//! Zstandard (RFC 8878): each frame in a single pass, without a window buffer, as the kernel does it
//! (lib/decompress_unzstd.c).

use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::compress::Format;
use super::le32;
use super::output::{HEAD, Output};
use crate::ErrorKind;

const MAGIC: u32 = 0xfd2f_b528;
/// The first of the sixteen magic numbers of frames to skip, which `pzstd` writes.
const SKIPPABLE: u32 = 0x184d_2a50;

/// A block of 4 bytes (3 of header, 1 repeated) stands for at most 128 KiB.
const BEST_RATIO: usize = 128 * 1024 / 4;

/// A window of 2 GiB, the largest that the library takes on 64-bit machines; only as much is touched as there is
/// output.
const WINDOW_LOG: u32 = 31;

/// Whether some bytes begin a frame, or frames to skip before one.
pub(super) fn is_frame(bytes: &[u8]) -> bool {
    matches!(le32(bytes, 0), Some(m) if m == MAGIC || m & !0xf == SKIPPABLE)
}

pub(super) fn decompress(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut context = DCtx::try_create().ok_or_else(|| Format::Zstd.error("no memory for a decoder"))?;
    let mut rest = input;
    let mut judged = false;
    while is_frame(rest) {
        let size = zstd_safe::find_frame_compressed_size(rest).map_err(|e| failed(e, output))?;
        let Some((frame, after)) = rest.split_at_checked(size) else { break };
        rest = after;
        if le32(frame, 0) != Some(MAGIC) {
            continue;
        }
        if !judged {
            judge(&mut context, frame, output)?;
            judged = true;
        }
        let promised = zstd_safe::get_frame_content_size(frame).ok().flatten();
        let most = frame.len().saturating_mul(BEST_RATIO);
        let most = promised.and_then(|p| usize::try_from(p).ok()).map_or(most, |p| p.min(most));
        let room = output.block(most)?;
        let short = room.len() < most;
        match context.decompress(room, frame) {
            Ok(written) => output.wrote(written)?,
            Err(e) if short && get_error_name(e).contains("too small") => return Err(output.too_much()),
            Err(e) => return Err(failed(e, output)),
        }
    }
    Ok(())
}

/// Decodes the first bytes as a stream and judges them.
fn judge(context: &mut DCtx<'_>, frame: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(|e| failed(e, output))?;
    let mut head = vec![0; HEAD];
    let mut input = InBuffer::around(frame);
    let mut written = OutBuffer::around(&mut head[..]);
    while written.pos() < HEAD {
        let before = (written.pos(), input.pos());
        let hint = context.decompress_stream(&mut written, &mut input).map_err(|e| failed(e, output))?;
        if hint == 0 || before == (written.pos(), input.pos()) {
            break;
        }
    }
    let size = written.pos();
    output.judge(&head[..size])?;
    context.reset(zstd_safe::ResetDirective::SessionOnly).map_err(|e| failed(e, output)).map(|_| ())
}

fn failed(code: usize, output: &Output<'_>) -> ErrorKind {
    let done = output.len();
    Format::Zstd.error(format_args!("{}, after {done} bytes of output", get_error_name(code)))
}
