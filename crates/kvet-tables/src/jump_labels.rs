//! jump-labels.

use crate::{Context, Table, TableReport};

/// The table `jump-labels`.
pub struct JumpLabels;

impl Table for JumpLabels {
    fn name(&self) -> &'static str {
        "jump-labels"
    }

    fn check(&self, _context: &Context<'_>) -> Option<TableReport> {
        None
    }
}
