//! Reports by hand, for tests.

use kvet_console::{Frame, Kind, Phase, Report, Span};

/// A reliable frame of a function.
pub fn frame(function: &str) -> Frame {
    Frame {
        function: function.to_owned(),
        symbol: function.to_owned(),
        offset: 0x10,
        size: Some(0x100),
        reliable: true,
        ..Frame::default()
    }
}

/// A report of which nothing but the kind is known.
pub fn report(kind: Kind) -> Report {
    Report {
        kind,
        headline: String::new(),
        details: Vec::new(),
        span: Span::default(),
        boot: 0,
        timestamp: None,
        arch: None,
        release: None,
        build: None,
        cpu: None,
        stalled_cpus: Vec::new(),
        pid: None,
        comm: None,
        taint: None,
        hardware: None,
        work: None,
        modules: Vec::new(),
        phase: Phase::Unknown,
        trap: None,
        ip: None,
        lr: None,
        registers: Vec::new(),
        code: None,
        frames: Vec::new(),
        traces: Vec::new(),
        locks: Vec::new(),
        object: None,
        source: None,
        named: None,
        stacks: Vec::new(),
        panic: None,
        cut: false,
    }
}
