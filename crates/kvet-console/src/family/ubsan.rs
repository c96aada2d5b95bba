//! UBSAN (lib/ubsan.c): `UBSAN: array-index-out-of-bounds in file:line:column`, before 5.8 `UBSAN: Undefined behaviour in file:line:column`.

use super::{Family, Start, Sure};
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{after, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["SAN: "], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let words = line.text().strip_prefix("UBSAN: ")?;
    let source = after(words, " in ").and_then(take_source).map(|s| s.0);
    if source.is_none() && line.part.origin != Origin::Kernel {
        return None;
    }
    // CONFIG_UBSAN_TRAP: `UBSAN: array index out of bounds at f+0x1/0x2`, then the trap.
    if source.is_none() && words.contains(" at ") && words.contains("+0x") {
        let mut start = Start::new(Kind::Ubsan, line, Sure::Lone);
        start.report.named = crate::body::frame::after_mark(words, " at ");
        return Some(start);
    }
    let mut start = Start::new(Kind::Ubsan, line, if source.is_some() { Sure::Certain } else { Sure::Trace });
    start.report.source = source;
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    // One line says what the values were; it has no fixed words, and is the first.
    if open.taken <= 2
        && open.adjacent
        && open.report.details.is_empty()
        && text.contains(' ')
        && !text.starts_with("CPU: ")
    {
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}
