//! Dumps of pstore: their parts are collected, and read oldest first.

use memchr::memchr;

use super::Scanner;
use crate::line::MAX_LINE;
use crate::prefix::pstore;

impl Scanner {
    pub(super) fn dump_grows(&mut self, by: usize) {
        let full = self.dump.as_mut().is_some_and(|d| {
            d.size += by;
            d.size > pstore::MAX_DUMP
        });
        if full {
            self.end_dump();
        }
    }

    /// Reads the parts of a dump, oldest first.
    pub(super) fn end_dump(&mut self) {
        let Some(mut dump) = self.dump.take() else { return };
        let (offset, number) = (self.offset, self.number);
        dump.parts.sort_by_key(|p| std::cmp::Reverse(p.number));
        for part in dump.parts {
            (self.offset, self.number) = (part.offset, part.line);
            let mut at = 0;
            while at < part.bytes.len() {
                let limit = part.bytes.len().min(at + MAX_LINE);
                let end = memchr(b'\n', &part.bytes[at..limit]).map_or(limit, |i| at + i + 1);
                self.one_line(&part.bytes, at, end);
                at = end;
            }
        }
        (self.offset, self.number) = (offset, number);
        for open in std::mem::take(&mut self.open) {
            self.close(open);
        }
    }
}
