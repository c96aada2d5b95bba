//! exceptions: the instructions that may fault, and where the kernel goes on when they do.
//!
//! `__ex_table` has one entry for each: the instruction, the place to go on at, and how. Every access to user
//! memory and every MSR access that may fail has one; without it the fault is an oops.
//!
//! # What the kernel does
//!
//! Followed in lib/extable.c, kernel/extable.c, scripts/sorttable.c, arch/x86/include/asm/extable.h,
//! extable_fixup_types.h and arch/x86/mm/extable.c, arch/arm64/include/asm/asm-extable.h and
//! arch/arm64/mm/extable.c of 5.10.223, 6.1.192, 6.12.107 and 7.3.
//!
//! * The build sorts vmlinux's table (sorttable) and clears `main_extable_sort_needed`; the kernel sorts it at boot
//!   only where that is still set. It sorts a module's at load.
//! * At a fault it searches the table by bisection: an entry out of order hides itself or others.
//! * It then does what the entry's type says, and BUG()s at a type that it does not know.

mod arm64;
mod check;
mod kind;
mod read;
mod scan;
mod x86;

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

pub use read::{Action, Exception, ExceptionTable, Layout};

use crate::{Context, Table, TableReport};

/// The table `exceptions`.
pub struct Exceptions;

impl Table for Exceptions {
    fn name(&self) -> &'static str {
        "exceptions"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        check::check(context)
    }
}
