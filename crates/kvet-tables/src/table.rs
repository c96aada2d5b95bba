//! What a table is to the rest of kvet, and the list of them.

use kvet_finding::Finding;
use rayon::prelude::*;

use crate::{Context, LocatedBy};

/// One kind of table.
pub trait Table: Sync {
    /// Its name in output, `jump-labels`.
    fn name(&self) -> &'static str;

    /// Reads and checks it; `None` when this image cannot have it (another architecture's, vmlinux's only).
    fn check(&self, context: &Context<'_>) -> Option<TableReport>;
}

/// What came of checking one table of one image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableReport {
    /// The table's name.
    pub name: &'static str,
    /// How many entries it has.
    pub entries: u64,
    /// How it was found; `None` when the image has none.
    pub located_by: Option<LocatedBy>,
    /// Which of its layouts it has, in words, where there are several.
    pub layout: Option<String>,
    /// What was proved of every entry, one short phrase each.
    pub proved: Vec<String>,
    /// What could not be checked, and why, one sentence each.
    pub skipped: Vec<String>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl TableReport {
    /// A report without entries yet.
    pub fn new(name: &'static str, located_by: Option<LocatedBy>) -> Self {
        TableReport {
            name,
            entries: 0,
            located_by,
            layout: None,
            proved: Vec::new(),
            skipped: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// A table that the image does not have or that cannot be found, and why.
    pub fn absent(name: &'static str, why: impl Into<String>) -> Self {
        let mut report = Self::new(name, None);
        report.skipped.push(why.into());
        report
    }
}

/// Every table, in the order of output. A new table is one file and one line here.
pub const TABLES: &[&dyn Table] = &[
    &crate::alternatives::Alternatives,
    &crate::alternatives::VdsoAlternatives,
    &crate::jump_labels::JumpLabels,
    &crate::static_calls::StaticCalls,
    &crate::lists::Retpolines,
    &crate::lists::Returns,
    &crate::lists::Calls,
    &crate::lists::Endbr,
    &crate::lists::CfiSites,
    &crate::lists::SmpLocks,
    &crate::paravirt::Paravirt,
    &crate::runtime_constants::RuntimeConstants,
    &crate::mcount::Mcount,
    &crate::exceptions::Exceptions,
    &crate::bugs::Bugs,
    &crate::orc::Orc,
    &crate::initcalls::Initcalls,
    &crate::parameters::Parameters,
    &crate::exports::Exports,
    &crate::tracepoints::Tracepoints,
    &crate::kallsyms::Kallsyms,
    &crate::relocations::Relocations,
    &crate::btf::Btf,
];

/// Checks all tables of one image, in parallel.
pub fn check(context: &Context<'_>) -> Vec<TableReport> {
    TABLES.par_iter().filter_map(|table| table.check(context)).collect()
}
