//! alternatives: instruction sequences that are replaced according to the CPU's features.

mod agreement;
pub mod arm64;
pub mod x86;

use kvet_image::Arch;

use crate::{Context, Table, TableReport};

/// The table `alternatives`.
pub struct Alternatives;

impl Table for Alternatives {
    fn name(&self) -> &'static str {
        "alternatives"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        match context.image.arch() {
            Arch::X86_64 => x86::check(context),
            Arch::Arm64 => arm64::check(context),
        }
    }
}

/// The alternatives of the vDSO, which is an ELF image of its own inside the kernel.
pub struct VdsoAlternatives;

impl Table for VdsoAlternatives {
    fn name(&self) -> &'static str {
        "vdso-alternatives"
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        match context.image.arch() {
            Arch::X86_64 => x86::check_vdso(context),
            Arch::Arm64 => arm64::check_vdso(context),
        }
    }
}
