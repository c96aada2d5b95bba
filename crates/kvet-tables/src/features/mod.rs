//! CPU features by number: how many an image knows, and what it calls them.

pub mod cpuinfo;
pub mod x86;
