//! refcount_t (lib/refcount.c): `refcount_t: underflow; use-after-free.`, and the WARNING that it comes with.

use super::{Family, Start, Sure};
use crate::line::{Line, Origin};
use crate::open::Taken;
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family { anchors: &["refcount_t"], begin, line: |_, _| Taken::No };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let words = text.strip_prefix("refcount_t: ")?;
    let known =
        ["underflow", "addition on 0", "increment on 0", "saturated", "decrement hit 0", "decrement leak"];
    let sure = if line.part.origin == Origin::Kernel { Sure::Lone } else { Sure::Trace };
    known.iter().any(|k| words.contains(k)).then(|| Start::new(Kind::Refcount, line, sure))
}
