//! A report with its meaning.

use std::sync::Arc;

use kvet_console::{Phase, Report};

use crate::symbols::Resolved;

/// How sure a diagnosis is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Confidence {
    /// The evidence allows it; others are not excluded.
    Possible,
    /// The evidence points to it.
    Likely,
    /// The evidence proves it.
    Certain,
}

impl Confidence {
    /// The word in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Possible => "possible",
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        }
    }
}

/// One thing that a diagnosis rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// What it shows, one sentence.
    pub says: String,
    /// The log's line (number from 1, text cleaned of prefixes) that shows it.
    pub line: Option<(u64, String)>,
}

/// What explains a report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnosis {
    /// The rule's name, stable: `stale-alternatives-object`, `stale-int3`; [`Diagnosis::UNKNOWN`] when no rule
    /// applies.
    pub cause: &'static str,
    /// The cause in a sentence or two.
    pub summary: String,
    /// How sure.
    pub confidence: Confidence,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What to do next, one sentence each.
    pub advice: Vec<String>,
}

impl Diagnosis {
    /// The cause of a diagnosis that only says that no rule applies, with the facts.
    pub const UNKNOWN: &str = "unknown";

    /// Whether a rule explains the report.
    pub fn is_known(&self) -> bool {
        self.cause != Diagnosis::UNKNOWN
    }
}

/// A report with its meaning.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    /// What stands in the log.
    pub report: Arc<Report>,
    /// Built from what other reports' traces show: the log has no headline of its own for it.
    pub inferred: bool,
    /// One line that names kind and function, for people and trackers.
    pub title: String,
    /// The function at fault, past helpers; without compiler suffixes.
    pub function: Option<String>,
    /// Its module.
    pub module: Option<String>,
    /// Where in the boot, by the log and by the trace.
    pub phase: Phase,
    /// Index of the report (of the same log, in the order of [`crate::explain`]) that this one follows from.
    pub consequence_of: Option<usize>,
    /// Stable over rebuilds, compilers, architectures, CPU numbers and addresses.
    pub signature: String,
    /// What explains it: the rule that applies, or that none does.
    pub diagnosis: Option<Diagnosis>,
    /// What the kernel's files say: addresses, source lines, code, table entries. `None` without them.
    pub resolved: Option<Resolved>,
}

impl Explained {
    /// Nothing in the log caused it: it is where to begin.
    pub fn is_cause(&self) -> bool {
        self.consequence_of.is_none()
    }
}
