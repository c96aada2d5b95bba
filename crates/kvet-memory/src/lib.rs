//! What a guest's memory says: the kernel in it, its log, its text, its keys, its page tables, its CPUs.
//!
//! [`Memory`] opens a file: a live guest's shared RAM, an ELF dump, a vmcore, `/proc/kcore`. [`Guest`] finds a
//! kernel's [`Image`](kvet_image::Image) in it and reads by the kernel's addresses. What can be said of it stands in a
//! module each.
//!
//! Non-goals: it stops no guest, prints nothing, and decides no exit status.
//!
//! Any memory may be hostile, and that of a guest that runs changes while it is read: every offset is checked, every
//! list is walked no further than it can be long, and nothing is allocated beyond what the file holds.

pub mod cpus;
pub mod dmesg;
mod elf;
mod error;
pub mod features;
mod guest;
mod int3;
pub mod keys;
mod layout;
mod locate;
mod memory;
pub mod pages;
pub mod paging;
mod percpu;
mod registers;
mod stage;
mod symbols;
mod tasks;
#[cfg(test)]
mod testing;
pub mod text;
pub mod unwind;
mod vmcoreinfo;

pub use elf::Notes;
pub use error::{Error, ErrorKind};
pub use guest::Guest;
pub use int3::Int3;
pub use layout::{LayoutSource, Layouts, Place};
pub use locate::{Evidence, Placement};
pub use memory::{Form, Memory, Segment, VirtualSegment};
pub use registers::{Registers, Source};
pub use tasks::Task;
pub use vmcoreinfo::VmcoreInfo;
