//! Formats whose libraries decode as a stream: gzip, bzip2, lzma, xz, and LZ4's modern frame.
//!
//! Files may hold several members one after the other (`pbzip2`, `cat a.gz b.gz`); what follows the last one is
//! not looked at, since the kernel's build appends a size there and others append signatures and padding.

use std::io::{ErrorKind as IoKind, Read};

use liblzma::stream::Stream;

use super::compress::{GZIP, LZ4_FRAME, XZ};
use super::output::Output;
use crate::ErrorKind;

/// liblzma's dictionary is allocated whole but touched only as far as there is output. The kernel's build uses
/// 128 MiB at most (scripts/xz_wrap.sh).
const LZMA_MEMORY: u64 = 1 << 30;

pub(super) fn gzip(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut rest = input;
    while rest.starts_with(GZIP) {
        let mut decoder = flate2::bufread::GzDecoder::new(rest);
        pump(&mut decoder, output)?;
        rest = decoder.into_inner();
    }
    Ok(())
}

/// `BZh`, a block size of 1 to 9, and the magic number of a block or of the stream's end.
pub(super) fn is_bzip2(bytes: &[u8]) -> bool {
    let block = bytes.get(4..10).unwrap_or(&[]);
    bytes.starts_with(b"BZh")
        && matches!(bytes.get(3), Some(b'1'..=b'9'))
        && (block == [0x31, 0x41, 0x59, 0x26, 0x53, 0x59] || block == [0x17, 0x72, 0x45, 0x38, 0x50, 0x90])
}

pub(super) fn bzip2(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut rest = input;
    while is_bzip2(rest) {
        let mut decoder = bzip2::bufread::BzDecoder::new(rest);
        pump(&mut decoder, output)?;
        rest = decoder.into_inner();
    }
    Ok(())
}

pub(super) fn xz(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut rest = input;
    while rest.starts_with(XZ) {
        let stream = Stream::new_stream_decoder(LZMA_MEMORY, 0).map_err(|e| output.format().error(e))?;
        let mut decoder = liblzma::bufread::XzDecoder::new_stream(rest, stream);
        pump(&mut decoder, output)?;
        rest = decoder.into_inner();
    }
    Ok(())
}

pub(super) fn lzma(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let stream = Stream::new_lzma_decoder(LZMA_MEMORY).map_err(|e| output.format().error(e))?;
    pump(&mut liblzma::bufread::XzDecoder::new_stream(input, stream), output)
}

pub(super) fn lz4_frame(input: &[u8], output: &mut Output<'_>) -> Result<(), ErrorKind> {
    let mut rest = input;
    while rest.starts_with(LZ4_FRAME) {
        let mut decoder = lz4_flex::frame::FrameDecoder::new(rest);
        pump(&mut decoder, output)?;
        rest = decoder.into_inner();
    }
    Ok(())
}

fn pump(decoder: &mut impl Read, output: &mut Output<'_>) -> Result<(), ErrorKind> {
    loop {
        let room = output.room()?;
        match decoder.read(room) {
            Ok(0) => return Ok(()),
            Ok(size) => output.wrote(size)?,
            Err(e) if e.kind() == IoKind::Interrupted => {}
            Err(e) => return Err(failed(&e, output)),
        }
    }
}

fn failed(error: &std::io::Error, output: &Output<'_>) -> ErrorKind {
    let done = output.len();
    match error.kind() {
        IoKind::UnexpectedEof => output
            .format()
            .error(format_args!("it is cut off: it ends before its end mark, after {done} bytes of output")),
        _ => output.format().error(format_args!("{error}, after {done} bytes of output")),
    }
}
