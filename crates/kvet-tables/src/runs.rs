//! Finding a table by what its entries must be, in an image that names it nowhere.
//!
//! The caller says what some bytes are, taken for an entry; here is how to look everywhere fast and how to take
//! a table whole although some of its entries are damaged, which is when it matters most.

use std::ops::Range;

use kvet_image::{Image, Section, VirtAddr};

/// What the bytes at an address are, taken for an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Likeness {
    /// An entry: what other bytes, as good as never, are.
    Entry,
    /// Most of one: it belongs to the table if it stands at an end of it.
    Damaged,
    /// Not one.
    Other,
}

impl Likeness {
    /// For entries of which nothing says that they are one but damaged.
    pub(crate) fn entry_if(is_entry: bool) -> Likeness {
        if is_entry { Likeness::Entry } else { Likeness::Other }
    }
}

/// The shape of a table.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// The bytes of an entry.
    pub(crate) entry: u64,
    /// What an entry's address is a multiple of.
    pub(crate) align: u64,
    /// The fewest entries that make a table.
    pub(crate) fewest: u64,
    /// How many entries in a row may be broken beyond recognition inside a table.
    pub(crate) hole: u64,
    /// Nine of ten entries must be whole: for entries that say so little that of a table with longer ones every so
    /// many look like them.
    pub(crate) dense: bool,
}

/// About a page of entries.
pub(crate) const PAGE_HOLE: u64 = 256;

/// A table of this many entries is one at first sight.
const CERTAIN: u64 = 64;

/// Whether an image's sections are the few of an arm64 `Image`'s PE header, whose executable one holds read-only
/// data too.
pub(crate) fn is_coarse(image: &Image) -> bool {
    matches!(image.kind(), kvet_image::Kind::Arm64Image | kvet_image::Kind::Zboot)
}

/// The ranges of an image that may hold a table: what is in the file and is no code.
pub(crate) fn data_in_file(image: &Image) -> Vec<Range<u64>> {
    let coarse = is_coarse(image);
    let in_file = |s: &Section| s.addr.0..s.addr.0.saturating_add(s.file.len() as u64);
    image.sections().iter().filter(|s| coarse || !s.access.execute).map(in_file).collect()
}

/// The first table of [`CERTAIN`] entries, else the longest one of at least the fewest. Linear in the ranges.
pub(crate) fn find(
    ranges: &[Range<u64>],
    shape: Shape,
    likeness: impl Fn(VirtAddr) -> Likeness,
) -> Option<Range<VirtAddr>> {
    let runs = |range: &Range<u64>, entries: u64| Runs {
        at: range.start.next_multiple_of(shape.align),
        range: range.clone(),
        stride: entries.saturating_mul(shape.entry),
        shape,
        likeness: &likeness,
    };
    // A look every so many entries cannot miss a table of as many.
    let certain = ranges.iter().find_map(|range| runs(range, CERTAIN).next());
    let table = certain.or_else(|| {
        let all = ranges.iter().flat_map(|range| runs(range, shape.fewest));
        all.max_by_key(|run| (run.end - run.start, std::cmp::Reverse(run.start)))
    })?;
    Some(VirtAddr(table.start)..VirtAddr(table.end))
}

/// The runs of entries in a range, as far as a look every `stride` bytes finds them.
struct Runs<'a, L> {
    at: u64,
    range: Range<u64>,
    stride: u64,
    shape: Shape,
    likeness: &'a L,
}

impl<L: Fn(VirtAddr) -> Likeness> Iterator for Runs<'_, L> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        while self.at < self.range.end {
            let phases = self.shape.entry / self.shape.align;
            let places = (0..phases).map(|phase| self.at.saturating_add(phase * self.shape.align));
            let run = places.into_iter().find_map(|at| self.around(at));
            self.at = self.at.saturating_add(self.stride);
            if let Some(run) = run {
                self.at = self.at.max(run.end.next_multiple_of(self.shape.align));
                return Some(run);
            }
        }
        None
    }
}

impl<L: Fn(VirtAddr) -> Likeness> Runs<'_, L> {
    fn likeness(&self, at: u64) -> Likeness {
        let inside = at >= self.range.start
            && at.checked_add(self.shape.entry).is_some_and(|end| end <= self.range.end);
        if inside { (self.likeness)(VirtAddr(at)) } else { Likeness::Other }
    }

    /// The run that a position is part of, when it is long enough.
    fn around(&self, at: u64) -> Option<Range<u64>> {
        if self.likeness(at) != Likeness::Entry {
            return None;
        }
        let entry = self.shape.entry;
        let mut start = at;
        while let more @ 1.. = self.more(|n| start.checked_sub((n + 1) * entry)) {
            start -= more;
        }
        let mut end = at + entry;
        while let more @ 1.. = self.more(|n| end.checked_add(n * entry)) {
            end += more;
        }
        let count = (end - start) / entry;
        let whole =
            || (0..count).filter(|n| self.likeness(start + n * entry) == Likeness::Entry).count() as u64;
        let dense = !self.shape.dense || whole() * 10 >= count * 9;
        (count >= self.shape.fewest && dense).then_some(start..end)
    }

    /// How many bytes to take in from an end of a run, `next(n)` being the n-th position from there: up to the
    /// next entry with what is broken before it, else the damaged entry that ends the table.
    fn more(&self, next: impl Fn(u64) -> Option<u64>) -> u64 {
        let is = |n: u64, wanted: Likeness| next(n).is_some_and(|at| self.likeness(at) == wanted);
        match (0..=self.shape.hole).find(|n| is(*n, Likeness::Entry)) {
            Some(n) => (n + 1) * self.shape.entry,
            None if is(0, Likeness::Damaged) => self.shape.entry,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::single_range_in_vec_init)] // the regions of an image are ranges; here there is one

    use super::*;

    const SHAPE: Shape = Shape { entry: 16, align: 8, fewest: 8, hole: PAGE_HOLE, dense: false };

    /// A table at 0x1008 of so many entries, those listed damaged.
    fn table(entries: u64, damaged: &[u64], broken: &[u64]) -> Option<Range<VirtAddr>> {
        let likeness = |at: VirtAddr| {
            let Some(into) = at.0.checked_sub(0x1008).filter(|into| into % 16 == 0 && *into < entries * 16)
            else {
                return Likeness::Other;
            };
            match into / 16 {
                n if damaged.contains(&n) => Likeness::Damaged,
                n if broken.contains(&n) => Likeness::Other,
                _ => Likeness::Entry,
            }
        };
        find(&[0..0x800, 0x900..0x10000], SHAPE, likeness)
    }

    fn whole(entries: u64) -> Option<Range<VirtAddr>> {
        Some(VirtAddr(0x1008)..VirtAddr(0x1008 + entries * 16))
    }

    #[test]
    fn finds_large_and_small_tables_and_no_scrap() {
        assert_eq!(table(500, &[], &[]), whole(500));
        assert_eq!(table(8, &[], &[]), whole(8));
        assert_eq!(table(7, &[], &[]), None);
    }

    #[test]
    fn a_dense_table_is_no_pattern_in_another() {
        // Every second place looks like an entry.
        let every = |n: u64| {
            move |at: VirtAddr| if at.0.is_multiple_of(16 * n) { Likeness::Entry } else { Likeness::Other }
        };
        let dense = Shape { hole: 4, dense: true, ..SHAPE };
        assert_eq!(find(&[0..0x1000], dense, every(2)), None);
        assert_eq!(find(&[0..0x1000], dense, every(1)), Some(VirtAddr(0)..VirtAddr(0x1000)));
        assert!(find(&[0..0x1000], SHAPE, every(2)).is_some());
    }

    #[test]
    fn takes_damage_in() {
        assert_eq!(table(500, &[0, 499], &[3, 4, 5, 300]), whole(500));
        // Beyond recognition at an end, an entry cannot be told from what stands beside the table.
        assert_eq!(table(500, &[], &[499]), whole(499));
    }
}
