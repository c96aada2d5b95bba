//! Output in large pieces: millions of short writes are what a dump is made of.

use std::io::{self, Write};

const PIECE: usize = 256 * 1024;

pub(super) struct Out<'w> {
    to: &'w mut dyn Write,
    buffer: Vec<u8>,
    /// How many bytes were written before those in the buffer.
    done: u64,
}

impl<'w> Out<'w> {
    pub(super) fn new(to: &'w mut dyn Write) -> Out<'w> {
        Out { to, buffer: Vec::with_capacity(PIECE + 4096), done: 0 }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// A decimal number.
    #[inline]
    pub(super) fn number(&mut self, number: u64) {
        self.buffer.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    #[inline]
    pub(super) fn signed(&mut self, number: i64) {
        if number < 0 {
            self.buffer.push(b'-');
        }
        self.number(number.unsigned_abs());
    }

    /// Hands over what is ready, once it is enough.
    #[inline]
    pub(super) fn turn(&mut self) -> io::Result<()> {
        if self.buffer.len() >= PIECE { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.done += self.buffer.len() as u64;
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// How many bytes were put out in all.
    pub(super) fn len(&self) -> u64 {
        self.done + self.buffer.len() as u64
    }
}
