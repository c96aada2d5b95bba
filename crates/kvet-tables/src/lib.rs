//! The tables that a Linux kernel patches itself by, read from its image before it boots.
//!
//! One table is one file: it locates the table, reads typed entries, applies the kernel's own checks with the
//! line that the kernel would print, and the stricter ones that can be proved on a file. [`TABLES`] registers
//! them all; [`check`] runs them over an [`Image`](kvet_image::Image).
//!
//! Non-goals: it opens no file, prints nothing, and knows no output format.

pub mod alternatives;
mod bounds;
pub mod btf;
pub mod bugs;
mod context;
pub mod disasm;
mod entries;
pub mod exceptions;
pub mod expected;
pub mod exports;
pub mod features;
pub mod initcalls;
pub mod jump_labels;
pub mod kallsyms;
pub mod lists;
mod mapped;
pub mod mcount;
pub mod orc;
pub mod parameters;
pub mod paravirt;
#[cfg(test)]
mod pointers_real;
#[cfg(test)]
mod realkernels;
mod release;
pub mod relocations;
mod runs;
pub mod runtime_constants;
pub mod sites;
pub mod static_calls;
mod table;
#[cfg(test)]
mod testimage;
pub mod tracepoints;

pub use bounds::{Bounds, LocatedBy};
pub use context::Context;
pub use table::{TABLES, Table, TableReport, check};
