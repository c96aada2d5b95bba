//! One unit of DWARF: its rows and functions, indexed at the first look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::{AttributeValue, Range, UnitOffset};

use super::{Budget, Entry, InlinedCall, Slice, SourceLine, Unit, each_range};

/// How many rows and functions all indexes may have together before they are dropped: some 64 MB. Debian's 6.1
/// has six million rows, of which a log needs the units that its frames are in.
const KEPT_MAX: usize = 4 << 20;

/// The indexes of the units that were asked for.
#[derive(Default)]
pub(super) struct UnitIndexes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_offset: HashMap<usize, Option<Arc<UnitIndex>>>,
    weight: usize,
}

impl UnitIndexes {
    /// The index of the unit at an offset of `.debug_info`; `None` when that cannot be read.
    pub(super) fn get(&self, dwarf: &gimli::Dwarf<Slice<'_>>, offset: usize) -> Option<Arc<UnitIndex>> {
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).by_offset.get(&offset) {
            return known.clone();
        }
        // Outside the lock: threads may read units at the same time.
        let made = UnitIndex::read(dwarf, offset).map(Arc::new);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let weight = 1 + made.as_ref().map_or(0, |index| index.rows.len() + index.functions.len());
        if kept.weight.saturating_add(weight) > KEPT_MAX {
            *kept = Kept::default();
        }
        kept.weight = kept.weight.saturating_add(weight);
        kept.by_offset.insert(offset, made.clone());
        made
    }
}

/// A row of the line table.
struct Row {
    addr: u64,
    file: u32,
    line: u32,
}

/// Rows `first..end`, which describe the addresses `start..stop`.
struct Sequence {
    start: u64,
    stop: u64,
    first: usize,
    end: usize,
}

/// A range of a function, and where its entry is in the unit.
struct FunctionRange {
    begin: u64,
    end: u64,
    entry: UnitOffset,
}

/// What is kept of a unit.
pub(super) struct UnitIndex {
    abbreviations: Arc<gimli::Abbreviations>,
    rows: Vec<Row>,
    /// By start.
    sequences: Vec<Sequence>,
    /// By begin; functions inside functions (of Rust) after those around them.
    functions: Vec<FunctionRange>,
}

impl UnitIndex {
    fn read(dwarf: &gimli::Dwarf<Slice<'_>>, offset: usize) -> Option<UnitIndex> {
        let header = dwarf.debug_info.header_from_offset(gimli::DebugInfoOffset(offset)).ok()?;
        let unit = dwarf.unit(header).ok()?;
        let (rows, sequences) = rows(&unit);
        let functions = functions(dwarf, &unit);
        Some(UnitIndex { abbreviations: unit.abbreviations, rows, sequences, functions })
    }

    /// The unit itself, with the abbreviations that were parsed before.
    pub(super) fn unit<'a>(&self, dwarf: &gimli::Dwarf<Slice<'a>>, offset: usize) -> Option<Unit<'a>> {
        let header = dwarf.debug_info.header_from_offset(gimli::DebugInfoOffset(offset)).ok()?;
        Unit::new_with_abbreviations(dwarf, header, Arc::clone(&self.abbreviations)).ok()
    }

    /// The line of an address, and the functions around it.
    pub(super) fn line(
        &self,
        dwarf: &gimli::Dwarf<Slice<'_>>,
        offset: usize,
        addr: u64,
    ) -> Option<SourceLine> {
        let row = self.row(addr)?;
        let unit = self.unit(dwarf, offset)?;
        let file = {
            let header = unit.line_program.as_ref()?.header();
            file_name(dwarf, &unit, header, row.file.into())?
        };
        let line = row.line;
        let mut chain = self.chain(dwarf, &unit, addr);
        let mut function = None;
        let mut call = None;
        let mut inlined = Vec::new();
        // From the innermost outwards: each inlined function's entry says where the next one calls it.
        while let Some(entry) = chain.pop() {
            let name = name_of(dwarf, &unit, &entry, 0);
            match call.take() {
                None => function = name,
                Some((file, line)) => inlined.push(InlinedCall { function: name, file, line }),
            }
            if entry.tag() == gimli::DW_TAG_inlined_subroutine {
                call = Some(call_site(dwarf, &unit, &entry));
            }
        }
        Some(SourceLine { file, line, function, inlined })
    }

    /// The last row at or before an address, in the sequence that holds it.
    fn row(&self, addr: u64) -> Option<&Row> {
        let after = self.sequences.partition_point(|s| s.start <= addr);
        let holding = self.sequences[..after].iter().rev().take(8).find(|s| addr < s.stop)?;
        let rows = self.rows.get(holding.first..holding.end)?;
        rows.get(rows.partition_point(|r| r.addr <= addr).checked_sub(1)?)
    }

    /// The entries of the function that holds an address and of those inlined there, from the outermost.
    pub(super) fn chain<'a>(
        &self,
        dwarf: &gimli::Dwarf<Slice<'a>>,
        unit: &Unit<'a>,
        addr: u64,
    ) -> Vec<Entry<'a>> {
        let after = self.functions.partition_point(|f| f.begin <= addr);
        let holding = self.functions[..after].iter().rev().take(64).find(|f| addr < f.end);
        holding.map_or(Vec::new(), |function| inlined(dwarf, unit, function.entry, addr))
    }
}

/// The line table, its rows by address within each sequence.
fn rows(unit: &Unit<'_>) -> (Vec<Row>, Vec<Sequence>) {
    let (mut rows, mut sequences) = (Vec::new(), Vec::new());
    let Some(program) = unit.line_program.clone() else { return (rows, sequences) };
    let mut program = program.rows();
    let mut first = 0;
    while let Ok(Some((_, row))) = program.next_row() {
        if row.end_sequence() {
            let written: &mut [Row] = &mut rows[first..];
            // The standard wants them in order; what is not would hide rows.
            if !written.is_sorted_by_key(|r| r.addr) {
                written.sort_by_key(|r| r.addr);
            }
            if let Some(start) = written.first().map(|r| r.addr) {
                sequences.push(Sequence { start, stop: row.address(), first, end: rows.len() });
            }
            first = rows.len();
            continue;
        }
        let line = row.line().map_or(0, |l| u32::try_from(l.get()).unwrap_or(u32::MAX));
        let file = u32::try_from(row.file_index()).unwrap_or(u32::MAX);
        rows.push(Row { addr: row.address(), file, line });
    }
    rows.truncate(first);
    sequences.sort_by_key(|s| s.start);
    (rows, sequences)
}

/// The functions of a unit that have code. The insides of a function are left out where its entry says where the next
/// one begins (DW_AT_sibling, which GCC writes): a function in C has none inside it that is not inlined.
fn functions(dwarf: &gimli::Dwarf<Slice<'_>>, unit: &Unit<'_>) -> Vec<FunctionRange> {
    let mut found = Vec::new();
    let mut budget = Budget::default();
    let mut from = None;
    let mut entry = Entry::null();
    'restart: while let Ok(mut entries) = unit.entries_raw(from) {
        while !entries.is_empty() && !budget.is_spent() {
            match entries.read_entry(&mut entry) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(_) => break 'restart,
            }
            budget.spend(1 + entry.attrs().len());
            let offset = entry.offset();
            if entry.tag() == gimli::DW_TAG_subprogram {
                each_range(dwarf, unit, &entry, &mut budget, |Range { begin, end }| {
                    if begin < end {
                        found.push(FunctionRange { begin, end, entry: offset });
                    }
                    false
                });
            }
            if let Some(next) = sibling(&entry).filter(|next| *next > entries.next_offset()) {
                from = Some(next);
                continue 'restart;
            }
        }
        break;
    }
    // Of functions that begin together, the outer one is longer.
    found.sort_by_key(|f| (f.begin, std::cmp::Reverse(f.end)));
    found
}

/// Where the entry after this one and its children begins, for those whose children can have no function with code.
fn sibling(entry: &Entry<'_>) -> Option<UnitOffset> {
    let closed = matches!(
        entry.tag(),
        gimli::DW_TAG_subprogram
            | gimli::DW_TAG_structure_type
            | gimli::DW_TAG_union_type
            | gimli::DW_TAG_enumeration_type
            | gimli::DW_TAG_subroutine_type
            | gimli::DW_TAG_array_type
    );
    match entry.attr_value(gimli::DW_AT_sibling) {
        Some(AttributeValue::UnitRef(offset)) if closed => Some(offset),
        _ => None,
    }
}

/// How deep calls are inlined at most; compilers stop long before.
const DEPTH_MAX: usize = 64;

/// A function's entry, and of those inlined in it the ones that hold an address, from the outermost.
fn inlined<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    unit: &Unit<'a>,
    function: UnitOffset,
    addr: u64,
) -> Vec<Entry<'a>> {
    let mut chain: Vec<Entry<'_>> = Vec::new();
    let mut budget = Budget::default();
    let Ok(mut entries) = unit.entries_raw(Some(function)) else { return chain };
    let mut entry = Entry::null();
    while !entries.is_empty() && !budget.is_spent() {
        match entries.read_entry(&mut entry) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => break,
        }
        budget.spend(1 + entry.attrs().len());
        // Past the function: nothing else holds the address.
        if chain.first().is_some_and(|outer| entry.depth() <= outer.depth()) {
            break;
        }
        let is_function = matches!(entry.tag(), gimli::DW_TAG_subprogram | gimli::DW_TAG_inlined_subroutine);
        let holds = |r: Range| r.begin <= addr && addr < r.end;
        if is_function && each_range(dwarf, unit, &entry, &mut budget, holds) && chain.len() < DEPTH_MAX {
            chain.retain(|outer| outer.depth() < entry.depth());
            chain.push(entry.clone());
        } else if chain.is_empty() {
            break;
        }
    }
    chain
}

/// A file of the line table as a path, without the directory of the build.
fn file_name(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    header: &gimli::LineProgramHeader<Slice<'_>>,
    index: u64,
) -> Option<String> {
    let file = header.file(index)?;
    let text = |value| Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    let name = text(file.path_name())?;
    if name.starts_with('/') {
        return Some(without_build_directory(unit, name));
    }
    // Directory 0 is the build's own in every version.
    let directory = match file.directory_index() {
        0 => None,
        _ => file.directory(header).and_then(text),
    };
    let path = match directory {
        Some(directory) => format!("{}/{name}", directory.trim_end_matches('/')),
        None => name,
    };
    Some(without_build_directory(unit, path))
}

fn without_build_directory(unit: &Unit<'_>, path: String) -> String {
    let Some(build) = &unit.comp_dir else { return path };
    let build = build.to_string_lossy();
    let relative = path.strip_prefix(&*build).and_then(|rest| rest.strip_prefix('/'));
    match relative {
        Some(relative) if !build.is_empty() => relative.to_owned(),
        _ => path,
    }
}

/// Where an inlined function's entry says that it is called.
fn call_site(dwarf: &gimli::Dwarf<Slice<'_>>, unit: &Unit<'_>, entry: &Entry<'_>) -> (Option<String>, u32) {
    let number = |name| match entry.attr_value(name) {
        Some(AttributeValue::FileIndex(n) | AttributeValue::Udata(n)) => Some(n),
        Some(other) => other.udata_value(),
        None => None,
    };
    let file = number(gimli::DW_AT_call_file).and_then(|index| {
        let header = unit.line_program.as_ref()?.header();
        file_name(dwarf, unit, header, index)
    });
    let line = number(gimli::DW_AT_call_line).and_then(|l| u32::try_from(l).ok()).unwrap_or(0);
    (file, line)
}

/// How many references from a function's entry to its declaration are followed: a real one takes two.
const HOPS: u32 = 8;

/// A function's name: its entry's own, or that of the entry it is an instance of.
pub(super) fn name_of(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    entry: &Entry<'_>,
    hops: u32,
) -> Option<String> {
    if let Some(value) = entry.attr_value(gimli::DW_AT_name) {
        return Some(dwarf.attr_string(unit, value).ok()?.to_string_lossy().into_owned());
    }
    if hops == HOPS {
        return None;
    }
    let origin = entry
        .attr_value(gimli::DW_AT_abstract_origin)
        .or_else(|| entry.attr_value(gimli::DW_AT_specification))?;
    match origin {
        AttributeValue::UnitRef(offset) => name_at(dwarf, unit, offset, hops + 1),
        // An LTO link inlines across units.
        AttributeValue::DebugInfoRef(offset) => {
            let header = unit_header_around(dwarf, offset.0)?;
            let other = dwarf.unit(header).ok()?;
            name_at(dwarf, &other, gimli::DebugInfoOffset(offset.0).to_unit_offset(&other.header)?, hops + 1)
        }
        _ => None,
    }
}

fn name_at(
    dwarf: &gimli::Dwarf<Slice<'_>>,
    unit: &Unit<'_>,
    offset: UnitOffset,
    hops: u32,
) -> Option<String> {
    let entry = unit.entry(offset).ok()?;
    name_of(dwarf, unit, &entry, hops)
}

/// The header of the unit that an offset lies in.
fn unit_header_around<'a>(
    dwarf: &gimli::Dwarf<Slice<'a>>,
    offset: usize,
) -> Option<gimli::UnitHeader<Slice<'a>>> {
    let mut found = None;
    let mut headers = dwarf.units();
    while let Ok(Some(header)) = headers.next() {
        if header.debug_info_offset()?.0 > offset {
            break;
        }
        found = Some(header);
    }
    found
}
