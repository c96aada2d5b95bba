//! The output of `kvet explain`: one renderer a file.

pub mod human;
pub mod json;
pub mod kcidb;

use kvet_explain::Explained;

use crate::explain::Outcome;

/// The logs in which one failure was found.
pub struct Group<'a> {
    /// Its signature.
    pub signature: &'a str,
    /// The first report that has it.
    pub example: &'a Explained,
    /// The log and the report's index in it, each time it is a cause.
    pub found: Vec<(usize, usize)>,
}

impl Group<'_> {
    /// In how many logs.
    pub fn logs(&self) -> usize {
        let mut logs: Vec<usize> = self.found.iter().map(|(log, _)| *log).collect();
        logs.dedup();
        logs.len()
    }
}

/// Causes by signature, the most frequent first; consequences belong to their causes.
pub fn groups(outcomes: &[Outcome]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for (log, outcome) in outcomes.iter().enumerate() {
        let Ok(explanation) = outcome else { continue };
        for (index, report) in explanation.reports.iter().enumerate().filter(|(_, report)| report.is_cause())
        {
            let at = *known.entry(report.signature.as_str()).or_insert_with(|| {
                groups.push(Group { signature: &report.signature, example: report, found: Vec::new() });
                groups.len() - 1
            });
            groups[at].found.push((log, index));
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.logs()));
    groups
}
