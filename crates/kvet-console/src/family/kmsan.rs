//! KMSAN (mm/kmsan/report.c): `BUG: KMSAN: uninit-value in f+0x1/0x2`; the trace follows without a title.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Kind, Object};
use crate::text::{after, between, take_dec, take_hex};

pub(crate) static FAMILY: Family = Family { anchors: &["SAN: "], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let words = line.text().strip_prefix("BUG: KMSAN: ")?;
    let mut start = Start::new(Kind::Kmsan, line, Sure::Certain);
    start.report.named = frame::after_mark(words, " in ");
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if !open.has_place() {
        open.section().in_trace = true;
    }
    if let Some(rest) = text.strip_prefix("Bytes ") {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.size = after(rest, " of ").and_then(take_dec).map(|s| s.0);
        open.detail(line);
        return Taken::Detail;
    }
    if text.starts_with("Memory access of size ") {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.access = between(text, "size ", " ").and_then(take_dec).map(|s| (s.0, false));
        object.address = after(text, "starts at ").and_then(take_hex).map(|a| a.0);
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(open, line, &["Data copied to user address", "Abort on "])
}
