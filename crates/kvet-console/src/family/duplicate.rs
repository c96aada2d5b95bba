//! Complaints that are followed by `dump_stack()` and by nothing else: no `WARNING:`, no `BUG:`.
//!
//! `sysfs: cannot create duplicate filename '/x'` (fs/sysfs/dir.c, `sysfs_warn_dup`, since 4.15), `kmem_cache_destroy x: Slab cache
//! still has objects` (mm/slab_common.c, until 5.17).

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::report::Kind;

pub(crate) static FAMILY: Family =
    Family { anchors: &["create duplicate", "still has objects"], begin, line: super::no_lines };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text.starts_with("sysfs: cannot create duplicate filename ") {
        return Some(Start::new(Kind::Warning, line, Sure::Trace));
    }
    let destroyed =
        text.starts_with("kmem_cache_destroy ") && text.ends_with(": Slab cache still has objects");
    destroyed.then(|| Start::new(Kind::Slab, line, Sure::Trace))
}
