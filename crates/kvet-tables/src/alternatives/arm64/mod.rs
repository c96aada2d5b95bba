//! Alternatives of arm64.
//!
//! Followed: `__apply_alternatives()`, `get_alt_insn()` and `apply_alternatives_vdso()` in
//! arch/arm64/kernel/alternative.c, `struct alt_instr` in arch/arm64/include/asm/alternative.h, and the macros
//! of alternative-macros.h, in 5.10, 6.1, 6.12 and 7.3. The kernel checks two lengths and nothing else: an entry
//! with a wrong but existing capability is applied for the wrong feature without a word.

mod agreement;
mod bug_lines;
mod capability;
mod check;
mod entry;
mod locate;
#[cfg(test)]
mod real;
mod shape;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod text;
mod vdso;

use std::sync::OnceLock;

use kvet_image::{Image, Kind, VirtAddr};

use crate::{Bounds, Context, TableReport};
use agreement::Learned;
pub use capability::{Capabilities, Capability};
pub use entry::{Alternative, CALLBACK_BIT, CallbackMarker, ENTRY_SIZE};
use shape::Shapes;
use text::Text;

/// The alternatives of one image, and what the image says about capabilities.
pub struct Arm64Alternatives {
    /// Where the table stands; `None` when there is none.
    pub bounds: Option<Bounds>,
    /// Its entries, in the order of the table.
    pub entries: Vec<Alternative>,
    /// How this kernel marks callbacks.
    pub marker: CallbackMarker,
    /// Bytes after the last whole entry.
    pub trailing: usize,
    /// The capabilities; empty for a module, whose kernel has them.
    pub capabilities: Capabilities,
    shapes: OnceLock<Shapes>,
    learned: OnceLock<Learned>,
}

impl Arm64Alternatives {
    /// Reads the table of a vmlinux, of a flat image, or of a module.
    pub fn read(image: &Image) -> Arm64Alternatives {
        let text = Text::of(image);
        let capabilities = if image.kind() == Kind::Module {
            Capabilities::default()
        } else {
            Capabilities::read(image, &text)
        };
        let bounds = locate::locate(image, &text);
        let bytes = bounds.as_ref().and_then(|b| b.bytes(image)).unwrap_or(&[]);
        let start = bounds.as_ref().map_or(VirtAddr(0), |b| b.start);
        let mut table = Arm64Alternatives::parse(start, bytes, capabilities);
        table.bounds = bounds;
        table
    }

    /// Reads entries from a table's bytes.
    fn parse(start: VirtAddr, bytes: &[u8], capabilities: Capabilities) -> Arm64Alternatives {
        let (whole, rest) = bytes.as_chunks::<ENTRY_SIZE>();
        let places = (0_u64..).map(|i| VirtAddr(start.0.wrapping_add(i * ENTRY_SIZE as u64)));
        let entries: Vec<_> = places.zip(whole).map(|(at, b)| Alternative::parse(at, b)).collect();
        Arm64Alternatives {
            bounds: None,
            marker: CallbackMarker::detect(&entries, capabilities.count),
            entries,
            trailing: rest.len(),
            capabilities,
            shapes: OnceLock::new(),
            learned: OnceLock::new(),
        }
    }

    fn shapes(&self, image: &Image, text: &Text<'_>) -> &Shapes {
        self.shapes.get_or_init(|| Shapes::of(image, text, &self.entries, self.marker))
    }

    /// What a kernel's table teaches about its modules'.
    fn learned(&self, image: &Image) -> &Learned {
        self.learned
            .get_or_init(|| Learned::from(&self.entries, self.shapes(image, &Text::of(image)), self.marker))
    }
}

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    Some(check::table(context))
}

pub(super) fn check_vdso(context: &Context<'_>) -> Option<TableReport> {
    (context.image.kind() != Kind::Module).then(|| vdso::table(context))
}
