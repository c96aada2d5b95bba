//! The lines that reports of many families share: who ran, which modules, code bytes, traces, locks.

pub(crate) mod code;
pub(crate) mod facts;
pub(crate) mod frame;
pub(crate) mod locks;
pub(crate) mod marks;
pub(crate) mod titles;
pub(crate) mod trace;
pub(crate) mod who;

use crate::arch;
use crate::line::Line;
use crate::open::{Open, Taken};

/// Reads one line into an open report.
type Reader = fn(&mut Open, &Line<'_>) -> Taken;

/// In the order of how telling their first bytes are; a frame may look like much and comes last.
const READERS: &[Reader] = &[
    marks::read,
    who::read,
    facts::read,
    code::read,
    arch::x86::read,
    arch::arm64::read,
    arch::arm::read,
    arch::riscv::read,
    arch::powerpc::read,
    arch::s390::read,
    arch::mips::read,
    arch::loongarch::read,
    arch::others::read,
    titles::read,
    locks::read,
    trace::read,
];

/// Reads one line into an open report, and says what it was to it.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    if line.text().is_empty() {
        return Taken::No;
    }
    if open.ended {
        return marks::after_end(open, line);
    }
    // Most lines of most reports are frames.
    if open.section().in_trace && trace::looks_like_frame(line.text()) {
        let taken = trace::read(open, line);
        if taken == Taken::Frame {
            return taken;
        }
    }
    let taken = (open.family.line)(open, line);
    if taken != Taken::No {
        return taken;
    }
    for reader in READERS {
        let taken = reader(open, line);
        if taken != Taken::No {
            return taken;
        }
    }
    Taken::No
}
