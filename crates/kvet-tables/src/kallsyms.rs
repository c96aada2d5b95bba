//! kallsyms.

use crate::{Context, Table, TableReport};

/// The table `kallsyms`.
pub struct Kallsyms;

impl Table for Kallsyms {
    fn name(&self) -> &'static str {
        "kallsyms"
    }

    fn check(&self, _context: &Context<'_>) -> Option<TableReport> {
        None
    }
}
