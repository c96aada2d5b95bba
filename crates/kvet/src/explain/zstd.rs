//! A zstd stream as a reader.

use std::io::{self, Read};

use zstd_safe::{DCtx, InBuffer, OutBuffer};

/// Decompresses what it reads; several frames after each other are one text.
pub struct Zstd {
    stream: Box<dyn Read>,
    context: DCtx<'static>,
    input: Vec<u8>,
    /// So much of the input was used.
    at: usize,
    ended: bool,
    /// The last frame is whole.
    whole: bool,
}

impl Zstd {
    /// Over a compressed stream.
    pub fn new(stream: Box<dyn Read>) -> Zstd {
        Zstd { stream, context: DCtx::create(), input: Vec::new(), at: 0, ended: false, whole: true }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.input.resize(64 << 10, 0);
        let len = self.stream.read(&mut self.input)?;
        self.input.truncate(len);
        self.at = 0;
        self.ended = len == 0;
        Ok(())
    }
}

impl Read for Zstd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.at == self.input.len() && !self.ended {
                self.fill()?;
            }
            let mut input = InBuffer { src: &self.input, pos: self.at };
            let mut output = OutBuffer::around(&mut *buffer);
            let result = self.context.decompress_stream(&mut output, &mut input);
            let (written, used) = (output.pos(), input.pos > self.at);
            self.at = input.pos;
            let more = result.map_err(|code| {
                io::Error::new(io::ErrorKind::InvalidData, zstd_safe::get_error_name(code))
            })?;
            if used || more == 0 {
                self.whole = more == 0;
            }
            if written > 0 {
                return Ok(written);
            }
            if self.ended && !used {
                let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the zstd stream ends too early");
                return if self.whole { Ok(0) } else { Err(cut()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_comes_back_and_a_cut_one_says_so() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        let mut packed = vec![0; zstd_safe::compress_bound(text.len())];
        let len = zstd_safe::compress(&mut packed[..], &text, 3).expect("compresses");
        packed.truncate(len);
        let read = |bytes: Vec<u8>| {
            let mut out = Vec::new();
            Zstd::new(Box::new(io::Cursor::new(bytes))).read_to_end(&mut out).map(|_| out)
        };
        assert!(read(packed.clone()).expect("whole") == text);
        let twice = [packed.clone(), packed.clone()].concat();
        assert_eq!(read(twice).expect("two frames").len(), 2 * text.len());
        for cut in [1, 3, 9, len / 2] {
            assert!(read(packed[..len - cut].to_vec()).is_err(), "{cut} bytes are missing");
        }
        assert_eq!(read(Vec::new()).expect("nothing").len(), 0);
        assert!(read(b"no zstd at all, but long enough".to_vec()).is_err());
    }
}
