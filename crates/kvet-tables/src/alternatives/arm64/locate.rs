//! Where the table stands: by section, by boundary symbols, or by what its entries look like.

use std::ops::Range;

use kvet_image::{Image, VirtAddr};

use super::entry::{Alternative, ENTRY_SIZE};
use super::text::Text;
use crate::{Bounds, LocatedBy};

/// The table of a vmlinux, of a flat image, or of a module.
pub(super) fn locate(image: &Image, text: &Text<'_>) -> Option<Bounds> {
    Bounds::locate(image, ".altinstructions", "__alt_instructions", "__alt_instructions_end").or_else(|| {
        let regions: Vec<_> = image.sections().iter().map(|s| (s.addr, image.section_bytes(s))).collect();
        scan(&regions, text)
    })
}

/// How many entries in a row may be damaged before a scan takes them for the table's end.
const MAX_BAD: usize = 8;

/// The least number of entries that a scan believes: a kernel has thousands, and random bytes give one in 10^8.
const MIN_ENTRIES: usize = 16;

/// Distance of the probes of the first pass, in bytes: a table of 128 entries or more holds one.
const PROBE_STEP: usize = 64 * ENTRY_SIZE;

/// The longest run of entries in some regions of memory.
///
/// An entry's two offsets must hit aligned executable addresses, its lengths must be a replacement's or a
/// callback's, and its capability must be small; four of five entries in a row that do are a place to grow a
/// run from, both ways, over at most [`MAX_BAD`] damaged ones. First at few places (a real table is long), then,
/// if that finds nothing, everywhere.
pub(super) fn scan(regions: &[(VirtAddr, &[u8])], text: &Text<'_>) -> Option<Bounds> {
    let pass = |step: usize| {
        regions
            .iter()
            .filter_map(|&(base, bytes)| longest_run(base, bytes, text, step))
            .max_by_key(Range::len_)
    };
    let found = pass(PROBE_STEP).or_else(|| pass(4))?;
    Some(Bounds { start: found.start, end: found.end, located_by: LocatedBy::Scan })
}

/// The length of an address range.
trait Length {
    fn len_(&self) -> u64;
}

impl Length for Range<VirtAddr> {
    fn len_(&self) -> u64 {
        self.end.0 - self.start.0
    }
}

struct Candidates<'a, 'b> {
    base: VirtAddr,
    bytes: &'a [u8],
    text: &'b Text<'a>,
}

impl Candidates<'_, '_> {
    fn entry(&self, at: usize) -> Option<Alternative> {
        let bytes = self.bytes.get(at..at.checked_add(ENTRY_SIZE)?)?.try_into().ok()?;
        Some(Alternative::parse(VirtAddr(self.base.0 + at as u64), bytes))
    }

    /// Whether what stands there has every property of an entry.
    fn good(&self, at: usize) -> bool {
        self.entry(at).is_some_and(|e| {
            let lengths = e.orig_len % 4 == 0 && (e.alt_len == e.orig_len || e.alt_len == 0);
            // A zero offset is zeroes, not an entry; the capability's bits 10 to 14 are never used.
            lengths && e.cpucap & 0x7c00 == 0 && self.points(&e) == (true, true)
        })
    }

    /// Whether at least one property of an entry is left, so that it may be a damaged one.
    fn plausible(&self, at: usize) -> bool {
        self.entry(at).is_some_and(|e| {
            let (orig, alt) = self.points(&e);
            let lengths = e.orig_len % 4 == 0 && (e.alt_len == e.orig_len || e.alt_len == 0);
            usize::from(orig) + usize::from(alt) + usize::from(lengths && e.cpucap & 0x7c00 == 0) >= 2
        })
    }

    fn points(&self, e: &Alternative) -> (bool, bool) {
        let hit = |a: VirtAddr| {
            let outside = a.0.wrapping_sub(self.base.0) >= self.bytes.len() as u64;
            a.0.is_multiple_of(4) && (outside || !self.is_zero(a)) && self.text.contains(a)
        };
        (hit(e.orig), hit(e.alt))
    }

    /// On a flat image the table itself lies in the executable region: zeroes there are no instruction.
    fn is_zero(&self, a: VirtAddr) -> bool {
        self.text.word(a) == Some(0)
    }

    fn seed(&self, at: usize) -> bool {
        (0..5).filter(|i| self.good(at + i * ENTRY_SIZE)).count() >= 4
    }

    /// Grows a run around a good entry: positions of its first entry and after its last.
    fn grow(&self, seed: usize) -> Range<usize> {
        let (mut start, mut end) = (seed, seed);
        let mut at = seed;
        let mut bad = 0;
        while bad <= MAX_BAD && at + ENTRY_SIZE <= self.bytes.len() {
            at += ENTRY_SIZE;
            bad = if self.good(at - ENTRY_SIZE) { 0 } else { bad + 1 };
            if bad == 0 {
                end = at;
            }
        }
        let mut at = seed;
        let mut bad = 0;
        while bad <= MAX_BAD && at >= ENTRY_SIZE {
            at -= ENTRY_SIZE;
            bad = if self.good(at) { 0 } else { bad + 1 };
            if bad == 0 {
                start = at;
            }
        }
        // A damaged first or last entry still looks like one in part.
        while start >= ENTRY_SIZE && self.plausible(start - ENTRY_SIZE) {
            start -= ENTRY_SIZE;
        }
        while self.plausible(end) {
            end += ENTRY_SIZE;
        }
        start..end
    }
}

fn longest_run(base: VirtAddr, bytes: &[u8], text: &Text<'_>, step: usize) -> Option<Range<VirtAddr>> {
    let c = Candidates { base, bytes, text };
    // Entries need no alignment in theory; every linker script aligns the section to 4 or more.
    let skew = (base.0.wrapping_neg() % 4) as usize;
    let mut best: Option<Range<usize>> = None;
    let mut at = skew;
    while at + ENTRY_SIZE <= bytes.len() {
        if let Some(seed) = [0, 4, 8].into_iter().map(|phase| at + phase).find(|&p| c.good(p) && c.seed(p)) {
            let run = c.grow(seed);
            at = run.end.max(at + step);
            if run.len() >= MIN_ENTRIES * ENTRY_SIZE && best.as_ref().is_none_or(|b| b.len() < run.len()) {
                best = Some(run);
            }
        } else {
            at += step;
        }
    }
    let best = best?;
    Some(VirtAddr(base.0 + best.start as u64)..VirtAddr(base.0 + best.end as u64))
}
