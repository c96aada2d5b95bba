//! Stacks that are full or gone.
//!
//! arm64 and riscv `Insufficient stack space to handle exception!` (arch/arm64/kernel/traps.c, `panic_bad_stack`), x86 `BUG: TASK stack
//! guard page was hit at ...` (arch/x86/kernel/traps.c, `handle_stack_overflow`), others `Kernel stack overflow`, `Thread overran stack,
//! or stack corrupted`, `stack-protector`.

use super::{Family, Start, Sure};
use crate::line::Line;
use crate::report::{Kind, Trap};
use crate::text::{after, between, take_hex};

pub(crate) static FAMILY: Family =
    Family { anchors: &["nsufficient stack", "guard page", "tack overflow"], begin, line: super::no_lines };

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if text.starts_with("Insufficient stack space to handle exception!") {
        return Some(Start::new(Kind::StackOverflow, line, Sure::Certain));
    }
    if let Some(words) = text.strip_prefix("BUG: ").filter(|w| w.contains("stack guard page was hit at")) {
        let mut start = Start::new(Kind::StackOverflow, line, Sure::Certain);
        let trap = start.report.trap.get_or_insert_with(Trap::default);
        trap.address = after(words, "hit at ").and_then(take_hex).map(|a| a.0);
        if let Some((low, high)) = between(words, "(stack is ", ")").and_then(|b| b.split_once(".."))
            && let (Some(low), Some(high)) = (take_hex(low), take_hex(high))
        {
            let name = words.split(' ').next().filter(|w| *w != "stack").unwrap_or("task");
            start.report.stacks.push((name.to_ascii_lowercase(), low.0, high.0));
        }
        return Some(start);
    }
    let known = text.starts_with("kernel stack overflow")
        || text.starts_with("Kernel stack overflow")
        || text.starts_with("do_IRQ: stack overflow")
        || text.starts_with("do_IRQ(): stack overflow");
    known.then(|| Start::new(Kind::StackOverflow, line, Sure::Kernel))
}
