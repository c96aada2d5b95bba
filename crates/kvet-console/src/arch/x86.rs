//! x86: `RIP:`, registers, `#PF:` lines, page-table walk (arch/x86/kernel/{dumpstack,process_64,process_32}.c,
//! arch/x86/mm/fault.c).

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, CpuContext, Frame, Report, Trap};
use crate::text::{after, hex, take_hex};

/// The manual's name, in lower case, of a register as the kernel prints it.
fn register(printed: &str) -> Option<&'static str> {
    Some(match printed {
        "RAX" => "rax",
        "RBX" => "rbx",
        "RCX" => "rcx",
        "RDX" => "rdx",
        "RSI" => "rsi",
        "RDI" => "rdi",
        "RBP" => "rbp",
        "RSP" => "rsp",
        "R08" => "r8",
        "R09" => "r9",
        "R10" => "r10",
        "R11" => "r11",
        "R12" => "r12",
        "R13" => "r13",
        "R14" => "r14",
        "R15" => "r15",
        "FS" => "fs",
        "GS" => "gs",
        "knlGS" => "kernel_gs",
        "CS" => "cs",
        "DS" => "ds",
        "ES" => "es",
        "SS" => "ss",
        "CR0" => "cr0",
        "CR2" => "cr2",
        "CR3" => "cr3",
        "CR4" => "cr4",
        "DR0" => "dr0",
        "DR1" => "dr1",
        "DR2" => "dr2",
        "DR3" => "dr3",
        "DR6" => "dr6",
        "DR7" => "dr7",
        "PKRU" => "pkru",
        "EFLAGS" | "RFLAGS" => "eflags",
        "ORIG_RAX" => "orig_rax",
        "EAX" => "eax",
        "EBX" => "ebx",
        "ECX" => "ecx",
        "EDX" => "edx",
        "ESI" => "esi",
        "EDI" => "edi",
        "EBP" => "ebp",
        "ESP" => "esp",
        "ORIG_EAX" => "orig_eax",
        _ => return None,
    })
}

/// Whether a line is one of the register dump.
pub(crate) fn is_registers(text: &str) -> bool {
    let Some(colon) = text.bytes().take(9).position(|b| b == b':') else { return false };
    register(&text[..colon]).is_some() && text[colon + 1..].starts_with(' ')
}

/// Reads x86's lines.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    match text.as_bytes()[0] {
        b'R' | b'E' | b'I' | b'F' | b'C' | b'D' | b'P' | b'O' | b'G' | b'S' => {}
        b'#' if text.starts_with("#PF: ") => return page_fault_bits(open, line),
        _ => return Taken::No,
    }
    if let Some(rest) = text.strip_prefix("RIP").or_else(|| text.strip_prefix("EIP")) {
        let taken = instruction_pointer(open, rest, line);
        if taken != Taken::No {
            open.report.arch.get_or_insert(if text.starts_with('R') { Arch::X86_64 } else { Arch::X86 });
            return taken;
        }
    }
    if let Some(rest) = text.strip_prefix("IP: ") {
        return old_ip(open, rest);
    }
    if text.starts_with("PGD ") || text.starts_with("P4D ") || text.starts_with("PUD ") {
        return walk(open, text);
    }
    if is_registers(text) {
        registers(open, text);
        return Taken::Registers;
    }
    Taken::No
}

/// `RIP: 0010:f+0x1/0x2`, `RIP: 0010:[<addr>]  [<addr>] f+0x1/0x2`, `EIP: 0060:[<c01>] EFLAGS: ...`, `EIP is at f+0x1/0x2`.
fn instruction_pointer(open: &mut Open, rest: &str, line: &Line<'_>) -> Taken {
    let (selector, place) = if let Some(at) = rest.strip_prefix(" is at ") {
        (None, at)
    } else if let Some(body) = rest.strip_prefix(": ") {
        let selector = body.get(..4).and_then(hex).filter(|_| body[4..].starts_with(':'));
        (selector, if selector.is_some() { &body[5..] } else { body })
    } else if rest.trim_start().starts_with("[<") {
        // The reminder after the code bytes of kernels before 4.20.
        return Taken::Mark;
    } else {
        return Taken::No;
    };
    // The reminder again: `RIP: f+0x1/0x2 RSP: ffff...`.
    if place.contains(" RSP: ffff") || place.contains(" SS:ESP ") {
        return Taken::Mark;
    }
    let user = selector.is_some_and(|s| s & 3 == 3);
    let frame = place_of(place);
    let continues =
        open.last == Taken::Facts && open.section().ip.as_ref().is_some_and(|f| f.symbol.is_empty());
    let section = open.section();
    if section.in_trace && !section.frames.is_empty() {
        section.foreign_registers = true;
        if let Some(mut frame) = frame.filter(|f| !user && !f.symbol.is_empty()) {
            frame.context = Some(CpuContext::Exception);
            section.push(frame, line.number);
            return Taken::Frame;
        }
        return Taken::Mark;
    }
    if user {
        // A report whose only registers are user space's (a task dump).
        section.foreign_registers = true;
        return Taken::Mark;
    }
    // Decoded logs name the inlined functions first, each in a line of its own.
    let inlined = section.ip.as_ref().is_some_and(|f| f.inlined) && section.frames.is_empty();
    if section.ip.is_none() || continues || inlined {
        let old = section.ip.take();
        section.ip = frame.map(|mut f| {
            f.line = line.number;
            f.address = f.address.or(old.and_then(|o| o.address));
            f
        });
    }
    if let Some(flags) = after(place, "EFLAGS: ").and_then(take_hex) {
        open.section().set_register("eflags", Some(flags.0));
    }
    Taken::Facts
}

fn place_of(text: &str) -> Option<Frame> {
    let text = text.trim();
    if let Some((frame, _)) = frame::parse(text, Place::Trace) {
        return Some(frame);
    }
    frame::at_start(text)
}

/// `IP: f+0x1/0x2`, `IP: [<ffff>] f+0x1/0x2`, after the headline of kernels before 4.20.
fn old_ip(open: &mut Open, rest: &str) -> Taken {
    let Some(frame) = place_of(rest) else {
        return if rest.contains("null") { Taken::Facts } else { Taken::No };
    };
    let section = open.section();
    if section.ip.as_ref().is_none_or(|f| f.inlined || f.symbol.is_empty()) && !frame.inlined {
        section.ip = Some(frame);
    }
    Taken::Facts
}

/// `RSP: 0018:ffff8800 EFLAGS: 00010206`, `FS:  0000(0000) GS:ffff(0000) knlGS:0000`.
fn registers(open: &mut Open, text: &str) {
    let mut rest = text;
    let section = open.section();
    for _ in 0..8 {
        let Some(colon) = rest.find(':') else { break };
        let Some(name) = register(rest[..colon].trim()) else { break };
        let mut body = rest[colon + 1..].trim_start();
        // `0018:ffff`: selector and value.
        if body.as_bytes().get(4) == Some(&b':') && body.get(..4).and_then(hex).is_some() {
            body = &body[5..];
        }
        match take_hex(body) {
            Some((value, r)) => {
                section.set_register(name, Some(value));
                // `(0000)`: the selector.
                rest = r.strip_prefix('(').and_then(|r| r.split_once(')')).map_or(r, |r| r.1);
            }
            None => {
                section.set_register(name, None);
                rest = body.split_once(' ').map_or("", |r| r.1);
            }
        }
        rest = rest.trim_start();
    }
}

/// `#PF: supervisor write access in kernel mode`, `#PF: error_code(0x0002) - not-present page`.
fn page_fault_bits(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    let trap = open.report.trap.get_or_insert_with(Trap::default);
    if let Some((code, _)) = after(text, "error_code(0x").and_then(take_hex) {
        trap.error_code = Some(code);
        decode_error(trap, code);
    } else {
        trap.fault.write.get_or_insert(text.contains(" write access"));
        trap.fault.fetch.get_or_insert(text.contains("instruction fetch"));
    }
    open.detail(line);
    Taken::Detail
}

/// #PF's error code (Intel SDM volume 3, 4.7; arch/x86/include/asm/trap_pf.h).
pub(crate) fn decode_error(trap: &mut Trap, code: u64) {
    let bit = |n: u32| Some(code & (1 << n) != 0);
    trap.fault.present = bit(0);
    trap.fault.write = bit(1);
    trap.fault.user = bit(2);
    trap.fault.reserved = bit(3);
    trap.fault.fetch = bit(4);
    trap.fault.protection_key = bit(5);
}

/// `PGD 5a25067 P4D 5a25067 PUD 0`.
fn walk(open: &mut Open, text: &str) -> Taken {
    let trap = open.report.trap.get_or_insert_with(Trap::default);
    let mut words = text.split_ascii_whitespace();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        if !matches!(name, "PGD" | "P4D" | "PUD" | "PMD" | "PTE") {
            break;
        }
        // `BAD` where the walk met nonsense.
        let Some(value) = hex(value) else { break };
        let name = name.to_ascii_lowercase();
        if trap.walk.len() < 8 && !trap.walk.iter().any(|w| w.0 == name) {
            trap.walk.push((name, value));
        }
    }
    Taken::Facts
}

/// Vector numbers by the names that `die()` prints (arch/x86/include/asm/trapnr.h).
pub(crate) fn vector(name: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 16] = [
        ("divide error", 0),
        ("int3", 3),
        ("overflow", 4),
        ("bounds", 5),
        ("invalid opcode", 6),
        ("device not available", 7),
        ("double fault", 8),
        ("coprocessor segment overrun", 9),
        ("invalid TSS", 10),
        ("segment not present", 11),
        ("stack segment", 12),
        ("general protection", 13),
        ("alignment check", 17),
        ("machine check", 18),
        ("simd exception", 19),
        ("control protection", 21),
    ];
    NAMES.iter().find(|(n, _)| name.contains(n)).map(|n| n.1)
}

/// The address from CR2, the vector of a page fault.
pub(crate) fn conclude(report: &mut Report) {
    let cr2 = report.register("cr2");
    let fault =
        matches!(report.kind, crate::Kind::PageFault | crate::Kind::DoubleFault | crate::Kind::StackOverflow);
    let Some(trap) = &mut report.trap else { return };
    if report.kind == crate::Kind::PageFault {
        trap.vector.get_or_insert(14);
    }
    if fault && trap.address.is_none() {
        trap.address = cr2;
    }
}
