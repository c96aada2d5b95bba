//! lockdep: what it proves, in a sentence.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};

/// Words of the headline, cause, meaning, certainty, advice.
const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "circular locking",
        "lock-order",
        "Locks are taken in two orders; two CPUs doing so at once stand still for ever",
        "take them in one order everywhere; the chain in the report shows both",
    ),
    (
        "recursive locking",
        "lock-order",
        "A lock (or another one of its class) is taken twice",
        "if the two are different objects, give them classes (spin_lock_nested, lockdep_set_class)",
    ),
    (
        "inconsistent lock state",
        "irq-unsafe-lock",
        "A lock is taken both in an interrupt and with interrupts on: the interrupt may come while it is held",
        "take it with the _irqsave (or _bh) variant outside of the interrupt",
    ),
    (
        "irq lock inversion",
        "irq-unsafe-lock",
        "A lock that interrupts take depends on one that is held with interrupts on",
        "take the inner one with interrupts off as well",
    ),
    (
        "lock order detected",
        "irq-unsafe-lock",
        "A lock that interrupts take depends on one that is held with interrupts on",
        "take the inner one with interrupts off as well",
    ),
    (
        "suspicious RCU",
        "rcu-unprotected",
        "An RCU-protected pointer is used without rcu_read_lock() or the lock that protects it",
        "take the lock, or tell rcu_dereference_protected() which one holds",
    ),
    (
        "bad unlock balance",
        "unlock-balance",
        "A lock is given back that is not held",
        "look at the error paths of the named function",
    ),
    (
        "held lock freed",
        "held-lock-freed",
        "Memory with a held lock in it is freed",
        "the object's last user still holds its lock: a missing reference",
    ),
    (
        "still has locks held",
        "lock-kept",
        "A task goes on (to sleep, to exit) with a lock that it should have given back",
        "look at the error paths of who took it",
    ),
    (
        "returning to user space",
        "lock-kept",
        "A system call ends with a lock held",
        "look at the error paths of who took it",
    ),
    (
        "nested lock was not taken",
        "nested-lock",
        "An inner lock is taken as nested in an outer one that is not held",
        "take the outer lock first, or correct the annotation",
    ),
    (
        "non-static key",
        "uninitialised-lock",
        "A lock is used that was never initialised: its object was not set up, or is freed memory",
        "initialise the object before it can be reached",
    ),
    (
        "Invalid wait context",
        "wait-context",
        "A sleeping lock (on PREEMPT_RT) is taken where nothing may sleep",
        "use a raw spinlock, or move it out of the context",
    ),
    (
        " too low",
        "lockdep-limit",
        "A table of lockdep's is full: from here on it checks nothing. That is no fault of the code named",
        "raise CONFIG_LOCKDEP_BITS, CONFIG_LOCKDEP_CHAINS_BITS or the limit that the line names; a driver that makes a lock class for each object fills them",
    ),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.report.kind != Kind::Lockdep {
        return None;
    }
    let headline = case.report.headline.to_lowercase();
    let (_, cause, means, advice) =
        CASES.iter().find(|(mark, ..)| headline.contains(&mark.to_lowercase()))?;
    let mut evidence =
        vec![case.shows(case.report.headline.clone(), &super::short(&case.report.headline, 40))];
    let wants = case.quote("is trying to acquire lock").or_else(|| case.quote("is trying to release lock"));
    evidence.extend(wants.map(|found| line("the task and what it wants", found)));
    evidence.extend(
        case.report
            .locks
            .iter()
            .take(4)
            .map(|lock| -> Evidence { fact(format!("held: {}", super::short(lock, 140))) }),
    );
    Some(Diagnosis {
        cause,
        summary: format!("{means}; here in {}.", case.in_function()),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([advice]),
    })
}
