//! `WARNING: ` of `WARN_ON` and its kin (kernel/panic.c, `__warn`), in the words of every version.
//!
//! `WARNING: at file:line f+0x1/0x2()` before 3.12; `WARNING: CPU: 0 PID: 1 at file:line f+0x1/0x2` until 6.16; `WARNING: file:line at
//! f+0x1/0x2, CPU#0: comm/1` since.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::{Line, Origin};
use crate::open::{Open, Taken};
use crate::report::{Kind, Report};
use crate::text::{after, comm_pid, dec32, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["WARNING:"], begin, line };

/// Lines without a place that the kernel prints about its own stacks (arch/x86/kernel/unwind_frame.c, unwind_orc.c).
const STACK: &[&str] = &[
    "kernel stack regs",
    "kernel stack frame pointer",
    "stack recursion",
    "stack going in the wrong direction",
    "can't access registers",
    "unrecognized unwind",
];

fn begin(line: &Line<'_>) -> Option<Start> {
    let rest = line.text().strip_prefix("WARNING: ")?;
    if let Some(start) = old(rest, line).or_else(|| new(rest, line)) {
        return Some(start);
    }
    if STACK.iter().any(|s| rest.starts_with(s)) {
        let sure = if rest.contains(" has bad ") { Sure::Certain } else { Sure::Kernel };
        return Some(Start::new(Kind::Warning, line, sure));
    }
    // Any other `WARNING:` is as often harmless advice; a trace decides.
    (line.part.origin == Origin::Kernel && rest.len() > 2)
        .then(|| Start::new(Kind::Warning, line, Sure::Trace))
}

/// `CPU: 0 PID: 1 at file:line f+0x1/0x2 [mod]`, `at file:line f+0x1/0x2()`.
fn old(rest: &str, line: &Line<'_>) -> Option<Start> {
    let place = if rest.starts_with("CPU: ") { after(rest, " at ") } else { rest.strip_prefix("at ") };
    let cut = rest.starts_with("CPU: ") && after(rest, "PID: ").is_some();
    let Some(place) = place else {
        return cut.then(|| Start::new(Kind::Warning, line, Sure::Certain));
    };
    let mut start = Start::new(Kind::Warning, line, Sure::Certain);
    let report = &mut start.report;
    report.cpu = rest.strip_prefix("CPU: ").and_then(dec32);
    report.pid = after(rest, "PID: ").and_then(dec32);
    let place = without_condition(place);
    let Some((source, tail)) = take_source(place) else {
        report.named = frame::at_start(place).filter(|f| f.size.is_some());
        who_of(place, report);
        return (cut || report.named.is_some()).then_some(start);
    };
    report.source = Some(source);
    report.named = frame::at_start(tail.trim_start()).filter(|f| f.size.is_some() || tail.contains("()"));
    Some(start)
}

/// `file:line at f+0x1/0x2 [mod], CPU#0: comm/1`.
fn new(rest: &str, line: &Line<'_>) -> Option<Start> {
    let rest = without_condition(rest);
    // A word before the file (`WARNING: slab: file:line`) is not the kernel's.
    let (source, tail) = take_source(rest)?;
    let place = tail.strip_prefix(" at ")?;
    let mut start = Start::new(Kind::Warning, line, Sure::Certain);
    let report = &mut start.report;
    report.source = Some(source);
    report.named = frame::at_start(place);
    who_of(place, report);
    (report.cpu.is_some() || report.named.as_ref().is_some_and(|f| f.size.is_some())).then_some(start)
}

/// CONFIG_DEBUG_BUGVERBOSE_DETAILED (6.18) puts the condition in front of the file: `[a[i] > b] fs/x.c:12`.
pub(crate) fn without_condition(rest: &str) -> &str {
    if !rest.starts_with('[') {
        return rest;
    }
    let ends = rest.match_indices("] ").take(16).map(|(at, _)| &rest[at + 2..]);
    ends.filter(|file| take_source(file).is_some()).last().unwrap_or(rest)
}

/// `CPU#0: comm/1`.
fn who_of(place: &str, report: &mut Report) {
    let Some(who) = after(place, "CPU#") else { return };
    report.cpu = dec32(who);
    if let Some((comm, pid)) = after(who, ": ").and_then(|t| comm_pid(t, '/')) {
        report.comm = Some(comm.to_owned());
        report.pid = Some(pid);
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    // Before 4.11 the message followed the headline; it is the first line that is nobody else's.
    if open.taken <= 3
        && open.adjacent
        && !open.has_place()
        && open.report.details.is_empty()
        && is_message(text)
    {
        open.detail(line);
        return Taken::Detail;
    }
    Taken::No
}

/// Whether a line after the headline may be the warning's own message.
fn is_message(text: &str) -> bool {
    const OTHERS: [&str; 14] = [
        "Modules linked",
        "CPU: ",
        "Pid: ",
        "Hardware name",
        "Call Trace",
        "Call trace",
        "Kernel panic",
        "Workqueue",
        "---[",
        "[<",
        "Dumping",
        "RIP",
        "WARNING",
        "pstate",
    ];
    text.contains(' ')
        && !OTHERS.iter().any(|o| text.starts_with(o))
        && !crate::body::titles::is_foreign(text)
        && crate::arch::x86::is_registers(text).eq(&false)
}
