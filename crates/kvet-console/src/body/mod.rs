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
struct Reader {
    /// First bytes of the lines that it may know; empty when any may.
    first: &'static [u8],
    read: fn(&mut Open, &Line<'_>) -> Taken,
}

/// In the order of how telling their first bytes are; a frame may look like much and comes last.
const READERS: &[Reader] = &[
    Reader { first: b"-=D(", read: marks::read },
    Reader { first: b"CP", read: who::read },
    Reader { first: b"HWSMTLtihs", read: facts::read },
    Reader { first: b"C", read: code::read },
    Reader { first: b"REIFCDPOGS#k", read: arch::x86::read },
    Reader { first: b"plsPLxMDEFSICGOTHu[", read: arch::arm64::read },
    Reader { first: b"rpsifFCSERabcdeABD0123456789", read: arch::arm::read },
    Reader { first: b"ergsat", read: arch::riscv::read },
    Reader { first: b"NLMCDRGIFB-pl", read: arch::powerpc::read },
    Reader { first: &[], read: arch::s390::read },
    Reader { first: b"$erHLSCBP", read: arch::mips::read },
    Reader { first: b"EraCPBptsuf", read: arch::loongarch::read },
    Reader { first: b"TRIPpr", read: arch::others::read },
    Reader { first: &[], read: titles::read },
    Reader { first: &[], read: locks::read },
    Reader { first: &[], read: trace::read },
];

/// For each first byte the readers that may know the line, a bit each.
const BY_FIRST_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut reader = 0;
    while reader < READERS.len() {
        let first = READERS[reader].first;
        let mut i = 0;
        while i < if first.is_empty() { 256 } else { first.len() } {
            table[if first.is_empty() { i } else { first[i] as usize }] |= 1 << reader;
            i += 1;
        }
        reader += 1;
    }
    table
};

/// Whether a line stands in a trace and looks like a frame of it, as most lines of most reports do.
pub(crate) fn may_be_frame(open: &mut Open, text: &str) -> bool {
    !open.ended && open.section().in_trace && trace::looks_like_frame(text)
}

/// Reads one line into an open report, and says what it was to it.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    if line.text().is_empty() {
        return Taken::No;
    }
    if open.ended {
        return marks::after_end(open, line);
    }
    if may_be_frame(open, line.text()) {
        let taken = trace::read(open, line);
        if taken == Taken::Frame {
            return taken;
        }
    }
    let taken = (open.family.line)(open, line);
    if taken != Taken::No {
        return taken;
    }
    let mut readers = BY_FIRST_BYTE[usize::from(line.text().as_bytes()[0])];
    while readers != 0 {
        let taken = (READERS[readers.trailing_zeros() as usize].read)(open, line);
        readers &= readers - 1;
        if taken != Taken::No {
            return taken;
        }
    }
    Taken::No
}
