//! Entries and their layouts.

use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::lists::distances;
use crate::{Bounds, release};

/// Bytes of an entry, in every version.
pub(super) const SIZE: usize = 6;

/// How the last two bytes of an entry are cut into fields, and what the numbers in them mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Up to 6.2: `sp_reg:4, bp_reg:4, type:2, end:1`.
    End,
    /// 6.3: `sp_reg:4, bp_reg:4, type:2, signal:1, end:1` (ffb1b4a41016).
    SignalEnd,
    /// 6.4 to 6.17 or so: `sp_reg:4, bp_reg:4, type:3, signal:1` (fb799447ae29), registers as before.
    Typed,
    /// 7.x: the same fields, registers renumbered.
    Renumbered,
}

/// What an entry says of the stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Frame {
    /// Nothing is known here.
    Undefined,
    /// The stack ends here.
    EndOfStack,
    /// A return address stands below the previous stack pointer.
    Call,
    /// A whole `pt_regs`.
    Regs,
    /// The part of a `pt_regs` that the processor pushes.
    PartialRegs,
    /// A number without a meaning.
    Unknown(u8),
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Distance from the base register to the previous stack pointer.
    pub sp_offset: i16,
    /// Distance from its base register to where the frame pointer is saved.
    pub bp_offset: i16,
    /// The other fields as they stand.
    pub fields: u16,
}

impl Entry {
    /// The base register of the previous stack pointer, by its number.
    pub fn sp_reg(self) -> u8 {
        (self.fields & 15) as u8
    }

    /// The base register of the saved frame pointer, by its number.
    pub fn bp_reg(self) -> u8 {
        (self.fields >> 4 & 15) as u8
    }
}

/// Hashes in `.orc_header` (scripts/orc_hash.sh over orc_types.h): 6.4 to 6.12, and 7.3.
const HASHES: &[([u8; 20], Layout)] = &[
    (
        [
            0xfe, 0x5d, 0x32, 0xbf, 0x58, 0x1b, 0xd6, 0x3b, 0x2c, 0xa9, 0xa5, 0xc6, 0x5b, 0xa5, 0xa6, 0x25,
            0xea, 0xb3, 0xfe, 0x24,
        ],
        Layout::Typed,
    ),
    (
        [
            0x13, 0x7c, 0x36, 0xad, 0x76, 0x27, 0xc4, 0xdd, 0x55, 0x93, 0x21, 0x76, 0xbb, 0x0e, 0xcd, 0xbd,
            0x50, 0x41, 0xfc, 0x82,
        ],
        Layout::Renumbered,
    ),
];

/// The registers by number, up to 6.17 or so and after. `?` has no meaning.
const REGISTERS: [&str; 10] =
    ["undefined", "prev_sp", "dx", "di", "bp", "sp", "r10", "r13", "bp_indirect", "sp_indirect"];
const RENUMBERED: [&str; 11] =
    ["undefined", "ax", "dx", "sp", "bp", "di", "r10", "r13", "prev_sp", "sp_indirect", "bp_indirect"];

impl Layout {
    /// What an entry says of the stack.
    pub fn frame(self, entry: Entry) -> Frame {
        let fields = entry.fields;
        match self {
            Layout::End | Layout::SignalEnd => {
                let end = if self == Layout::End { 10 } else { 11 };
                match (entry.sp_reg(), fields >> end & 1, fields >> 8 & 3) {
                    (0, 1, _) => Frame::EndOfStack,
                    (0, ..) => Frame::Undefined,
                    (_, _, 0) => Frame::Call,
                    (_, _, 1) => Frame::Regs,
                    (_, _, 2) => Frame::PartialRegs,
                    (_, _, other) => Frame::Unknown(other as u8),
                }
            }
            Layout::Typed | Layout::Renumbered => match fields >> 8 & 7 {
                0 => Frame::Undefined,
                1 => Frame::EndOfStack,
                2 => Frame::Call,
                3 => Frame::Regs,
                4 => Frame::PartialRegs,
                other => Frame::Unknown(other as u8),
            },
        }
    }

    /// The bits that no field has.
    pub(super) fn unused(self) -> u16 {
        if self == Layout::End { 0xf800 } else { 0xf000 }
    }

    /// A register's name.
    pub fn register(self, number: u8) -> Option<&'static str> {
        let names: &[&str] = if self == Layout::Renumbered { &RENUMBERED } else { &REGISTERS };
        names.get(usize::from(number)).copied()
    }

    /// Whether the unwinder can find the previous stack pointer from a register.
    pub(super) fn is_sp_base(self, number: u8) -> bool {
        self.register(number).is_some_and(|name| !matches!(name, "undefined" | "prev_sp"))
    }

    /// Whether the unwinder can find the frame pointer from a register.
    pub(super) fn is_bp_base(self, number: u8) -> bool {
        matches!(self.register(number), Some("undefined" | "prev_sp" | "bp"))
    }

    /// In words, for the report.
    pub(super) fn words(self) -> &'static str {
        match self {
            Layout::End => "6 bytes: sp and bp offset, sp_reg, bp_reg, type:2, end",
            Layout::SignalEnd => "6 bytes: sp and bp offset, sp_reg, bp_reg, type:2, signal, end",
            Layout::Typed => "6 bytes: sp and bp offset, sp_reg, bp_reg, type:3, signal",
            Layout::Renumbered => {
                "6 bytes: sp and bp offset, sp_reg, bp_reg, type:3, signal; registers as in 7.x"
            }
        }
    }

    /// The layout in which the fields of most entries have a meaning, when no hash names it. The stack pointer is
    /// the base of most entries, and its number tells the old registers from the new.
    fn detect(entries: &[[u8; SIZE]]) -> Option<Layout> {
        let fields = || entries.iter().map(|e| u16::from_le_bytes([e[4], e[5]]));
        let most = entries.len() / 2;
        let count = |predicate: &dyn Fn(u16) -> bool| fields().filter(|f| predicate(*f)).count();
        if count(&|f| f & 15 == 3) > most {
            return Some(Layout::Renumbered);
        }
        if count(&|f| f & 15 == 5) <= most {
            return None;
        }
        // A call is type 0 of the old and type 2 of the new fields.
        if count(&|f| f & 15 == 5 && f >> 8 & 7 == 2) > most {
            return Some(Layout::Typed);
        }
        // Bit 10 is `end`, which goes with no register, or `signal`, which goes with registers.
        let signal = count(&|f| f & 15 != 0 && f >> 10 & 1 == 1);
        Some(if signal > entries.len() / 10_000 { Layout::SignalEnd } else { Layout::End })
    }
}

/// The tables of an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrcTable {
    /// Where the places stand.
    pub bounds: Bounds,
    /// Where the entries stand.
    pub entries: Bounds,
    /// The layout of an entry; `None` when no evidence decides it.
    pub layout: Option<Layout>,
    /// The hash of the header.
    pub hash: Option<[u8; 20]>,
    /// Each place, in the table's order.
    pub ips: Vec<VirtAddr>,
    /// For a module, whose table the kernel sorts: the indices in the order of their places.
    order: Option<Vec<u32>>,
}

impl OrcTable {
    /// The tables of an image.
    ///
    /// # Errors
    /// There are none: the sentence that says so; `None` when this image cannot have them.
    pub(crate) fn find(image: &Image) -> Result<OrcTable, Option<String>> {
        if image.arch() != Arch::X86_64 {
            return Err(None);
        }
        let locate = |section, start, stop| Bounds::locate(image, section, start, stop);
        let bounds = locate(".orc_unwind_ip", "__start_orc_unwind_ip", "__stop_orc_unwind_ip");
        let entries = locate(".orc_unwind", "__start_orc_unwind", "__stop_orc_unwind");
        let (Some(bounds), Some(entries)) = (bounds, entries) else {
            let module = image.kind() == Kind::Module;
            let why = "no .orc_unwind_ip and .orc_unwind: this kernel has another unwinder than ORC";
            return Err((!module).then(|| why.into()));
        };
        let Some(bytes) = bounds.bytes(image) else {
            return Err(Some(format!(
                "the table .orc_unwind_ip at {} has no bytes in this file",
                bounds.start
            )));
        };
        let (ips, _) = distances(bytes, bounds.start);
        let hash = header(image);
        let known = hash.and_then(|hash| HASHES.iter().find(|(h, _)| *h == hash));
        let sample = entries.bytes(image).unwrap_or(&[]).as_chunks().0;
        let layout = known.map(|(_, layout)| *layout).or_else(|| Layout::detect(sample));
        let layout = layout.or_else(|| of_release(image));
        let sort = image.kind() == Kind::Module && !ips.is_sorted();
        let mut table = OrcTable { bounds, entries, layout, hash, ips, order: None };
        table.order = sort.then(|| table.sorted(image));
        Ok(table)
    }

    /// Indices by place, those without knowledge before the others of the same place (`orc_sort_cmp`).
    fn sorted(&self, image: &Image) -> Vec<u32> {
        let mut order: Vec<u32> = (0..).take(self.ips.len()).collect();
        let is_real = |index: u32| self.entry(image, index as usize).is_some_and(|e| self.knows(e));
        order.sort_by_key(|index| (self.ips[*index as usize], is_real(*index)));
        order
    }

    fn knows(&self, entry: Entry) -> bool {
        self.layout.is_none_or(|layout| layout.frame(entry) != Frame::Undefined)
    }

    /// Whether a hash names a layout that is known here.
    pub(super) fn knows_hash(&self) -> bool {
        self.hash.is_some_and(|hash| HASHES.iter().any(|(h, _)| *h == hash))
    }

    /// One entry, by its index in the table.
    pub fn entry(&self, image: &Image, index: usize) -> Option<Entry> {
        let at = self.entries.start.checked_add(index.checked_mul(SIZE)? as u64)?;
        image.bytes(at, SIZE)?.first_chunk().map(decode)
    }

    /// The index of the entry that the unwinder takes for an address: the last one at or before it; the first
    /// where none is.
    pub fn index_at(&self, addr: VirtAddr) -> Option<usize> {
        let after = match &self.order {
            None => self.ips.partition_point(|ip| *ip <= addr),
            Some(order) => order.partition_point(|index| self.ips[*index as usize] <= addr),
        };
        let at = after.saturating_sub(1);
        match &self.order {
            None => (at < self.ips.len()).then_some(at),
            Some(order) => order.get(at).map(|index| *index as usize),
        }
    }

    /// Whether objtool has processed the code at an address; `None` when that cannot be told.
    pub(crate) fn covers(&self, image: &Image, addr: VirtAddr) -> Option<bool> {
        let layout = self.layout?;
        let index = self.index_at(addr)?;
        // The first entry is taken for whatever stands before it.
        if self.ips.get(index).is_none_or(|ip| *ip > addr) {
            return Some(false);
        }
        self.entry(image, index).map(|entry| layout.frame(entry) != Frame::Undefined)
    }
}

pub(super) fn decode(bytes: &[u8; SIZE]) -> Entry {
    let [a, b, c, d, e, f] = *bytes;
    Entry {
        sp_offset: i16::from_le_bytes([a, b]),
        bp_offset: i16::from_le_bytes([c, d]),
        fields: u16::from_le_bytes([e, f]),
    }
}

/// The hash of `.orc_header`.
fn header(image: &Image) -> Option<[u8; 20]> {
    let bounds = Bounds::locate(image, ".orc_header", "__start_orc_header", "__stop_orc_header")?;
    bounds.bytes(image)?.first_chunk().copied()
}

/// The layout of an image's release, for a module whose few entries decide nothing.
fn of_release(image: &Image) -> Option<Layout> {
    match release::version(image)? {
        version if version < (6, 3) => Some(Layout::End),
        version if version < (6, 4) => Some(Layout::SignalEnd),
        version if version <= (6, 12) => Some(Layout::Typed),
        _ => None,
    }
}
