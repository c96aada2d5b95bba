//! Tables by the form of their entries, in images that name them nowhere.

use std::ops::Range;

use kvet_image::{Image, Section, VirtAddr};

/// The fewest entries that make a table. The look goes in strides that no run of so many can hide between: wide
/// ones first, since real tables have hundreds of entries, then narrow ones.
const FEWEST: [u64; 2] = [256, 16];

/// How many damaged entries in a row do not end a table: one that is broken must not hide the rest.
const GAP: u64 = 4;

/// The longest run of entries of `size` bytes (a multiple of 4) that `is_entry` accepts, at any multiple of 4.
///
/// It looks in sections that are not executable, and only where those have none in the others: without a PE
/// header an arm64 Image is one region. At both ends of the run stands an accepted entry; between them up to
/// [`GAP`] in a row may be damaged.
pub(crate) fn longest(
    image: &Image,
    size: u64,
    is_entry: &dyn Fn(VirtAddr) -> bool,
) -> Option<Range<VirtAddr>> {
    FEWEST.iter().find_map(|fewest| {
        let look = |executable: bool| {
            let sections = image.sections().iter().filter(move |s| s.access.execute == executable);
            let runs = sections.filter_map(|section| longest_in(section, size, *fewest, is_entry));
            runs.max_by_key(length)
        };
        look(false).or_else(|| look(true))
    })
}

/// The longest run in one section.
fn longest_in(
    section: &Section,
    size: u64,
    fewest: u64,
    is_entry: &dyn Fn(VirtAddr) -> bool,
) -> Option<Range<VirtAddr>> {
    let end = section.addr.0.saturating_add(section.file.len() as u64);
    let whole = section.addr.0..end;
    let mut best: Option<Range<VirtAddr>> = None;
    let mut at = section.addr.0.checked_next_multiple_of(4)?;
    while at < end {
        let hit = (0..size / 4).map(|i| VirtAddr(at.saturating_add(i * 4))).find(|a| is_entry(*a));
        let mut next = at.saturating_add((fewest - 2) * size);
        if let Some(run) = hit.and_then(|hit| expand(hit, &whole, size, is_entry)) {
            next = next.max(run.end.0);
            if length(&run) >= fewest * size && best.as_ref().is_none_or(|b| length(b) < length(&run)) {
                best = Some(run);
            }
        }
        at = next;
    }
    best
}

fn length(run: &Range<VirtAddr>) -> u64 {
    run.end.0.saturating_sub(run.start.0)
}

/// The run around an accepted entry; `None` when too many inside it are not, since then its entries are another
/// table's of another size, of which every so many look like this one's.
fn expand(
    hit: VirtAddr,
    within: &Range<u64>,
    size: u64,
    is_entry: &dyn Fn(VirtAddr) -> bool,
) -> Option<Range<VirtAddr>> {
    let mut accepted = 1u64;
    let mut reach = |step: &dyn Fn(u64) -> Option<u64>| {
        let (mut last, mut at, mut missed) = (hit.0, hit.0, 0);
        while let Some(next) = step(at).filter(|next| within.contains(next)) {
            at = next;
            if is_entry(VirtAddr(at)) {
                (last, missed) = (at, 0);
                accepted += 1;
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
    let run = VirtAddr(first)..VirtAddr(last.saturating_add(size));
    (accepted * 10 >= length(&run) / size * 9).then_some(run)
}
