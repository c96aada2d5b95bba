//! Tests on small images.
#![allow(clippy::unwrap_used)]

use kvet_console::{Kind, Report, Span};

/// A report with nothing in it.
pub(super) fn report() -> Report {
    Report {
        kind: Kind::Oops,
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
        phase: kvet_console::Phase::Unknown,
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
