//! A guest's console in bounded memory: its beginning and its end, with the time of each piece.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Bytes kept of the beginning, and as many of the end. A boot has about 25 KiB; one that floods its console
/// shows what it floods with in both.
const KEEP: usize = 2 << 20;

/// When a piece of the console arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// Offset of the piece's first byte in the kept text.
    pub offset: u64,
    /// Milliseconds since QEMU was started.
    pub ms: u32,
}

/// The console as it comes.
#[derive(Clone, Debug)]
pub struct Capture {
    keep: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    head_stamps: Vec<Stamp>,
    /// Of the tail, with offsets in all that ever came.
    tail_stamps: VecDeque<Stamp>,
}

/// The console as it is stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Console {
    /// The text, raw; where the middle is missing a line says so.
    pub bytes: Vec<u8>,
    /// Arrival times, in order.
    pub stamps: Vec<Stamp>,
    /// How many bytes came in all.
    pub total: u64,
}

impl Capture {
    /// An empty console.
    pub fn new() -> Capture {
        Capture::keeping(KEEP)
    }

    fn keeping(keep: usize) -> Capture {
        Capture {
            keep,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            head_stamps: Vec::new(),
            tail_stamps: VecDeque::new(),
        }
    }

    /// How many bytes have come.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Takes a piece that arrived so many milliseconds after the start.
    pub fn push(&mut self, piece: &[u8], ms: u32) {
        let room = self.keep - self.head.len();
        let (to_head, to_tail) = piece.split_at(room.min(piece.len()));
        if !to_head.is_empty() {
            if self.head_stamps.last().is_none_or(|s| s.ms != ms) {
                self.head_stamps.push(Stamp { offset: self.head.len() as u64, ms });
            }
            self.head.extend_from_slice(to_head);
        }
        self.total += to_head.len() as u64;
        if !to_tail.is_empty() {
            if self.tail_stamps.back().is_none_or(|s| s.ms != ms) {
                self.tail_stamps.push_back(Stamp { offset: self.total, ms });
            }
            self.tail.extend(to_tail);
            self.total += to_tail.len() as u64;
            let excess = self.tail.len().saturating_sub(self.keep);
            self.tail.drain(..excess);
            let first = self.total - self.tail.len() as u64;
            while self.tail_stamps.front().is_some_and(|s| s.offset < first) {
                self.tail_stamps.pop_front();
            }
        }
    }

    /// What has been kept.
    pub fn finish(self) -> Console {
        let kept = self.head.len() as u64 + self.tail.len() as u64;
        let missing = self.total - kept;
        let mut bytes = self.head;
        let head = bytes.len() as u64;
        if missing > 0 {
            bytes.extend(format!("\n[kvet: {missing} bytes of the console are not kept]\n").bytes());
        }
        let shift = bytes.len() as u64;
        let (a, b) = self.tail.as_slices();
        bytes.extend_from_slice(a);
        bytes.extend_from_slice(b);
        let mut stamps = self.head_stamps;
        stamps.extend(
            self.tail_stamps.iter().map(|s| Stamp { offset: s.offset - head - missing + shift, ms: s.ms }),
        );
        Console { bytes, stamps, total: self.total }
    }
}

impl Default for Capture {
    fn default() -> Self {
        Capture::new()
    }
}

impl Console {
    /// When the byte at an offset of the kept text arrived, in milliseconds since the start.
    pub fn arrived(&self, offset: u64) -> Option<u32> {
        let after = self.stamps.partition_point(|s| s.offset <= offset);
        Some(self.stamps.get(after.checked_sub(1)?)?.ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_console_is_kept_whole() {
        let mut c = Capture::keeping(100);
        c.push(b"one\n", 10);
        c.push(b"two\n", 10);
        c.push(b"three\n", 25);
        let console = c.finish();
        assert_eq!(console.bytes, b"one\ntwo\nthree\n");
        assert_eq!(console.total, 14);
        assert_eq!([0, 7, 8, 13].map(|o| console.arrived(o)), [Some(10), Some(10), Some(25), Some(25)]);
    }

    #[test]
    fn a_flood_is_bounded_and_both_ends_stay() {
        let mut c = Capture::keeping(16);
        for i in 0..100_000u32 {
            c.push(format!("{i:07}\n").as_bytes(), i);
            assert!(c.tail.len() <= 16 && c.tail_stamps.len() <= 17);
        }
        let console = c.finish();
        let text = String::from_utf8(console.bytes.clone()).expect("ASCII");
        assert_eq!(
            text,
            "0000000\n0000001\n\n[kvet: 799968 bytes of the console are not kept]\n0099998\n0099999\n"
        );
        assert_eq!(console.total, 800_000);
        let last = text.find("0099999").expect("the last line") as u64;
        assert_eq!(console.arrived(last), Some(99_999));
        assert_eq!(console.arrived(8), Some(1));
    }
}
