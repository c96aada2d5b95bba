//! KFENCE (mm/kfence/report.c): `BUG: KFENCE: use-after-free read in f+0x1/0x2`; the trace follows without a title.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Kind, Object};
use crate::text::{after, between, take_dec, take_hex};

pub(crate) static FAMILY: Family = Family { anchors: &["BUG ", "BUG:"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let words = line.text().strip_prefix("BUG: KFENCE: ")?;
    let mut start = Start::new(Kind::Kfence, line, Sure::Certain);
    start.report.named = frame::after_mark(words, " in ");
    let write = words.contains(" write ");
    if write || words.contains(" read ") {
        start.report.object = Some(Object { access: Some((0, write)), ..Object::default() });
    }
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    const ACCESS: [&str; 6] = [
        "Out-of-bounds ",
        "Use-after-free ",
        "Corrupted memory at ",
        "Invalid ",
        "Use-after-",
        "Memory corruption",
    ];
    if !open.has_place() && ACCESS.iter().any(|a| text.starts_with(a)) {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.address =
            after(text, " at 0x").or_else(|| after(text, " of 0x")).and_then(take_hex).map(|a| a.0);
        open.detail(line);
        open.section().in_trace = true;
        return Taken::Detail;
    }
    // `kfence-#23: 0xffff-0xffff, size=32, cache=kmalloc-32`.
    if text.starts_with("kfence-#") {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.size = after(text, "size=").and_then(take_dec).map(|s| s.0);
        object.cache = after(text, "cache=").map(str::to_owned);
        if let Some((address, _)) = between(text, ": 0x", "-").and_then(take_hex) {
            object.address.get_or_insert(address);
        }
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}
