//! The kernel's own symbol table, embedded in its read-only data by scripts/kallsyms.c.
//!
//! Names are compressed: `kallsyms_names` is a stream of symbols, each a length (one byte, or two of ULEB128 for
//! 128 and more, 73bbb94466fd, "kallsyms: support "big" kernel symbols", 6.1) and so many codes; a code stands for a token, found
//! through `kallsyms_token_index` in `kallsyms_token_table`. The first character of the expanded symbol is nm's
//! type letter. `kallsyms_markers` has the position in the stream of every 256th symbol. Addresses stand in an
//! array of their own, sorted, in one of the [`Encoding`]s. `kallsyms_seqs_of_names` (60443c88f3a8, "kallsyms:
//! Improve the performance of kallsyms_lookup_name()", 6.2; Debian's 6.1 has it backported) lists the symbols'
//! numbers in the order of their names.
//!
//! None of these tables has a header and a stripped image names none, so they are found by content
//! ([`locate`](mod@locate)): no version number decides anything.

mod decode;
mod locate;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use crate::VirtAddr;
use crate::relocate::word;

pub(crate) use locate::locate;

/// Symbols between two markers.
pub const MARKER_STEP: usize = 256;

/// The kernel's limit for a name with its NUL: KSYM_NAME_LEN (128 before b8a94bfb3395, 6.1).
pub const KSYM_NAME_LEN: usize = 512;

/// How `kallsyms_offsets` (or `kallsyms_addresses`) encodes addresses; the source cited is the kernel's
/// `kallsyms_sym_address`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Encoding {
    /// 64-bit addresses (CONFIG_KALLSYMS_BASE_RELATIVE=n, until 6.14).
    Absolute,
    /// Unsigned 32-bit distances from `kallsyms_relative_base`.
    BaseRelative,
    /// Signed: a value of 0 and more is absolute (a per-CPU symbol), a negative one is
    /// `kallsyms_relative_base - 1 - value` (CONFIG_KALLSYMS_ABSOLUTE_PERCPU: x86-64 until 6.14).
    AbsolutePercpu,
    /// Signed 32-bit distances from the entry itself, without a base (in 7.3, not in 6.12).
    PcRelative,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Encoding::Absolute => "absolute addresses",
            Encoding::BaseRelative => "offsets from kallsyms_relative_base",
            Encoding::AbsolutePercpu => "offsets from kallsyms_relative_base, per-CPU symbols absolute",
            Encoding::PcRelative => "PC-relative offsets",
        })
    }
}

/// In which order scripts/kallsyms.c wrote the tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Order {
    /// Addresses, names, markers, (seqs_of_names,) tokens: before 404bad70fcf7, "scripts/kallsyms: change the
    /// output order" (6.5).
    AddressesFirst,
    /// Names, markers, tokens, addresses(, seqs_of_names).
    NamesFirst,
}

/// Why [`Image::kallsyms`](crate::Image::kallsyms) has nothing to give.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum KallsymsAbsent {
    /// There is no token table: a kernel without CONFIG_KALLSYMS, or a module.
    NoTokenTable,
    /// There is a token table and its index, but one of the others cannot be found.
    Incomplete {
        /// Where the token table stands.
        token_table: VirtAddr,
        /// The table that is missing, by its name in the kernel.
        missing: &'static str,
    },
}

impl fmt::Display for KallsymsAbsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KallsymsAbsent::NoTokenTable => f.write_str("no kallsyms token table (CONFIG_KALLSYMS=n?)"),
            KallsymsAbsent::Incomplete { token_table, missing } => {
                write!(f, "a kallsyms token table at {token_table}, but nothing near it reads as {missing}")
            }
        }
    }
}

/// Where each table stands, as positions in the image's bytes.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// Virtual address minus position, the same for all of them: they lie in one section.
    delta: u64,
    /// The lowest and the highest address that a symbol may have: the sections', with a margin.
    span: Range<u64>,
    order: Order,
    encoding: Encoding,
    also_fits: Option<Encoding>,
    num_syms: usize,
    /// What the name stream holds, which is what the tables were found by.
    count: usize,
    names: Range<usize>,
    markers: Range<usize>,
    token_table: Range<usize>,
    token_index: Range<usize>,
    addresses: Range<usize>,
    relative_base: Option<usize>,
    seqs_of_names: Option<Range<usize>>,
    /// Whether names lose `.llvm.` and what follows when the kernel prints them.
    strips_llvm: OnceLock<bool>,
    named: OnceLock<NamedRanges>,
}

/// The ranges whose addresses the kernel gives names to (`is_ksym_addr` in include/linux/kallsyms.h).
#[derive(Clone, Debug)]
struct NamedRanges {
    /// With CONFIG_KALLSYMS_ALL one, `_stext`.. `_end`; else text and init text.
    ranges: Vec<Range<u64>>,
}

/// The embedded kallsyms of an image: where its tables stand, and what they say.
///
/// Symbol numbers are positions in the kernel's own arrays, from 0.
#[derive(Clone, Copy)]
pub struct Kallsyms<'a> {
    tables: &'a Tables,
    raw: &'a [u8],
}

impl<'a> Kallsyms<'a> {
    pub(crate) fn new(tables: &'a Tables, raw: &'a [u8]) -> Self {
        Kallsyms { tables, raw }
    }

    /// How addresses are encoded.
    pub fn encoding(self) -> Encoding {
        self.tables.encoding
    }

    /// Another encoding that fits as well, if any does.
    pub fn also_fits(self) -> Option<Encoding> {
        self.tables.also_fits
    }

    /// The order of the tables.
    pub fn order(self) -> Order {
        self.tables.order
    }

    /// What `kallsyms_num_syms` says.
    pub fn num_syms(self) -> usize {
        self.tables.num_syms
    }

    /// How many symbols the name stream holds.
    pub fn len(self) -> usize {
        self.tables.count
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.tables.count == 0
    }

    /// `kallsyms_names`.
    pub fn names(self) -> Range<VirtAddr> {
        self.addrs(&self.tables.names)
    }

    /// `kallsyms_markers`.
    pub fn markers(self) -> Range<VirtAddr> {
        self.addrs(&self.tables.markers)
    }

    /// `kallsyms_token_table`.
    pub fn token_table(self) -> Range<VirtAddr> {
        self.addrs(&self.tables.token_table)
    }

    /// `kallsyms_token_index`.
    pub fn token_index(self) -> Range<VirtAddr> {
        self.addrs(&self.tables.token_index)
    }

    /// `kallsyms_offsets`, or `kallsyms_addresses` under [`Encoding::Absolute`].
    pub fn addresses(self) -> Range<VirtAddr> {
        self.addrs(&self.tables.addresses)
    }

    /// `kallsyms_relative_base`, where the encoding has one.
    pub fn relative_base(self) -> Option<VirtAddr> {
        self.tables.relative_base.map(|at| self.addr(at))
    }

    /// `kallsyms_seqs_of_names`, where the kernel has it.
    pub fn seqs_of_names(self) -> Option<Range<VirtAddr>> {
        self.tables.seqs_of_names.as_ref().map(|r| self.addrs(r))
    }

    fn addr(self, at: usize) -> VirtAddr {
        VirtAddr((at as u64).wrapping_add(self.tables.delta))
    }

    fn addrs(self, range: &Range<usize>) -> Range<VirtAddr> {
        self.addr(range.start)..self.addr(range.end)
    }

    /// The address of the entry that holds a symbol's address.
    pub fn address_field(self, index: usize) -> VirtAddr {
        let size = if self.tables.encoding == Encoding::Absolute { 8 } else { 4 };
        VirtAddr(self.addr(self.tables.addresses.start).0.wrapping_add(size * index as u64))
    }

    /// A symbol's address (`kallsyms_sym_address`).
    pub fn address(self, index: usize) -> Option<VirtAddr> {
        self.tables.address(self.raw, index).map(VirtAddr)
    }

    /// Whether an address can belong to this kernel: inside its sections or within 16 MiB of them (reserved memory
    /// without a section ends at `_end`), or a small absolute one where the encoding has such.
    pub fn is_plausible(self, addr: VirtAddr) -> bool {
        self.tables.is_plausible(addr.0, locate::MARGIN)
    }

    /// The marker of a block of [`MARKER_STEP`] symbols: where in `kallsyms_names` it starts.
    pub fn marker(self, block: usize) -> Option<u32> {
        if block >= self.tables.markers.len() / 4 {
            return None;
        }
        u32_at(self.raw, self.tables.markers.start + block * 4)
    }

    /// The offset of a code's token in `kallsyms_token_table`.
    pub fn token_offset(self, code: u8) -> u16 {
        locate::u16_at(self.raw, self.tables.token_index.start + 2 * usize::from(code)).unwrap_or(0)
    }

    /// The token that a code stands for, without its NUL; empty when its offset lies outside the table.
    pub fn token(self, code: u8) -> &'a [u8] {
        self.tables.token(self.raw, code)
    }

    /// The codes of the symbol at an offset in `kallsyms_names`, and the offset of the next one.
    pub fn codes(self, offset: usize) -> Option<(&'a [u8], usize)> {
        locate::symbol_codes(self.raw.get(self.tables.names.clone())?, offset)
    }

    /// The offset of a symbol in `kallsyms_names`, from the marker before it (`get_symbol_offset`).
    pub fn name_offset(self, index: usize) -> Option<usize> {
        let mut offset = self.marker(index / MARKER_STEP)? as usize;
        for _ in 0..index % MARKER_STEP {
            offset = self.codes(offset)?.1;
        }
        Some(offset)
    }

    /// A symbol's type letter and name, as the kernel expands it: looked up through the markers, cut at
    /// [`KSYM_NAME_LEN`].
    pub fn symbol(self, index: usize) -> Option<(u8, Vec<u8>)> {
        if index >= self.tables.count {
            return None;
        }
        let (codes, _) = self.codes(self.name_offset(index)?)?;
        let mut text = Vec::with_capacity(64);
        for code in codes {
            text.extend_from_slice(self.token(*code));
            if text.len() > KSYM_NAME_LEN {
                break;
            }
        }
        text.truncate(KSYM_NAME_LEN);
        let kind = *text.first()?;
        text.remove(0);
        Some((kind, text))
    }

    /// The symbol number at a place of `kallsyms_seqs_of_names`.
    pub fn seq(self, place: usize) -> Option<usize> {
        let seqs = self.tables.seqs_of_names.as_ref()?;
        let at = seqs.start.checked_add(place.checked_mul(3)?)?;
        let bytes = self.raw.get(at..at.checked_add(3)?).filter(|_| at + 3 <= seqs.end)?;
        Some(bytes.iter().fold(0, |seq, b| seq << 8 | usize::from(*b)))
    }

    /// All names with their type letters, in the order of the stream.
    pub fn decode(self) -> Names {
        decode::names(self.tables, self.raw)
    }

    /// A symbol's number by its name, as the kernel finds it: by binary search in `kallsyms_seqs_of_names`
    /// (`kallsyms_lookup_names`), which may miss a name where that table is damaged; in a kernel without it, the
    /// first of that name.
    pub fn lookup(self, name: &str) -> Option<usize> {
        if self.tables.seqs_of_names.is_none() {
            return self.lookup_in_order(name);
        }
        let (mut low, mut high) = (0, self.tables.count);
        while low < high {
            let mid = low + (high - low) / 2;
            let seq = self.seq(mid)?;
            let text = self.symbol(seq)?.1;
            match text.as_slice().cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = mid + 1,
                std::cmp::Ordering::Greater => high = mid,
                std::cmp::Ordering::Equal => return Some(seq),
            }
        }
        None
    }

    /// The first symbol of a name, whatever `kallsyms_seqs_of_names` says; reads all names.
    pub(crate) fn lookup_in_order(self, name: &str) -> Option<usize> {
        let names = self.decode();
        (0..names.len()).find(|i| names.name(*i) == Some(name.as_bytes()))
    }

    pub(crate) fn symbol_table(self) -> crate::SymbolTable {
        decode::symbol_table(self.tables, self.raw)
    }

    /// The number of the symbol that an address belongs to, and its size: what the kernel's `get_symbol_pos`
    /// gives, the first of several symbols of one address, and the distance to the next different address
    /// (`None` where there is no next one).
    pub fn position(self, addr: VirtAddr) -> Option<(usize, Option<u64>)> {
        let address = |i| self.tables.address(self.raw, i);
        let (mut low, mut high) = (0, self.tables.count);
        if high == 0 {
            return None;
        }
        while high - low > 1 {
            let mid = low + (high - low) / 2;
            if address(mid)? <= addr.0 { low = mid } else { high = mid }
        }
        let start = address(low)?;
        while low > 0 && address(low - 1)? == start {
            low -= 1;
        }
        let next = (low + 1..self.tables.count).filter_map(address).find(|a| *a > start);
        Some((low, next.map(|n| n - start)))
    }

    /// The bounds within which the kernel names addresses: the range that holds `addr`, if any. An address outside,
    /// as one in data without CONFIG_KALLSYMS_ALL, is printed as a bare number.
    pub fn named_range(self, addr: VirtAddr) -> Option<Range<VirtAddr>> {
        let named = self.tables.named.get_or_init(|| {
            let at = |name| self.lookup(name).and_then(|i| self.tables.address(self.raw, i));
            let range = |start: Option<u64>, end: Option<u64>| Some(start?..end?);
            // Only CONFIG_KALLSYMS_ALL has symbols outside text, so `_end` tells it.
            let all = range(at("_stext"), at("_end")).map(|r| vec![r]);
            let ranges = all.unwrap_or_else(|| {
                let text = range(at("_stext"), at("_etext"));
                let init = range(at("_sinittext"), at("_einittext"));
                text.into_iter().chain(init).collect()
            });
            NamedRanges { ranges }
        });
        let range = named.ranges.iter().find(|r| r.contains(&addr.0))?;
        Some(VirtAddr(range.start)..VirtAddr(range.end))
    }

    /// Whether the kernel cuts `.llvm.` suffixes off when it prints a name (`cleanup_symbol_name`, with
    /// CONFIG_LTO_CLANG, 5.13 to 6.9). Such a kernel's `seqs_of_names` is sorted by the cut names; one without
    /// `seqs_of_names` is old enough to cut.
    pub fn strips_llvm_suffixes(self) -> bool {
        *self.tables.strips_llvm.get_or_init(|| {
            let names = self.decode();
            let sorted = (1..names.len()).all(|place| {
                let name = |p| self.seq(p).and_then(|s| names.name(s));
                name(place - 1) <= name(place)
            });
            self.tables.seqs_of_names.is_none() || !sorted
        })
    }
}

/// Decoded names: one buffer, and where each symbol lies in it.
pub struct Names {
    /// Type letters and names, one after the other.
    pub(crate) text: Vec<u8>,
    /// The end of each symbol in `text`.
    pub(crate) ends: Vec<u32>,
    /// The offset in `kallsyms_names` behind the last symbol read.
    pub(crate) stream_end: usize,
}

impl Names {
    /// How many symbols were read.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The offset in `kallsyms_names` behind the last symbol read.
    pub fn stream_end(&self) -> usize {
        self.stream_end
    }

    pub(crate) fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = index.checked_sub(1).map_or(Some(0), |i| self.ends.get(i).copied())?;
        Some(start as usize..*self.ends.get(index)? as usize)
    }

    /// A symbol's type letter.
    pub fn kind(&self, index: usize) -> Option<u8> {
        self.text.get(self.range(index)?)?.first().copied()
    }

    /// A symbol's name.
    pub fn name(&self, index: usize) -> Option<&[u8]> {
        self.text.get(self.range(index)?)?.get(1..)
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    bytes.get(at..end)?.try_into().ok().map(u32::from_le_bytes)
}

impl Tables {
    fn address(&self, raw: &[u8], index: usize) -> Option<u64> {
        let size = if self.encoding == Encoding::Absolute { 8 } else { 4 };
        let at = self.addresses.start.checked_add(index.checked_mul(size)?)?;
        if at.checked_add(size)? > self.addresses.end {
            return None;
        }
        if self.encoding == Encoding::Absolute {
            return word(raw, at);
        }
        let offset = u32_at(raw, at)?;
        let base = self.relative_base.and_then(|b| word(raw, b));
        Some(match self.encoding {
            Encoding::Absolute | Encoding::PcRelative => {
                (at as u64).wrapping_add(self.delta).wrapping_add_signed(i64::from(offset as i32))
            }
            Encoding::BaseRelative => base?.wrapping_add(u64::from(offset)),
            Encoding::AbsolutePercpu if (offset as i32) >= 0 => u64::from(offset),
            Encoding::AbsolutePercpu => base?.wrapping_sub(1).wrapping_add_signed(-i64::from(offset as i32)),
        })
    }

    fn is_plausible(&self, addr: u64, margin: u64) -> bool {
        let span = self.span.start.saturating_sub(margin)..=self.span.end.saturating_add(margin);
        span.contains(&addr) || (self.encoding == Encoding::AbsolutePercpu && addr < locate::PERCPU_LIMIT)
    }

    fn token<'a>(&self, raw: &'a [u8], code: u8) -> &'a [u8] {
        let table = raw.get(self.token_table.clone()).unwrap_or(&[]);
        let at = locate::u16_at(raw, self.token_index.start + 2 * usize::from(code)).unwrap_or(u16::MAX);
        let text = table.get(usize::from(at)..).unwrap_or(&[]);
        let text = &text[..text.len().min(KSYM_NAME_LEN)];
        &text[..memchr::memchr(0, text).unwrap_or(text.len())]
    }
}
