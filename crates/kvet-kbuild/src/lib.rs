//! A Kbuild tree's records (`.*.cmd`) against its actual inputs: which targets cannot be trusted, and why.
//!
//! make compares time stamps of the inputs that a record names, and the saved command with the one that it would use
//! now. What it cannot see: an input whose content changed under a kept time stamp, a header that another one of the
//! same name now hides in the include path, an edge that never was recorded, a compiler replaced under its name.
//! Every [`Reason`] says whether make sees it.
//!
//! The tree is only read; nothing is run but the compilers (`--version`, `-M`).

mod command;
mod compiler;
mod config;
mod deep;
mod judge;
mod objects;
mod reason;
mod record;
mod shadow;
mod tree;

pub use command::{Compilation, Search, members, simple_commands};
pub use deep::{Edges, Failure, count, edges};
pub use judge::{Stale, Verdict, judge};
pub use objects::{Definer, definers};
pub use reason::Reason;
pub use record::{Record, option_of_stamp, parse};
pub use tree::{File, FileId, Stamp, Target, Time, Tree, TreeError};
