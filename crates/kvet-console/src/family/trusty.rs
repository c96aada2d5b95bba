//! Trusty, the secure world's system, whose log the kernel's driver prints: its panics and assertions end the machine.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family { anchors: &["trusty: "], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let rest = line.text().strip_prefix("trusty: ")?;
    let known =
        rest.starts_with("panic (caller") || rest.contains("ASSERT FAILED") || rest.starts_with("panic: ");
    known.then(|| Start::new(Kind::Panic, line, Sure::Certain))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    super::detail_of(open, line, &["trusty: "])
}
