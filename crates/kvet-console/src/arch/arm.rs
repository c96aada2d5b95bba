//! 32-bit arm: registers, flags, stack dump (arch/arm/kernel/{process,traps}.c).

use crate::arch::pairs;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Trap};

/// Reads arm's lines; `PC is at` and the page-table walk are read with arm64's.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    match text.as_bytes()[0] {
        b'r' | b'p' | b's' | b'i' | b'f' => registers(open, text),
        b'F' if text.starts_with("Flags: ") && text.contains("Mode ") => mark(open),
        b'C' if text.starts_with("Control: ") => mark(open),
        b'S' if text.starts_with("Stack: (0x") => Taken::Mark,
        b'E' if text.starts_with("Exception stack(0x") => Taken::Mark,
        b'R' if text.starts_with("Register ") && text.contains(" information:") => Taken::Mark,
        b'8' if text.starts_with("8<--- cut here") => Taken::Mark,
        _ if is_dump(text) => Taken::Mark,
        _ => Taken::No,
    }
}

fn mark(open: &mut Open) -> Taken {
    open.report.arch.get_or_insert(Arch::Arm);
    Taken::Facts
}

fn registers(open: &mut Open, text: &str) -> Taken {
    if let Some(value) = text.strip_prefix("pgd = ") {
        if let Some(value) = crate::text::hex(value.trim()) {
            let trap = open.report.trap.get_or_insert_with(Trap::default);
            if !trap.walk.iter().any(|w| w.0 == "pgd") && open.report.arch == Some(Arch::Arm) {
                trap.walk.push(("pgd".to_owned(), value));
            }
        }
        return Taken::Facts;
    }
    let mut given = Vec::new();
    if !pairs::each(text, |name, value| given.push((name.to_ascii_lowercase(), value))) {
        return Taken::No;
    }
    let known = |n: &str| {
        n.strip_prefix('r').is_some_and(|d| d.parse::<u8>().is_ok_and(|d| d < 16))
            || matches!(n, "pc" | "lr" | "sp" | "psr" | "ip" | "fp")
    };
    if !given.iter().all(|(n, _)| known(n)) {
        return Taken::No;
    }
    open.report.arch.get_or_insert(Arch::Arm);
    if open.section().in_trace && !open.section().frames.is_empty() {
        // Registers that a frame saved, ` r7:00000000 r6:826228c4`.
        return Taken::Mark;
    }
    for (name, value) in given {
        open.section().set_register(name, value);
    }
    Taken::Registers
}

/// A row of the stack dump: `dd40:                   977bdda0 8062eec8`.
fn is_dump(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() > 12
        && b.len() < 90
        && b[4] == b':'
        && b[5] == b' '
        && b[..4].iter().all(u8::is_ascii_hexdigit)
        && b[5..].iter().all(|b| b.is_ascii_hexdigit() || *b == b' ')
}
