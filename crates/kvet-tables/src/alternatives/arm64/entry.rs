//! `struct alt_instr` of arm64, and how a kernel marks the entries that call a function.

use kvet_image::VirtAddr;

/// The length of `struct alt_instr` in bytes (arch/arm64/include/asm/alternative.h and alternative-macros.h,
/// the same from 3.19 to 7.3): `s32 orig_offset, s32 alt_offset, u16 cpucap, u8 orig_len, u8 alt_len`.
pub const ENTRY_SIZE: usize = 12;

/// `ARM64_CB_BIT`: an entry's replacement is a function (since 6.1, commit 4c0bd995d73e).
pub const CALLBACK_BIT: u16 = 1 << 15;

/// One entry, its offsets resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alternative {
    /// The instructions that are replaced.
    pub orig: VirtAddr,
    /// The replacement, or the function that writes it.
    pub alt: VirtAddr,
    /// The capability's number as it stands in the entry, with the callback marker.
    pub cpucap: u16,
    /// How many bytes are replaced.
    pub orig_len: u8,
    /// How many bytes the replacement has; 0 for a callback.
    pub alt_len: u8,
}

impl Alternative {
    /// Reads an entry that stands at `at`.
    pub fn parse(at: VirtAddr, bytes: &[u8; ENTRY_SIZE]) -> Alternative {
        let word = |i: usize| i32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Alternative {
            orig: at.wrapping_offset(i64::from(word(0))),
            alt: at.wrapping_offset(4 + i64::from(word(4))),
            cpucap: u16::from_le_bytes([bytes[8], bytes[9]]),
            orig_len: bytes[10],
            alt_len: bytes[11],
        }
    }

    /// The first address after the replaced instructions.
    pub fn orig_end(&self) -> VirtAddr {
        VirtAddr(self.orig.0.wrapping_add(u64::from(self.orig_len)))
    }

    /// The first address after the replacement.
    pub fn alt_end(&self) -> VirtAddr {
        VirtAddr(self.alt.0.wrapping_add(u64::from(self.alt_len)))
    }

    /// Whether the entry has a callback's form: nothing to copy, yet something to patch.
    pub fn looks_like_callback(&self) -> bool {
        self.alt_len == 0 && self.orig_len != 0
    }
}

/// How the kernel of an image knows a callback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallbackMarker {
    /// [`CALLBACK_BIT`] beside the capability: 6.1 and later.
    Bit,
    /// The number `ARM64_CB_PATCH` in the place of a capability, which is `ARM64_NCAPS` of the header that the
    /// object was built against: up to 6.0.
    Number(u16),
}

impl CallbackMarker {
    /// Tells by the table itself: what most entries of a callback's form carry. `limit` is `ARM64_NCAPS` where
    /// the image gives it: a kernel of the older style compares with that number, whatever the entries say.
    pub fn detect(entries: &[Alternative], limit: Option<u16>) -> CallbackMarker {
        let callbacks = || entries.iter().filter(|e| e.looks_like_callback());
        let with_bit = callbacks().filter(|e| e.cpucap & CALLBACK_BIT != 0).count();
        let total = callbacks().count();
        if total == 0 || with_bit * 2 >= total {
            return CallbackMarker::Bit;
        }
        let mut counts = std::collections::BTreeMap::new();
        for entry in callbacks() {
            *counts.entry(entry.cpucap).or_insert(0_usize) += 1;
        }
        let common = counts.into_iter().max_by_key(|&(_, n)| n).map_or(0, |(cap, _)| cap);
        CallbackMarker::Number(limit.unwrap_or(common))
    }

    /// The capability that an entry depends on; `None` for a callback of the older style, which depends on none.
    pub fn capability(self, entry: &Alternative) -> Option<u16> {
        match self {
            CallbackMarker::Bit => Some(entry.cpucap & !CALLBACK_BIT),
            CallbackMarker::Number(_) if entry.looks_like_callback() => None,
            CallbackMarker::Number(_) => Some(entry.cpucap),
        }
    }

    /// Whether the entry carries this marker.
    pub fn marks(self, entry: &Alternative) -> bool {
        match self {
            CallbackMarker::Bit => entry.cpucap & CALLBACK_BIT != 0,
            CallbackMarker::Number(number) => entry.cpucap == number,
        }
    }

    /// The layout in words, for the report.
    pub fn describe(self) -> String {
        match self {
            CallbackMarker::Bit => "12-byte entries, callbacks marked by bit 15 (6.1 and later)".into(),
            CallbackMarker::Number(n) => {
                format!("12-byte entries, callbacks marked by ARM64_CB_PATCH = {n} (up to 6.0)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(cpucap: u16, orig_len: u8, alt_len: u8) -> Alternative {
        Alternative { orig: VirtAddr(0x1000), alt: VirtAddr(0x2000), cpucap, orig_len, alt_len }
    }

    #[test]
    fn fields_are_relative_to_themselves() {
        let bytes = [0xf8, 0xff, 0xff, 0xff, 0x10, 0, 0, 0, 0x1a, 0x80, 8, 0];
        let e = Alternative::parse(VirtAddr(0x1000), &bytes);
        assert_eq!((e.orig, e.alt), (VirtAddr(0xff8), VirtAddr(0x1014)));
        assert_eq!((e.cpucap, e.orig_len, e.alt_len), (0x801a, 8, 0));
        assert!(e.looks_like_callback() && CallbackMarker::Bit.marks(&e));
        assert_eq!(CallbackMarker::Bit.capability(&e), Some(26));
    }

    #[test]
    fn the_marker_is_what_most_callbacks_carry() {
        let modern = [entry(0x8001, 4, 0), entry(26, 4, 4), entry(0x801a, 4, 0), entry(7, 4, 0)];
        assert_eq!(CallbackMarker::detect(&modern, Some(85)), CallbackMarker::Bit);
        let legacy = [entry(61, 4, 0), entry(61, 4, 0), entry(63, 4, 0), entry(5, 4, 4)];
        assert_eq!(CallbackMarker::detect(&legacy, None), CallbackMarker::Number(61));
    }

    #[test]
    fn the_kernels_own_number_wins_over_a_stale_majority() {
        let stale = [entry(63, 4, 0), entry(63, 4, 0), entry(61, 4, 0)];
        assert_eq!(CallbackMarker::detect(&stale, Some(61)), CallbackMarker::Number(61));
    }

    #[test]
    fn an_older_callback_depends_on_no_capability() {
        let marker = CallbackMarker::Number(61);
        assert_eq!(marker.capability(&entry(63, 4, 0)), None);
        assert_eq!(marker.capability(&entry(60, 4, 4)), Some(60));
        assert_eq!(marker.capability(&entry(61, 0, 0)), Some(61));
    }
}
