//! Leaks: kmemleak (mm/kmemleak.c) `unreferenced object 0xffff (size 32):`, syzkaller's `BUG: memory leak`, references that are never dropped
//! (net/core/dev.c, fs/super.c).

use super::{Family, Start, Sure};
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::{Kind, Object};
use crate::text::{after, dec32, take_dec, take_hex};

pub(crate) static FAMILY: Family =
    Family { anchors: &["memory leak", "unreferenced obj", "unregister_netdev", "Busy inodes"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text == "BUG: memory leak" {
        return Some(Start::new(Kind::Leak, line, Sure::Certain));
    }
    if let Some(rest) = text.strip_prefix("unreferenced object ") {
        take_hex(rest)?;
        let mut start = Start::new(Kind::Leak, line, Sure::Certain);
        object(rest, &mut start.report.object);
        return Some(start);
    }
    if text.starts_with("unregister_netdevice: waiting for ") {
        return Some(Start::new(Kind::Leak, line, Sure::Certain));
    }
    if text.starts_with("VFS: Busy inodes after unmount of ") {
        return Some(Start::new(Kind::Leak, line, Sure::Certain));
    }
    let found = text
        .strip_prefix("kmemleak: ")
        .and_then(take_dec)
        .is_some_and(|(n, r)| n > 0 && r.contains("suspected memory leaks"));
    (found && line.part.origin == Origin::Kernel).then(|| Start::new(Kind::Leak, line, Sure::Certain))
}

/// `0xffff888 (size 32):`.
fn object(rest: &str, out: &mut Option<Object>) {
    let o = out.get_or_insert_with(Object::default);
    o.address = take_hex(rest).map(|a| a.0);
    o.size = after(rest, "(size ").and_then(take_dec).map(|s| s.0);
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("unreferenced object ") {
        if open.has_place() {
            return Taken::No;
        }
        object(rest, &mut open.report.object);
        open.detail(line);
        return Taken::Detail;
    }
    if let Some(rest) = text.strip_prefix("comm \"") {
        if let Some((comm, rest)) = rest.split_once('"') {
            open.report.comm = Some(comm.to_owned());
            open.report.pid = after(rest, "pid ").and_then(dec32);
        }
        open.detail(line);
        return Taken::Detail;
    }
    if text.starts_with("backtrace:") || text.starts_with("backtrace (crc") {
        open.section().in_trace = true;
        return Taken::Title;
    }
    if text.starts_with("hex dump (first ") {
        return Taken::Mark;
    }
    // `01 00 00 00 ...  ................`
    let b = text.as_bytes();
    if b.len() > 8
        && b[2] == b' '
        && b[5] == b' '
        && b[..2].iter().all(u8::is_ascii_hexdigit)
        && b[3..5].iter().all(u8::is_ascii_hexdigit)
    {
        return Taken::Mark;
    }
    Taken::No
}
