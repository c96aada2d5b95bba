//! jump-labels: sites that are a nop or a jump according to a static key.
//!
//! `__jump_table` holds one entry for each `static_branch_likely/unlikely` in the text. Switching a key rewrites
//! every site of its entries; nothing but the table says where they are and where they jump.
//!
//! # What the kernel does, and when
//!
//! Followed in kernel/jump_label.c, arch/x86/kernel/jump_label.c and arch/arm64/kernel/jump_label.c of 5.10.223,
//! 6.1.192, 6.12.107 and 7.3.
//!
//! * `jump_label_init` (called from `setup_arch` on both architectures) sorts the table by key and site, so order
//!   in the file means nothing; writes bit 1 of the key field ("site in init text"), so what the file holds there
//!   means nothing to 6.1 and later (5.10 only ever sets it: a stray bit there keeps the site from being patched
//!   after boot); and stores a pointer to the key's first entry at key + 8, unchecked: a wrong key has 8 bytes of
//!   something else overwritten on every boot.
//! * It checks no site, with one exception: 5.10 on x86 rewrites the nops (`arch_jump_label_transform_static`)
//!   where the CPU's preferred nop is not `0f 1f 44 00 00`, and checks each of them first. 6.1 has no such step on
//!   x86 or arm64.
//! * A site is checked when its key is switched, on x86 only (`__jump_label_patch`; 5.10:
//!   `__jump_label_set_jump_code`): its bytes must be the nop when a jump is to be written, and exactly the jump
//!   to the entry's target when a nop is. arm64 overwrites whatever stands there.
//! * `jump_label_can_update` leaves out a site outside kernel text, with `can't patch jump_label at %pS` unless
//!   it lies in an init section (as the built-in `.exit.text` does).
//! * A module's table goes the same way through `jump_label_add_module`, which patches at load only the sites
//!   whose key lives elsewhere and is no longer in its compile-time state.
//!
//! So a site whose bytes contradict its key's initial value survives until the key is first switched: that is the
//! failure this table is here to prove.

mod arm64;
mod check;
mod find;
mod keys;
mod place;
mod read;
mod scan;
#[cfg(test)]
mod tests;
mod traps;
mod x86;

#[cfg(test)]
mod real;

pub(crate) use check::detour;
pub(crate) use find::find;
pub(crate) use keys::initial_bytes;
pub use keys::{KeyHome, StaticKey};
pub use read::{JumpLabel, JumpTable};

use crate::{Context, Table, TableReport};

/// The bytes of one entry.
pub(crate) const ENTRY: u64 = 16;

/// The table `jump-labels`.
pub struct JumpLabels;

impl Table for JumpLabels {
    fn name(&self) -> &'static str {
        "jump-labels"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        Some(check::check(context))
    }
}
