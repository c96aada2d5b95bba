//! Several machines in one campaign: their rates side by side, and the factor that explains the difference.

use std::io::{self, Write};

use kvet_lab::matrix;
use kvet_lab::plan::{self, Amplifier};
use kvet_lab::store::{Store, Stored};

use crate::boot::words;
use crate::render::human::Paint;
use crate::text::{self, safe};

/// Writes the table; nothing when there is one machine only.
pub fn write(stored: &Stored, store: &Store, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let all = matrix::rows(store, stored).map_err(io::Error::other)?;
    if all.len() < 2 {
        return Ok(());
    }
    // Drawn machines are hardly ever alike: their factors are shown one by one.
    let drawn = stored.record.plan.amplifier == Some(Amplifier::Vary);
    let rows = if drawn { matrix::by_factor(&all) } else { all.clone() };
    let labels: Vec<String> = rows.iter().map(|r| safe(&plan::label(&r.factors, ", "))).collect();
    let width = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0).max(7);
    writeln!(out)?;
    let head = format!(
        "  {:<width$} {:>7} {:>7} {:>7} {:>7}  rate of failure",
        "machine", "passed", "failed", "hung", "spoilt"
    );
    writeln!(out, "{}", paint.dim(&head))?;
    for (row, label) in rows.iter().zip(&labels) {
        let t = row.tally;
        writeln!(
            out,
            "  {label:<width$} {:>7} {:>7} {:>7} {:>7}  {}",
            text::number(t.passed),
            text::number(t.failed),
            text::number(t.hung),
            text::number(t.starved + t.emulator),
            words::rate(&t.rate())
        )?;
    }
    let effects = matrix::effects(&all);
    match effects.iter().find(|e| e.corrected < 0.05) {
        Some(e) => writeln!(
            out,
            "  {} {} fails {} against {} of the others ({}, exact test, corrected for {})",
            paint.bad("explains it:"),
            safe(&e.label()),
            words::rate(&e.comparison.a),
            words::rate(&e.comparison.b),
            words::p_value(e.corrected),
            text::count(effects.len() as u64, "test")
        ),
        None if effects.iter().all(|e| e.comparison.a.failures + e.comparison.b.failures == 0) => Ok(()),
        None => writeln!(
            out,
            "  no factor explains a difference (the smallest is {}, {})",
            safe(&effects[0].label()),
            words::p_value(effects[0].corrected)
        ),
    }
}
