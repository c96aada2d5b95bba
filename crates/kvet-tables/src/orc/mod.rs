//! orc: how to unwind the stack at each place of the text.
//!
//! Two tables of one length: `.orc_unwind_ip` says where, `.orc_unwind` what holds from there to the next place.
//!
//! # What the kernel does
//!
//! Followed in arch/x86/kernel/unwind_orc.c, arch/x86/include/asm/orc_types.h and scripts/sorttable.c of 5.10.223,
//! 6.1.192, 6.12.107 and 7.3.
//!
//! * The build sorts vmlinux's tables; the kernel searches them by bisection and never looks whether they are in
//!   order. A module's it sorts when it loads it.
//! * `unwind_init` compares the two lengths, and gives the unwinder up where they disagree.
//! * The unwinder stops at a register or type that it does not know, and says so once.
//! * The hash in `.orc_header` (6.4 and later) names the layout of an entry, for those who read the file.
//!
//! # What is stricter
//!
//! objtool writes both this table and `.return_sites`: where a function returns, its frame is gone, so the entry
//! there must find the previous stack pointer 8 bytes above the current one.

mod check;
mod read;

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

pub use read::{Entry, Frame, Layout, OrcTable};

use crate::{Context, Table, TableReport};

/// The table `orc`.
pub struct Orc;

impl Table for Orc {
    fn name(&self) -> &'static str {
        "orc"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        check::check(context)
    }
}
