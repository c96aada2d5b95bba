//! x86-64: 4 and 5 levels (Intel SDM volume 3, chapter 5 "Paging", 4-level and 5-level paging).

use super::{Entry, Level, Rights};

/// How x86-64 tables are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheme {
    /// CR4.LA57.
    pub five_levels: bool,
}

const PRESENT: u64 = 1;
const WRITE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

impl Scheme {
    /// Bits of a linear address: 48 or 57.
    pub fn address_bits(self) -> u32 {
        if self.five_levels { 57 } else { 48 }
    }

    pub(super) fn levels(self) -> Vec<Level> {
        let all = [("PGD", 48), ("P4D", 39), ("PUD", 30), ("PMD", 21), ("PTE", 12)];
        let level = |(name, shift)| Level { name, shift, bits: 9 };
        // With 4 levels the kernel calls the root PGD as well.
        match self.five_levels {
            true => all.map(level).to_vec(),
            false => [("PGD", 39), ("PUD", 30), ("PMD", 21), ("PTE", 12)].map(level).to_vec(),
        }
    }

    pub(super) fn decode(self, level: &Level, last: bool, entry: u64) -> Entry {
        if entry & PRESENT == 0 {
            return Entry::Empty;
        }
        let rights = Rights {
            write: entry & WRITE != 0,
            execute: entry & NO_EXECUTE == 0,
            user: entry & USER != 0,
            global: entry & GLOBAL != 0,
        };
        let address = entry & ADDRESS;
        if last {
            return Entry::Page(address, rights);
        }
        if entry & LARGE == 0 {
            return Entry::Table(address, Rights { global: true, ..rights });
        }
        if level.shift > 30 {
            return Entry::Wrong("the bit for a large page is set where no large page can be");
        }
        // Bit 12 is PAT in a large page; the others below the page must be zero.
        let page = 1_u64 << level.shift;
        if address & (page - 1) & !0x1000 != 0 {
            return Entry::Wrong("reserved bits of a large page are set");
        }
        Entry::Page(address & !(page - 1), rights)
    }
}
