//! mips: `$ 0   : ...`, `epc   : addr f+0x1/0x2`, `Status:`, `Cause :`, `BadVA :` (arch/mips/kernel/traps.c, `__show_regs`).

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};
use crate::text::{hex, take_hex};

/// Reads mips' lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix('$') {
        let Some((number, values)) = rest.split_once(':') else { return Taken::No };
        let Ok(number) = number.trim().parse::<u8>() else { return Taken::No };
        open.report.arch.get_or_insert(Arch::Mips);
        for (i, value) in (number..32).zip(values.split_ascii_whitespace()) {
            open.section().set_register(format!("${i}"), hex(value));
        }
        return Taken::Registers;
    }
    let Some((name, rest)) = text.split_once(':') else { return Taken::No };
    let name = name.trim_end();
    if !matches!(name, "epc" | "ra" | "Hi" | "Lo" | "Status" | "Cause" | "BadVA" | "PrId") {
        return Taken::No;
    }
    let Some((value, place)) = take_hex(rest.trim_start()) else { return Taken::No };
    if matches!(name, "epc" | "ra") {
        let Some((mut frame, _)) = frame::parse(place.trim(), Place::Trace) else { return Taken::No };
        frame.address = Some(value);
        frame.line = line.number;
        let section = open.section();
        let slot = if name == "epc" { &mut section.ip } else { &mut section.lr };
        slot.get_or_insert(frame);
    }
    if open.report.arch.is_none() && matches!(name, "BadVA" | "PrId" | "Cause" | "Hi") {
        open.report.arch = Some(Arch::Mips);
    }
    if name == "BadVA" {
        open.report.trap.get_or_insert_with(Trap::default).address.get_or_insert(value);
    }
    open.section().set_register(name.to_ascii_lowercase(), Some(value));
    Taken::Registers
}
