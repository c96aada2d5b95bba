//! KASAN (mm/kasan/report.c): `BUG: KASAN: slab-use-after-free in f+0x1/0x2 [mod]`.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Kind, Object, Trap};
use crate::text::{after, before, comm_pid, dec32, hex, take_dec, take_hex};

pub(crate) static FAMILY: Family = Family { anchors: &["SAN: ", "kasan: GPF"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    // Before 5.9 this line stood in front of the `general protection fault` that it explains.
    if text.starts_with("kasan: GPF could be caused by") {
        return Some(Start::new(Kind::GeneralProtection, line, Sure::Preamble));
    }
    let words = text.strip_prefix("BUG: KASAN: ")?;
    let mut start = Start::new(Kind::Kasan, line, Sure::Certain);
    start.report.named = frame::after_mark(words, " in ");
    // Before 4.9: `... in f+0x1/0x2 at addr ffff8800...`.
    let address = after(words, " at addr ").and_then(take_hex).map(|a| a.0);
    if address.is_some() {
        start.report.object = Some(Object { address, ..Object::default() });
    }
    Some(start)
}

/// `Read of size 8 at addr ffff8880 by task x/12`; the object, its cache and size.
pub(crate) fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let access = ["Read of size ", "Write of size ", "Atomic "].iter().position(|a| text.starts_with(a));
    if let Some(which) = access {
        let size = after(text, " size ").and_then(take_dec).map(|s| s.0);
        let object = open.report.object.get_or_insert_with(Object::default);
        if let Some(size) = size {
            object.access = Some((size, which != 0));
        }
        if let Some((address, _)) = after(text, "at addr ").and_then(take_hex) {
            open.report.trap.get_or_insert_with(Trap::default).address = Some(address);
        }
        let trap = open.report.trap.get_or_insert_with(Trap::default);
        trap.fault.write = Some(which != 0);
        if let Some((comm, pid)) =
            after(text, "by task ").and_then(|t| comm_pid(t, '/').or_else(|| comm_pid(t, ':')))
        {
            open.report.comm = Some(comm.to_owned());
            open.report.pid = Some(pid);
        }
        open.detail(line);
        return Taken::Detail;
    }
    if let Some(rest) = text.strip_prefix("The buggy address belongs to the object at ") {
        open.report.object.get_or_insert_with(Object::default).address = take_hex(rest).map(|a| a.0);
        open.detail(line);
        return Taken::Detail;
    }
    if let Some(rest) = text.strip_prefix("which belongs to the cache ") {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.cache = Some(before(rest, " of size").to_owned());
        object.size = after(rest, "of size ").and_then(take_dec).map(|s| s.0);
        open.detail(line);
        return Taken::Detail;
    }
    // Before 4.13: `Object at ffff8801, in cache kmalloc-64 size: 64`.
    if let Some(rest) = text.strip_prefix("Object at ").filter(|r| r.contains("in cache ")) {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.address = take_hex(rest).map(|a| a.0);
        object.cache = after(rest, "in cache ").map(|c| before(c, " size:").trim_end_matches(',').to_owned());
        object.size = after(rest, "size: ").and_then(take_dec).map(|s| s.0);
        open.detail(line);
        return Taken::Detail;
    }
    if let Some(rest) = text.strip_prefix("The buggy address belongs to the variable:") {
        if let Some(name) = frame::at_start(rest.trim()) {
            open.report.object.get_or_insert_with(Object::default).cache = Some(name.symbol.to_string());
        }
        open.detail(line);
        return Taken::Detail;
    }
    if text.starts_with("Memory state around the buggy address:") {
        open.section().in_trace = false;
        return Taken::Mark;
    }
    // Rows of shadow bytes and the mark below them.
    let row = text.strip_prefix('>').unwrap_or(text);
    if row.len() > 20
        && row.len() < 90
        && row
            .split_once(": ")
            .is_some_and(|(a, b)| hex(a).is_some() && b.split(' ').all(|x| x.len() == 2 && hex(x).is_some()))
        || text.bytes().all(|b| b == b'^' || b == b' ')
    {
        return Taken::Mark;
    }
    if let Some(pid) = text.strip_prefix("PID: ").and_then(dec32) {
        open.report.pid.get_or_insert(pid);
    }
    // Variables of a frame: `[32, 48) 'x'`.
    if text.starts_with('[') && text.contains(") '") {
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(open, line, DETAILS)
}

/// Lines that describe the memory.
const DETAILS: &[&str] = &[
    "The buggy ",
    "which belongs to",
    "page:",
    "page: ",
    "flags: 0x",
    "raw: ",
    "page dumped because",
    "Pointer tag: ",
    "KASAN: ",
    "page_type:",
    "head: ",
    "memcg:",
    "addr ",
    "this frame has ",
    "Address ",
];
