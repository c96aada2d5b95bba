//! static-calls: call sites that are pointed at whatever function a key holds.
//!
//! objtool lists every direct call or jump to a trampoline `__SCT__name` (tools/objtool/check.c,
//! `create_static_call_sections`) with the key `__SCK__name`; bit 0 of the key field says that it is a tail call.
//! x86-64 only: arm64 has no inline sites (7.3 has trampolines alone, and those only with CONFIG_CFI).
//!
//! # What the kernel does, and when
//!
//! Followed in kernel/static_call_inline.c (5.10: kernel/static_call.c) and arch/x86/kernel/static_call.c of
//! 5.10.223, 6.1.192, 6.12.107 and 7.3.
//!
//! * `static_call_init`, called from `setup_arch` (5.10 to 7.3), sorts the sites by key and, on **every boot**,
//!   rewrites every one of them to call its key's function. `__static_call_validate` looks at each first: a tail
//!   call must hold `e9` or `c3` (6.1 and later also `0f 8x`), another one `e8`, the 5-byte nop, or (6.1 and
//!   later) `2e 2e 2e 31 c0`; 7.3 adds the two instructions that it inlines itself. Anything else is
//!   `unexpected static_call insn opcode 0x%x at %pS` and BUG(), in 5.10 a WARN_ONCE. It looks neither at where
//!   the call goes, nor at whether the site is text, nor at the key.
//! * `static_call_update` patches the trampoline as well, which (6.1 and later) must carry `0f b9 cc` at +5:
//!   `trampoline signature fail`, BUG(). Then the sites; one outside kernel text is left out, with
//!   `can't patch static call site at %pS` unless it is in an init section.
//! * A module's sites go the same way when it is loaded. Where the key is not exported, objtool writes the
//!   trampoline's address for it, and `static_call_add_module` looks the key up in the kernel's
//!   `static_call_tramp_key` table: `Failed to fixup __raw_static_call() usage at: %ps`.

mod check;
mod read;

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;

pub(crate) use read::find;
pub use read::{StaticCall, StaticCallTable};

use crate::{Context, Table, TableReport};

/// The table `static-calls`.
pub struct StaticCalls;

impl Table for StaticCalls {
    fn name(&self) -> &'static str {
        "static-calls"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        check::check(context)
    }
}
