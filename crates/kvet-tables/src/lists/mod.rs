//! Tables that are lists of places in the text: one signed 32-bit distance an entry.
//!
//! `retpolines`, `returns`, `calls`, `endbr`, `cfi` and `smp-locks` of x86-64. objtool (the assembler for the lock
//! prefixes) writes them, `alternative_instructions()` and `callthunks_patch_builtin_calls()` read them once while
//! the kernel boots, `module_finalize()` for a module. An entry that leads elsewhere patches nothing or the wrong
//! bytes; a place without an entry keeps a branch that the chosen mitigation does not cover.
//!
//! # Where they stand
//!
//! By section, in a stripped vmlinux too (the decompressed bzImage has section headers); else by the linker's
//! boundary symbols. arch/x86/kernel/vmlinux.lds.S of 5.10.223 to 7.3.

mod branches;
mod calls;
mod cfi;
mod endbr;
mod locks;
mod read;
mod retpolines;
mod returns;
mod words;

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

pub(crate) use branches::Branches;
pub use calls::Calls;
pub use cfi::CfiSites;
pub use endbr::Endbr;
pub use locks::SmpLocks;
pub use read::SiteTable;
pub use retpolines::Retpolines;
pub use returns::Returns;

pub(crate) use read::{distances, limit};
pub(crate) use words::{bugs, hex, place};
