//! Sleeping where one must not (kernel/sched/core.c): `BUG: sleeping function called from invalid context at file:line`, `BUG: scheduling while
//! atomic: comm/123/0x00000002`.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{after, comm_pid, dec32, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["BUG ", "BUG:", "idle thread"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let words = text.strip_prefix("BUG: ").or_else(|| text.strip_prefix("bad: "))?;
    if let Some(rest) = words.strip_prefix("sleeping function called from invalid context at ") {
        let mut start = Start::new(Kind::SleepingInAtomic, line, Sure::Certain);
        start.report.source = take_source(rest).map(|s| s.0);
        return Some(start);
    }
    let task = words.strip_prefix("scheduling while atomic: ");
    if let Some(rest) = task.or_else(|| words.strip_prefix("scheduling in a non-blocking section: ")) {
        let mut start = Start::new(Kind::SleepingInAtomic, line, Sure::Certain);
        if let Some((comm, pid)) = rest.rsplit_once('/').and_then(|(task, _)| comm_pid(task, '/')) {
            start.report.comm = Some(comm.to_owned());
            start.report.pid = Some(pid);
        }
        return Some(start);
    }
    for mark in ["assuming atomic context at ", "assuming non migratable context at "] {
        if let Some(rest) = words.strip_prefix(mark) {
            let mut start = Start::new(Kind::SleepingInAtomic, line, Sure::Certain);
            start.report.source = take_source(rest).map(|s| s.0);
            return Some(start);
        }
    }
    words
        .starts_with("scheduling from the idle thread")
        .then(|| Start::new(Kind::SleepingInAtomic, line, Sure::Kernel))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if text.starts_with("in_atomic(): ") {
        let report = &mut open.report;
        report.pid = after(text, "pid: ").and_then(dec32);
        report.comm = after(text, "name: ").map(str::to_owned);
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(
        open,
        line,
        &["preempt_count: ", "RCU nest depth: ", "INFO: lockdep is turned off", "irq event stamp"],
    )
}
