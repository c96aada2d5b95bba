//! Hung tasks (kernel/hung_task.c): `INFO: task comm:123 blocked for more than 143 seconds.`

use super::{Family, Start, Sure};
use crate::body::who;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{before, comm_pid};

pub(crate) static FAMILY: Family = Family { anchors: &["INFO: ", "blocked for more"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let Some(rest) = text.strip_prefix("INFO: task ") else {
        // A task's name may hold line feeds.
        let (task, time) = text.split_once(" blocked for more than ")?;
        let (comm, pid) = comm_pid(task, ':')?;
        let mut start = Start::new(Kind::HungTask, line, Sure::Kernel);
        start.report.comm = Some(comm.to_owned());
        start.report.pid = Some(pid);
        return time.ends_with("seconds.").then_some(start);
    };
    // `... is blocked on a mutex likely owned by ...` says more of a task that was named before.
    let wrapped =
        [" blocked for", " blocked for more", " blocked for more than"].iter().any(|w| rest.ends_with(w));
    let at = rest.find(" blocked ").filter(|at| wrapped || rest[*at..].contains(" for more than "));
    // linux-next, for tests: a task that was killed and does not die.
    let at = at.or_else(|| rest.find(" can't die for more than "))?;
    let mut start = Start::new(Kind::HungTask, line, Sure::Certain);
    if let Some((comm, pid)) = comm_pid(&rest[..at], ':') {
        start.report.comm = Some(comm.to_owned());
        start.report.pid = Some(pid);
    }
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if (text.starts_with("Not tainted") || text.starts_with("Tainted: ")) && open.report.release.is_none() {
        let mut who = who::Who::default();
        who::taint(text, &mut who);
        let report = &mut open.report;
        report.taint = who.taint.map(str::to_owned);
        report.release = who.release.map(str::to_owned);
        report.build = who.build.map(str::to_owned);
        return Taken::Facts;
    }
    if !open.has_place() {
        // Its own task, not another one's.
        if let Some((comm, pid)) = who::task_line(text) {
            let section = open.section();
            section.comm = Some(before(comm, " ").to_owned());
            section.pid = pid;
            section.identified = true;
            return Taken::Title;
        }
    }
    super::detail_of(
        open,
        line,
        &["\"echo 0 >", "Blocked by coredump", "INFO: task ", "Future hung task reports"],
    )
}
