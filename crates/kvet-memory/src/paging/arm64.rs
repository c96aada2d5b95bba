//! arm64: the tables behind TTBR1_EL1 with granules of 4, 16 and 64 KiB (Arm ARM D8, VMSAv8-64 stage 1).

use super::{Entry, Level, Rights};

/// How arm64 tables are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheme {
    /// log2 of the granule: 12, 14 or 16.
    pub page_shift: u32,
    /// Bits of a kernel address: 64 - T1SZ, so 39, 42, 47, 48 or 52.
    pub va_bits: u32,
    /// 52-bit addresses in 4 or 16 KiB tables (FEAT_LPA2): the output address has its top bits elsewhere.
    pub lpa2: bool,
}

const VALID: u64 = 1;
const TABLE: u64 = 1 << 1;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const NOT_GLOBAL: u64 = 1 << 11;
/// DBM: hardware may take the read-only bit away; Linux uses it as "writable" (PTE_WRITE).
const DIRTY_MANAGED: u64 = 1 << 51;
const PRIVILEGED_NO_EXECUTE: u64 = 1 << 53;
/// In a table's entry: limits for all below.
const TABLE_READ_ONLY: u64 = 1 << 62;
const TABLE_NO_EXECUTE: u64 = 1 << 59;

impl Scheme {
    /// Names by distance from the last level.
    const NAMES: [&'static str; 5] = ["PTE", "PMD", "PUD", "P4D", "PGD"];

    pub(super) fn levels(self) -> Vec<Level> {
        let bits = self.page_shift - 3;
        let mut levels = Vec::new();
        let mut shift = self.page_shift;
        let mut name = Scheme::NAMES.iter().copied();
        while shift < self.va_bits {
            let here = bits.min(self.va_bits - shift);
            levels.push(Level { name: name.next().unwrap_or("PGD"), shift, bits: here });
            shift += bits;
        }
        if let Some(root) = levels.last_mut() {
            root.name = "PGD";
        }
        levels.reverse();
        levels
    }

    /// The output address of an entry: bits 47 to the page's, and where addresses have 52 bits, the rest.
    fn address(self, entry: u64) -> u64 {
        let low = entry & 0x0000_ffff_ffff_ffff & !((1 << self.page_shift) - 1);
        match (self.page_shift, self.lpa2) {
            // 64 KiB: bits 51:48 stand in bits 15:12.
            (16, _) => low | (entry >> 12 & 0xf) << 48,
            // LPA2: bits 49:48 in place, bits 51:50 in bits 9:8.
            (_, true) => low | entry & 0x0003_0000_0000_0000 | (entry >> 8 & 3) << 50,
            _ => low,
        }
    }

    pub(super) fn decode(self, level: &Level, last: bool, entry: u64) -> Entry {
        if entry & VALID == 0 {
            return Entry::Empty;
        }
        let is_table = entry & TABLE != 0;
        if !last && is_table {
            let rights = Rights {
                write: entry & TABLE_READ_ONLY == 0,
                execute: entry & TABLE_NO_EXECUTE == 0,
                user: true,
                global: true,
            };
            return Entry::Table(self.address(entry), rights);
        }
        if last && !is_table {
            return Entry::Wrong("a page entry of the reserved type 0b01");
        }
        let rights = Rights {
            write: entry & READ_ONLY == 0 || entry & DIRTY_MANAGED != 0,
            execute: entry & PRIVILEGED_NO_EXECUTE == 0,
            user: entry & USER != 0,
            // With FEAT_LPA2 the bits that move are those of shareability, not nG.
            global: entry & NOT_GLOBAL == 0,
        };
        if last {
            return Entry::Page(self.address(entry), rights);
        }
        let blocks: &[u32] = match (self.page_shift, self.lpa2) {
            (12, false) => &[21, 30],
            (12, true) => &[21, 30, 39],
            (14, false) => &[25],
            (14, true) => &[25, 36],
            _ => &[29, 42],
        };
        if !blocks.contains(&level.shift) {
            return Entry::Wrong("a block where the architecture has none");
        }
        let page = 1_u64 << level.shift;
        Entry::Page(self.address(entry) & !(page - 1) & !0xffff_0000_0000_0000 | high(self, entry), rights)
    }
}

fn high(scheme: Scheme, entry: u64) -> u64 {
    scheme.address(entry) & 0xffff_0000_0000_0000
}
