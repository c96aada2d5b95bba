//! From reports to output. A renderer adds form, never meaning, and one renderer is one file.

pub mod contract;
pub mod explain;
pub mod human;
pub mod json;
pub mod junit;
pub mod sarif;

#[cfg(test)]
mod samples;

use std::io::{self, Write};

use kvet_finding::Finding;

use crate::check::{ArtefactReport, Summary};
use crate::text;

/// The name and address under which kvet appears in machine-readable output.
const NAME: &str = "kvet";

/// Takes the reports of a run one by one.
pub trait Renderer {
    /// Before the first report.
    fn start(&mut self, _out: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    /// One report, in the order of output. An unreadable artefact was named on stderr already.
    fn artefact(&mut self, report: &ArtefactReport, out: &mut dyn Write) -> io::Result<()>;

    /// After the last report.
    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()>;
}

/// Where a finding is, in one line: `swap_writepage+0x1c/0x60 (0xffffffff8128f02c), entry 41`.
fn place(finding: &Finding) -> Option<String> {
    let at = match (&finding.symbol, finding.address) {
        (Some(symbol), Some(address)) => Some(format!("{} ({address})", text::Safe(symbol))),
        (Some(symbol), None) => Some(text::safe(symbol)),
        (None, address) => address.map(|address| address.to_string()),
    };
    let entry = finding.index.map(|index| format!("entry {index}"));
    match (at, entry) {
        (Some(at), Some(entry)) => Some(format!("{at}, {entry}")),
        (at, entry) => at.or(entry),
    }
}
