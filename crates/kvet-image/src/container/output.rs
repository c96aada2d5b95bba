//! Where a payload is decompressed to: anonymous memory that is committed as it is written.

use memmap2::{Advice, MmapMut, MmapOptions};

use super::compress::Format;
use super::{HARD_LIMIT, Limit};
use crate::ErrorKind;
use crate::backing::Backing;

/// How much is decompressed before it is judged.
pub(super) const HEAD: usize = 64 << 10;

/// Below this, huge pages would cost more than they save.
const HUGE: usize = 4 << 20;

/// Judges a payload's first bytes; see [`super::judge`].
pub(super) type Judge<'a> = &'a dyn Fn(&[u8]) -> Result<Limit, ErrorKind>;

/// Collects a payload. The first [`HEAD`] bytes are judged before more is taken.
pub(super) struct Output<'a> {
    format: Format,
    map: MmapMut,
    len: usize,
    judge: Judge<'a>,
    limit: Option<Limit>,
}

impl<'a> Output<'a> {
    /// An empty output. What it reserves (not commits) at first is a multiple of the input: enough for what
    /// kernels compress to, so it seldom grows.
    pub(super) fn new(format: Format, input: usize, judge: Judge<'a>) -> Result<Self, ErrorKind> {
        let reserve = input.saturating_mul(16).clamp(2 * HEAD, HARD_LIMIT as usize);
        Ok(Output { format, map: reserved(format, reserve)?, len: 0, judge, limit: None })
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// Room for a streaming decoder, never empty: up to [`HEAD`] at first, then all that is left. It holds
    /// zeros.
    pub(super) fn room(&mut self) -> Result<&mut [u8], ErrorKind> {
        let end = match self.limit {
            None => HEAD,
            Some(limit) => self.cap(limit),
        };
        if self.len >= end {
            return Err(self.too_much());
        }
        Ok(&mut self.map[self.len..end])
    }

    /// Room for one block of at most `size` bytes, or less when less is left.
    pub(super) fn block(&mut self, size: usize) -> Result<&mut [u8], ErrorKind> {
        let wanted = self.len.saturating_add(size);
        let end = match self.limit {
            None => wanted.min(HARD_LIMIT as usize),
            Some(limit) => wanted.min(self.cap(limit)),
        };
        if end > self.map.len() {
            self.grow(end)?;
        }
        Ok(&mut self.map[self.len..end])
    }

    /// Counts what a decoder has written to the start of the last room, and judges once there is enough.
    pub(super) fn wrote(&mut self, size: usize) -> Result<(), ErrorKind> {
        self.len = self.len.saturating_add(size).min(self.map.len());
        if self.limit.is_none() && self.len >= HEAD {
            self.judge_head()?;
        }
        match self.limit {
            Some(limit) if self.len as u64 > limit.bytes => Err(self.too_much()),
            _ => Ok(()),
        }
    }

    /// Judges a payload by a prefix that was decompressed elsewhere.
    pub(super) fn judge(&mut self, prefix: &[u8]) -> Result<Limit, ErrorKind> {
        let limit = (self.judge)(prefix)?;
        let cap = self.cap(limit);
        if self.map.len() < cap {
            self.grow(cap)?;
        }
        self.limit = Some(limit);
        Ok(limit)
    }

    /// The error for a payload that goes on past its limit.
    pub(super) fn too_much(&self) -> ErrorKind {
        let limit = self.limit.unwrap_or(Limit::HARD);
        self.format.error(format_args!(
            "it gives more than the {} bytes that {} allows",
            limit.bytes, limit.promised_by
        ))
    }

    /// The payload.
    pub(super) fn finish(mut self) -> Result<Backing, ErrorKind> {
        if self.limit.is_none() {
            self.judge_head()?;
        }
        Ok(Backing::Anonymous { map: self.map, len: self.len })
    }

    fn judge_head(&mut self) -> Result<Limit, ErrorKind> {
        let limit = (self.judge)(&self.map[..self.len.min(HEAD)])?;
        let cap = self.cap(limit);
        if self.map.len() < cap {
            self.grow(cap)?;
        }
        self.limit = Some(limit);
        Ok(limit)
    }

    /// One byte more than the limit, so that reaching it shows.
    fn cap(&self, limit: Limit) -> usize {
        limit.bytes.min(HARD_LIMIT).saturating_add(1) as usize
    }

    fn grow(&mut self, size: usize) -> Result<(), ErrorKind> {
        let mut map = reserved(self.format, size)?;
        map[..self.len].copy_from_slice(&self.map[..self.len]);
        self.map = map;
        Ok(())
    }
}

/// Zeroed memory that costs nothing until it is touched. Huge pages halve what an LZ4 kernel costs, which is
/// mostly page faults.
fn reserved(format: Format, size: usize) -> Result<MmapMut, ErrorKind> {
    let map = MmapOptions::new()
        .len(size)
        .no_reserve_swap()
        .map_anon()
        .map_err(|e| format.error(format_args!("no memory for {size} bytes of output: {e}")))?;
    if size >= HUGE {
        // A kernel without transparent huge pages refuses, and nothing is lost.
        let _ = map.advise(Advice::HugePage);
    }
    Ok(map)
}
