//! lockdep (kernel/locking/lockdep.c): circular and recursive locking, irq inversion, inconsistent state, held locks, RCU usage, wait
//! contexts; the older words in brackets, `[ INFO: possible circular locking dependency detected ]`.

use super::{Family, Start, Sure};
use crate::body::{frame, who};
use crate::line::Line;
use crate::open::{Open, Role, Taken};
use crate::report::Kind;
use crate::text::{before, comm_pid, contains, take_source};

pub(crate) static FAMILY: Family = Family { anchors: &["WARNING:", "INFO: ", "BUG ", "BUG:"], begin, line };

/// What follows `WARNING: `, `INFO: `, `BUG: `.
const WORDS: &[&str] = &[
    "possible circular locking dependency detected",
    "possible recursive locking detected",
    "possible irq lock inversion dependency detected",
    "possible ",
    "suspicious RCU usage",
    "suspicious rcu_dereference_check() usage",
    "inconsistent lock state",
    "inconsistent ",
    "bad unlock balance detected",
    "bad contention detected",
    "held lock freed",
    "lock held when returning to user space",
    "lock held at task exit time",
    "Nested lock was not taken",
    "Invalid wait context",
    "invalid wait context",
    "trying to register non-static key",
    "HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
    "SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected",
    "soft-safe -> soft-unsafe lock order detected",
    "hard-safe -> hard-unsafe lock order detected",
    "RECLAIM_FS-safe -> RECLAIM_FS-unsafe lock order detected",
    "circular locking deadlock detected",
    "looking up invalid subclass",
    "chain cache collision",
    "MAX_LOCKDEP_ENTRIES too low",
    "MAX_LOCKDEP_CHAINS too low",
    "MAX_LOCKDEP_CHAIN_HLOCKS too low",
    "MAX_LOCKDEP_KEYS too low",
    "MAX_LOCKDEP_SUBCLASSES too low",
    "MAX_LOCK_DEPTH too low",
    "MAX_STACK_TRACE_ENTRIES too low",
    "key ",
];

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let text = text.strip_prefix("[ ").map_or(text, |t| t.trim_end_matches([']', ' ', '.', '!']));
    let rest = ["WARNING: ", "INFO: ", "BUG: "].iter().find_map(|p| text.strip_prefix(p))?;
    let known = WORDS.iter().any(|w| rest.starts_with(w)) && !vague(rest);
    // `WARNING: comm/123 still has locks held!`, `... [ BUG: comm/123 still has locks held! ]`.
    let task = rest.contains(" still has locks held") || rest.contains(" is still holding locks");
    let order = rest.contains("-unsafe lock order detected");
    if !known && !task && !order {
        return None;
    }
    let mut start = Start::new(Kind::Lockdep, line, Sure::Certain);
    if task && let Some((comm, pid)) = comm_pid(before(rest, " "), '/') {
        start.report.comm = Some(comm.to_owned());
        start.report.pid = Some(pid);
    }
    Some(start)
}

/// The short words of the list need more.
fn vague(rest: &str) -> bool {
    (rest.starts_with("possible ") && !rest.contains("lock") && !rest.contains("dead"))
        || (rest.starts_with("inconsistent ") && !rest.contains("state"))
        || (rest.starts_with("key ")
            && !rest.contains("has not been registered")
            && !rest.contains("not in .data"))
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    // `6.1.0-rc1 #1 Not tainted`: the kernel stands before its taint here.
    if open.taken <= 4
        && text.as_bytes()[0].is_ascii_digit()
        && (text.contains(" Not tainted") || text.contains(" Tainted: "))
    {
        let at = text.find(" Not tainted").or_else(|| text.find(" Tainted: ")).unwrap_or(text.len());
        let (release, build) = text[..at].split_once(' ').unwrap_or((&text[..at], ""));
        open.report.release = Some(release.to_owned());
        open.report.build = (!build.is_empty()).then(|| build.to_owned());
        let mut who = who::Who::default();
        who::taint(text[at..].trim_start(), &mut who);
        open.report.taint = who.taint.map(str::to_owned);
        return Taken::Facts;
    }
    // `comm/123 is trying to acquire lock:`, `comm/123 [HC0[0]:SC0[0]:HE1:SE1] takes:`.
    let acts = [
        " is trying to ",
        " is freeing memory ",
        " just changed the state",
        " takes:",
        " is leaving the kernel with",
        "suspicious rcu_dereference",
    ];
    if acts.iter().any(|a| contains(text, a)) {
        if let Some((comm, pid)) = comm_pid(before(text, " "), '/') {
            open.report.comm.get_or_insert_with(|| comm.to_owned());
            open.report.pid.get_or_insert(pid);
        }
        if open.report.source.is_none() {
            open.report.source = take_source(text).map(|s| s.0);
        }
        open.detail(line);
        return Taken::Detail;
    }
    // `ffff8880 (lock){+.+.}-{3:3}, at: f+0x1/0x2`: the lock wanted, then the lock held.
    if contains(text, ", at: ") && text.contains('{') && !text.starts_with('#') {
        if open.report.named.as_ref().is_none_or(|f| f.symbol.is_empty()) {
            open.report.named = frame::after_mark(text, ", at: ");
        }
        open.detail(line);
        return Taken::Detail;
    }
    // The place of `... is trying to release lock (x) at:` stands on the next line.
    if open.last == Taken::Detail
        && open.last_text.ends_with(" at:")
        && open.sections.len() == 1
        && !open.has_place()
        && let Some((place, _)) = frame::parse(text, frame::Place::Anywhere)
    {
        open.report.named = Some(place);
        open.detail(line);
        return Taken::Detail;
    }
    // Each way in which a lock was taken before has a trace.
    if text.ends_with(" at:") && !open.sections.iter().any(|s| s.title == "stack backtrace:") {
        open.begin_section(Role::History, text).in_trace = true;
        return Taken::Title;
    }
    // The chain that made the dependency: each has a trace of its own.
    if text.starts_with("the existing dependency chain")
        || text.starts_with("the shortest dependencies")
        || text.starts_with("the dependencies between")
    {
        open.begin_section(Role::History, text);
        open.detail(line);
        return Taken::Detail;
    }
    if text.starts_with("other info that might help us debug this:") {
        open.section().in_trace = false;
        open.detail(line);
        return Taken::Detail;
    }
    super::detail_of(
        open,
        line,
        &[
            "but task is already holding lock:",
            "which lock already depends",
            "but there are no more locks",
            "but this task is not holding:",
            "(",
            "*** DEADLOCK ***",
            "Possible unsafe locking scenario",
            "Possible interrupt unsafe locking scenario",
            "CPU0",
            "----",
            "lock(",
            "<Interrupt>",
            "May be due to missing lock nesting",
            "rcu_scheduler_active",
            "context-{",
            "and this task is already holding",
            "which would create a new lock dependency",
            "but this new dependency connects",
            "... which became",
            "to a",
            "Chain exists of:",
            "inconsistent {",
            "INFO: lockdep is turned off",
            "the code is fine but needs lockdep annotation",
            "turning off the locking correctness",
            "RCU used illegally from",
            "this operation might sleep",
            "-->",
            "the lock comes from",
            "1 lock on stack by",
            "maybe you didn't initialize",
            "Please fix it",
        ],
    )
}
