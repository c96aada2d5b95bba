//! Hardware's own complaints that end a boot: x86 `mce: [Hardware Error]: ... Fatal`, powerpc `Machine check in kernel mode`, xmon's
//! `cpu 0x0: Vector: 300 (Data Access) at [...]`.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Kind, Trap};
use crate::text::{after, take_hex};

pub(crate) static FAMILY: Family = Family { anchors: &["Machine check in", "Vector: "], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text.starts_with("Machine check in kernel mode") {
        return Some(Start::new(Kind::Oops, line, Sure::Certain));
    }
    let rest = text.strip_prefix("cpu 0x").or_else(|| text.strip_prefix("Vector: ").map(|_| text))?;
    let (name, _) = after(text, "Vector: ").and_then(|v| after(v, "(")).and_then(|v| v.split_once(')'))?;
    let mut start =
        Start::new(if name == "Data Access" { Kind::PageFault } else { Kind::Oops }, line, Sure::Certain);
    start.report.cpu = take_hex(rest).and_then(|c| u32::try_from(c.0).ok());
    start.report.arch = Some(Arch::Powerpc);
    let code = after(text, "Vector: ").and_then(take_hex).map(|v| v.0);
    start.report.trap = Some(Trap { name: name.to_owned(), error_code: code, ..Trap::default() });
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some((address, _)) = text.strip_prefix("dar: ").and_then(take_hex) {
        open.report.trap.get_or_insert_with(Trap::default).address = Some(address);
        return Taken::Facts;
    }
    if let Some(rest) = text.strip_prefix("pid   = ") {
        open.report.pid = crate::text::dec32(rest);
        open.report.comm = after(rest, "comm = ").map(str::to_owned);
        return Taken::Facts;
    }
    super::detail_of(
        open,
        line,
        &["sp: ", "msr: ", "dsisr: ", "current = ", "paca    = ", "enter ? for help"],
    )
}
