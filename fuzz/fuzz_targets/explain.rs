//! Any bytes as a log that is explained: causes stand before what follows from them, evidence lies in the log; nothing may panic or hang.
#![no_main]

use kvet_explain::{Context, Text, explain};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let log = kvet_console::parse(data);
    let reports = explain(&log, &Context { text: Text(data), ..Context::default() });
    assert!(reports.len() >= log.reports.len(), "a report is lost");
    for (index, one) in reports.iter().enumerate() {
        assert!(one.consequence_of.is_none_or(|cause| cause < index), "a cause after its consequence");
        for (line, _) in one.diagnosis.iter().flat_map(|d| &d.evidence).filter_map(|e| e.line.as_ref()) {
            assert!((1..=log.lines.max(1)).contains(line), "evidence outside the log");
        }
    }
});
