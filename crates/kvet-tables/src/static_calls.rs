//! static-calls.

use crate::{Context, Table, TableReport};

/// The table `static-calls`.
pub struct StaticCalls;

impl Table for StaticCalls {
    fn name(&self) -> &'static str {
        "static-calls"
    }

    fn check(&self, _context: &Context<'_>) -> Option<TableReport> {
        None
    }
}
