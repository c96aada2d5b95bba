//! Tables by the form of their entries, in images that name them nowhere.

use std::ops::Range;

use kvet_image::{Image, Section, VirtAddr};

/// The fewest entries that make a table: the look goes in strides that no run of this many can hide between.
const FEWEST: u64 = 16;

/// How many damaged entries in a row do not end a table: one that is broken must not hide the rest.
const GAP: u64 = 4;

/// Where to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sections {
    /// Writable ones.
    Data,
    /// Those that are not writable: the first region of an arm64 Image holds text and read-only data.
    ReadOnly,
}

impl Sections {
    fn has(self, section: &Section) -> bool {
        section.access.write == (self == Sections::Data)
    }
}

/// The longest run of entries of `size` bytes (a multiple of 4) that `is_entry` accepts, at any multiple of 4.
///
/// At both ends stands an accepted entry; between them up to [`GAP`] in a row may be damaged. `None` when no run
/// has [`FEWEST`] entries.
pub(crate) fn longest(
    image: &Image,
    sections: Sections,
    size: u64,
    is_entry: &dyn Fn(VirtAddr) -> bool,
) -> Option<Range<VirtAddr>> {
    let mut best: Option<Range<VirtAddr>> = None;
    for section in image.sections().iter().filter(|s| sections.has(s)) {
        let end = section.addr.0.saturating_add(section.file.len() as u64);
        let whole = section.addr.0..end;
        let mut at = section.addr.0.next_multiple_of(4);
        while at < end {
            let hit = (0..size / 4).map(|i| VirtAddr(at.saturating_add(i * 4))).find(|a| is_entry(*a));
            let mut next = at.saturating_add((FEWEST - 2) * size);
            if let Some(hit) = hit {
                let run = expand(hit, &whole, size, is_entry);
                next = next.max(run.end.0);
                if length(&run) >= FEWEST * size && best.as_ref().is_none_or(|b| length(b) < length(&run)) {
                    best = Some(run);
                }
            }
            at = next;
        }
    }
    best
}

fn length(run: &Range<VirtAddr>) -> u64 {
    run.end.0.saturating_sub(run.start.0)
}

/// The run around an accepted entry.
fn expand(
    hit: VirtAddr,
    within: &Range<u64>,
    size: u64,
    is_entry: &dyn Fn(VirtAddr) -> bool,
) -> Range<VirtAddr> {
    let reach = |step: &dyn Fn(u64) -> Option<u64>| {
        let (mut last, mut at, mut missed) = (hit.0, hit.0, 0);
        while let Some(next) = step(at).filter(|next| within.contains(next)) {
            at = next;
            if is_entry(VirtAddr(at)) {
                (last, missed) = (at, 0);
            } else {
                missed += 1;
                if missed > GAP {
                    break;
                }
            }
        }
        last
    };
    let first = reach(&|at| at.checked_sub(size));
    let last = reach(&|at| at.checked_add(size));
    VirtAddr(first)..VirtAddr(last.saturating_add(size))
}
