//! Any Linux kernel file as one readable image.
//!
//! Purpose: open what kernel people have at hand (vmlinux, bzImage, arm64 `Image`, modules, compressed or
//! not), and give architecture, release, sections, symbols and bytes **by virtual address**, with relocations
//! applied, whatever the file was. Nothing is copied that can be borrowed from the mapped file.
//!
//! Non-goals: it interprets no kernel table (`kvet-tables` does), prints nothing, and reads no environment.
//!
//! Any input may be hostile: offsets are checked, sizes are bounded by the file, nothing panics.

mod addr;
mod backing;
mod container;
mod debug;
mod elf;
mod error;
mod facts;
mod flat;
mod flat_text;
mod image;
pub mod kallsyms;
mod lines;
mod memo;
mod module;
mod open;
mod relocate;
mod section;
mod symbol;
mod symbolize;
#[cfg(test)]
mod testing;

pub use addr::VirtAddr;
pub use error::{Error, ErrorKind};
pub use flat::BaseEvidence;
pub use image::{Arch, Image, Kind};
pub use kallsyms::{Kallsyms, KallsymsAbsent};
pub use lines::{InlinedCall, SourceLine, Variable};
pub use module::{LoadFault, RelocationFault, RelocationTrouble};
pub use section::{Access, Section};
pub use symbol::{Symbol, SymbolKind, SymbolSource, SymbolTable, SymbolTableBuilder};
