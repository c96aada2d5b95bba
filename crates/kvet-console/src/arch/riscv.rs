//! riscv: `epc : `, ` ra : `, `status: ... badaddr: ... cause: ...` (arch/riscv/kernel/process.c, `__show_regs`).

use crate::arch::pairs;
use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};

/// Reads riscv's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let head = text.as_bytes();
    if head.len() < 6 || !matches!(head[0], b'e' | b'r' | b'g' | b's' | b'a' | b't') {
        return Taken::No;
    }
    let place = text
        .strip_prefix("epc : ")
        .map(|r| (true, r))
        .or_else(|| text.strip_prefix("ra : ").map(|r| (false, r)));
    if let Some((is_pc, rest)) = place
        && rest.contains("+0x")
    {
        let Some((mut frame, _)) = frame::parse(rest.trim(), Place::Trace) else { return Taken::No };
        frame.line = line.number;
        open.report.arch.get_or_insert(Arch::Riscv);
        let section = open.section();
        let slot = if is_pc { &mut section.ip } else { &mut section.lr };
        slot.get_or_insert(frame);
        return Taken::Facts;
    }
    let mut given = Vec::new();
    if !pairs::each(text, |name, value| given.push((name.to_ascii_lowercase(), value))) {
        return Taken::No;
    }
    let numbered = |n: &str, c: char, max: u8| {
        n.strip_prefix(c).is_some_and(|d| d.parse::<u8>().is_ok_and(|d| d <= max))
    };
    let known = |n: &str| {
        numbered(n, 's', 11)
            || numbered(n, 'a', 7)
            || numbered(n, 't', 6)
            || matches!(n, "epc" | "ra" | "sp" | "gp" | "tp" | "status" | "badaddr" | "cause" | "ssp")
    };
    if given.is_empty() || !given.iter().all(|(n, _)| known(n)) {
        return Taken::No;
    }
    open.report.arch.get_or_insert(Arch::Riscv);
    for (name, value) in given {
        if let Some(value) = value {
            if name == "badaddr" {
                open.report.trap.get_or_insert_with(Trap::default).address.get_or_insert(value);
            } else if name == "cause" {
                let trap = open.report.trap.get_or_insert_with(Trap::default);
                trap.error_code.get_or_insert(value);
                // Privileged specification, table of scause: 12, 13, 15 page faults; 5, 7 access faults.
                match value {
                    12 | 1 => trap.fault.fetch = Some(true),
                    13 | 5 => trap.fault.write = Some(false),
                    15 | 7 => trap.fault.write = Some(true),
                    _ => {}
                }
            }
        }
        open.section().set_register(name, value);
    }
    Taken::Registers
}
