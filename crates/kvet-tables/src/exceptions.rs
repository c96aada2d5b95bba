//! exceptions.

use crate::{Context, Table, TableReport};

/// The table `exceptions`.
pub struct Exceptions;

impl Table for Exceptions {
    fn name(&self) -> &'static str {
        "exceptions"
    }

    fn check(&self, _context: &Context<'_>) -> Option<TableReport> {
        None
    }
}
