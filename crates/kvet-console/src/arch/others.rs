//! Where the processor stood, as the architectures without a file of their own say it: no registers are read here.

use crate::body::frame::{self, Place};
use crate::line::Line;
use crate::open::{Open, Taken};

/// Beginnings of lines, and whether the program counter follows or the return address. sparc64 (arch/sparc/kernel/{traps,process}_64.c),
/// alpha (arch/alpha/kernel/traps.c, `dik_show_regs`), parisc (arch/parisc/kernel/traps.c, `show_regs`), m68k and sh
/// (arch/{m68k,sh}/kernel/traps.c).
const PLACES: &[(&str, bool)] = &[
    ("TPC: <", true),
    ("RPC: <", false),
    ("I7: <", false),
    ("pc is at ", true),
    ("ra is at ", false),
    ("IAOQ[0]: ", true),
    ("RP(r2): ", false),
    ("PC: [<", true),
    ("PR is at ", false),
];

/// Reads such a line.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if !matches!(text.as_bytes()[0], b'T' | b'R' | b'I' | b'P' | b'p' | b'r') {
        return Taken::No;
    }
    let Some((mark, is_pc)) = PLACES.iter().find(|(mark, _)| text.starts_with(mark)) else {
        return Taken::No;
    };
    let rest = &text[mark.len()..];
    // m68k and sh put the address in front, sparc the name in angles.
    let rest = if mark.ends_with("[<") { &text[mark.len() - 2..] } else { rest.trim_end_matches('>') };
    let Some((mut frame, _)) = frame::parse(rest.trim(), Place::Trace) else { return Taken::No };
    frame.line = line.number;
    let section = open.section();
    let slot = if *is_pc { &mut section.ip } else { &mut section.lr };
    slot.get_or_insert(frame);
    Taken::Facts
}
