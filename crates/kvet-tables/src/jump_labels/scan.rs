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

/// Whether an image's sections are those of an arm64 `Image`'s PE header: one for all that is read-only after
/// boot, one for the rest.
pub(super) fn is_coarse(image: &Image) -> bool {
    matches!(image.kind(), kvet_image::Kind::Arm64Image | kvet_image::Kind::Zboot)
}

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
        let coarse = is_coarse(image);
        let whole = |s: &Section| s.addr.0..s.end().0;
        let pick =
            |wanted: fn(&&Section) -> bool| image.sections().iter().filter(wanted).map(whole).collect();
        Regions {
            code: pick(|s| s.access.execute),
            data: if coarse { pick(|_| true) } else { pick(|s| s.access.write) },
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

/// How many entries in a row may be broken beyond recognition inside a table: a page of them.
const HOLE: u64 = 256;

/// The first run of 64 entries, which a look every [`STRIDE`] bytes cannot miss; only when there is none, the
/// longest one of at least [`FEWEST`].
pub(super) fn scan(regions: &Regions, image: &Image) -> Option<Bounds> {
    let big = regions.files.iter().find_map(|file| runs(regions, image, file, STRIDE).next());
    let table = big.or_else(|| {
        let all = regions.files.iter().flat_map(|file| runs(regions, image, file, FEWEST * ENTRY));
        all.max_by_key(|run| (run.end - run.start, std::cmp::Reverse(run.start)))
    })?;
    Some(Bounds { start: VirtAddr(table.start), end: VirtAddr(table.end), located_by: LocatedBy::Scan })
}

/// The runs of a region that a look every `stride` bytes finds, at both alignments that an entry may have.
fn runs<'a>(
    regions: &'a Regions,
    image: &'a Image,
    file: &'a Range<u64>,
    stride: u64,
) -> impl Iterator<Item = Range<u64>> + 'a {
    let mut at = file.start.next_multiple_of(8);
    std::iter::from_fn(move || {
        while at < file.end {
            let run =
                [at, at.saturating_add(8)].into_iter().find_map(|at| run_around(regions, image, file, at));
            at = at.saturating_add(stride);
            if let Some(run) = run {
                at = at.max(run.end.next_multiple_of(8));
                return Some(run);
            }
        }
        None
    })
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
    let mut start = at;
    while let more @ 1.. = more(&kind, |n| start.checked_sub((n + 1) * ENTRY)) {
        start -= more;
    }
    let mut end = at + ENTRY;
    while let more @ 1.. = more(&kind, |n| end.checked_add(n * ENTRY)) {
        end += more;
    }
    (end - start >= FEWEST * ENTRY).then_some(start..end)
}

/// How many bytes to take in from an end of a run, `next(n)` being the n-th position from there: up to the next
/// good entry with what is broken before it, else the damaged entry that ends the table.
fn more(kind: &impl Fn(u64) -> Kind, next: impl Fn(u64) -> Option<u64>) -> u64 {
    let is = |n: u64, wanted: Kind| next(n).is_some_and(|at| kind(at) == wanted);
    match (0..=HOLE).find(|n| is(*n, Kind::Good)) {
        Some(n) => (n + 1) * ENTRY,
        None if is(0, Kind::Damaged) => ENTRY,
        None => 0,
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
        _ if image.is_writable(label.key) && label.key.0.is_multiple_of(8) => Kind::Damaged,
        Fields { target: true, .. } if site_fits => Kind::Damaged,
        _ => Kind::Other,
    }
}
