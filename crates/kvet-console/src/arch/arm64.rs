//! arm64: abort information, registers, overflow report (arch/arm64/mm/fault.c, kernel/{process,traps}.c).

use crate::arch::pairs;
use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Fault, Report, Trap};
use crate::text::{after, between, hex, take_hex};

/// Reads arm64's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    match text.as_bytes()[0] {
        b'p' | b'l' | b's' | b'P' | b'L' => place(open, line),
        b'x' => registers(open, text),
        b'M' | b'D' | b'E' | b'F' | b'S' | b'I' | b'C' | b'G' | b'O' | b'T' | b'H' => abort(open, line),
        b'u' if text.starts_with("user pgtable: ") => detail(open, line),
        b'[' => walk(open, text),
        _ => Taken::No,
    }
}

fn detail(open: &mut Open, line: &Line<'_>) -> Taken {
    open.detail(line);
    Taken::Detail
}

/// `pc : f+0x1/0x2`, `lr : ...`, `sp : ...`, `pstate: ...`; before 4.14 `PC is at f+0x1/0x2` and the addresses below it.
fn place(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let (is_pc, rest) = if let Some(r) = text.strip_prefix("pc : ").or_else(|| text.strip_prefix("PC is at "))
    {
        (true, r)
    } else if let Some(r) = text.strip_prefix("lr : ").or_else(|| text.strip_prefix("LR is at ")) {
        (false, r)
    } else if text.starts_with("sp : ")
        || text.starts_with("pstate: ")
        || text.starts_with("pmr_save: ")
        || text.starts_with("pmr: ")
    {
        return registers(open, text);
    } else if text.starts_with("swapper pgtable: ") {
        open.report.arch.get_or_insert(Arch::Arm64);
        return detail(open, line);
    } else {
        return Taken::No;
    };
    if is_pc && rest.starts_with("[<") && !rest.contains("+0x") {
        // `pc : [<ffff>] lr : [<ffff>] pstate: 60000145`, arm's with psr.
        return registers(open, text);
    }
    let trimmed = rest.trim();
    let frame =
        frame::parse(trimmed, Place::Trace).map(|f| f.0).or_else(|| frame::at_start(trimmed)).map(|mut f| {
            f.line = line.number;
            f
        });
    let section = open.section();
    let slot = if is_pc { &mut section.ip } else { &mut section.lr };
    // Decoded logs name the inlined functions first, each in a line of its own.
    if slot.as_ref().is_none_or(|f| f.inlined) {
        *slot = frame.or(slot.take());
    }
    Taken::Facts
}

fn registers(open: &mut Open, text: &str) -> Taken {
    let mut arch = None;
    let section = open.section();
    let mut given = Vec::new();
    if !pairs::each(text, |name, value| given.push((name.to_ascii_lowercase(), value))) {
        return Taken::No;
    }
    let numbered = |n: &str| n.strip_prefix('x').is_some_and(|d| d.parse::<u8>().is_ok_and(|d| d < 32));
    let known = |n: &str| {
        numbered(n) || matches!(n, "pc" | "lr" | "sp" | "pstate" | "psr" | "pmr_save" | "pmr" | "ip" | "fp")
    };
    if !given.iter().all(|(n, _)| known(n)) {
        return Taken::No;
    }
    for (name, value) in given {
        if numbered(&name) || name == "pstate" {
            arch = Some(Arch::Arm64);
        }
        section.set_register(name, value);
    }
    if let Some(arch) = arch {
        open.report.arch.get_or_insert(arch);
    }
    Taken::Registers
}

/// The lines below `Mem abort info:`, and those of the overflow report.
fn abort(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("ESR").and_then(|r| r.trim_start().strip_prefix(['=', ':'])) {
        let Some((esr, _)) = take_hex(rest.trim_start()) else { return Taken::No };
        open.report.arch.get_or_insert(Arch::Arm64);
        let trap = open.report.trap.get_or_insert_with(Trap::default);
        trap.esr = Some(esr);
        if trap.name.is_empty()
            && let Some(name) = after(rest, " -- ")
        {
            trap.name = name.to_owned();
        }
        return detail(open, line);
    }
    if let Some(rest) = text.strip_prefix("FAR: ").or_else(|| text.strip_prefix("FAR = ")) {
        let Some((far, _)) = take_hex(rest.trim_start()) else { return Taken::No };
        open.report.trap.get_or_insert_with(Trap::default).address = Some(far);
        return detail(open, line);
    }
    if let Some((name, bounds)) = text.split_once(" stack:").or_else(|| text.split_once("stack:"))
        && let Some((low, high)) = between(bounds, "[", "]").and_then(|b| b.split_once(".."))
        && let (Some(low), Some(high)) = (take_hex(low), take_hex(high))
    {
        if open.report.stacks.len() < 16 {
            open.report.stacks.push((name.trim().to_ascii_lowercase(), low.0, high.0));
        }
        return detail(open, line);
    }
    const WORDS: [&str; 18] = [
        "Mem abort info:",
        "Data abort info:",
        "Exception class = ",
        "EC = ",
        "SET = ",
        "EA = ",
        "FSC = ",
        "ISV = ",
        "CM = ",
        "GCS = ",
        "Overlay = ",
        "TnD = ",
        "ISS = ",
        "ISS2 = ",
        "FnV = ",
        "S1PTW = ",
        "DABT ",
        "IABT ",
    ];
    if WORDS.iter().any(|w| text.starts_with(w)) {
        let trap = open.report.trap.get_or_insert_with(Trap::default);
        if let Some(rest) = text.strip_prefix("EC = ") {
            if let Some(name) = after(rest, ": ").map(|n| n.split(", IL").next().unwrap_or(n))
                && trap.name.is_empty()
            {
                trap.name = name.to_owned();
            }
        } else if let Some(rest) = text.strip_prefix("Exception class = ")
            && trap.name.is_empty()
        {
            trap.name = rest.split(", IL").next().unwrap_or(rest).to_owned();
        }
        if let Some(wnr) = after(text, "WnR = ").and_then(|w| w.bytes().next()) {
            trap.fault.write = Some(wnr == b'1');
        }
        return detail(open, line);
    }
    Taken::No
}

/// `[ffff0000093abce0] pgd=00000000411f8003, pud=..., pmd=0000000000000000`; arm's `[00001044] *pgd=8f35a835, *pte=...`.
fn walk(open: &mut Open, text: &str) -> Taken {
    let Some((address, entries)) = text.strip_prefix('[').and_then(|t| t.split_once("] ")) else {
        return Taken::No;
    };
    if hex(address).is_none() && !address.bytes().all(|b| b == b'x') {
        return Taken::No;
    }
    let entries = entries.trim_start();
    if !(entries.starts_with("pgd=") || entries.starts_with("*pgd=")) {
        return Taken::No;
    }
    let trap = open.report.trap.get_or_insert_with(Trap::default);
    trap.address = trap.address.or(hex(address));
    for entry in entries.split(',').take(8) {
        let Some((name, value)) = entry.trim().trim_start_matches('*').split_once('=') else { break };
        let Some((value, _)) = take_hex(value) else { break };
        if trap.walk.len() < 8 && !trap.walk.iter().any(|w| w.0 == name) {
            trap.walk.push((name.to_owned(), value));
        }
    }
    Taken::Facts
}

/// ESR_ELx taken apart (Arm ARM, D24.2.40; arch/arm64/include/asm/esr.h).
pub(crate) fn decode(esr: u64, fault: &mut Fault) {
    let ec = u8::try_from((esr >> 26) & 0x3f).unwrap_or(0);
    fault.ec = Some(ec);
    fault.il = Some(esr & (1 << 25) != 0);
    let abort = matches!(ec, 0x20 | 0x21 | 0x24 | 0x25);
    if !abort {
        return;
    }
    fault.fetch = Some(matches!(ec, 0x20 | 0x21));
    fault.user = Some(matches!(ec, 0x20 | 0x24));
    // WnR is valid for data aborts, and for a cache maintenance says nothing of a write.
    if matches!(ec, 0x24 | 0x25) {
        fault.write = Some(esr & (1 << 6) != 0);
    }
    let fsc = u8::try_from(esr & 0x3f).unwrap_or(0);
    fault.fsc = Some(fsc);
    match fsc & 0x3c {
        0x04 => {
            fault.level = Some(fsc & 3);
            fault.present = Some(false);
        }
        0x08 | 0x0c => {
            fault.level = Some(fsc & 3);
            fault.present = Some(true);
        }
        _ => {}
    }
}

/// The exception as numbers: ESR, or the number of `Internal error: Oops: 96000006`.
pub(crate) fn conclude(report: &mut Report) {
    let Some(trap) = &mut report.trap else { return };
    if trap.esr.is_none() && report.arch == Some(Arch::Arm64) {
        // The code of `Internal error:` is the ESR where it has an exception class; BRK and BUG print 0 or f2000800.
        trap.esr = trap.error_code.filter(|c| c >> 26 != 0);
    }
    if let Some(esr) = trap.esr {
        decode(esr, &mut trap.fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esr() {
        let mut f = Fault::default();
        decode(0x9600_0046, &mut f);
        assert_eq!(
            (f.ec, f.write, f.fsc, f.level, f.present),
            (Some(0x25), Some(true), Some(6), Some(2), Some(false))
        );
        let mut f = Fault::default();
        decode(0x8600_000f, &mut f);
        assert_eq!((f.fetch, f.write, f.level, f.present), (Some(true), None, Some(3), Some(true)));
        let mut f = Fault::default();
        decode(0xf200_0800, &mut f);
        assert_eq!((f.ec, f.fsc), (Some(0x3c), None));
    }
}
