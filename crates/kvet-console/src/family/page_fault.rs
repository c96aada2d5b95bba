//! Faults on bad addresses, as the architectures announce them before `die()`.
//!
//! x86 `BUG: kernel NULL pointer dereference, address: ...`, `BUG: unable to handle page fault for address: ...`, before 5.1
//! `BUG: unable to handle kernel paging request at ...` (arch/x86/mm/fault.c, `show_fault_oops`); arm, arm64, riscv, mips,
//! loongarch, sparc, alpha, sh `Unable to handle kernel ... at virtual address ...`; powerpc `BUG: Unable to handle kernel data access
//! on write at ...`; s390 `Unable to handle kernel pointer dereference in virtual kernel address space`; arm
//! `Unhandled fault: ... (0x...) at 0x...`.

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Kind, Trap};
use crate::text::{after, dec32, take_hex};

pub(crate) static FAMILY: Family = Family {
    anchors: &[
        "nable to handle",
        "NULL pointer",
        "nhandled ",
        ": Code=",
        "by insn @",
        "tried to execute",
        "SMEP?",
    ],
    begin,
    line,
};

/// What kernels cannot handle; programs cannot handle other things.
const WHAT: &[&str] = &[
    "NULL pointer",
    "paging request",
    "pointer dereference",
    "read from",
    "write to",
    "access",
    "execut",
    "data access",
    "instruction fetch",
    "unaligned",
    "mm paging",
];

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    // Words of x86 before the headline, `kernel tried to execute NX-protected page - exploit attempt? (uid: 0)`.
    if text.starts_with("kernel tried to execute NX-protected page")
        || text.starts_with("unable to execute userspace code (SMEP?)")
    {
        return Some(Start::new(Kind::PageFault, line, Sure::Preamble));
    }
    if let Some(start) = elsewhere(line) {
        return Some(start);
    }
    let (cpu, body) = match text.strip_prefix("CPU ") {
        Some(rest) => (
            dec32(rest),
            rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches([' ', ',']),
        ),
        None => (None, text),
    };
    let words = body.strip_prefix("BUG: ").unwrap_or(body);
    // (`BUG: unable to handle kernel` alone: the rest is another piece.)
    let handled = words
        .strip_prefix("unable to handle kernel")
        .or_else(|| words.strip_prefix("Unable to handle kernel"));
    let marked = line.part.origin == crate::line::Origin::Kernel;
    let known = handled.is_some_and(|rest| {
        marked || WHAT.iter().any(|what| rest.trim_start().starts_with(what)) || rest.trim().is_empty()
    }) || words.starts_with("unable to handle page fault for address")
        || words.starts_with("kernel NULL pointer dereference")
        || words.starts_with("Kernel NULL pointer dereference")
        || words.starts_with("Unable to handle unknown paging fault")
        || (words.starts_with("Unhandled fault: ") && words.contains(" at 0x"))
        || words.starts_with("Unhandled prefetch abort: ")
        || words.starts_with("Unable to handle paging request");
    if !known {
        return None;
    }
    // arm says so of user space's faults too; `Internal error:` follows only for the kernel's.
    let sure = if words.starts_with("Unhandled ") { Sure::Trace } else { Sure::Certain };
    let mut start = Start::new(Kind::PageFault, line, sure);
    start.report.cpu = cpu;
    let trap = start.report.trap.get_or_insert_with(Trap::default);
    describe(words, trap);
    if words.starts_with("Unhandled fault: ") && words.contains(" fault (0x") {
        start.report.arch = Some(Arch::Arm);
    }
    // mips and loongarch put the place into the headline: `, epc == 8010..., ra == 8011...`.
    for (mark, arch) in [(", epc == ", Arch::Mips), (", era == ", Arch::Loongarch)] {
        if let Some((address, _)) = after(words, mark).and_then(take_hex) {
            start.report.arch = Some(arch);
            start.report.named =
                Some(crate::report::Frame { address: Some(address), reliable: true, ..Default::default() });
        }
    }
    Some(start)
}

/// Headlines of their own: parisc's `Bad Address (null pointer deref?): Code=15 (Data TLB miss fault) at addr 0...08`
/// (arch/parisc/kernel/traps.c, `parisc_terminate`), arc's `Invalid Read @ 0x00000008 by insn @ f+0x14/0x40`
/// (arch/arc/kernel/troubleshoot.c, `show_ecr_verbose`; for a program the instruction is a number).
fn elsewhere(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if let Some((_, code)) = text.split_once(": Code=")
        && [" at addr ", "(Addr="].iter().any(|mark| code.contains(mark))
    {
        let machine_check = text.contains("Priority Machine Check");
        let kind = if machine_check { Kind::Oops } else { Kind::PageFault };
        let mut start = Start::new(kind, line, Sure::Kernel);
        let address = after(code, " at addr ").or_else(|| after(code, "(Addr=")).and_then(take_hex);
        start.report.trap.get_or_insert_with(Trap::default).address = address.map(|a| a.0);
        return Some(start);
    }
    let (access, place) = text.split_once(" by insn @ ")?;
    let place = frame::at_start(place).filter(|f| f.size.is_some())?;
    let mut start = Start::new(Kind::PageFault, line, Sure::Certain);
    let trap = start.report.trap.get_or_insert_with(Trap::default);
    trap.address = after(access, " @ ").and_then(take_hex).map(|a| a.0);
    trap.fault.write = access.contains("Write").then_some(true).or(access.contains("Read").then_some(false));
    start.report.named = Some(place);
    Some(start)
}

/// The address and access that a headline names.
pub(crate) fn describe(words: &str, trap: &mut Trap) {
    let marks = ["for address: ", "address: ", "virtual address ", "data at address ", " at 0x", " at "];
    if trap.address.is_none() {
        trap.address = marks.iter().find_map(|m| after(words, m).and_then(take_hex)).map(|a| a.0);
    }
    if words.contains(" on write") || words.contains("write to read-only") {
        trap.fault.write = Some(true);
    } else if words.contains(" on read") || words.contains("read from unreadable") {
        trap.fault.write = Some(false);
    }
    if words.contains("execute from non-executable")
        || words.contains("instruction fetch")
        || words.contains("execution of ")
    {
        trap.fault.fetch = Some(true);
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    // Kernels before 4.20 printed the headline in pieces, each of which another CPU may part.
    let cut = open.report.headline.trim_end().ends_with("handle kernel");
    if cut && (text.starts_with("paging request at ") || text.starts_with("NULL pointer dereference at ")) {
        open.report.headline = format!("{} {text}", open.report.headline.trim_end());
        describe(text, open.report.trap.get_or_insert_with(Trap::default));
        return Taken::Headline;
    }
    if let Some(rest) = text.strip_prefix("IP: ")
        && let Some(frame) = frame::at_start(rest).filter(|f| f.symbol.is_empty())
    {
        open.section().ip.get_or_insert(frame);
        return Taken::Facts;
    }
    super::detail_of(
        open,
        line,
        &[
            "KASAN: ",
            "kernel tried to execute",
            "unable to execute userspace code",
            "[#PF] ",
            "BUG: unable to handle",
            "Bad pagetable",
            "Thread overran stack",
            "Oops: ",
            "This address is ",
            "This is due to ",
        ],
    )
}
