//! `BUG:` lines whose words are the diagnosis: per-CPU data, spinlocks, work items, dentries, files, divisors.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

/// Words of the headline, cause, meaning (after the function's name), advice.
const WORDS: &[(&str, &str, &str, &str)] = &[
    // lib/smp_processor_id.c, check_preemption_disabled.
    (
        "in preemptible [",
        "per-cpu-in-preemptible",
        "uses this CPU's data while it may be moved to another CPU",
        "switch preemption off around it (get_cpu(), local_lock()), or use the this_cpu_ operations, which need no such thing",
    ),
    // kernel/locking/spinlock_debug.c, spin_bug, rwlock_bug.
    (
        "bad magic on CPU",
        "uninitialised-lock",
        "takes a lock that was never initialised, or whose memory was freed or written over",
        "initialise it before it can be reached; KASAN tells a free",
    ),
    (
        "already unlocked on CPU",
        "unlock-balance",
        "gives back a lock that nobody holds, or whose memory was cleared or freed",
        "look at the error paths, and for an object freed under its lock",
    ),
    (
        "wrong owner on CPU",
        "unlock-balance",
        "gives back a lock that another task holds",
        "look at who took it",
    ),
    (
        "wrong CPU on CPU",
        "unlock-balance",
        "gives back a lock on another CPU than it was taken on: the task slept with it, or its memory is damaged",
        "look for a sleeping call between lock and unlock",
    ),
    (
        "recursion on CPU",
        "lock-order",
        "takes a spinlock that it holds already",
        "call the variant that expects the lock held",
    ),
    (
        "cpu recursion on CPU",
        "lock-order",
        "takes a spinlock that this CPU holds already",
        "take it with interrupts off everywhere (the _irqsave variant)",
    ),
    // kernel/workqueue.c, process_one_work.
    (
        "workqueue leaked",
        "lock-kept",
        "ends as a work item with a lock held, preemption off or inside of an RCU read section",
        "look at its error paths; the list of held locks names what it kept",
    ),
    // fs/dcache.c, umount_check; fs/super.c; fs/open.c.
    (
        "still in use (",
        "reference-leak",
        "unmounts a file system one of whose dentries is still referenced",
        "look for a path_get() or dget() without its put; the line names the dentry",
    ),
    (
        "Busy inodes after unmount",
        "reference-leak",
        "unmounts a file system with inodes still in use",
        "look for an igrab() or iget() without its iput()",
    ),
    (
        "VFS: Close: file count is ",
        "reference-count",
        "closes a file that nobody holds any more: one fput() too many, and a use after free",
        "follow every fget() and fput() of it",
    ),
    // mm/mempool.c.
    (
        "mempool element poison mismatch",
        "use-after-free",
        "gets an element of a memory pool that was written to while it was free",
        "KASAN names who wrote",
    ),
    // arch/x86/entry/entry_fred.c.
    (
        "invalid or fatal FRED event",
        "hardware",
        "met an event that the CPU should not raise",
        "look for machine checks, and for a hypervisor that injects wrong events",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind == Kind::Oops
        && report
            .trap
            .as_ref()
            .is_some_and(|trap| trap.name == "divide error" || trap.name.contains("fixpoint divide"))
    {
        return Some(divide(case));
    }
    if report.kind == Kind::UserSpace {
        return Some(Diagnosis {
            cause: "program",
            summary: "A program died, not the kernel: the one that drives the test.".into(),
            confidence: Confidence::Certain,
            evidence: vec![case.shows(report.headline.clone(), &super::short(&report.headline, 60))],
            advice: sentences([
                "look at the program's own words; a kernel that ran out of memory shows OOM lines before",
            ]),
        });
    }
    if !matches!(report.kind, Kind::Bug | Kind::Leak | Kind::SoftLockup) {
        return None;
    }
    let (mark, cause, means, advice) = WORDS.iter().find(|(mark, ..)| report.headline.contains(mark))?;
    let mut evidence = vec![case.shows(report.headline.clone(), mark)];
    evidence.extend(case.quote(".owner: ").map(|found| line("the lock's own account", found)));
    evidence.extend(case.quote("caller is ").map(|found| line("who asked", found)));
    Some(Diagnosis {
        cause,
        summary: format!("{} {means}.", case.in_function()),
        confidence: Confidence::Certain,
        evidence,
        advice: sentences([advice]),
    })
}

/// #DE is raised for a quotient that does not fit, too (Intel SDM, volume 3, 6.15).
fn divide(case: &Case<'_>) -> Diagnosis {
    Diagnosis {
        cause: "division",
        summary: format!(
            "{} divides by zero, or by so little that the quotient does not fit.",
            case.in_function()
        ),
        confidence: Confidence::Certain,
        evidence: vec![case.shows(case.report.headline.clone(), "divide")],
        advice: sentences([
            "check the divisor where it comes from: user space, a device, a table of a file system",
        ]),
    }
}
