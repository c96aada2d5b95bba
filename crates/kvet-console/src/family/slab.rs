//! SLUB's and SLAB's own checks (mm/slub.c, `slab_bug`): `BUG kmalloc-64 (Tainted: G    B): Object already free`.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::{Kind, Object};
use crate::text::{after, before, take_hex};

pub(crate) static FAMILY: Family =
    Family { anchors: &["BUG ", "BUG:", "INFO: ", "slab error", "orruption", "double free"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("BUG ") {
        let (cache, rest) = rest.split_once(" (")?;
        let message = after(rest, "): ")?;
        // KASAN says so of each of its reports before 4.13; its own headline stands above.
        let kasan = message.starts_with("kasan:");
        if cache.contains(": ")
            || cache.len() > 64
            || kasan
            || !(rest.starts_with("Not tainted") || rest.starts_with("Tainted"))
        {
            return None;
        }
        let mut start = Start::new(Kind::Slab, line, Sure::Certain);
        start.report.object = Some(Object { cache: Some(cache.to_owned()), ..Object::default() });
        return Some(start);
    }
    if line.part.origin == Origin::Unknown {
        return None;
    }
    // What is left of a report whose headline was lost.
    if let Some(rest) =
        text.strip_prefix("INFO: Allocated in ").or_else(|| text.strip_prefix("INFO: Freed in "))
    {
        let mut start = Start::new(Kind::Slab, line, Sure::Certain);
        start.report.named = frame::at_start(rest);
        start.report.cut = true;
        return rest.contains(" age=").then_some(start);
    }
    let known = text.starts_with("slab error in ")
        || text.starts_with("Slab corruption (")
        || text.starts_with("Slab corruption: ")
        || text.starts_with("slab: double free detected in cache ")
        || (text.starts_with("cache_free_debugcheck") && text.contains("double free"));
    known.then(|| Start::new(Kind::Slab, line, Sure::Kernel))
}

pub(crate) fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("Object 0x").or_else(|| text.strip_prefix("INFO: Object 0x")) {
        let object = open.report.object.get_or_insert_with(Object::default);
        object.address = take_hex(before(rest, " ")).map(|a| a.0);
        open.detail(line);
        return Taken::Detail;
    }
    // Dumps: `Object ffff8800: 6b 6b`, `Redzone ...`, `Padding ...`, `Bytes b4 ...`.
    const DUMPS: [&str; 6] = ["Object ", "Redzone ", "Padding ", "Bytes b4 ", "Object   ", "Redzone  "];
    if DUMPS.iter().any(|d| text.starts_with(d)) && text.contains(": ") {
        return Taken::Mark;
    }
    super::detail_of(
        open,
        line,
        &[
            "INFO: Slab 0x",
            "Slab 0x",
            "0x",
            "FIX ",
            "INFO: 0x",
            "Disabling lock debugging",
            "First byte ",
            "[Bad",
            "-----",
        ],
    )
}
