//! Panics of Rust code (rust/kernel/lib.rs): `rust_kernel: panicked at file:line:column:`, then the message, then `kernel BUG at rust/helpers/bug.c`.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{after, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["panic"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let rest = line.text().strip_prefix("rust_kernel: ")?;
    let at = after(rest, "panicked at ")?;
    let mut start = Start::new(Kind::Bug, line, Sure::Lone);
    // Before 6.7: `panicked at 'message', file:line:column`.
    let place = at.rsplit_once("', ").map_or(at, |p| p.1);
    start.report.source = take_source(place).map(|s| s.0);
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    if open.preamble && open.taken <= 4 && !line.text().starts_with("----") {
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}
