//! The log of a memory, explained as `kvet explain` would.

use std::path::Path;

use kvet_explain::{Context as ExplainContext, Text};
use kvet_tables::Context;

use crate::explain::{Excerpt, Explanation};

/// Explains a log. Its end means nothing: the guest was stopped there.
pub fn explain(path: &Path, log_text: &[u8], context: &Context<'_>) -> Explanation {
    let log = kvet_console::parse(log_text);
    let text = Text(log_text);
    let tables = Context::new(context.image, None);
    let explain = ExplainContext { text, kernel: Some(&tables), symbols: None, emulator: None };
    let mut reports = kvet_explain::explain(&log, &explain);
    let ends = |kind| matches!(kind, kvet_console::Kind::Silence | kvet_console::Kind::Reset);
    reports.retain(|report| !(report.inferred && ends(report.report.kind)));
    let excerpts = reports.iter().map(|report| Excerpt::of(report, text)).collect();
    Explanation {
        path: path.to_owned(),
        boots: log.boots.len(),
        lines: log.lines,
        reports,
        excerpts,
        same_kernel: None,
    }
}
