//! Dynamic relocations: found by structure in a flat image, applied to the bytes in memory.
//!
//! An arm64 kernel relocates itself early in boot (`__relocate_kernel` in arch/arm64/kernel/head.S, 6.1;
//! `relocate_kernel` in arch/arm64/kernel/pi/relocate.c, 6.8 and later): R_AARCH64_RELATIVE entries of
//! `.rela.dyn` store addend + displacement, the packed `.relr.dyn` (5cf896fb6be3, "arm64: Add support for
//! relocating the kernel with RELR relocations", 5.4) adds the displacement to what the field holds. All other
//! types are passed over there, and so here. At the link address the displacement is 0: a RELR field is right as
//! it stands, a RELA field gets its addend (the linker leaves 0 there, `--no-apply-dynamic-relocs`).

use std::ops::Range;

/// R_AARCH64_RELATIVE.
pub(crate) const R_AARCH64_RELATIVE: u64 = 0x403;

/// Bytes of an `Elf64_Rela`: offset, info, addend, 8 bytes each.
pub(crate) const RELA_SIZE: usize = 24;

/// Fewer entries than this are not taken for a table when nothing but their structure speaks for them.
const MIN_ENTRIES: usize = 4;

/// Fewer RELR addresses or bitmaps than this are not taken for a table: a short alternation of pointers and odd
/// numbers is common in data.
const MIN_RELR_EACH: usize = 32;

/// One little-endian 64-bit word.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    bytes.get(at..end)?.try_into().ok().map(u64::from_le_bytes)
}

/// Whether a value can be a kernel address on arm64: the upper half, as every VA size down to 36 bits has it.
pub(crate) fn is_kernel_address(value: u64) -> bool {
    value >> 48 == 0xffff
}

/// An `Elf64_Rela`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rela {
    pub(crate) offset: u64,
    pub(crate) info: u64,
    pub(crate) addend: u64,
}

/// The entry at a file position.
pub(crate) fn rela_at(bytes: &[u8], at: usize) -> Option<Rela> {
    Some(Rela {
        offset: word(bytes, at)?,
        info: word(bytes, at.checked_add(8)?)?,
        addend: word(bytes, at.checked_add(16)?)?,
    })
}

/// The longest run of R_AARCH64_RELATIVE entries on 8-byte boundaries of `within`, as file positions. Linkers
/// sort the relative ones to the front (`-z combreloc`), so one run has them all.
pub(crate) fn find_rela(bytes: &[u8], within: Range<usize>) -> Option<Range<usize>> {
    // The second word alone rejects nearly every place.
    let is_relative = |at: usize| {
        word(bytes, at + 8) == Some(R_AARCH64_RELATIVE) && word(bytes, at).is_some_and(is_kernel_address)
    };
    let end = within.end.min(bytes.len());
    let mut best: Option<Range<usize>> = None;
    let mut at = within.start.next_multiple_of(8);
    while at.saturating_add(RELA_SIZE) <= end {
        let mut stop = at;
        while stop.saturating_add(RELA_SIZE) <= end && is_relative(stop) {
            stop += RELA_SIZE;
        }
        if stop - at >= MIN_ENTRIES * RELA_SIZE && best.as_ref().is_none_or(|b| b.len() < stop - at) {
            best = Some(at..stop);
        }
        at = stop.max(at + 8);
    }
    best
}

/// The run of words on 8-byte boundaries of `within` that reads most like RELR: addresses (even) that only grow,
/// with bitmaps (odd) between them. A table has many of both; a sorted array of pointers (`__mcount_loc`) has no
/// bitmaps, an array of odd numbers no addresses, so the smaller of the two counts ranks the runs.
pub(crate) fn find_relr(bytes: &[u8], within: Range<usize>) -> Option<Range<usize>> {
    let end = within.end.min(bytes.len());
    let mut best: Option<RelrRun> = None;
    let mut at = within.start.next_multiple_of(8);
    while at + 8 <= end {
        let run = relr_run(bytes, at, end);
        if run.rank() >= MIN_RELR_EACH && best.as_ref().is_none_or(|b| b.rank() < run.rank()) {
            best = Some(run.clone());
        }
        at = run.stop.max(at + 8);
    }
    best.map(|run| run.start..run.stop)
}

/// Words that may be a RELR table.
#[derive(Clone)]
struct RelrRun {
    start: usize,
    stop: usize,
    addresses: usize,
    bitmaps: usize,
}

impl RelrRun {
    fn rank(&self) -> usize {
        self.addresses.min(self.bitmaps)
    }
}

/// The RELR run that starts at `at`, perhaps empty. An address need not be a multiple of 8 nor lie behind what the
/// bitmaps before it span: fields at odd places get entries of their own.
fn relr_run(bytes: &[u8], at: usize, end: usize) -> RelrRun {
    let mut last: Option<u64> = None;
    let mut run = RelrRun { start: at, stop: at, addresses: 0, bitmaps: 0 };
    while run.stop + 8 <= end {
        let Some(value) = word(bytes, run.stop) else { break };
        if value & 1 == 0 {
            let grows = last.is_none_or(|l| value > l && value - l < 1 << 30);
            if !is_kernel_address(value) || !grows {
                break;
            }
            last = Some(value);
            run.addresses += 1;
        } else if last.is_some() {
            run.bitmaps += 1;
        } else {
            break;
        }
        run.stop += 8;
    }
    run
}

/// The addresses of the fields that a RELR table names, in order.
pub(crate) fn relr_fields(table: &[u8]) -> impl Iterator<Item = u64> {
    let mut next_field = 0u64;
    table.chunks_exact(8).filter_map(|b| b.try_into().ok().map(u64::from_le_bytes)).flat_map(move |value| {
        let (first, mut bits) = if value & 1 == 0 {
            next_field = value.wrapping_add(8);
            (value, 1u64)
        } else {
            let first = next_field;
            next_field = next_field.wrapping_add(63 * 8);
            (first, value >> 1)
        };
        std::iter::from_fn(move || {
            let bit = bits.checked_ilog2().map(|_| bits.trailing_zeros())?;
            bits &= bits - 1;
            Some(first.wrapping_add(u64::from(bit) * 8))
        })
    })
}

/// Stores the addend of every R_AARCH64_RELATIVE entry of `table` (file positions) in its field; `to_file` gives
/// a field's file position. Entries that point outside the file are passed over. Returns how many were stored.
pub(crate) fn apply_rela(
    bytes: &mut [u8],
    table: Range<usize>,
    mut to_file: impl FnMut(u64) -> Option<usize>,
) -> usize {
    let mut applied = 0;
    for at in table.step_by(RELA_SIZE) {
        let Some(rela) = rela_at(bytes, at) else { break };
        if rela.info != R_AARCH64_RELATIVE {
            continue;
        }
        let Some(start) = to_file(rela.offset) else { continue };
        let Some(field) = start.checked_add(8).and_then(|end| bytes.get_mut(start..end)) else { continue };
        let value = rela.addend.to_le_bytes();
        // A field that is right already (a linker that applies addends) leaves its page clean.
        if *field != value {
            field.copy_from_slice(&value);
        }
        applied += 1;
    }
    applied
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_8000_8000_0000;

    fn rela(offset: u64, info: u64, addend: u64) -> Vec<u8> {
        [offset, info, addend].iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn rela_run_is_found_between_other_data() {
        let mut bytes = vec![0u8; 64];
        for i in 0..10 {
            bytes.extend(rela(BASE + i * 8, R_AARCH64_RELATIVE, BASE + i));
        }
        bytes.extend(rela(0, 0, 0));
        assert_eq!(find_rela(&bytes, 0..bytes.len()), Some(64..64 + 240));
        assert_eq!(find_rela(&bytes, 0..64 + 3 * RELA_SIZE), None, "three entries are no evidence");
    }

    #[test]
    fn apply_stores_addends_and_ignores_what_the_kernel_ignores() {
        let mut bytes = vec![0u8; 32];
        let start = bytes.len();
        bytes.extend(rela(BASE + 8, R_AARCH64_RELATIVE, 0x1122));
        bytes.extend(rela(BASE + 16, 0x101, 0x3344));
        bytes.extend(rela(BASE + 0x10000, R_AARCH64_RELATIVE, 0x5566));
        let end = bytes.len();
        let applied = apply_rela(&mut bytes, start..end, |a| usize::try_from(a - BASE).ok());
        assert_eq!(applied, 1);
        assert_eq!(word(&bytes, 8), Some(0x1122));
        assert_eq!(word(&bytes, 16), Some(0));
    }

    #[test]
    fn relr_names_the_fields_of_its_bitmaps() {
        let words = [BASE, 0b1011, 0b101, BASE + 0x1000];
        let table: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let fields: Vec<u64> = relr_fields(&table).map(|f| f - BASE).collect();
        assert_eq!(fields, [0, 8, 24, 8 + 63 * 8 + 8, 0x1000]);
    }

    #[test]
    fn relr_run_ends_where_addresses_fall() {
        let mut words = Vec::new();
        for i in 0..40u64 {
            words.push(BASE + i * 0x1000);
            words.push(0xff);
        }
        words.push(BASE);
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(find_relr(&bytes, 0..bytes.len()), Some(0..80 * 8));
    }
}
