//! `Kernel panic - not syncing: ...` (kernel/panic.c, `vpanic`).

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;
use crate::text::after;

pub(crate) static FAMILY: Family = Family { anchors: &["panic", "hyp BUG"], begin, line };

/// Panics that only say what an earlier report has said.
const ANNOUNCING: &[&str] = &[
    "Fatal exception",
    "panic_on_warn set",
    "kasan.fault=panic",
    "kfence",
    "kmsan.panic set",
    "hung_task: blocked tasks",
    "softlockup: hung tasks",
    "Hard LOCKUP",
    "hard lockup",
    "RCU Stall",
    "rcu",
    "ernel stack overflow",
    "Corrupt kernel stack",
    "Bad Address",
    "Machine halted",
    "Oops",
    "BUG!",
    "Unrecoverable",
    "Unhandled exception",
    "Asynchronous SError",
    "bad mode",
    "scheduling while atomic",
    "Aiee, killing interrupt handler",
    "Attempted to kill the idle task",
    "corrupted stack end",
    "stack-protector",
    "double fault",
    "UBSAN",
    "panic_on_taint",
    "Fatal hardware error",
    "Fatal machine check",
    "page table check",
    "Kernel Fault",
    "High Priority Machine Check",
];

/// Whether a panic's words only follow from a report before it.
pub(crate) fn announces(text: &str) -> bool {
    let message = after(text, "not syncing: ").unwrap_or(text);
    ANNOUNCING.iter().any(|a| message.contains(a))
}

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    // arch/arm64/kvm/handle_exit.c, `nvhe_hyp_panic_handler`: where the hypervisor was, before the panic that says so.
    if let Some((_, place)) =
        text.split_once("VHE hyp panic at: ").or_else(|| text.split_once("VHE hyp BUG at: "))
    {
        let mut start = Start::new(Kind::Panic, line, Sure::Preamble);
        start.report.named = frame::at_start(place).filter(|f| !f.symbol.is_empty());
        return Some(start);
    }
    let at = text.find("Kernel panic")?;
    let rest = &text[at + "Kernel panic".len()..];
    if at != 0 && !text[..at].ends_with(": ")
        || !rest.starts_with([' ', ':', '-'])
        || text.starts_with("---[")
    {
        return None;
    }
    if !rest.contains("not syncing") && !rest.starts_with(": ") {
        return None;
    }
    Some(Start::new(kind(rest), line, Sure::Certain))
}

fn kind(message: &str) -> Kind {
    let has = |w: &str| message.contains(w);
    if has("Unable to mount root") || has("No working init") || has("Requested init") || has("No init found")
    {
        Kind::Rootfs
    } else if has("Out of memory") || has("ut of memory and no killable") || has("deadlocked on memory") {
        Kind::OutOfMemory
    } else if has("kernel stack overflow") || has("stack overflow") {
        Kind::StackOverflow
    } else if has("Watchdog detected hard LOCKUP") {
        Kind::HardLockup
    } else {
        Kind::Panic
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    super::detail_of(
        open,
        line,
        &["Kernel Offset: ", "Rebooting in ", "SMP: stopping", "SMP: failed to stop"],
    )
}
