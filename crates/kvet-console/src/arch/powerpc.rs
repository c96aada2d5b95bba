//! powerpc: `NIP:`, `REGS:`, `MSR:`, `CFAR: ... DAR: ... DSISR:`, `GPR00:` (arch/powerpc/kernel/process.c), and xmon.

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};
use crate::text::{after, hex, take_hex};

/// Reads powerpc's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    match text.as_bytes()[0] {
        b'N' if text.starts_with("NIP [") => place(open, line, true, &text[4..]),
        b'L' if text.starts_with("LR [") => place(open, line, false, &text[3..]),
        b'N' if text.starts_with("NIP: ") => registers(open, text),
        b'M' if text.starts_with("MSR: ") => registers(open, text),
        b'C' if text.starts_with("CFAR: ") => registers(open, text),
        b'D' if text.starts_with("DAR: ") => registers(open, text),
        b'R' if text.starts_with("REGS: ") => {
            open.report.arch.get_or_insert(Arch::Powerpc);
            if let Some((trap, _)) = after(text, "TRAP: ").and_then(take_hex) {
                let t = open.report.trap.get_or_insert_with(Trap::default);
                t.error_code.get_or_insert(trap);
            }
            Taken::Facts
        }
        b'G' if text.starts_with("GPR") => general(open, text),
        b'I' if text.starts_with("Instruction dump:") => Taken::Mark,
        b'F' if text.starts_with("Faulting instruction address: ") => {
            open.report.arch.get_or_insert(Arch::Powerpc);
            open.detail(line);
            Taken::Detail
        }
        b'L' if text.starts_with("LE PAGE_SIZE=") => Taken::Facts,
        b'B' if text.starts_with("BE PAGE_SIZE=") => Taken::Facts,
        b'-' if text.starts_with("--- interrupt: ")
            || text.starts_with("---- interrupt: ")
            || text.starts_with("--- Exception: ") =>
        {
            let section = open.section();
            section.foreign_registers = section.has_place();
            if let Some(frame) = after(text, " at ").and_then(frame::at_start).filter(|f| f.size.is_some()) {
                section.push(frame, line.number);
                return Taken::Frame;
            }
            Taken::Mark
        }
        b'p' if text.starts_with("pc: ") => xmon(open, line, true),
        b'l' if text.starts_with("lr: ") => xmon(open, line, false),
        _ => Taken::No,
    }
}

fn place(open: &mut Open, line: &Line<'_>, is_pc: bool, rest: &str) -> Taken {
    let Some((mut frame, _)) = frame::parse(rest.trim(), Place::Trace) else { return Taken::No };
    frame.line = line.number;
    open.report.arch.get_or_insert(Arch::Powerpc);
    let section = open.section();
    if section.foreign_registers {
        if is_pc && frame.size.is_some() && section.in_trace {
            section.push(frame, line.number);
        }
        return Taken::Facts;
    }
    let slot = if is_pc { &mut section.ip } else { &mut section.lr };
    if slot.as_ref().is_none_or(|f| f.symbol.is_empty()) {
        *slot = Some(frame);
    }
    Taken::Facts
}

/// `pc: c000000000a1b2c3: f+0x10/0x20`, of xmon.
fn xmon(open: &mut Open, line: &Line<'_>, is_pc: bool) -> Taken {
    let Some((address, rest)) = take_hex(&line.text()[4..]) else { return Taken::No };
    let Some(rest) = rest.strip_prefix(": ") else { return Taken::No };
    let Some((mut frame, _)) = frame::parse(rest.trim(), Place::Trace) else { return Taken::No };
    frame.address = Some(address);
    frame.line = line.number;
    let section = open.section();
    let slot = if is_pc { &mut section.ip } else { &mut section.lr };
    slot.get_or_insert(frame);
    Taken::Facts
}

fn registers(open: &mut Open, text: &str) -> Taken {
    open.report.arch.get_or_insert(Arch::Powerpc);
    let mut words = text.split_ascii_whitespace().peekable();
    while let Some(word) = words.next() {
        let Some(name) = word.strip_suffix(':') else { continue };
        let Some(value) = words.peek().copied().and_then(hex) else { continue };
        match name {
            "DAR" => {
                open.report.trap.get_or_insert_with(Trap::default).address.get_or_insert(value);
            }
            "DSISR" => {
                // DSISR bit 0x02000000: a store (Power ISA, Book III, DSISR).
                let trap = open.report.trap.get_or_insert_with(Trap::default);
                trap.fault.write.get_or_insert(value & 0x0200_0000 != 0);
            }
            _ => {}
        }
        let name = if name == "NIP" { "pc".to_owned() } else { name.to_ascii_lowercase() };
        open.section().set_register(name, Some(value));
    }
    Taken::Registers
}

/// `GPR00: a b c d`.
fn general(open: &mut Open, text: &str) -> Taken {
    let Some((first, values)) = text[3..].split_once(": ") else { return Taken::No };
    let Ok(first) = first.parse::<u8>() else { return Taken::No };
    open.report.arch.get_or_insert(Arch::Powerpc);
    for (i, value) in (first..32).zip(values.split_ascii_whitespace()) {
        open.section().set_register(format!("r{i}"), hex(value));
    }
    Taken::Registers
}
