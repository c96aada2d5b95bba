//! Entries and their layouts.

use kvet_image::{Arch, Image, VirtAddr};

use super::arm64;
use crate::{Bounds, LocatedBy};

/// How many entries decide the layout.
const SAMPLE: u64 = 256;

/// What the kernel does when the instruction has faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Goes on at the fixup (arm64 up to 5.15).
    GoOn,
    /// Calls a handler (x86-64 up to 5.15).
    Handler(VirtAddr),
    /// Does what the type says (5.16 and later).
    Typed {
        /// EX_TYPE_*, whose numbers are the architecture's and the version's.
        kind: u16,
        /// What the type needs to know: arm64's 16 bits; of x86-64's 32 the 24 above the type.
        data: u32,
    },
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exception {
    /// Its index in the table.
    pub index: u64,
    /// Where the entry itself stands.
    pub entry: VirtAddr,
    /// The instruction that may fault.
    pub insn: VirtAddr,
    /// Where the kernel goes on.
    pub fixup: VirtAddr,
    /// How.
    pub action: Action,
}

/// How a kernel's entries are laid out. Every pointer is relative to its own field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `s32 insn, s32 fixup`: arm64 up to 5.15.
    Pair,
    /// `s32 insn, s32 fixup, s32 handler`: x86-64 from 4.6 to 5.15.
    Handler,
    /// `s32 insn, s32 fixup, s32 data`, the type in the low byte: x86-64 since 5.16 (46d28947d987).
    Data,
    /// `s32 insn, s32 fixup, s16 type, s16 data`: arm64 since 5.16 (d6e2cc564775).
    TypeData,
}

impl Layout {
    /// Bytes of an entry.
    pub fn size(self) -> u64 {
        match self {
            Layout::Pair => 8,
            Layout::Handler | Layout::Data | Layout::TypeData => 12,
        }
    }

    /// In words, for the report.
    pub(super) fn words(self) -> &'static str {
        match self {
            Layout::Pair => "8 bytes: instruction, fixup",
            Layout::Handler => "12 bytes: instruction, fixup, handler",
            Layout::Data => "12 bytes: instruction, fixup, data with a type",
            Layout::TypeData => "12 bytes: instruction, fixup, type, data",
        }
    }

    /// The layout in which most of a table's entries hold; `None` when in none of them half do.
    pub(super) fn detect(image: &Image, bounds: &Bounds) -> Option<Layout> {
        let share = |layout: Layout, holds: &dyn Fn(&Exception) -> bool| {
            let count = bounds.len() / layout.size();
            let sample = count.min(SAMPLE);
            let entries = (0..sample).filter_map(|i| read(image, layout, bounds.start, i * count / sample));
            let good = entries.filter(holds).count() as u64;
            (good * 2 > sample).then(|| good * 1000 / sample.max(1))
        };
        match image.arch() {
            // A type and its data, taken for a distance, leads to the table itself or its neighbours.
            Arch::X86_64 => {
                let handled = |e: &Exception| {
                    is_sound(image, e) && matches!(e.action, Action::Handler(at) if is_function(image, at))
                };
                match share(Layout::Handler, &handled) {
                    Some(_) => Some(Layout::Handler),
                    None => share(Layout::Data, &|e| is_sound(image, e)).map(|_| Layout::Data),
                }
            }
            Arch::Arm64 => {
                let typed = share(Layout::TypeData, &|e| is_sound(image, e) && arm64::is_typed(e));
                let pair = share(Layout::Pair, &|e| is_sound(image, e));
                let best = if typed >= pair { Layout::TypeData } else { Layout::Pair };
                typed.or(pair).map(|_| best)
            }
        }
    }
}

/// A handler: code, or, in a module, a function that it imports from the kernel (`ex_handler_default` and others
/// are exported, arch/x86/mm/extable.c, 5.10).
pub(super) fn is_function(image: &Image, addr: VirtAddr) -> bool {
    image.is_executable(addr) || image.extern_at(addr).is_some()
}

fn is_sound(image: &Image, exception: &Exception) -> bool {
    image.is_executable(exception.insn) && image.is_executable(exception.fixup)
}

/// The entry of an index in a table that starts at an address.
pub(super) fn read(image: &Image, layout: Layout, start: VirtAddr, index: u64) -> Option<Exception> {
    let entry = start.checked_add(index.checked_mul(layout.size())?)?;
    let fixup = entry.checked_add(4)?;
    let third = entry.checked_add(8)?;
    let action = match layout {
        Layout::Pair => Action::GoOn,
        Layout::Handler => Action::Handler(image.rel32(third)?),
        Layout::Data => {
            let word = image.u32(third)?;
            Action::Typed { kind: (word & 0xff) as u16, data: word >> 8 }
        }
        Layout::TypeData => {
            let word = image.u32(third)?;
            Action::Typed { kind: word as u16, data: word >> 16 }
        }
    };
    Some(Exception { index, entry, insn: image.rel32(entry)?, fixup: image.rel32(fixup)?, action })
}

/// An exception table: where it stands and how it is laid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExceptionTable {
    /// Where.
    pub bounds: Bounds,
    /// How.
    pub layout: Layout,
}

impl ExceptionTable {
    /// The exception table of an image.
    ///
    /// # Errors
    /// There is none, it is empty, or no layout fits it: the sentence that says so.
    pub fn find(image: &Image) -> Result<ExceptionTable, String> {
        let Some(bounds) = Bounds::locate(image, "__ex_table", "__start___ex_table", "__stop___ex_table")
        else {
            return super::scan::find(image).ok_or_else(|| {
                "no section __ex_table, no boundary symbols, and nothing in the image has the form of one"
                    .into()
            });
        };
        if bounds.is_empty() {
            return Err(format!("the exception table ({}) is empty", bounds.located_by));
        }
        match Layout::detect(image, &bounds) {
            Some(layout) => Ok(ExceptionTable { bounds, layout }),
            None => Err(format!(
                "{} bytes at {} ({}) fit no known layout of an exception table: fewer than half of its entries lead to code",
                bounds.len(),
                bounds.start,
                bounds.located_by
            )),
        }
    }

    /// How many whole entries there are.
    pub fn len(&self) -> u64 {
        self.bounds.len() / self.layout.size()
    }

    /// Whether there is no whole entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the table was found.
    pub fn located_by(&self) -> &LocatedBy {
        &self.bounds.located_by
    }

    /// All entries that have their bytes in the file.
    pub fn entries(&self, image: &Image) -> impl Iterator<Item = Exception> {
        (0..self.len()).filter_map(move |index| read(image, self.layout, self.bounds.start, index))
    }
}
