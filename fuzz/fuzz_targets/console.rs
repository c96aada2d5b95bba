//! Any bytes as a console log: whole and in pieces, with the same result; spans inside the log; nothing may panic, hang or eat memory.
#![no_main]

use kvet_console::{Scanner, clean_line, lines, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = parse(data);
    assert_eq!(whole.bytes, data.len() as u64);
    let mut last = 0;
    for report in &whole.reports {
        let span = report.span;
        assert!(last <= span.start && span.start <= span.end && span.end <= whole.bytes, "a span outside the log");
        assert!(span.first_line <= span.last_line && span.last_line <= whole.lines, "lines outside the log");
        last = span.start;
        let _ = lines(data, span).count();
    }
    let mut scanner = Scanner::new();
    for piece in data.chunks(7) {
        scanner.feed(piece);
    }
    assert_eq!(scanner.finish().1, whole, "pieces say something else");
    let _ = clean_line(data);
});
