//! loongarch: `pc 9000... ra 9000...`, ` ERA: 9000... f+0x1/0x2`, `CRMD:`, `ESTAT:`, `BADV:` (arch/loongarch/kernel/traps.c).

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};
use crate::text::{find, hex, take_hex};

/// Reads loongarch's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(at) = find(text, ": ") {
        let (name, rest) = (&text[..at], &text[at + 2..]);
        let is_pc = name == "ERA";
        if is_pc || name == "ra" {
            let Some((value, place)) = take_hex(rest.trim_start()) else { return Taken::No };
            let Some((mut frame, _)) = frame::parse(place.trim(), Place::Trace) else { return Taken::No };
            frame.address = Some(value);
            frame.line = line.number;
            open.report.arch.get_or_insert(Arch::Loongarch);
            let section = open.section();
            let slot = if is_pc { &mut section.ip } else { &mut section.lr };
            slot.get_or_insert(frame);
            return Taken::Facts;
        }
        if matches!(name, "CRMD" | "PRMD" | "EUEN" | "ECFG" | "ESTAT" | "BADV" | "PRID") {
            let Some((value, _)) = take_hex(rest.trim_start()) else { return Taken::No };
            open.report.arch.get_or_insert(Arch::Loongarch);
            if name == "BADV" {
                open.report.trap.get_or_insert_with(Trap::default).address.get_or_insert(value);
            }
            open.section().set_register(name.to_ascii_lowercase(), Some(value));
            return Taken::Registers;
        }
        return Taken::No;
    }
    // `pc 9000000000221f3c ra 9000... tp ... sp ...`
    let mut words = text.split_ascii_whitespace();
    let mut given = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let register = matches!(name, "pc" | "ra" | "tp" | "sp" | "u0" | "fp" | "s9")
            || (name.len() == 2
                && b"ats".contains(&name.as_bytes()[0])
                && name.as_bytes()[1].is_ascii_digit());
        let Some(value) = hex(value).filter(|_| register && value.len() == 16) else { return Taken::No };
        given.push((name, value));
    }
    if given.len() < 2 {
        return Taken::No;
    }
    open.report.arch.get_or_insert(Arch::Loongarch);
    for (name, value) in given {
        open.section().set_register(name.to_owned(), Some(value));
    }
    Taken::Registers
}
