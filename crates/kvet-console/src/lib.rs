//! Kernel console logs: bytes to lines to structured reports, in one streaming pass.
//!
//! This crate says what stands in a log. What it means (which report is the cause, which function is at fault,
//! which rule explains it) is kvet-explain's.

pub mod report;

pub use report::{
    Arch, Boot, Code, CpuContext, Ending, Event, Fault, Frame, Kind, Log, Object, Phase, Register, Report,
    Span, Trace, Trap,
};
