//! Frames and the marks between them.

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::CpuContext;

/// Whether a line may be nothing but a frame: a symbol with an offset, and at most an address or `? ` in front.
pub(crate) fn looks_like_frame(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(plus) = bytes.iter().position(|b| *b == b'+') else { return false };
    if !bytes[plus..].starts_with(b"+0x") {
        return false;
    }
    let Some(space) = bytes[..plus].iter().rposition(|b| *b == b' ') else { return true };
    matches!(&bytes[..space], [] | [.., b']' | b' '] | [b'?'] | [.., b' ', b'?'])
}

/// Reads a frame, `<IRQ>` and its kin, or both on one line.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let mut text = line.text();
    let mut taken = Taken::No;
    let in_trace = open.section().in_trace;
    if text.starts_with("Call Trace:") {
        text = text["Call Trace:".len()..].trim_start();
    }
    while let Some((context, rest)) = mark(text) {
        open.section().context = context;
        taken = Taken::Mark;
        text = rest.trim_start();
        if text.is_empty() {
            return taken;
        }
    }
    let place = if in_trace { Place::Trace } else { Place::Anywhere };
    let Some((first, second)) = frame::parse(text, place) else { return taken };
    let section = open.section();
    if !in_trace && first.symbol.is_empty() {
        return taken;
    }
    section.in_trace = true;
    section.foreign_registers = false;
    match second {
        // arm names callee and caller in each line: the callee counts only in the first.
        Some(second) => {
            if section.frames.is_empty() {
                section.push(first, line.number);
            }
            section.push(*second, line.number);
        }
        None => section.push(first, line.number),
    }
    Taken::Frame
}

/// `<IRQ>`, `</TASK>`, `<EOI>`, `<<EOE>>`, `<#DF>`: the context that begins, and the rest.
fn mark(text: &str) -> Option<(Option<CpuContext>, &str)> {
    if !text.starts_with('<') {
        return None;
    }
    let close = text.bytes().take(24).position(|b| b == b'>')?;
    let name = text[..close].trim_start_matches('<');
    let context = match name {
        "IRQ" => Some(CpuContext::Irq),
        "TASK" => Some(CpuContext::Task),
        "SOFTIRQ" => Some(CpuContext::SoftIrq),
        "NMI" => Some(CpuContext::Nmi),
        "#DF" | "DOUBLEFAULT" => Some(CpuContext::DoubleFault),
        "#DB" | "#MC" | "#VC" | "#VC2" | "DEBUG" | "MCE" => Some(CpuContext::Exception),
        "ENTRY_TRAMPOLINE" | "SYSENTER" => Some(CpuContext::Entry),
        "/IRQ" | "/TASK" | "/SOFTIRQ" | "/NMI" | "/#DF" | "/#DB" | "/#MC" | "/#VC" | "/#VC2"
        | "/ENTRY_TRAMPOLINE" | "/SYSENTER" | "UNKNOWN" | "/DOUBLEFAULT" => None,
        // What was interrupted follows.
        "EOI" | "EOE" => Some(CpuContext::Task),
        _ => return None,
    };
    Some((context, text[close..].trim_start_matches('>')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks() {
        assert_eq!(
            mark("<IRQ>  [<ffffffff81000000>] f"),
            Some((Some(CpuContext::Irq), "  [<ffffffff81000000>] f"))
        );
        assert_eq!(mark("<<EOE>> x"), Some((Some(CpuContext::Task), " x")));
        assert_eq!(mark("</TASK>"), Some((None, "")));
        assert_eq!(mark("<foo>"), None);
    }
}
