//! Watchdogs (kernel/watchdog.c, kernel/workqueue.c, arch/powerpc/kernel/watchdog.c).

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::{after, between, comm_pid, dec32};

pub(crate) static FAMILY: Family = Family { anchors: &["lockup", "LOCKUP", "CSD lock"], begin, line };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if let Some(rest) = after(text, "BUG: soft lockup - CPU#") {
        let mut start = Start::new(Kind::SoftLockup, line, Sure::Certain);
        start.report.cpu = dec32(rest);
        start.report.stalled_cpus.extend(dec32(rest));
        if let Some((comm, pid)) = between(rest, "[", "]").and_then(|t| comm_pid(t, ':')) {
            start.report.comm = Some(comm.to_owned());
            start.report.pid = Some(pid);
        }
        return Some(start);
    }
    if text.starts_with("BUG: workqueue lockup - pool ") {
        let mut start = Start::new(Kind::SoftLockup, line, Sure::Certain);
        start.report.stalled_cpus.extend(after(text, "cpus=").and_then(dec32));
        return Some(start);
    }
    if text.contains("spinlock lockup suspected on CPU#") && text.starts_with("BUG: ") {
        let mut start = Start::new(Kind::SoftLockup, line, Sure::Certain);
        let rest = after(text, "CPU#").unwrap_or("");
        start.report.cpu = dec32(rest);
        start.report.stalled_cpus.extend(dec32(rest));
        return Some(start);
    }
    // kernel/smp.c: `csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000000 ns for CPU#01 f+0x0/0x1(...)`.
    if text.starts_with("csd: Detected non-responsive CSD lock") {
        let mut start = Start::new(Kind::HardLockup, line, Sure::Certain);
        start.report.cpu = after(text, "on CPU#").and_then(dec32);
        start.report.stalled_cpus.extend(after(text, "for CPU#").and_then(dec32));
        return Some(start);
    }
    // `Watchdog detected hard LOCKUP on cpu 1`, `watchdog: CPU 3 detected hard LOCKUP on other CPUs 5`, `watchdog: CPU 3 self-detected hard LOCKUP`,
    // `watchdog: CPU3: Watchdog detected hard LOCKUP on cpu 3`.
    let hard =
        text.contains("hard LOCKUP") || text.contains("Hard LOCKUP") || text.contains("detected LOCKUP");
    if hard && !text.starts_with("Kernel panic") && (text.contains("detected") || text.contains("CPU")) {
        let mut start = Start::new(Kind::HardLockup, line, Sure::Kernel);
        let stuck = after(text, "LOCKUP on cpu ")
            .or_else(|| after(text, "LOCKUP on other CPUs "))
            .or_else(|| after(text, "CPU "));
        start.report.stalled_cpus.extend(stuck.and_then(dec32));
        start.report.cpu = after(text, "CPU ").and_then(dec32).or(start.report.stalled_cpus.first().copied());
        return Some(start);
    }
    None
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    // powerpc: `watchdog: CPU 3 TB:1234, last heartbeat TB:1200 (12ms ago)`.
    if line.text().contains(" TB:") {
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(
        open,
        line,
        &[
            "CPU#",
            "Showing busy workqueues",
            "Showing backtraces of",
            "workqueue ",
            "pwq ",
            "pool ",
            "in-flight:",
            "pending:",
            "delayed:",
            "Shutting down cpus",
            "flags: ",
            "#1: ",
            "Utilization every",
        ],
    )
}
