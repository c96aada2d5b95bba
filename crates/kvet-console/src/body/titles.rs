//! Lines that announce a trace, and what sort of trace.

use crate::body::who;
use crate::line::Line;
use crate::open::{MAX_TEXT, Open, Role, Taken};
use crate::text::{after, clip, contains, dec32, starts_with};

/// Traces that tell of the past: (start of the line, anything it must contain).
const HISTORY: &[(&str, &str)] = &[
    ("Allocated by task", ""),
    ("Freed by task", ""),
    ("Allocated:", ""),
    ("Freed:", ""),
    ("(stack is not available)", ""),
    ("Last potentially related work creation:", ""),
    ("Second to last potentially related work creation:", ""),
    ("Last call_rcu():", ""),
    ("Second to last call_rcu():", ""),
    ("Uninit was stored to memory at:", ""),
    ("Uninit was created at:", ""),
    ("Local variable ", " created at"),
    ("origin:", ""),
    ("allocated by task ", ""),
    ("freed by task ", ""),
    ("rcu freeing by task ", ""),
    ("page last allocated via order ", ""),
    ("page last free ", "stack trace:"),
    ("page has been migrated", ""),
    ("INFO: Allocated in ", ""),
    ("INFO: Freed in ", ""),
    ("Allocated in ", " age="),
    ("Freed in ", " age="),
    ("-> #", ""),
    ("-> (", ""),
    ("... ", "acquired at:"),
    ("... key", "at:"),
    ("... acquired at:", ""),
    ("... which became", ""),
    ("{", "state was registered at:"),
    ("Preemption disabled at:", ""),
    ("INITIAL USE at:", ""),
    ("IN-", " at:"),
    ("HARDIRQ-ON-", " at:"),
    ("SOFTIRQ-ON-", " at:"),
    ("RECLAIM_FS-ON-", " at:"),
    ("FS_RECLAIM-ON-", " at:"),
    ("Object is ", "allocated"),
    ("Backtrace of ", ""),
    ("value changed: ", ""),
];

/// Reads titles.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if is_trace(text) {
        begin_trace(open, text);
        return Taken::Title;
    }
    if let Some(rest) = text.strip_prefix("NMI backtrace for cpu ") {
        let cpu = dec32(rest);
        let section = open.begin_section(Role::Cpu, text);
        section.cpu = cpu;
        return Taken::Title;
    }
    if is_foreign(text) {
        open.begin_section(Role::Foreign, text);
        return Taken::Title;
    }
    if text.starts_with("Sending NMI from CPU") || text.starts_with("sending NMI to ") {
        return Taken::Title;
    }
    if let Some(rest) = text.strip_prefix("Task dump for CPU ") {
        let section = open.begin_section(Role::Task, text);
        section.cpu = dec32(rest);
        return Taken::Title;
    }
    if text == "stack backtrace:" || text == "stack backtrace" {
        open.begin_section(Role::Main, text).in_trace = true;
        return Taken::Title;
    }
    if HISTORY.iter().any(|(start, with)| starts_with(text, start) && contains(text, with)) {
        let (cpu, pid) = (after(text, "on cpu ").and_then(dec32), after(text, "by task ").and_then(dec32));
        let section = open.begin_section(Role::History, text);
        section.in_trace = true;
        section.pid = pid;
        section.cpu = cpu;
        return Taken::Title;
    }
    if let Some((comm, pid)) = who::task_line(text) {
        let same =
            open.section().role == Role::Task && !open.section().has_place() && open.section().pid.is_none();
        if !same {
            open.begin_section(Role::Task, text);
        }
        let section = open.section();
        section.pid = pid;
        section.comm = Some(clip(comm, MAX_TEXT).to_owned());
        return Taken::Title;
    }
    Taken::No
}

/// Whether a line begins somebody else's trace: what fails by order (lib/fault-inject.c), or for want of memory
/// (mm/page_alloc.c `warn_alloc`, mm/oom_kill.c `dump_header`).
pub(crate) fn is_foreign(text: &str) -> bool {
    starts_with(text, "FAULT_INJECTION: forcing a failure")
        || contains(text, ": page allocation failure: order:")
        || contains(text, "oom-killer: ") && text.contains(" invoked oom-killer: ")
        || contains(text, ": vmalloc error: size ")
}

/// Whether a line announces a call trace.
pub(crate) fn is_trace(text: &str) -> bool {
    matches!(
        text,
        "Call Trace:"
            | "Call trace:"
            | "Call Trace"
            | "Backtrace:"
            | "Backtrace: "
            | "Stack trace:"
            | "Call Trace (shadow stack):"
    ) || text.starts_with("Call Trace: ")
        || text.starts_with("Call Trace:<")
        || text.starts_with("Call Trace:[")
}

fn begin_trace(open: &mut Open, text: &str) {
    let panic = open.report.panic.is_some() && open.report.kind != crate::Kind::Panic;
    let section = open.section();
    if section.role == Role::Foreign && section.frames.is_empty() {
        section.in_trace = true;
        return;
    }
    if !section.frames.is_empty() || section.role == Role::History {
        let role = match section.role {
            _ if panic => Role::Panic,
            Role::Cpu => Role::Cpu,
            Role::Task => Role::Task,
            Role::Panic => Role::Panic,
            Role::Main | Role::History | Role::Foreign => Role::Main,
        };
        open.begin_section(role, text);
    }
    let section = open.section();
    section.in_trace = true;
    section.context = None;
    section.foreign_registers = false;
}
