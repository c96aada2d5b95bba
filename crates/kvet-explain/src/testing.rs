//! Reports by hand, for tests.

use kvet_console::{Frame, Kind, Report};

/// A reliable frame of a function.
pub fn frame(function: &str) -> Frame {
    Frame {
        function: function.into(),
        symbol: function.into(),
        offset: 0x10,
        size: Some(0x100),
        reliable: true,
        ..Frame::default()
    }
}

/// A report of which nothing but the kind is known.
pub fn report(kind: Kind) -> Report {
    Report::new(kind, "")
}
