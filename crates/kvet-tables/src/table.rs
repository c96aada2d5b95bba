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

/// The tables that take longest in a kernel, BTF first of all, which waits for no other's facts: begun first, none is
/// left over for one thread while the others have nothing to do.
const LONGEST: [&str; 6] = ["btf", "retpolines", "jump-labels", "alternatives", "kallsyms", "orc"];

/// Checks all tables of one image, in parallel.
pub fn check(context: &Context<'_>) -> Vec<TableReport> {
    let rank = |table: &dyn Table| LONGEST.iter().position(|name| *name == table.name());
    let mut order: Vec<usize> = (0..TABLES.len()).collect();
    order.sort_by_key(|&i| rank(TABLES[i]).unwrap_or(LONGEST.len()));
    let check = |i: usize| Some((i, TABLES[i].check(context)?));
    // A bridge hands them out one by one, in this order; a slice would be cut in halves.
    let mut reports: Vec<(usize, TableReport)> = order.into_iter().par_bridge().filter_map(check).collect();
    reports.sort_unstable_by_key(|(i, _)| *i);
    reports.into_iter().map(|(_, report)| report).collect()
}
