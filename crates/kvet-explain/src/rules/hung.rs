//! A task that sleeps without being interruptible for too long.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let report = case.report;
    if report.kind != Kind::HungTask {
        return None;
    }
    let mut evidence = vec![case.shows(report.headline.clone(), "blocked for more than")];
    let sleeping = report.frames.iter().filter(|frame| frame.reliable).map(|frame| frame.function.as_str());
    let inner: Vec<&str> = sleeping.take(8).collect();
    let waits = |words: &[&str]| inner.iter().copied().find(|f| words.iter().any(|word| f.contains(word)));
    let (what, evidence_of) = if let Some(f) = waits(&[
        "mutex_lock",
        "__mutex",
        "rwsem_",
        "down_read",
        "down_write",
        "__down",
        "rt_mutex",
        "percpu_down",
    ]) {
        ("a lock", Some(f))
    } else if let Some(f) =
        waits(&["io_schedule", "wait_on_page", "folio_wait", "wait_on_buffer", "blk_", "submit_bio_wait"])
    {
        ("input or output that does not end", Some(f))
    } else if let Some(f) = waits(&[
        "wait_for_completion",
        "__wait_for_common",
        "wait_for_common",
        "__flush_work",
        "synchronize_",
    ]) {
        ("something that another task should finish", Some(f))
    } else {
        ("an event that does not come", None)
    };
    if let Some(function) = evidence_of {
        evidence.push(case.shows(format!("it waits in {function}"), function));
    }
    let holder =
        case.quote("is blocked on a mutex likely owned by").or_else(|| case.quote("blocked on a mutex"));
    if let Some(holder) = &holder {
        evidence.push(line("the kernel names the owner of the lock", holder.clone()));
    }
    for lock in report.locks.iter().take(4) {
        evidence.push(super::fact(format!("held: {}", super::short(lock, 140))));
    }
    Some(Diagnosis {
        cause: "task-hung",
        summary: format!(
            "A task waits for {what}, in {}. The task that is named is the victim; who holds the lock or owes the event is the cause.",
            case.in_function()
        ),
        confidence: Confidence::Possible,
        evidence,
        advice: sentences([
            "look at the other hung tasks and at `Showing all locks held in the system`: the one that does not wait for any of the others is the cause",
            "sysrq-w prints all blocked tasks; CONFIG_DETECT_HUNG_TASK_BLOCKER names the owner of the lock",
        ]),
    })
}
