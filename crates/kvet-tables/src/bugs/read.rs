//! Entries and their layouts.

use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::{Bounds, LocatedBy, release};

/// include/asm-generic/bug.h.
pub(super) const BUGFLAG_WARNING: u16 = 1 << 0;
pub(super) const BUGFLAG_ONCE: u16 = 1 << 1;
pub(super) const BUGFLAG_DONE: u16 = 1 << 2;
pub(super) const BUGFLAG_NO_CUT_HERE: u16 = 1 << 3;
/// The site passes its entry and arguments itself; x86-64 from 7.0 or so on.
pub(super) const BUGFLAG_ARGS: u16 = 1 << 4;
/// Above it stands the taint flag's number.
pub(super) const TAINT_SHIFT: u16 = 8;

/// `brk #0x800` (arch/arm64/include/asm/brk-imm.h, BUG_BRK_IMM).
pub(super) const BRK: u32 = 0xd421_0000;
/// ud2.
const UD2: [u8; 2] = [0x0f, 0x0b];
/// ud0, which kernels of 4.11 to 4.14 used for a WARN and 5.10 still accepts (`is_valid_bugaddr`).
const UD0: [u8; 2] = [0x0f, 0xff];

/// No path in a kernel is longer.
pub(super) const MAX_STRING: usize = 4096;

/// How many entries decide the layout.
const SAMPLE: u64 = 256;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bug<'a> {
    /// Its index in the table.
    pub index: u64,
    /// Where the entry itself stands.
    pub entry: VirtAddr,
    /// The trapping instruction, or the one after the `lea` of a WARN with arguments.
    pub addr: VirtAddr,
    /// The source file as the compiler was given it; `None` without CONFIG_DEBUG_BUGVERBOSE, or when the field
    /// points to no string.
    pub file: Option<&'a str>,
    /// The line, from 1; 0 without CONFIG_DEBUG_BUGVERBOSE.
    pub line: u16,
    /// BUGFLAG_*, and the taint flag in the high byte.
    pub flags: u16,
    /// The WARN's format, where the layout has one and the field is not 0; `None` when it points to no string.
    pub format: Option<&'a str>,
}

impl Bug<'_> {
    /// A WARN, which the kernel survives; else a BUG.
    pub fn is_warning(&self) -> bool {
        self.flags & BUGFLAG_WARNING != 0
    }

    /// What to call it in a sentence.
    pub(super) fn what(&self) -> &'static str {
        if self.is_warning() { "WARN" } else { "BUG" }
    }
}

/// Where a kernel's entries have their fields.
///
/// Which one it is does not follow from the version (5.19 made every field relative to itself; stable series
/// and vendors differ; CONFIG_DEBUG_BUGVERBOSE removes fields), so the entries decide: see `Layout::detect`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bytes of an entry.
    pub size: u64,
    /// Offset of the format.
    pub format: Option<u64>,
    /// Offset of the file; the line follows it.
    pub file: Option<u64>,
    /// Offset of the flags.
    pub flags: u64,
    /// Pointers are relative to the entry's start, as before 5.19, and not to their own field.
    pub from_entry: bool,
}

const fn layout(size: u64, format: Option<u64>, file: Option<u64>, flags: u64, from_entry: bool) -> Layout {
    Layout { size, format, file, flags, from_entry }
}

/// Every layout of 64-bit kernels with relative pointers (x86-64 and arm64 always have them). The ones with more
/// fields come first, since they prove more.
const LAYOUTS: &[Layout] = &[
    // x86-64 of 7.0 or so on (HAVE_ARCH_BUG_FORMAT in arch/x86/include/asm/bug.h).
    layout(16, Some(4), Some(8), 14, false),
    // 5.19 to 6.12 and later on arm64 (struct bug_entry in include/asm-generic/bug.h).
    layout(12, None, Some(4), 10, false),
    // up to 5.18
    layout(12, None, Some(4), 10, true),
    // The same without CONFIG_DEBUG_BUGVERBOSE, padded to the alignment of int.
    layout(12, Some(4), None, 8, false),
    layout(8, None, None, 4, false),
];

impl Layout {
    /// The layout in which most entries hold: a trap at the address, a string's start at the file.
    ///
    /// `None` when in none of them half of the entries do.
    pub(super) fn detect(image: &Image, start: VirtAddr, len: u64) -> Option<Layout> {
        let score = |layout: &Layout| {
            let count = len / layout.size;
            let sample = count.min(SAMPLE);
            let fits = (0..sample).map(|i| layout.fit(image, start, i * count / sample));
            let (good, sum) = fits.fold((0, 0), |(good, sum), fit| (good + u64::from(fit > 0), sum + fit));
            (good > 0 && good * 2 >= sample).then(|| (sum * 1000 / sample, len.is_multiple_of(layout.size)))
        };
        let scored = LAYOUTS.iter().filter_map(|layout| Some((score(layout)?, layout)));
        // The first of equals: max_by_key would take the last.
        scored.rev().max_by_key(|(score, _)| *score).map(|(_, layout)| *layout)
    }

    /// The layout that kernels of an image's release have, for a module whose few entries decide nothing because
    /// one of them is damaged.
    fn of_release(image: &Image) -> Option<Layout> {
        let [format, fields, from_entry, ..] = LAYOUTS else { return None };
        match (release::version(image)?, image.arch()) {
            (version, _) if version > release::NEWEST => None,
            (version, Arch::X86_64) if version >= (7, 0) => Some(*format),
            (version, _) if version < (5, 19) => Some(*from_entry),
            _ => Some(*fields),
        }
    }

    /// How well an entry holds in this layout: 0 not at all; more, the more of its fields say so.
    fn fit(&self, image: &Image, start: VirtAddr, index: u64) -> u64 {
        let Some(entry) = start.checked_add(index.saturating_mul(self.size)) else { return 0 };
        let Some(addr) = self.addr(image, entry) else { return 0 };
        let flags = image.u16(VirtAddr(entry.0.wrapping_add(self.flags))).unwrap_or(0);
        let site = if flags & BUGFLAG_ARGS != 0 && self.format.is_some() {
            lea_before(image, addr) == Some(entry)
        } else {
            is_trap(image, addr, self.from_entry)
        };
        let Some(at) = self.file else {
            // What follows the flags is padding.
            let padding = image.u16(VirtAddr(entry.0.wrapping_add(self.flags + 2)));
            return u64::from(site && padding == Some(0) && flags & 0xe0 == 0);
        };
        // A field of another meaning that holds 0 leads to the entry itself.
        let outside = |file: &VirtAddr| file.wrapping_distance(entry).unsigned_abs() >= self.size;
        let file =
            self.pointer(image, entry, at).filter(|file| site && outside(file) && is_name(image, *file));
        match file {
            None => 0,
            Some(file) if is_start(image, file) => 3,
            // In the middle of a string, as a linker merges tails; or as the wrong base leads there.
            Some(_) => 2,
        }
    }

    pub(super) fn addr(&self, image: &Image, entry: VirtAddr) -> Option<VirtAddr> {
        image.rel32(entry)
    }

    pub(super) fn pointer(&self, image: &Image, entry: VirtAddr, at: u64) -> Option<VirtAddr> {
        let field = entry.checked_add(at)?;
        let base = if self.from_entry { entry } else { field };
        Some(base.wrapping_offset(i64::from(image.i32(field)?)))
    }

    /// In words, for the report.
    pub(super) fn words(&self) -> String {
        let fields = match (self.format, self.file) {
            (Some(_), Some(_)) => "address, format, file, line, flags",
            (None, Some(_)) => "address, file, line, flags",
            (Some(_), None) => "address, format, flags",
            (None, None) => "address, flags",
        };
        let base = if self.from_entry { ", relative to the entry" } else { "" };
        format!("{} bytes: {fields}{base}", self.size)
    }
}

/// A bug table: where it stands and how it is laid out. Entries are read when they are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BugTable {
    /// Where.
    pub bounds: Bounds,
    /// How.
    pub layout: Layout,
}

impl BugTable {
    /// The bug table of an image.
    ///
    /// # Errors
    /// There is none, it is empty, or no layout fits it: the sentence that says so.
    pub(crate) fn find(image: &Image) -> Result<BugTable, String> {
        let Some(bounds) = Bounds::locate(image, "__bug_table", "__start___bug_table", "__stop___bug_table")
        else {
            return super::scan::find(image).ok_or_else(|| {
                "no section __bug_table, no boundary symbols, and nothing in the image has the form of one".into()
            });
        };
        if bounds.is_empty() {
            return Err(format!("the bug table ({}) is empty", bounds.located_by));
        }
        if image.bytes(bounds.start, 1).is_none() {
            return Err(format!("the bug table ({}) has no bytes in this file", bounds.located_by));
        }
        let of_release = || Layout::of_release(image).filter(|_| image.kind() == Kind::Module);
        match Layout::detect(image, bounds.start, bounds.len()).or_else(of_release) {
            Some(layout) => Ok(BugTable { bounds, layout }),
            None => Err(format!(
                "{} bytes at {} ({}) fit no known layout of a bug table: fewer than half of its entries lead to a trap and a file name",
                bounds.len(),
                bounds.start,
                bounds.located_by
            )),
        }
    }

    /// How many whole entries there are.
    pub fn len(&self) -> u64 {
        self.bounds.len() / self.layout.size
    }

    /// Whether there is no whole entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How the table was found.
    pub fn located_by(&self) -> &LocatedBy {
        &self.bounds.located_by
    }

    /// One entry; `None` past the end or outside the file.
    pub fn entry<'a>(&self, image: &'a Image, index: u64) -> Option<Bug<'a>> {
        if index >= self.len() {
            return None;
        }
        let layout = &self.layout;
        let entry = self.bounds.start.checked_add(index * layout.size)?;
        let string = |at: u64| image.cstr(layout.pointer(image, entry, at)?, MAX_STRING);
        let line = layout.file.and_then(|at| image.u16(entry.checked_add(at + 4)?));
        Some(Bug {
            index,
            entry,
            addr: layout.addr(image, entry)?,
            file: layout.file.and_then(string),
            line: line.unwrap_or(0),
            flags: image.u16(entry.checked_add(layout.flags)?)?,
            format: layout.format.filter(|at| image.u32(VirtAddr(entry.0 + at)) != Some(0)).and_then(string),
        })
    }

    /// All entries.
    pub fn entries<'a>(&self, image: &'a Image) -> impl Iterator<Item = Bug<'a>> {
        (0..self.len()).filter_map(move |index| self.entry(image, index))
    }

    /// The addresses alone, with their entries' indices.
    pub(super) fn addresses(&self, image: &Image) -> impl Iterator<Item = (u64, VirtAddr)> {
        (0..self.len()).filter_map(move |index| {
            let entry = self.bounds.start.checked_add(index * self.layout.size)?;
            Some((index, self.layout.addr(image, entry)?))
        })
    }
}

/// Whether an instruction that BUG() and WARN() trap with stands at an address where code may run.
pub(super) fn is_trap(image: &Image, addr: VirtAddr, with_ud0: bool) -> bool {
    if !image.is_executable(addr) {
        return false;
    }
    match image.arch() {
        Arch::Arm64 => addr.0.is_multiple_of(4) && image.u32(addr) == Some(BRK),
        Arch::X86_64 => image.bytes(addr, 2).is_some_and(|op| op == UD2 || (with_ud0 && op == UD0)),
    }
}

/// What a `lea disp(%rip), %reg` that ends at an address loads, as `__WARN_bug_entry` of 7.3 places one before its
/// site.
pub(super) fn lea_before(image: &Image, addr: VirtAddr) -> Option<VirtAddr> {
    const LENGTH: u64 = 7;
    let start = VirtAddr(addr.0.checked_sub(LENGTH)?);
    // REX.W, with or without REX.R; the opcode; mod 00 and r/m 101, which is RIP-relative; 32 bits of distance.
    match image.bytes(start, LENGTH as usize)? {
        [0x48 | 0x4c, 0x8d, modrm, disp @ ..] if modrm & 0xc7 == 0x05 => {
            let disp = i32::from_le_bytes(disp.try_into().ok()?);
            Some(addr.wrapping_offset(i64::from(disp)))
        }
        _ => None,
    }
}

fn is_name(image: &Image, addr: VirtAddr) -> bool {
    image.cstr(addr, MAX_STRING).is_some_and(is_path)
}

/// Whether a string begins at an address: a section does, or another string has ended.
fn is_start(image: &Image, addr: VirtAddr) -> bool {
    let section = image.section_at(addr).is_some_and(|section| section.addr == addr);
    section || addr.0.checked_sub(1).and_then(|at| image.u8(VirtAddr(at))) == Some(0)
}

/// Whether a string may be a source file's name.
pub(super) fn is_path(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}
