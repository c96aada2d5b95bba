//! Kernel console logs: bytes to lines to structured reports, in one streaming pass.
//!
//! This crate says what stands in a log. What it means (which report is the cause, which function is at fault,
//! which rule explains it) is kvet-explain's.

mod anchors;
mod arch;
mod body;
mod boot;
mod family;
mod line;
mod open;
mod prefix;
mod relate;
pub mod report;
mod scan;
mod text;

pub use line::{clean_line, lines};
pub use scan::Scanner;

pub use report::{
    Arch, Boot, Code, CpuContext, Ending, Event, Fault, Frame, Kind, Log, Name, Object, Phase, Register,
    Report, Span, Trace, Trap,
};

/// Reads a whole log.
pub fn parse(bytes: &[u8]) -> Log {
    let mut scanner = Scanner::new().silent();
    scanner.feed(bytes);
    scanner.finish().1
}
