//! An interrupt that nobody answers (kernel/irq/spurious.c, `__report_bad_irq`): `irq 16: nobody cared (try booting with the "irqpoll"
//! option)`, a trace, and the handlers that were asked.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::take_dec;

pub(crate) static FAMILY: Family = Family { anchors: &[": nobody cared"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let (_, rest) = line.text().strip_prefix("irq ").and_then(take_dec)?;
    rest.starts_with(": nobody cared").then(|| Start::new(Kind::Warning, line, Sure::Trace))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if text == "handlers:" {
        open.section().in_trace = false;
        open.detail(line);
        return Taken::Detail;
    }
    // `[<00000000deadbeef>] usb_hcd_irq`, `... threaded [<...>] f`: no offset.
    let is_handler = text.starts_with("[<") && !text.contains("+0x");
    if is_handler && open.has_place() && !open.section().in_trace {
        if open.report.named.is_none() {
            open.report.named = frame::at_start(text);
        }
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(open, line, &["Disabling IRQ #"])
}
