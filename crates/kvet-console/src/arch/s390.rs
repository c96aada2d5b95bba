//! s390: `Krnl PSW : `, `Krnl GPRS:`, `Krnl Code:`, `Failing address:` (arch/s390/kernel/dumpstack.c, mm/fault.c).

use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};
use crate::text::{after, hex, take_hex};

/// Reads s390's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("Krnl PSW :") {
        open.report.arch.get_or_insert(Arch::S390);
        let section = open.section();
        for (name, word) in ["psw_mask", "psw_addr"].iter().zip(rest.split_ascii_whitespace()) {
            section.set_register(*name, hex(word));
        }
        if section.ip.is_none() {
            section.ip = after(rest, "(").and_then(frame::at_start).map(|mut f| {
                f.line = line.number;
                f
            });
        }
        return Taken::Facts;
    }
    if let Some(rest) = text.strip_prefix("Krnl GPRS:") {
        open.report.arch.get_or_insert(Arch::S390);
        return general(open, rest);
    }
    if let Some(rest) = text.strip_prefix("Failing address: ") {
        open.report.arch.get_or_insert(Arch::S390);
        let trap = open.report.trap.get_or_insert_with(Trap::default);
        trap.address = take_hex(rest).map(|a| a.0);
        open.detail(line);
        return Taken::Detail;
    }
    if open.report.arch != Some(Arch::S390) {
        return Taken::No;
    }
    if text.starts_with("Krnl Code:") || text.starts_with("R:0 T:") || text.starts_with("R:1 T:") {
        return Taken::Facts;
    }
    if text.starts_with("AS:")
        || text.starts_with("Fault in ")
        || text.starts_with("Last Breaking-Event-Address:")
    {
        return Taken::Facts;
    }
    let rows = text.split_ascii_whitespace().count() == 4
        && text.split_ascii_whitespace().all(|w| w.len() == 16 && hex(w).is_some());
    if rows {
        return general(open, text);
    }
    // Rows of disassembly: `#000000000012a3b4: a7f40001            brc     15,...`.
    let row = text.trim_start_matches(['#', '>', '*']);
    if row.len() > 18 && row.as_bytes()[..16].iter().all(u8::is_ascii_hexdigit) && row[16..].starts_with(':')
    {
        return Taken::Mark;
    }
    Taken::No
}

fn general(open: &mut Open, values: &str) -> Taken {
    let section = open.section();
    let have = section.registers.iter().filter(|r| r.name.starts_with('r')).count();
    for (i, value) in (have..16).zip(values.split_ascii_whitespace()) {
        section.set_register(format!("r{i}"), hex(value));
    }
    Taken::Registers
}
