//! refcount_t (lib/refcount.c): `refcount_t: underflow; use-after-free.`, and the WARNING that it comes with.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family { anchors: &["refcount_t"], begin, line: super::no_lines };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let words = text.strip_prefix("refcount_t: ")?;
    let known =
        ["underflow", "addition on 0", "increment on 0", "saturated", "decrement hit 0", "decrement leak"];
    known.iter().any(|k| words.contains(k)).then(|| Start::new(Kind::Refcount, line, Sure::Lone))
}
