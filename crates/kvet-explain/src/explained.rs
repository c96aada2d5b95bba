//! A report with its meaning.

use kvet_console::Report;

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
    /// The rule's name, stable: `stale-alternatives-object`, `stale-int3`.
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

/// A report with its meaning.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    /// What stands in the log.
    pub report: Report,
    /// One line that names kind and function, for people and trackers.
    pub title: String,
    /// The function at fault, past helpers; without compiler suffixes.
    pub function: Option<String>,
    /// Its module.
    pub module: Option<String>,
    /// Index of the report (of the same log) that this one follows from.
    pub consequence_of: Option<usize>,
    /// Stable over rebuilds, compilers, architectures, CPU numbers and addresses.
    pub signature: String,
    /// What explains it; `None` where no rule applies.
    pub diagnosis: Option<Diagnosis>,
}
