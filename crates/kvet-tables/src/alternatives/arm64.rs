//! Alternatives of this architecture.

use crate::{Context, TableReport};

pub(super) fn check(_context: &Context<'_>) -> Option<TableReport> {
    None
}

pub(super) fn check_vdso(_context: &Context<'_>) -> Option<TableReport> {
    None
}
