//! Source lines from DWARF.
//!
//! Built on gimli, not on addr2line: its context reads every unit's abbreviations before the first answer
//! (0.4 s and 120 MB for a Debian vmlinux), borrows from the bytes that [`Image`] owns, and cannot be shared
//! between threads. Here `.debug_aranges` leads to the one unit, and only that is read; where a compiler
//! leaves that section out (clang does), the units' own ranges are collected once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use gimli::{AttributeValue, DebuggingInformationEntry, EndianSlice, LittleEndian, Section, SectionId};
use object::Endianness;
use object::elf::{self, Rela64, SectionHeader64};
use object::read::elf::{CompressionHeader, SectionHeader};

use crate::elf::Elf;
use crate::{Image, VirtAddr};

type Slice<'a> = EndianSlice<'a, LittleEndian>;
type Unit<'a> = gimli::Unit<Slice<'a>>;
type Entry<'a> = DebuggingInformationEntry<Slice<'a>>;

/// Where an instruction comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceLine {
    /// The source file, relative to the directory of the build where DWARF has it so.
    pub file: String,
    /// The line, from 1; 0 when the compiler gave none.
    pub line: u32,
    /// The innermost function, perhaps one that was inlined.
    pub function: Option<String>,
    /// When that was inlined: the functions around it, from the innermost to the one with its own symbol.
    pub inlined: Vec<InlinedCall>,
}

/// A function into which another one was inlined, and where it calls that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InlinedCall {
    /// The function that contains the call.
    pub function: Option<String>,
    /// The file of the call.
    pub file: Option<String>,
    /// The line of the call, from 1; 0 when the compiler gave none.
    pub line: u32,
}

use unit::UnitIndexes;
pub use variables::Variable;
pub(crate) use variables::variables;

/// See [`Image::source_line`].
pub(crate) fn source_line(image: &Image, addr: VirtAddr) -> Option<SourceLine> {
    let own = image.lines.get_or_init(|| DebugInfo::locate(image).map(Box::new));
    if let Some(mut line) = own.as_ref().and_then(|info| info.lookup(image.raw(), addr.0)) {
        // arm64's nops for ftrace stand before DWARF's start of the function, but inside its symbol.
        if line.function.is_none() {
            line.function = image.symbol_at(addr).map(|(symbol, _)| symbol.name.to_owned());
        }
        return Some(line);
    }
    let debug = image.debug.as_deref()?;
    source_line(debug.image(), debug.address(addr)?)
}

/// See [`Image::has_lines`].
pub(crate) fn has_lines(image: &Image) -> bool {
    let own = image.lines.get_or_init(|| DebugInfo::locate(image).map(Box::new));
    own.is_some() || image.debug.as_deref().is_some_and(|debug| has_lines(debug.image()))
}

/// Bytes of a debug section: where they stand in the image, or, if compressed or relocated, themselves.
enum Bytes {
    At(Range<usize>),
    Own(Vec<u8>),
}

impl Bytes {
    fn get<'a>(&'a self, raw: &'a [u8]) -> &'a [u8] {
        match self {
            Bytes::At(range) => raw.get(range.clone()).unwrap_or(&[]),
            Bytes::Own(bytes) => bytes,
        }
    }
}

/// A range of addresses, and the offset of its unit in `.debug_info`.
struct UnitRange {
    begin: u64,
    end: u64,
    unit: usize,
}

/// The DWARF of one file.
pub(crate) struct DebugInfo {
    sections: HashMap<SectionId, Bytes>,
    /// From `.debug_aranges`, by address.
    aranges: Vec<UnitRange>,
    /// From the units themselves, collected when an address is in none of those.
    units: OnceLock<Vec<UnitRange>>,
    /// What was read of units before: the frames of a trace share a few.
    indexes: UnitIndexes,
}

/// The sections that lines, functions and their variables need.
const WANTED: [SectionId; 12] = [
    SectionId::DebugInfo,
    SectionId::DebugAbbrev,
    SectionId::DebugLine,
    SectionId::DebugStr,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugLoc,
    SectionId::DebugLocLists,
    SectionId::DebugAddr,
    SectionId::DebugStrOffsets,
    SectionId::DebugAranges,
];

impl DebugInfo {
    /// Finds the sections; `None` when the file has no line information.
    fn locate(image: &Image) -> Option<DebugInfo> {
        let elf = Elf::parse(image.raw()).ok()?;
        let names: HashMap<&[u8], SectionId> = WANTED.iter().map(|id| (id.name().as_bytes(), *id)).collect();
        let module = image.kind() == crate::Kind::Module;
        let relocations = if module { Relocations::of(&elf) } else { None };
        let mut sections = HashMap::new();
        for (number, section) in elf.sections().enumerate() {
            let Some(id) = names.get(elf.name_bytes(section)) else { continue };
            let Some(bytes) = read_section(&elf, number, section, relocations.as_ref()) else { continue };
            sections.entry(*id).or_insert(bytes);
        }
        if !sections.contains_key(&SectionId::DebugLine) || !sections.contains_key(&SectionId::DebugInfo) {
            return None;
        }
        let mut info = DebugInfo {
            sections,
            aranges: Vec::new(),
            units: OnceLock::new(),
            indexes: UnitIndexes::default(),
        };
        info.aranges = aranges(&info.dwarf(image.raw()));
        Some(info)
    }

    /// gimli's view of the sections: a handful of slices.
    fn dwarf<'a>(&'a self, raw: &'a [u8]) -> gimli::Dwarf<Slice<'a>> {
        let load = |id: SectionId| {
            let bytes = self.sections.get(&id).map_or(&[][..], |b| b.get(raw));
            Ok::<_, std::convert::Infallible>(EndianSlice::new(bytes, LittleEndian))
        };
        match gimli::Dwarf::load(load) {
            Ok(dwarf) => dwarf,
            Err(never) => match never {},
        }
    }

    fn lookup(&self, raw: &[u8], addr: u64) -> Option<SourceLine> {
        let dwarf = self.dwarf(raw);
        let line = |unit| self.indexes.get(&dwarf, unit)?.line(&dwarf, unit, addr);
        let by_aranges = holding(&self.aranges, addr).find_map(line);
        by_aranges.or_else(|| {
            let units = self.units.get_or_init(|| unit_ranges(&dwarf));
            holding(units, addr).find_map(line)
        })
    }
}

/// The relocation sections of a module by the section that they change, and the symbols' values.
struct Relocations<'a> {
    by_target: HashMap<usize, &'a [Rela64<Endianness>]>,
    symbols: Vec<u64>,
}

impl<'a> Relocations<'a> {
    fn of(elf: &Elf<'a>) -> Option<Self> {
        let symbols = crate::module::symbol_values(elf)?;
        let mut by_target = HashMap::new();
        for section in elf.sections().filter(|s| s.sh_type(LITTLE) == elf::SHT_RELA) {
            let Some(bytes) = elf.file_range(section).ok().and_then(|range| elf.data.get(range)) else {
                continue;
            };
            let count = bytes.len() / size_of::<Rela64<Endianness>>();
            if let Ok((entries, _)) = object::pod::slice_from_bytes(bytes, count) {
                by_target.entry(section.sh_info(LITTLE) as usize).or_insert(entries);
            }
        }
        Some(Relocations { by_target, symbols })
    }
}

const LITTLE: Endianness = Endianness::Little;

/// A section's bytes, decompressed and relocated where it needs that.
fn read_section(
    elf: &Elf<'_>,
    number: usize,
    section: &SectionHeader64<Endianness>,
    relocations: Option<&Relocations<'_>>,
) -> Option<Bytes> {
    let range = elf.file_range(section).ok()?;
    let mut bytes = match decompress(elf, section, range.clone())? {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(elf.data.get(range.clone())?),
    };
    if let Some(relocations) = relocations
        && let Some(entries) = relocations.by_target.get(&number)
    {
        crate::module::relocate_copy(elf.arch, bytes.to_mut(), entries, &relocations.symbols);
    }
    Some(match bytes {
        Cow::Borrowed(_) => Bytes::At(range),
        Cow::Owned(bytes) => Bytes::Own(bytes),
    })
}

/// The content of an SHF_COMPRESSED section; `None` inside when it is not compressed.
fn decompress(
    elf: &Elf<'_>,
    section: &SectionHeader64<Endianness>,
    range: Range<usize>,
) -> Option<Option<Vec<u8>>> {
    let Some((header, offset, size)) = section.compression(LITTLE, elf.data).ok()? else {
        return Some(None);
    };
    let content_size = usize::try_from(header.ch_size(LITTLE)).ok()?;
    // DWARF compresses to a third or so. A bomb claims a thousand times its size.
    if content_size > range.len().saturating_mul(64).saturating_add(1 << 16) {
        return None;
    }
    let start = usize::try_from(offset).ok()?;
    let data = elf.data.get(start..start.checked_add(usize::try_from(size).ok()?)?)?;
    let mut content = vec![0; content_size];
    match header.ch_type(LITTLE) {
        elf::ELFCOMPRESS_ZLIB => flate2::read::ZlibDecoder::new(data).read_exact(&mut content).ok()?,
        elf::ELFCOMPRESS_ZSTD => {
            let written = zstd_safe::decompress(&mut content[..], data).ok()?;
            content.truncate(written);
        }
        _ => return None,
    }
    Some(Some(content))
}

/// The units whose ranges hold an address. Ranges of one file may overlap a little (labels of assembler
/// units); of several the nearest start comes first.
fn holding(ranges: &[UnitRange], addr: u64) -> impl Iterator<Item = usize> + '_ {
    let after = ranges.partition_point(|r| r.begin <= addr);
    ranges[..after].iter().rev().take(8).filter(move |r| addr < r.end).map(|r| r.unit)
}

fn aranges(dwarf: &gimli::Dwarf<Slice<'_>>) -> Vec<UnitRange> {
    let mut ranges = Vec::new();
    let mut headers = dwarf.debug_aranges.headers();
    while let Ok(Some(header)) = headers.next() {
        let unit = header.debug_info_offset().0;
        let mut entries = header.entries();
        while let Ok(Some(entry)) = entries.next() {
            let range = entry.range();
            ranges.push(UnitRange { begin: range.begin, end: range.end, unit });
        }
    }
    ranges.sort_by_key(|r| r.begin);
    ranges
}

/// The ranges of all units, from their root entries.
fn unit_ranges(dwarf: &gimli::Dwarf<Slice<'_>>) -> Vec<UnitRange> {
    let mut ranges = Vec::new();
    let mut budget = Budget(INDEX_BUDGET);
    let mut tables = AbbreviationTables::of(dwarf);
    let mut root = Entry::null();
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        let (Some(offset), Some(table)) = (header.debug_info_offset(), tables.of_unit(&header)) else {
            continue;
        };
        let read = header.entries_raw(&table, None).and_then(|mut entries| entries.read_entry(&mut root));
        if !matches!(read, Ok(true)) {
            continue;
        }
        budget.spend(root.attrs().len() + line_header_size(dwarf, &root));
        if budget.is_spent() {
            break;
        }
        let Ok(unit) = Unit::new_with_abbreviations(dwarf, header, table) else { continue };
        each_range(dwarf, &unit, &root, &mut budget, |range| {
            ranges.push(UnitRange { begin: range.begin, end: range.end, unit: offset.0 });
            false
        });
    }
    ranges.sort_by_key(|r| r.begin);
    ranges
}

/// What collecting the units' ranges may read: ten times what the line headers of the largest kernel have.
const INDEX_BUDGET: u64 = 1 << 28;

/// How much of `.debug_line` is read to parse a unit: the header of its line program. Units of a hostile file
/// could all name one long header.
fn line_header_size(dwarf: &gimli::Dwarf<Slice<'_>>, root: &Entry<'_>) -> usize {
    let Some(AttributeValue::DebugLineRef(offset)) = root.attr_value(gimli::DW_AT_stmt_list) else {
        return 0;
    };
    let bytes = dwarf.debug_line.reader().slice();
    let word = |at: usize| {
        let field = offset.0.checked_add(at).and_then(|at| bytes.get(at..)?.first_chunk());
        field.map_or(0, |b| u32::from_le_bytes(*b) as usize)
    };
    // unit_length (4), version (2), from version 5 two sizes (2), header_length (4).
    let at = if word(4) & 0xffff >= 5 { 8 } else { 6 };
    word(at).min(bytes.len())
}

/// The abbreviation tables of a file. Each is parsed no further than to where the next one begins: its own end
/// mark comes before that, unless somebody wants overlapping tables parsed again and again.
struct AbbreviationTables<'a> {
    section: &'a [u8],
    starts: Vec<usize>,
    /// Units of an LTO link share theirs.
    last: Option<(usize, Arc<gimli::Abbreviations>)>,
}

impl<'a> AbbreviationTables<'a> {
    fn of(dwarf: &gimli::Dwarf<Slice<'a>>) -> Self {
        let mut starts = Vec::new();
        let mut headers = dwarf.units();
        while let Ok(Some(header)) = headers.next() {
            starts.push(header.debug_abbrev_offset().0);
        }
        starts.sort_unstable();
        starts.dedup();
        AbbreviationTables { section: dwarf.debug_abbrev.reader().slice(), starts, last: None }
    }

    fn of_unit(&mut self, header: &gimli::UnitHeader<Slice<'_>>) -> Option<Arc<gimli::Abbreviations>> {
        let start = header.debug_abbrev_offset().0;
        if let Some((at, table)) = &self.last
            && *at == start
        {
            return Some(table.clone());
        }
        let after = self.starts.partition_point(|s| *s <= start);
        let end = self.starts.get(after).copied().unwrap_or(self.section.len());
        let bytes = self.section.get(start..end.min(self.section.len()))?;
        let section = gimli::DebugAbbrev::new(bytes, LittleEndian);
        let table = Arc::new(section.abbreviations(gimli::DebugAbbrevOffset(0)).ok()?);
        self.last = Some((start, table.clone()));
        Some(table)
    }
}

/// What one look-up may read, so that no file of entries that all share one long list costs their product.
struct Budget(u64);

impl Default for Budget {
    fn default() -> Self {
        Budget(1 << 26)
    }
}

impl Budget {
    fn spend(&mut self, amount: usize) {
        self.0 = self.0.saturating_sub(amount as u64);
    }

    fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

/// Calls `found` with each address range of an entry until it returns true; whether it did.
fn each_range(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    entry: &Entry<'_>,
    budget: &mut Budget,
    mut found: impl FnMut(gimli::Range) -> bool,
) -> bool {
    if let Some(value) = entry.attr_value(gimli::DW_AT_ranges) {
        let Ok(Some(mut list)) = dwarf.attr_ranges(unit, value) else { return false };
        while let Ok(Some(range)) = list.next() {
            budget.spend(1);
            if found(range) {
                return true;
            }
            if budget.is_spent() {
                return false;
            }
        }
        return false;
    }
    let address = |name| {
        let value = entry.attr_value(name)?;
        dwarf.attr_address(unit, value).ok().flatten()
    };
    let Some(begin) = address(gimli::DW_AT_low_pc) else { return false };
    let end = match entry.attr_value(gimli::DW_AT_high_pc) {
        Some(AttributeValue::Udata(size)) => begin.checked_add(size),
        _ => address(gimli::DW_AT_high_pc),
    };
    end.is_some_and(|end| found(gimli::Range { begin, end }))
}

#[cfg(test)]
mod tests;
mod unit;
mod variables;
