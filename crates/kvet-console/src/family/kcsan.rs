//! KCSAN (kernel/kcsan/report.c): `BUG: KCSAN: data-race in f / g`; the trace of each access follows its own title.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Role, Taken};
use crate::report::{Kind, Object};
use crate::text::{after, dec32, take_dec, take_hex};

pub(crate) static FAMILY: Family = Family { anchors: &["SAN: "], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let words = line.text().strip_prefix("BUG: KCSAN: ")?;
    let mut start = Start::new(Kind::Kcsan, line, Sure::Certain);
    start.report.named =
        after(words, " in ").and_then(|n| frame::at_start(n.split(" / ").next().unwrap_or(n)));
    Some(start)
}

/// `write to 0xffff8881 of 8 bytes by task 123 on cpu 0:`, `race at unknown origin, with read to ...`.
fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let access = text.contains(" to 0x") && text.contains(" bytes by ") && text.ends_with(':');
    if !access {
        if text.starts_with("Reported by Kernel Concurrency Sanitizer on:") {
            open.section().in_trace = false;
            return Taken::Mark;
        }
        return super::detail_of(open, line, &["value changed: ", "assert no ", "no locks held"]);
    }
    let first = !open.has_place();
    let write = text.contains("write") && !text.starts_with("read");
    if first {
        open.report.object = Some(Object {
            address: after(text, " to ").and_then(take_hex).map(|a| a.0),
            access: after(text, " of ").and_then(take_dec).map(|s| (s.0, write)),
            ..Object::default()
        });
    }
    let section = open.begin_section(if first { Role::Main } else { Role::History }, text);
    section.in_trace = true;
    section.pid = after(text, "by task ").and_then(dec32);
    section.cpu = after(text, "on cpu ").and_then(dec32);
    open.detail(line);
    Taken::Title
}
