//! What bytes must be to be an entry of the jump table.

use kvet_image::{Image, VirtAddr};

use super::check::{Form, site};
use super::{ENTRY, read};
use crate::runs::{self, Likeness, PAGE_HOLE, Shape};
use crate::{Bounds, LocatedBy};

const SHAPE: Shape = Shape { entry: ENTRY, align: 8, fewest: 8, hole: PAGE_HOLE, dense: false };

/// The table in an image that does not name it.
pub(super) fn scan(image: &Image) -> Option<Bounds> {
    let coarse = runs::is_coarse(image);
    let table = runs::find(&runs::data_in_file(image), SHAPE, |at| likeness(image, at, coarse))?;
    Some(Bounds { start: table.start, end: table.end, located_by: LocatedBy::Scan })
}

/// An entry's fields point into code and data, and a nop, or a jump to the very target, stands at its site.
fn likeness(image: &Image, at: VirtAddr, coarse: bool) -> Likeness {
    let Some(bytes) = image.bytes(at, ENTRY as usize).and_then(|bytes| bytes.first_chunk()) else {
        return Likeness::Other;
    };
    let label = read::label(0, at, bytes);
    let (code, target) = (image.is_executable(label.code), image.is_executable(label.target));
    if !(code || target) {
        return Likeness::Other;
    }
    let aligned = label.key.0.is_multiple_of(8);
    // In a flat image what becomes read-only after init stands in a section that is not writable.
    let key = aligned && (image.is_writable(label.key) || coarse && image.section_at(label.key).is_some());
    let site_fits = code
        && match site(image, label.code).form {
            Form::Nop => true,
            Form::Jump(to) => to == label.target,
            Form::Other => false,
        };
    // One property of a real entry may be damaged; what stands beside the table may have one by chance.
    let properties = [site_fits, target, key && holds_key(image, label.key)];
    if site_fits && target && key {
        Likeness::Entry
    } else if properties.iter().filter(|p| **p).count() == 2 {
        Likeness::Damaged
    } else {
        Likeness::Other
    }
}

/// What a key has before boot: `enabled` and the type word both 0 or 1, or no bytes in the file (.bss).
fn holds_key(image: &Image, key: VirtAddr) -> bool {
    image.file_range(key).is_none()
        || image.u32(key).is_some_and(|enabled| enabled <= 1)
            && key.checked_add(8).and_then(|at| image.u64(at)).is_some_and(|kind| kind <= 1)
}
