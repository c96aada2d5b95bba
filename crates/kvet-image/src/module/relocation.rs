//! One relocation, whatever the architecture.

use super::{arm64, x86};
use crate::{Arch, VirtAddr};

/// A relocation that the kernel's module loader refuses, or that would write outside its section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelocationFault {
    /// What is wrong with it.
    pub trouble: RelocationTrouble,
    /// The name of the section that it changes.
    pub section: String,
    /// The number of its own section among the file's section headers.
    pub table: u32,
    /// Its position in that section.
    pub index: u64,
    /// The relocation type, as the machine's ELF supplement numbers it.
    pub kind: u32,
    /// The address of the field that it changes.
    pub addr: VirtAddr,
    /// What it would have stored there, before cutting it to the field; 0 where that is not known.
    pub value: u64,
}

/// Why a relocation cannot be applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RelocationTrouble {
    /// The loader does not know the type.
    UnknownType,
    /// x86-64: the field is not zero before it is relocated. It was relocated here all the same.
    NonZeroTarget,
    /// The value does not fit into the field; its low bits were stored.
    Overflow,
    /// The field lies outside the section. The loader does not look, and would write there.
    OutsideSection,
    /// It names a symbol that the table does not have.
    NoSuchSymbol,
}

/// A relocation with an addend, decoded.
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) kind: u32,
    pub(super) symbol: u32,
    pub(super) addend: i64,
}

impl Entry {
    /// Changes the field in its section's bytes. On failure, also what would have been stored.
    pub(super) fn apply(
        &self,
        section: &mut [u8],
        arch: Arch,
        section_addr: u64,
        symbols: &[u64],
    ) -> Result<(), (u64, RelocationTrouble)> {
        let Some(symbol) = symbols.get(self.symbol as usize) else {
            return Err((0, RelocationTrouble::NoSuchSymbol));
        };
        let value = symbol.wrapping_add_signed(self.addend);
        let place = section_addr.wrapping_add(self.offset);
        let at = usize::try_from(self.offset).unwrap_or(usize::MAX);
        let field = section.get_mut(at..).unwrap_or(&mut []);
        match arch {
            Arch::X86_64 => x86::apply(field, self.kind, value, place),
            Arch::Arm64 => arm64::apply(field, self.kind, value, place),
        }
        .map_err(|trouble| (value, trouble))
    }
}
