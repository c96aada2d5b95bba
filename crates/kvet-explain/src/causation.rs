//! Which report follows from which.
//!
//! A crash is rarely alone: printing it may fault again, other CPUs wait for the dead one, the panic announces it,
//! the watchdogs notice. Each rule below names what it takes for a consequence and why. A cause always stands for
//! itself: what follows from a consequence follows from its cause.

use kvet_console::{Kind, Log, Phase, Report};

use crate::Seed;

/// Reports that belong together follow each other within so many seconds.
const TOGETHER: f64 = 3.0;

/// For every report the one it follows from.
pub fn causes(seeds: &[Seed], log: &Log) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..seeds.len()).collect();
    order.sort_by_key(|&i| (seeds[i].report.boot, !seeds[i].inferred, seeds[i].report.span.start));
    let mut causes: Vec<Option<usize>> = vec![None; seeds.len()];
    // Bounded: a log of a million reports is not searched quadratically.
    const WINDOW: usize = 64;
    let mut firsts: Vec<usize> = Vec::new();
    for (position, &index) in order.iter().enumerate() {
        let report = &seeds[index].report;
        if position > 0 && seeds[order[position - 1]].report.boot != report.boot {
            firsts.clear();
        }
        // The first causes of the boot, and the reports just before this one.
        let recent = order[position.saturating_sub(WINDOW)..position].iter().rev().copied();
        let candidates =
            firsts.iter().copied().chain(recent).filter(|&j| may_cause(&seeds[j].report, report));
        let root = |j: usize| causes[j].unwrap_or(j);
        let found = candidates.clone().find(|&j| follows(&seeds[index], &seeds[j], log)).map(root);
        causes[index] = found.filter(|&cause| cause != index);
        if causes[index].is_none() && firsts.len() < WINDOW {
            firsts.push(index);
        }
    }
    causes
}

/// Causes first, each followed by its consequences; otherwise the order of the log.
pub fn order(seeds: &[Seed], causes: &[Option<usize>]) -> Vec<usize> {
    // A cause that a later trace reveals stands where its first consequence does.
    let mut place: Vec<(usize, u64)> =
        seeds.iter().map(|seed| (seed.report.boot, seed.report.span.start)).collect();
    for (index, cause) in causes.iter().enumerate() {
        if let Some(cause) = *cause {
            place[cause] = place[cause].min((seeds[index].report.boot, seeds[index].report.span.start));
        }
    }
    let mut order: Vec<usize> = (0..seeds.len()).collect();
    order.sort_by_key(|&i| {
        let root = causes[i].unwrap_or(i);
        (place[root], root, causes[i].is_some(), seeds[i].report.span.start)
    });
    order
}

/// The same boot of the same kernel, as far as the reports tell: a mail may hold logs of several machines.
fn may_cause(cause: &Report, report: &Report) -> bool {
    // A mailer may have cut one of the two.
    let differs = |a: &Option<String>, b: &Option<String>| matches!((a, b), (Some(a), Some(b)) if !a.starts_with(b.as_str()) && !b.starts_with(a.as_str()));
    let counter = |r: &Report| r.trap.as_ref().and_then(|trap| trap.counter);
    let starts_again = matches!((counter(cause), counter(report)), (Some(a), Some(b)) if b <= a);
    cause.boot == report.boot && !differs(&cause.release, &report.release) && !starts_again
}

/// Whether one report follows from another one of the same boot.
fn follows(seed: &Seed, cause: &Seed, _log: &Log) -> bool {
    let (report, earlier) = (&seed.report, &cause.report);
    let rules: [fn(&Seed, &Seed) -> bool; 12] = [
        same_address,
        nested,
        counted,
        announces,
        left_behind,
        waits,
        same_access,
        spelt_out,
        repeats,
        refused_again,
        no_root,
        restarts,
    ];
    let after = cause.inferred || earlier.span.start <= report.span.start;
    after && rules.iter().any(|rule| rule(seed, cause))
}

/// Whether a kind ends a task, a CPU, or everything.
pub fn is_crash(report: &Report) -> bool {
    match report.kind {
        Kind::Oops | Kind::PageFault | Kind::GeneralProtection | Kind::StackOverflow | Kind::DoubleFault => {
            true
        }
        Kind::Breakpoint | Kind::InvalidOpcode | Kind::Panic => true,
        Kind::Bug | Kind::Patching => report.trap.is_some() || report.panic.is_some(),
        _ => report.panic.is_some(),
    }
}

fn is_stall(kind: Kind) -> bool {
    matches!(kind, Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall)
}

/// Whether two reports are close in time; without time stamps, yes.
fn together(a: &Report, b: &Report) -> bool {
    match (a.timestamp, b.timestamp) {
        (Some(a), Some(b)) => (b - a).abs() <= TOGETHER,
        _ => true,
    }
}

/// A fault while a report is being printed or the machine dies: the trace goes through the code that does it.
fn nested(seed: &Seed, cause: &Seed) -> bool {
    const PRINTING: &[&str] = &[
        "panic",
        "vpanic",
        "die",
        "__die",
        "oops_end",
        "dump_backtrace",
        "show_stack",
        "dump_stack",
        "dump_stack_lvl",
        "show_regs",
        "__show_regs",
        "show_trace_log_lvl",
        "show_stack_log_lvl",
        "handle_bad_stack",
        "__bad_stack",
        "page_fault_oops",
        "no_context",
        "die_kernel_fault",
        "arm64_notify_die",
        "report_bug",
        "make_task_dead",
        "rewind_stack_do_exit",
        "rewind_stack_and_make_dead",
    ];
    let report = &seed.report;
    let in_printing = || report.frames.iter().any(|f| f.reliable && PRINTING.contains(&f.function.as_str()));
    // A report by software begins its own trace with the printer: only a trap's trace stands before it.
    let trapped = report.trap.is_some() && report.ip.is_some() || report.kind == Kind::PageFault;
    let dying = || {
        report
            .frames
            .iter()
            .any(|f| f.reliable && matches!(f.function.as_str(), "panic" | "oops_end" | "make_task_dead"))
    };
    let warned = report.kind == Kind::Warning && dying();
    is_crash(&cause.report) && together(&cause.report, report) && (trapped && in_printing() || warned)
}

/// The same address once more, a moment later: the report of the first access, or the walk of the same stack.
fn same_address(seed: &Seed, cause: &Seed) -> bool {
    let address = |report: &Report| report.trap.as_ref().and_then(|trap| trap.address);
    let (report, cause) = (&seed.report, &cause.report);
    let near = matches!((report.timestamp, cause.timestamp), (Some(a), Some(b)) if (a - b).abs() <= TOGETHER);
    is_crash(report)
        && is_crash(cause)
        && near
        && address(report).is_some()
        && address(report) == address(cause)
}

/// `[#2]` and higher: the kernel has been in an unknown state since the first oops.
fn counted(seed: &Seed, cause: &Seed) -> bool {
    let counter = |report: &Report| report.trap.as_ref().and_then(|trap| trap.counter);
    match (counter(&seed.report), counter(&cause.report)) {
        (Some(later), Some(first)) => later > first,
        // Taint D: it died before, whether or not the number was printed.
        (None, Some(_)) => {
            is_crash(&seed.report) && seed.report.taint.as_deref().is_some_and(|t| t.contains('D'))
        }
        _ => false,
    }
}

/// Panics that announce what was reported before.
fn announces(seed: &Seed, cause: &Seed) -> bool {
    if seed.report.kind != Kind::Panic {
        return false;
    }
    let text = seed.report.headline.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let cause = &cause.report;
    if says(&[
        "fatal exception",
        "fatal trap",
        "oops",
        "attempted to kill",
        "aiee",
        "stack overflow",
        "corrupted stack",
        "unrecoverable",
        "bug!",
        "double fault",
    ]) {
        return is_crash(cause);
    }
    if says(&["panic_on_warn", "kernel: panic_on_warn", "warn"]) && cause.kind != Kind::Panic {
        return together(cause, &seed.report);
    }
    if says(&[
        "softlockup",
        "soft lockup",
        "hard lockup",
        "rcu stall",
        "rcu detected",
        "hung_task",
        "blocked tasks",
        "stall",
    ]) {
        return is_stall(cause.kind) || cause.kind == Kind::HungTask;
    }
    if says(&["ubsan", "kasan", "kmsan", "kcsan", "kfence"]) {
        return matches!(cause.kind, Kind::Ubsan | Kind::Kasan | Kind::Kmsan | Kind::Kcsan | Kind::Kfence);
    }
    false
}

/// What a task that died leaves behind: locks held, interrupts off, a preemption count.
fn left_behind(seed: &Seed, cause: &Seed) -> bool {
    let (report, cause) = (&seed.report, &cause.report);
    let crashed = is_crash(cause) && cause.kind != Kind::Panic;
    let same_task =
        report.pid.is_some() && report.pid == cause.pid || report.pid.is_none() && report.cpu == cause.cpu;
    match report.kind {
        Kind::SleepingInAtomic => crashed && (same_task || report.cpu.is_some() && report.cpu == cause.cpu),
        Kind::Lockdep | Kind::Warning | Kind::Bug | Kind::Refcount => {
            crashed && same_task && together(cause, report)
        }
        _ => false,
    }
}

/// Stalls and hung tasks after a crash, or beside the CPU that all wait for.
fn waits(seed: &Seed, cause: &Seed) -> bool {
    let (report, earlier) = (&seed.report, &cause.report);
    if !is_stall(report.kind) && report.kind != Kind::HungTask {
        return false;
    }
    // A CPU in an endless trap answers nobody.
    if cause.inferred && earlier.kind == Kind::Breakpoint {
        return true;
    }
    if is_crash(earlier) {
        return true;
    }
    let cpus = |r: &Report| r.cpu.into_iter().chain(r.stalled_cpus.iter().copied()).collect::<Vec<_>>();
    if is_stall(report.kind) && is_stall(earlier.kind) {
        let (mine, theirs) = (cpus(report), cpus(earlier));
        return mine.iter().any(|cpu| theirs.contains(cpu)) || same_function(seed, cause);
    }
    if report.kind == Kind::HungTask {
        return is_stall(earlier.kind) || earlier.kind == Kind::HungTask && same_function(seed, cause);
    }
    false
}

/// A sanitiser's or a consistency check's report, and then the same access for real.
fn same_access(seed: &Seed, cause: &Seed) -> bool {
    let of_one_function = same_function(seed, cause);
    let (report, cause) = (&seed.report, &cause.report);
    let checked = matches!(
        cause.kind,
        Kind::Kasan
            | Kind::Kfence
            | Kind::Kmsan
            | Kind::Ubsan
            | Kind::Refcount
            | Kind::Slab
            | Kind::Warning
            | Kind::Lockdep
    );
    let same_task = report.pid.is_some() && report.pid == cause.pid;
    let near = matches!((report.timestamp, cause.timestamp), (Some(a), Some(b)) if a - b <= 1.0);
    let is_access =
        is_crash(report) && report.kind != Kind::Panic || matches!(report.kind, Kind::Slab | Kind::Refcount);
    // A warning alone is not enough: plenty of tests warn before they crash for another reason. One of the same function
    // is (lib/string_helpers.c `__fortify_report`, then `fortify_panic`).
    let telling = !matches!(cause.kind, Kind::Warning | Kind::Lockdep);
    checked && is_access && same_task && near && (telling || of_one_function)
}

/// A complaint of one line, and the `WARNING:` or `BUG` right below with which the kernel makes it (fs/dcache.c `umount_check`,
/// fs/super.c `generic_shutdown_super`).
fn spelt_out(seed: &Seed, cause: &Seed) -> bool {
    let (report, cause) = (&seed.report, &cause.report);
    let bare = cause.ip.is_none() && cause.frames.is_empty();
    let said = ["BUG: Dentry ", "VFS: Busy inodes"].iter().any(|words| cause.headline.starts_with(words));
    bare && said
        && matches!(report.kind, Kind::Warning | Kind::Bug)
        && report.span.first_line <= cause.span.last_line + 3
}

fn same_function(seed: &Seed, cause: &Seed) -> bool {
    let function = |seed: &Seed| seed.culprit.as_ref().map(|culprit| culprit.function.clone());
    function(seed).is_some() && function(seed) == function(cause)
}

/// The same complaint of the same place again.
fn repeats(seed: &Seed, cause: &Seed) -> bool {
    let repeatable = matches!(
        seed.report.kind,
        Kind::Warning
            | Kind::Kasan
            | Kind::Kmsan
            | Kind::Kcsan
            | Kind::Ubsan
            | Kind::Refcount
            | Kind::SleepingInAtomic
            | Kind::Lockdep
            | Kind::Slab
    );
    repeatable
        && seed.report.kind == cause.report.kind
        && seed.report.source == cause.report.source
        && same_function(seed, cause)
}

/// The kernel's own BTF is refused once; every module fails with it.
fn refused_again(seed: &Seed, cause: &Seed) -> bool {
    seed.report.kind == Kind::Btf && cause.report.kind == Kind::Btf
}

/// No root file system, because the driver that should have brought it failed.
fn no_root(seed: &Seed, cause: &Seed) -> bool {
    let driver = |report: &Report| matches!(report.phase, Phase::Initcall(_) | Phase::Init | Phase::Unknown);
    seed.report.kind == Kind::Rootfs
        && (cause.report.kind == Kind::Btf || is_crash(&cause.report) && driver(&cause.report))
}

/// A machine that starts again after it has died.
fn restarts(seed: &Seed, cause: &Seed) -> bool {
    seed.report.kind == Kind::Reset && is_crash(&cause.report)
}

#[cfg(test)]
mod tests {
    use kvet_console::{Span, Trap};

    use super::*;
    use crate::fault;
    use crate::testing::{frame, report};

    fn causes_of(reports: Vec<Report>) -> (Vec<Option<usize>>, Vec<usize>) {
        let seeds: Vec<Seed> = reports
            .into_iter()
            .enumerate()
            .map(|(i, mut report)| {
                report.span = Span { start: i as u64 * 100, ..Span::default() };
                Seed {
                    culprit: fault::culprit(&report),
                    inferred: crate::infer::is_int3_loop(&report),
                    report: report.into(),
                }
            })
            .collect();
        let causes = causes(&seeds, &Log::default());
        let order = order(&seeds, &causes);
        (causes, order)
    }

    fn oops(counter: u32) -> Report {
        let mut report = report(Kind::PageFault);
        report.trap = Some(Trap { counter: Some(counter), ..Trap::default() });
        report.ip = Some(frame("f"));
        report.pid = Some(7);
        report
    }

    #[test]
    fn aborts_while_printing_are_consequences() {
        let mut first = report(Kind::StackOverflow);
        first.ip = Some(frame("el1_sync"));
        let mut second = oops(1);
        second.ip = Some(frame("unwind_frame"));
        second.frames = ["show_stack", "dump_stack", "panic", "handle_bad_stack"].map(frame).into();
        let mut third = report(Kind::PageFault);
        third.frames = ["unwind_frame", "show_stack", "panic"].map(frame).into();
        assert_eq!(causes_of(vec![first, second, third]).0, [None, Some(0), Some(0)]);
    }

    #[test]
    fn later_oopses_panics_and_stalls_follow_the_first() {
        let mut panic = report(Kind::Panic);
        panic.headline = "Kernel panic - not syncing: Fatal exception in interrupt".into();
        let mut atomic = report(Kind::SleepingInAtomic);
        atomic.pid = Some(7);
        let all = vec![oops(1), oops(2), atomic, report(Kind::RcuStall), report(Kind::HungTask), panic];
        assert_eq!(causes_of(all).0, [None, Some(0), Some(0), Some(0), Some(0), Some(0)]);
    }

    #[test]
    fn another_boot_or_another_machine_is_no_consequence() {
        let mut other_boot = oops(2);
        other_boot.boot = 1;
        assert_eq!(causes_of(vec![oops(1), other_boot]).0, [None, None]);
        let mut other_kernel = oops(2);
        other_kernel.release = Some("6.1".into());
        let mut mine = oops(1);
        mine.release = Some("6.2".into());
        assert_eq!(causes_of(vec![mine, other_kernel]).0, [None, None]);
        // #1 after #1 is a fresh kernel.
        assert_eq!(causes_of(vec![oops(1), oops(1)]).0, [None, None]);
    }

    #[test]
    fn a_cause_that_a_trace_reveals_comes_first() {
        let mut stall = report(Kind::RcuStall);
        stall.cpu = Some(2);
        let mut lockup = report(Kind::SoftLockup);
        lockup.cpu = Some(2);
        let mut int3 = report(Kind::Breakpoint);
        int3.headline = "CPU 1 takes the int3 at f again and again".into();
        let (causes, order) = causes_of(vec![stall, lockup, int3]);
        assert_eq!(causes, [Some(2), Some(2), None]);
        assert_eq!(order, [2, 0, 1]);
    }

    #[test]
    fn unrelated_reports_stand_for_themselves() {
        let mut warning = report(Kind::Warning);
        warning.ip = Some(frame("a"));
        let mut other = report(Kind::Warning);
        other.ip = Some(frame("b"));
        let mut panic = report(Kind::Panic);
        panic.headline = "Kernel panic - not syncing: VFS: nothing".into();
        assert_eq!(causes_of(vec![warning.clone(), other, panic]).0, [None, None, None]);
        assert_eq!(causes_of(vec![warning.clone(), warning]).0, [None, Some(0)]);
    }
}
