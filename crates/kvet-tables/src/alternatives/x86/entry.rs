//! `struct alt_instr` in its layouts, and which of them a table has.

use std::fmt;

use kvet_image::{Image, VirtAddr};

use crate::Bounds;

/// The layout of `struct alt_instr` (arch/x86/include/asm/alternative.h). All begin with two signed 32-bit
/// distances, each from its own address: to the original instructions and to the replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// `u16 cpuid` (bit 15 = NOT since 5.11), `u8 instrlen`, `u8 replacementlen`. Mainline since "x86/alternative:
    /// Drop padlen" (5.13), and stable trees that backported it (5.10.y).
    Plain,
    /// The same with `u8 padlen` at the end: mainline 3.20 to 5.12.
    Padlen,
    /// `u32 ft_flags` = feature in the low half, flags in the high one, then the two lengths. Mainline since
    /// 6.3 ("x86/alternatives: Add alt_instr.flags").
    Flags,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 3] = [Layout::Plain, Layout::Padlen, Layout::Flags];

    /// The length of one entry in bytes.
    pub fn size(self) -> usize {
        match self {
            Layout::Plain => 12,
            Layout::Padlen => 13,
            Layout::Flags => 14,
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Plain => "12 bytes (u16 cpuid with NOT in bit 15, two lengths)",
            Layout::Padlen => "13 bytes (u16 cpuid, two lengths, padlen)",
            Layout::Flags => "14 bytes (u16 cpuid, u16 flags, two lengths)",
        })
    }
}

/// One entry: the code at `site` becomes `replacement` on a CPU that has `feature` (or lacks it).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alternative {
    /// Its index in the table.
    pub index: u64,
    /// The first byte that is patched.
    pub site: VirtAddr,
    /// The first byte of what is copied there.
    pub replacement: VirtAddr,
    /// The feature's number, `word * 32 + bit`, without any flag.
    pub feature: u16,
    /// Patch when the CPU lacks the feature (`ALT_FLAG_NOT`, `ALTINSTR_FLAG_INV`).
    pub not: bool,
    /// Turn an indirect call into a direct one (`ALT_FLAG_DIRECT_CALL`, 6.8 and later).
    pub direct_call: bool,
    /// Flag bits that no kernel defines.
    pub unknown_flags: u16,
    /// How many bytes at `site` belong to the entry.
    pub site_len: u8,
    /// How many bytes the replacement has.
    pub replacement_len: u8,
    /// How many of `site_len` are padding, where the layout says.
    pub padlen: Option<u8>,
}

const NOT: u16 = 1 << 0;
const DIRECT_CALL: u16 = 1 << 1;
/// `ALTINSTR_FLAG_INV`.
const INVERSE: u16 = 1 << 15;

impl Alternative {
    fn parse(layout: Layout, index: u64, at: VirtAddr, raw: &[u8]) -> Option<Alternative> {
        let word = |i: usize| Some(u16::from_le_bytes([*raw.get(i)?, *raw.get(i + 1)?]));
        let place = |i: usize| {
            let distance = i32::from_le_bytes(raw.get(i..i + 4)?.try_into().ok()?);
            Some(VirtAddr(at.0.wrapping_add(i as u64)).wrapping_offset(distance.into()))
        };
        let (feature, flags, lengths) = match layout {
            Layout::Plain | Layout::Padlen => {
                let cpuid = word(8)?;
                (cpuid & !INVERSE, if cpuid & INVERSE != 0 { NOT } else { 0 }, 10)
            }
            Layout::Flags => (word(8)?, word(10)?, 12),
        };
        Some(Alternative {
            index,
            site: place(0)?,
            replacement: place(4)?,
            feature,
            not: flags & NOT != 0,
            direct_call: flags & DIRECT_CALL != 0,
            unknown_flags: flags & !(NOT | DIRECT_CALL),
            site_len: *raw.get(lengths)?,
            replacement_len: *raw.get(lengths + 1)?,
            padlen: if layout == Layout::Padlen { Some(*raw.get(12)?) } else { None },
        })
    }

    /// The first address after the patched code.
    pub fn site_end(&self) -> VirtAddr {
        VirtAddr(self.site.0.saturating_add(self.site_len.into()))
    }

    /// The first address after the replacement.
    pub fn replacement_end(&self) -> VirtAddr {
        VirtAddr(self.replacement.0.saturating_add(self.replacement_len.into()))
    }

    /// The bytes that are patched, as they stand in the file.
    pub fn site_bytes<'a>(&self, image: &'a Image) -> Option<&'a [u8]> {
        image.bytes(self.site, self.site_len.into())
    }

    /// The replacement's bytes; empty, wherever it points, when it has none.
    pub fn replacement_bytes<'a>(&self, image: &'a Image) -> Option<&'a [u8]> {
        if self.replacement_len == 0 {
            return Some(&[]);
        }
        image.bytes(self.replacement, self.replacement_len.into())
    }
}

/// A table of alternatives: where it stands, its layout, its entries.
#[derive(Clone, Debug)]
pub struct Alternatives {
    /// Where it stands.
    pub bounds: Bounds,
    /// The layout that its entries fit best.
    pub layout: Layout,
    /// Another layout that fits as well, when there is one.
    pub also_fits: Option<Layout>,
    /// The entries, in the order in which the kernel applies them.
    pub entries: Vec<Alternative>,
    /// Bytes at the end that are no whole entry.
    pub remainder: usize,
}

impl Alternatives {
    /// Reads the table at `bounds`. Its layout is the one under which most entries make sense: `plausible` says
    /// of one entry whether its addresses do. `None` when the bytes are not in the file.
    pub(super) fn read(
        image: &Image,
        bounds: Bounds,
        plausible: impl Fn(&Alternative) -> bool,
    ) -> Option<Alternatives> {
        let bytes = bounds.bytes(image)?;
        let mut best: Option<(Score, Layout, Vec<Alternative>)> = None;
        let mut also_fits = None;
        for layout in Layout::ALL {
            let entries = parse_all(layout, bounds.start, bytes);
            let score = Score::of(layout, bytes.len(), &entries, &plausible);
            let top = best.as_ref().map(|(top, ..)| *top);
            if top == Some(score) && score.is_perfect() {
                also_fits = Some(layout);
            } else if top.is_none_or(|top| score > top) {
                also_fits = None;
                best = Some((score, layout, entries));
            }
        }
        let (_, layout, entries) = best?;
        let remainder = bytes.len() % layout.size();
        Some(Alternatives { bounds, layout, also_fits, entries, remainder })
    }
}

fn parse_all(layout: Layout, start: VirtAddr, bytes: &[u8]) -> Vec<Alternative> {
    let size = layout.size();
    (0u64..)
        .zip(bytes.chunks_exact(size))
        .filter_map(|(index, raw)| {
            Alternative::parse(layout, index, VirtAddr(start.0.wrapping_add(index * size as u64)), raw)
        })
        .collect()
}

/// How well a layout fits: the share of entries that make sense, in millionths, then whether no byte is left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Score(u64, bool);

impl Score {
    fn of(
        layout: Layout,
        len: usize,
        entries: &[Alternative],
        plausible: impl Fn(&Alternative) -> bool,
    ) -> Score {
        let good = entries.iter().filter(|e| plausible(e)).count() as u64;
        let share = good.saturating_mul(1_000_000).checked_div(entries.len() as u64).unwrap_or(0);
        Score(share, len.is_multiple_of(layout.size()))
    }

    fn is_perfect(self) -> bool {
        self == Score(1_000_000, true)
    }
}
