//! x86-64 alternatives: `.altinstructions` of vmlinux and of modules, and the vDSO's own.
//!
//! `apply_alternatives` (arch/x86/kernel/alternative.c) copies each entry's replacement over its site once the
//! boot CPU's features are known. It checks two numbers and trusts the rest. What is checked here beyond that
//! follows from how the `ALTERNATIVE` macros (arch/x86/include/asm/alternative.h) emit entries: sites made of
//! whole instructions, padded with single-byte NOPs; replacements one after the other in
//! `.altinstr_replacement`, in the order of the entries; one site's entries side by side.

mod checker;
mod code;
mod consistency;
mod entry;
#[cfg(test)]
mod mutations;
mod sites;
#[cfg(test)]
mod tests;
mod traps;
mod vdso;

use std::sync::OnceLock;

use kvet_image::{Image, Kind, VirtAddr};

pub use entry::{Alternative, Alternatives, Layout};

use crate::bugs::BugTable;
use crate::features::x86::Features;
use crate::{Bounds, Context, TableReport};

/// The section of the replacements.
const REPLACEMENTS: &str = ".altinstr_replacement";

/// The alternatives of an image, read once for all tables that ask; `None` when it has none or is not x86-64.
pub fn entries<'c>(context: &'c Context<'_>) -> Option<&'c Alternatives> {
    context.x86_alternatives.get_or_init(|| read(context.image)).as_ref()
}

/// What the kernel that applies a table says about features and about its own checks. Read once a kernel, not
/// once a module.
#[derive(Default)]
pub(crate) struct KernelFacts {
    features: OnceLock<Features>,
    traps: OnceLock<Option<traps::Traps>>,
}

/// The kernel that applies an image's alternatives, with its facts: itself, or a module's; `None` for a module
/// whose kernel was not given.
#[derive(Clone, Copy)]
struct Kernel<'a> {
    image: &'a Image,
    context: &'a Context<'a>,
}

impl<'a> Kernel<'a> {
    fn of(context: &'a Context<'a>) -> Option<Kernel<'a>> {
        if context.image.kind() != Kind::Module {
            return Some(Kernel { image: context.image, context });
        }
        Some(Kernel { image: context.kernel?, context: context.kernel_context().unwrap_or(context) })
    }

    fn features(self) -> &'a Features {
        self.context.x86_kernel.features.get_or_init(|| Features::read(self.image))
    }

    /// Its traps; `None` when its symbols or its bug table are not at hand.
    fn traps(self) -> Option<&'a traps::Traps> {
        let read = || traps::Traps::read(self.image, self.bugs());
        self.context.x86_kernel.traps.get_or_init(read).as_ref()
    }

    fn bugs(self) -> Option<&'a BugTable> {
        match std::ptr::eq(self.context.image, self.image) {
            true => self.context.bugs(),
            false => self.context.kernel_bugs(),
        }
    }
}

fn read(image: &Image) -> Option<Alternatives> {
    if image.arch() != kvet_image::Arch::X86_64 {
        return None;
    }
    let bounds = Bounds::locate(image, ".altinstructions", "__alt_instructions", "__alt_instructions_end")?;
    Alternatives::read(image, bounds, |entry| plausible(image, entry))
}

/// Whether an entry makes sense enough to speak for the layout that it was read with.
fn plausible(image: &Image, entry: &Alternative) -> bool {
    entry.site_len > 0
        && entry.replacement_len <= entry.site_len
        && entry.unknown_flags == 0
        && entry.feature < 0x1000
        && image.section_at(entry.site).is_some()
        && (entry.replacement_len == 0 || image.section_at(entry.replacement).is_some())
}

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    const NAME: &str = "alternatives";
    let Some(table) = entries(context) else {
        let why = match context.image.module_name() {
            Some(_) => "this module has no alternatives",
            None => {
                "no section .altinstructions and no symbols __alt_instructions and __alt_instructions_end: the alternatives were not found"
            }
        };
        return Some(TableReport::absent(NAME, why));
    };
    let scope = checker::Scope::kernel(context.image);
    Some(checker::Checker::new(context, table, scope, NAME).report())
}

pub(super) fn check_vdso(context: &Context<'_>) -> Option<TableReport> {
    vdso::check(context)
}

/// A half-open range of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    start: VirtAddr,
    end: VirtAddr,
}

impl Span {
    fn holds(self, start: VirtAddr, end: VirtAddr) -> bool {
        start >= self.start && end <= self.end && start <= end
    }
}
