//! `kernel BUG at file:line!` (lib/bug.c, `report_bug`) and `BUG: ...` of no more telling family.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{after, before, comm_pid, dec32, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["BUG ", "BUG:"], begin, line };

/// `BUG:` lines that only the kernel prints: start, and what else they hold (mm/memory.c, mm/page_alloc.c, fs/dcache.c, kernel/locking/spinlock_debug.c,
/// lib/smp_processor_id.c, kernel/workqueue.c, kernel/fork.c, and others).
const KNOWN: &[(&str, &str)] = &[
    ("Bad page state in process ", ""),
    ("Bad page map in process ", ""),
    ("Bad page cache in process ", ""),
    ("Bad rss-counter state mm:", ""),
    ("non-zero pgtables_bytes on freeing mm", ""),
    ("non-zero nr_ptes on freeing mm", ""),
    ("Dentry ", "still in use"),
    ("using ", " in preemptible ["),
    ("spinlock ", " on CPU#"),
    ("rwlock ", " on CPU#"),
    ("workqueue leaked ", "0x"),
    ("Unable to handle ", "kernel"),
    ("unable to handle ", "kernel"),
];

/// Complaints about firmware and hardware with which machines work well.
const HARMLESS: &[&str] = &["arch topology borken"];

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    for mark in ["kernel BUG at ", "Kernel BUG at ", "kernel BUG in "] {
        if let Some(rest) = text.strip_prefix(mark) {
            let mut start = Start::new(Kind::Bug, line, Sure::Certain);
            start.report.source = take_source(super::warning::without_condition(rest)).map(|s| s.0);
            if start.report.source.is_none() {
                start.report.named = frame::at_start(rest).filter(|f| f.size.is_some());
            }
            return Some(start);
        }
    }
    if text.starts_with("Kernel BUG ") || text.starts_with("kernel BUG ") {
        return Some(Start::new(Kind::Bug, line, Sure::Kernel));
    }
    let words = text.strip_prefix("BUG: ").or_else(|| bracketed(text))?;
    if words.is_empty()
        || HARMLESS.iter().any(|h| words.starts_with(h))
        || words.ends_with("messages suppressed")
    {
        return None;
    }
    // include/asm-generic/bug.h: `BUG: failure at file:line/f()!`.
    if let Some(((file, number), tail)) = words.strip_prefix("failure at ").and_then(take_source) {
        let mut start = Start::new(Kind::Bug, line, Sure::Certain);
        start.report.source = Some((file, number));
        start.report.named =
            tail.strip_prefix('/').map(|f| frame::named(f.trim_end_matches(['!', '(', ')'])));
        return Some(start);
    }
    let known = KNOWN.iter().any(|(start, with)| words.starts_with(start) && words.contains(with));
    let sure = match line.part.origin {
        _ if known => Sure::Certain,
        Origin::Kernel => Sure::Kernel,
        _ => Sure::Trace,
    };
    let mut start = Start::new(Kind::Bug, line, sure);
    describe(words, &mut start);
    Some(start)
}

/// `[ BUG: ... ]`.
fn bracketed(text: &str) -> Option<&str> {
    Some(text.strip_prefix("[ BUG: ")?.trim_end_matches([' ', ']']))
}

/// Task and CPU that a headline names.
fn describe(words: &str, start: &mut Start) {
    let report = &mut start.report;
    if let Some(rest) = after(words, " on CPU#") {
        report.cpu = dec32(rest);
        if let Some((comm, pid)) =
            after(rest, ", ").and_then(|t| comm_pid(t.split(' ').next().unwrap_or(t), '/'))
        {
            report.comm = Some(comm.to_owned());
            report.pid = Some(pid);
        }
    }
    // `using smp_processor_id() in preemptible [00000000] code: comm/123`.
    if let Some((comm, pid)) = after(words, " code: ").and_then(|t| comm_pid(t, '/')) {
        report.comm = Some(comm.to_owned());
        report.pid = Some(pid);
    }
    // `Bad page state in process comm  pfn:1`, `Bad rss-counter state ... Comm:x Pid:1`.
    if let Some(rest) = after(words, " in process ") {
        report.comm = rest.split([' ', ',']).next().map(str::to_owned);
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("caller is ").or_else(|| text.strip_prefix("last function: ")) {
        open.report.named = frame::at_start(rest);
        open.detail(line);
        return Taken::Detail;
    }
    if let Some(name) = after(text, "workfn=").map(|rest| before(rest, "workfn=")) {
        open.report.named = frame::at_start(name);
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(
        open,
        line,
        &[
            "page:",
            "page: ",
            "flags: 0x",
            "raw: ",
            "page dumped because:",
            "addr:",
            "addr ",
            "file:",
            "pte:",
            "lock: ",
            ".owner",
            "head: ",
            "bad because of flags",
            "mapping:",
            "aops:",
            "page_type:",
            "memcg:",
            "anon flags:",
            "page_owner ",
            "swap:",
            "invalid opcode: ",
            "CFI failure",
            "kernel BUG",
        ],
    )
}
