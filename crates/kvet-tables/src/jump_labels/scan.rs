//! Finding the table by what its entries must be, in an image that names it nowhere.

use std::ops::Range;

use kvet_image::{Image, Section, VirtAddr};

use super::check::{Form, site};
use super::{ENTRY, JumpLabel, read};
use crate::{Bounds, LocatedBy};

/// The fewest entries that make a table.
const FEWEST: u64 = 8;
/// Every how many bytes to look, at first: a table of 64 entries cannot hide between two looks.
const STRIDE: u64 = 64 * ENTRY;

/// What of an image may hold code, keys and the table itself. By access rights only: an arm64 `Image` has few
/// and large sections, its first one executable with the read-only data inside.
pub(super) struct Regions {
    code: Vec<Range<u64>>,
    data: Vec<Range<u64>>,
    files: Vec<Range<u64>>,
}

impl Regions {
    /// The regions of an image.
    pub(super) fn of(image: &Image) -> Regions {
        let whole = |s: &Section| s.addr.0..s.end().0;
        let pick =
            |wanted: fn(&&Section) -> bool| image.sections().iter().filter(wanted).map(whole).collect();
        Regions {
            code: pick(|s| s.access.execute),
            data: pick(|s| s.access.write),
            files: image
                .sections()
                .iter()
                .map(|s| s.addr.0..s.addr.0.saturating_add(s.file.len() as u64))
                .collect(),
        }
    }

    fn holds(ranges: &[Range<u64>], addr: VirtAddr) -> bool {
        ranges.iter().any(|range| range.contains(&addr.0))
    }

    /// Which of the three fields point where they may; cheap.
    fn fields(&self, label: &JumpLabel) -> Fields {
        Fields {
            code: Self::holds(&self.code, label.code),
            target: Self::holds(&self.code, label.target),
            key: label.key.0.is_multiple_of(8) && Self::holds(&self.data, label.key),
        }
    }
}

/// Which fields of an entry point where such a field may.
struct Fields {
    code: bool,
    target: bool,
    key: bool,
}

/// What 16 bytes are, taken for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An entry: the fields point into code and data, and a nop, or a jump to the very target, stands at the
    /// site. Other bytes are never this.
    Good,
    /// Most of one: it belongs to the table if it stands at the end of one.
    Damaged,
    /// Not one.
    Other,
}

/// How many entries in a row may be broken beyond recognition inside a table.
const HOLE: u64 = 8;

/// The longest run of entries, at least [`FEWEST`]. First every [`STRIDE`] bytes, which finds any table of 64
/// entries at once; only when that finds nothing, everywhere.
pub(super) fn scan(regions: &Regions, image: &Image) -> Option<Bounds> {
    let table = [STRIDE, FEWEST * ENTRY].into_iter().find_map(|stride| longest(regions, image, stride))?;
    Some(Bounds { start: VirtAddr(table.start), end: VirtAddr(table.end), located_by: LocatedBy::Scan })
}

fn longest(regions: &Regions, image: &Image, stride: u64) -> Option<Range<u64>> {
    let mut best: Option<Range<u64>> = None;
    for file in &regions.files {
        let mut at = file.start.next_multiple_of(8);
        while at < file.end {
            let run =
                [at, at.saturating_add(8)].into_iter().find_map(|at| run_around(regions, image, file, at));
            let next = at.saturating_add(stride);
            at = run.as_ref().map_or(next, |run| run.end.next_multiple_of(8).max(next));
            let longer =
                |run: &Range<u64>| best.as_ref().is_none_or(|b| run.end - run.start > b.end - b.start);
            if let Some(run) = run.filter(longer) {
                best = Some(run);
            }
        }
    }
    best
}

/// The run of entries that one position is part of, when it is long enough.
fn run_around(regions: &Regions, image: &Image, file: &Range<u64>, at: u64) -> Option<Range<u64>> {
    let kind = |at: u64| {
        let inside = at >= file.start && at.checked_add(ENTRY).is_some_and(|end| end <= file.end);
        if inside { kind(regions, image, VirtAddr(at)) } else { Kind::Other }
    };
    if kind(at) != Kind::Good {
        return None;
    }
    // How many bytes to take in from a position in a direction: one good entry with what is broken before it,
    // else the damaged entry that ends the table.
    let step = |next: &dyn Fn(u64) -> Option<u64>| {
        let good = (0..=HOLE).find(|n| next(*n).is_some_and(|at| kind(at) == Kind::Good));
        match good {
            Some(n) => (n + 1) * ENTRY,
            None if next(0).is_some_and(|at| kind(at) == Kind::Damaged) => ENTRY,
            None => 0,
        }
    };
    let (mut start, mut end) = (at, at + ENTRY);
    loop {
        let (low, high) = (start, end);
        start -= step(&|n| low.checked_sub((n + 1) * ENTRY));
        end += step(&|n| high.checked_add(n * ENTRY));
        if (start, end) == (low, high) {
            return (end - start >= FEWEST * ENTRY).then_some(start..end);
        }
    }
}

fn kind(regions: &Regions, image: &Image, at: VirtAddr) -> Kind {
    let Some(bytes) = image.bytes(at, ENTRY as usize).and_then(|bytes| bytes.first_chunk()) else {
        return Kind::Other;
    };
    let label = read::label(0, at, bytes);
    let fields = regions.fields(&label);
    if !(fields.code || fields.target) {
        return Kind::Other;
    }
    let site_fits = fields.code
        && match site(image, label.code).form {
            Form::Nop => true,
            Form::Jump(to) => to == label.target,
            Form::Other => false,
        };
    match fields {
        Fields { target: true, key: true, .. } if site_fits => Kind::Good,
        Fields { key: true, .. } => Kind::Damaged,
        Fields { target: true, .. } if site_fits => Kind::Damaged,
        _ => Kind::Other,
    }
}
