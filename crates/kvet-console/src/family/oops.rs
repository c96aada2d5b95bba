//! `die()` of every architecture: a name, a code, a counter `[#1]`.
//!
//! x86 `Oops: 0002 [#1] PREEMPT SMP`, `general protection fault, probably for ...: 0000 [#1]`, since 6.9 `Oops: int3: 0000
//! [#1]` (arch/x86/kernel/dumpstack.c, `__die_header`); arm and arm64 `Internal error: Oops: 96000006 [#1]`; powerpc
//! `Oops: Kernel access of bad area, sig: 11 [#1]`; s390 `Oops: 0004 ilc:3 [#1] SMP`; mips and loongarch `Oops[#1]:`; riscv
//! `Oops [#1]`.

use super::{Family, Start, Sure};
use crate::arch::x86;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Kind, Trap};
use crate::text::{after, dec32, hex, take_hex};

pub(crate) static FAMILY: Family = Family {
    anchors: &[
        "Oops",
        "[#1]",
        "[#2]",
        "[#3]",
        "eneral protection",
        "nvalid opcode",
        "Internal error",
        "PANIC: ",
        "nhandled ",
        "Bad mode in",
        "SError",
    ],
    begin,
    line,
};

/// Names that no program prints before a code and a counter.
const NAMES: &[&str] = &[
    "Oops",
    "Internal error",
    "general protection",
    "divide error",
    "invalid opcode",
    "int3",
    "overflow",
    "bounds",
    "device not available",
    "double fault",
    "coprocessor segment overrun",
    "invalid TSS",
    "segment not present",
    "stack segment",
    "alignment check",
    "machine check",
    "simd exception",
    "control protection",
    "kernel stack overflow",
    "VMM Communication",
    "iret exception",
    "Kernel bug detected",
    "Kernel BUG",
    "kernel BUG",
    "Reserved instruction",
    "illegal operation",
    "specification exception",
    "addressing exception",
    "monitor event",
    "operand exception",
    "fixpoint divide",
    "data exception",
    "privileged operation",
    "translation exception",
    "Kernel access of bad area",
    "Exception in kernel mode",
    "Break instruction",
    "Illegal instruction",
    "Unhandled kernel unaligned",
    "Trap instruction in kernel",
    "Caught SIGFPE exception in kernel",
    "do_cpu invoked from kernel",
    "Unrecoverable",
    "Bad kernel stack pointer",
    "Kernel ale access",
];

/// Reads a line of `die()`.
pub(crate) fn parse_trap(text: &str) -> Option<Trap> {
    let open = text.find("[#")?;
    let counter = dec32(&text[open + 2..])?;
    let close = text[open..].find(']')? + open;
    let head = text[..open].trim_end();
    // sparc and alpha put the task in front: `swapper(1): Oops [#1]`.
    let head = head.split_once("): ").map_or(head, |(_, h)| h);
    // s390 names its program checks in words of every kind, and says how long the instruction was.
    let known = NAMES.iter().any(|n| head.starts_with(n)) || head.contains(" ilc:");
    let coded = head.rsplit_once(": ").is_some_and(|(_, code)| code.len() >= 4 && hex(code).is_some());
    if !(known || coded || text[close + 1..].starts_with(':')) {
        return None;
    }
    let mut trap = Trap { counter: Some(counter), ..Trap::default() };
    let config = text[close + 1..].trim_start_matches(':');
    trap.config = config
        .split_ascii_whitespace()
        .take_while(|w| w.bytes().all(|b| b.is_ascii_alphanumeric() || b"_()[]-".contains(&b)))
        .take(16)
        .map(str::to_owned)
        .collect();
    // What stands before the code is the name, `Oops: ` and `Internal error: ` taken off where more follows.
    let (mut name, code) = match head.rsplit_once(": ") {
        Some((name, code)) if hex(code.split(' ').next().unwrap_or("")).is_some() => {
            (name, hex(code.split(' ').next().unwrap_or("")))
        }
        _ => (head, None),
    };
    trap.error_code = code;
    if let Some(inner) = name.strip_prefix("Internal error: ") {
        name = inner;
    }
    if let Some(inner) = name.strip_prefix("Oops: ") {
        name = inner;
    }
    // `general protection fault, probably for non-canonical address 0xdead...: 0000`.
    let address = after(name, "address 0x").or_else(|| after(name, "address ")).and_then(take_hex);
    trap.address = address.map(|a| a.0);
    let name = name.split(", probably").next().unwrap_or(name);
    let name = name.split(", maybe").next().unwrap_or(name);
    trap.name = name.trim_end_matches(':').trim().to_owned();
    trap.vector = x86::vector(&trap.name);
    Some(trap)
}

/// The kind that a trap's name tells.
fn kind(trap: &Trap, text: &str) -> Kind {
    let name = trap.name.as_str();
    let has = |w: &str| name.contains(w);
    if has("UBSAN") {
        Kind::Ubsan
    } else if has("KASAN") {
        Kind::Kasan
    } else if has("kernel stack overflow") {
        Kind::StackOverflow
    } else if has("general protection") {
        Kind::GeneralProtection
    } else if has("invalid opcode")
        || has("ndefined instruction")
        || has("illegal instruction")
        || has("illegal operation")
        || has("Reserved instruction")
    {
        Kind::InvalidOpcode
    } else if has("user space memory") || has("userspace memory") {
        // arm64 until 5.0: an access or a fetch past the user's pages.
        Kind::PageFault
    } else if has("int3") || has("BRK handler") || has("breakpoint") {
        Kind::Breakpoint
    } else if has("double fault") {
        Kind::DoubleFault
    } else if has("BUG") || has("Kernel bug detected") {
        Kind::Bug
    } else if name == "Oops" && trap.error_code.is_some_and(|c| c != 0 || text.starts_with("Oops: ")) {
        // x86 prints the page fault's error code so, arm64 the ESR.
        Kind::PageFault
    } else {
        Kind::Oops
    }
}

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    if let Some(trap) = parse_trap(text) {
        let certain = NAMES.iter().any(|n| text.starts_with(n));
        let mut start =
            Start::new(kind(&trap, text), line, if certain { Sure::Certain } else { Sure::Kernel });
        note(&mut start, trap, text);
        return Some(start);
    }
    if let Some(rest) = text.strip_prefix("traps: ").unwrap_or(text).strip_prefix("PANIC: ") {
        // `PANIC: double fault, error_code: 0x0`; `PANIC: early exception 0x0d IP 10:ffffffff81000000 error 0 cr2 0x0`.
        let early = rest.starts_with("early exception");
        if !early && !rest.starts_with("double fault") && line.part.origin != crate::line::Origin::Kernel {
            return None;
        }
        let kind = match rest {
            r if r.starts_with("double fault") => Kind::DoubleFault,
            r if r.starts_with("early exception 0x0e") || r.starts_with("early exception 0e") => {
                Kind::PageFault
            }
            r if r.starts_with("early exception 0x0d") || r.starts_with("early exception 0d") => {
                Kind::GeneralProtection
            }
            _ => Kind::Oops,
        };
        let mut start = Start::new(kind, line, Sure::Certain);
        let mut trap =
            Trap { name: rest.split([',', '(']).next().unwrap_or(rest).trim().to_owned(), ..Trap::default() };
        trap.vector = x86::vector(&trap.name);
        if trap.vector.is_some() {
            start.report.arch = Some(Arch::X86_64);
        }
        if early {
            trap.vector = after(rest, "exception ").and_then(take_hex).and_then(|v| u8::try_from(v.0).ok());
            trap.error_code = after(rest, "error ").and_then(take_hex).map(|v| v.0);
            trap.address = after(rest, "cr2 ").and_then(take_hex).map(|v| v.0);
            if let Some((ip, _)) = after(rest, "IP ").and_then(|i| after(i, ":")).and_then(take_hex) {
                start.report.named =
                    Some(crate::report::Frame { address: Some(ip), reliable: true, ..Default::default() });
            }
            start.report.arch = Some(Arch::X86_64);
        } else {
            trap.error_code = after(rest, "error_code: ").and_then(take_hex).map(|v| v.0);
        }
        start.report.trap = Some(trap);
        return Some(start);
    }
    // arm64: `Bad mode in Error handler detected on CPU0, code 0xbf000000 -- SError`, `SError Interrupt on CPU1, code
    // 0x..`, `Unhandled 64-bit el1h sync exception on CPU0, ESR 0x...`.
    let bad = text.starts_with("Bad mode in ")
        || text.starts_with("SError Interrupt on CPU")
        || (text.starts_with("Unhandled ") && text.contains(" exception on CPU"));
    if bad
        || text.starts_with("Unhandled exception in kernel")
        || text.starts_with("xtensa: Unhandled exception")
    {
        let mut start = Start::new(Kind::Oops, line, Sure::Certain);
        let esr = after(text, "code 0x").or_else(|| after(text, "ESR 0x")).and_then(take_hex).map(|v| v.0);
        start.report.trap =
            Some(Trap { name: crate::text::before(text, ",").to_owned(), esr, ..Trap::default() });
        return Some(start);
    }
    // microblaze has no counter: `Oops: kernel access of bad area, sig: 11` (arch/microblaze/kernel/exceptions.c, `die`).
    if text.starts_with("Oops: ") && text.contains(", sig: ") {
        return Some(Start::new(Kind::Oops, line, Sure::Kernel));
    }
    // A cut `Internal error: Oops`: the counter was lost.
    (text.starts_with("Internal error: ") && text.len() > 16)
        .then(|| Start::new(Kind::Oops, line, Sure::Trace))
}

/// Puts a trap into the report, and what its words show.
fn note(start: &mut Start, trap: Trap, text: &str) {
    let report = &mut start.report;
    if trap.vector.is_some() {
        report.arch = Some(Arch::X86_64);
    }
    if trap.config.iter().any(|c| c == "ARM" || c == "THUMB2") {
        report.arch = Some(Arch::Arm);
    } else if text.contains("ilc:") {
        report.arch = Some(Arch::S390);
    } else if text.contains(", sig: ") {
        report.arch = Some(Arch::Powerpc);
    }
    report.trap = Some(trap);
    decode(report, text);
}

/// The bits of a page fault's code, which only `Oops: 0002` has.
pub(crate) fn decode(report: &mut crate::report::Report, text: &str) {
    let x86_oops =
        text.starts_with("Oops: ") && report.arch != Some(Arch::S390) && report.arch != Some(Arch::Powerpc);
    let Some(trap) = &mut report.trap else { return };
    if x86_oops
        && trap.name == "Oops"
        && let Some(code) = trap.error_code
    {
        x86::decode_error(trap, code);
        trap.vector = Some(14);
    }
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    super::detail_of(
        open,
        line,
        &[
            "KASAN: ",
            "KMSAN: ",
            "CFI failure at ",
            "kernel tried to execute",
            "unable to execute userspace code",
            "Bad page fault",
            "SMP NR_CPUS",
            "Fixing recursive fault",
        ],
    )
}
