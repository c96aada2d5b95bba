//! The table by its own form, on images that name it nowhere (a flat arm64 Image without KALLSYMS_ALL).

use kvet_image::{Image, VirtAddr};

use super::read::{BugTable, Layout, is_path, is_trap};
use crate::runs::{self, Likeness, Shape};
use crate::{Bounds, LocatedBy};

/// The layouts that an image without section headers can have: arm64 is the only architecture of those, and with
/// neither a file nor a format too little is left to know an entry by.
const LAYOUTS: [Layout; 2] = [
    Layout { size: 12, format: None, file: Some(4), flags: 10, from_entry: false },
    Layout { size: 12, format: None, file: Some(4), flags: 10, from_entry: true },
];

/// A damaged entry must not hide the rest; more in a row than a few are the end.
const SHAPE: Shape = Shape { entry: 12, align: 4, fewest: 16, hole: 4, dense: true };

pub(super) fn find(image: &Image) -> Option<BugTable> {
    // What an entry's address leads to is the same in both layouts, and rare: only brk #0x800.
    let is_entry = |at: VirtAddr| image.rel32(at).is_some_and(|addr| is_trap(image, addr, false));
    let run = runs::find(&runs::data_in_file(image), SHAPE, |at| Likeness::entry_if(is_entry(at)))?;
    let bounds = Bounds { start: run.start, end: run.end, located_by: LocatedBy::Scan };
    let layout = Layout::detect(image, bounds.start, bounds.len())?;
    LAYOUTS.contains(&layout).then_some(())?;
    let has_file = |at: VirtAddr| {
        let file = layout.pointer(image, at, 4).and_then(|file| image.cstr(file, 256));
        file.is_some_and(is_path)
    };
    // Not one of its ends may be something else's: trim what has a trap and no file.
    has_file(bounds.start).then_some(BugTable { bounds, layout })
}
