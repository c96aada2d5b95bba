//! bugs.

use crate::{Context, Table, TableReport};

/// The table `bugs`.
pub struct Bugs;

impl Table for Bugs {
    fn name(&self) -> &'static str {
        "bugs"
    }

    fn check(&self, _context: &Context<'_>) -> Option<TableReport> {
        None
    }
}
