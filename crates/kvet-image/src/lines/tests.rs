//! Tests of source lines on DWARF that gimli writes.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;

use gimli::write::{
    Address, AttributeValue, DwarfUnit, EndianVec, LineProgram, LineString, Range, RangeList, Sections,
};
use gimli::{Encoding, Format, LineEncoding, LittleEndian};

use crate::testing::{Numbers, Part, Rela, TestElf, build_id_note, read_everything};
use crate::{Image, InlinedCall, SourceLine, VirtAddr};

const TEXT: u64 = 0xffff_ffff_8100_0000;

/// Where the code of a module's DWARF seems to be, until it is made a relocation: a pattern that nothing else has.
const PLACEHOLDER: u64 = 0x1122_3344_5566_0000;

/// DWARF of `outer`, 0x40 bytes at `text`, into which `helper` of another file is inlined at 0x10 to 0x18. The
/// unit has either one range or a list.
fn dwarf(version: u16, text: u64, as_list: bool) -> Vec<(&'static str, Vec<u8>)> {
    let encoding = Encoding { format: Format::Dwarf32, version, address_size: 8 };
    let mut dwarf = DwarfUnit::new(encoding);
    let string = |s: &str, strings: &mut _| LineString::new(s, encoding, strings);
    let directory = string("/build", &mut dwarf.line_strings);
    let source = string("kernel/outer.c", &mut dwarf.line_strings);
    let mut program = LineProgram::new(encoding, LineEncoding::default(), directory, None, source, None);
    let main = program.add_file(
        string("kernel/outer.c", &mut dwarf.line_strings),
        program.default_directory(),
        None,
    );
    let include = program.add_directory(string("include/linux", &mut dwarf.line_strings));
    let header = program.add_file(string("helper.h", &mut dwarf.line_strings), include, None);
    program.begin_sequence(Some(Address::Constant(text)));
    for (offset, file, line) in [(0, main, 10), (0x10, header, 5), (0x18, main, 12), (0x20, main, 0)] {
        program.row().address_offset = offset;
        program.row().file = file;
        program.row().line = line;
        program.generate_row();
    }
    program.end_sequence(0x40);
    dwarf.unit.line_program = program;

    let root = dwarf.unit.root();
    let name = |n: &str| AttributeValue::String(n.into());
    let span = |entry: &mut gimli::write::DebuggingInformationEntry, start: u64, size: u64| {
        entry.set(gimli::DW_AT_low_pc, AttributeValue::Address(Address::Constant(start)));
        entry.set(gimli::DW_AT_high_pc, AttributeValue::Udata(size));
    };
    dwarf.unit.get_mut(root).set(gimli::DW_AT_comp_dir, name("/build"));
    if as_list {
        let whole = Range::StartLength { begin: Address::Constant(text), length: 0x40 };
        let list = dwarf.unit.ranges.add(RangeList(vec![whole]));
        dwarf.unit.get_mut(root).set(gimli::DW_AT_ranges, AttributeValue::RangeListRef(list));
    } else {
        span(dwarf.unit.get_mut(root), text, 0x40);
    }
    let helper = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    dwarf.unit.get_mut(helper).set(gimli::DW_AT_name, name("helper"));
    let outer = dwarf.unit.add(root, gimli::DW_TAG_subprogram);
    dwarf.unit.get_mut(outer).set(gimli::DW_AT_name, name("outer"));
    span(dwarf.unit.get_mut(outer), text, 0x30);
    let block = dwarf.unit.add(outer, gimli::DW_TAG_lexical_block);
    let inlined = dwarf.unit.add(block, gimli::DW_TAG_inlined_subroutine);
    let entry = dwarf.unit.get_mut(inlined);
    span(entry, text + 0x10, 8);
    entry.set(gimli::DW_AT_abstract_origin, AttributeValue::UnitRef(helper));
    entry.set(gimli::DW_AT_call_file, AttributeValue::FileIndex(Some(main)));
    entry.set(gimli::DW_AT_call_line, AttributeValue::Udata(11));

    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    dwarf.write(&mut sections).unwrap();
    let mut written = Vec::new();
    sections
        .for_each(|id, data| {
            written.push((id.name(), data.slice().to_vec()));
            Ok::<_, gimli::write::Error>(())
        })
        .unwrap();
    written.retain(|(_, data)| !data.is_empty());
    written
}

fn kernel(dwarf: Vec<Part>) -> TestElf {
    let mut parts =
        vec![Part::new(".text", 6, &[0x90; 64]).at(TEXT), build_id_note(&[1; 20]).at(TEXT + 0x1000)];
    parts.extend(dwarf);
    TestElf { kind: 2, machine: 62, parts, symbols: vec![("symbol", 0x12, 1, TEXT, 0x40)] }
}

fn plain(sections: Vec<(&'static str, Vec<u8>)>) -> Vec<Part> {
    sections.into_iter().map(|(name, data)| Part::new(name, 0, &data)).collect()
}

fn open(file: &TestElf) -> Image {
    Image::from_bytes(Path::new("vmlinux"), file.build()).unwrap()
}

fn line(file: &str, line: u32, function: &str) -> SourceLine {
    SourceLine { file: file.into(), line, function: Some(function.into()), inlined: Vec::new() }
}

/// What the DWARF of [`dwarf`] says, for code at `text`.
fn assert_lines(image: &Image, text: u64) {
    let at = |offset| image.source_line(VirtAddr(text + offset));
    assert_eq!(at(0), Some(line("kernel/outer.c", 10, "outer")));
    assert_eq!(at(0xf), Some(line("kernel/outer.c", 10, "outer")));
    let call = InlinedCall { function: Some("outer".into()), file: Some("kernel/outer.c".into()), line: 11 };
    let inlined = SourceLine { inlined: vec![call], ..line("include/linux/helper.h", 5, "helper") };
    assert_eq!(at(0x10), Some(inlined));
    assert_eq!(at(0x18), Some(line("kernel/outer.c", 12, "outer")));
    assert_eq!(at(0x20), Some(line("kernel/outer.c", 0, "outer")));
    assert_eq!(at(0x40), None);
}

#[test]
fn lines_functions_and_inlined_calls_are_found() {
    for (version, as_list) in [(4, false), (5, false), (5, true)] {
        let image = open(&kernel(plain(dwarf(version, TEXT, as_list))));
        assert_lines(&image, TEXT);
        // Beyond the function of DWARF, but inside the symbol.
        assert_eq!(image.source_line(VirtAddr(TEXT + 0x31)), Some(line("kernel/outer.c", 0, "symbol")));
        assert_eq!(image.source_line(VirtAddr(TEXT - 1)), None);
    }
}

#[test]
fn aranges_lead_to_the_unit() {
    let mut sections = dwarf(5, TEXT, false);
    let mut aranges = Vec::new();
    for word in [44u32, 2, 0] {
        aranges.extend_from_slice(&word.to_le_bytes());
    }
    // Version 2 (2 bytes), offset of the unit (4), address and segment size, padding to 16.
    aranges.splice(4.., [2, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
    for value in [TEXT, 0x40, 0, 0] {
        aranges.extend_from_slice(&value.to_le_bytes());
    }
    sections.push((".debug_aranges", aranges));
    let image = open(&kernel(plain(sections)));
    assert_lines(&image, TEXT);
    let info = image.lines.get().unwrap().as_ref().unwrap();
    assert_eq!(info.aranges.len(), 1);
}

#[test]
fn compressed_sections_are_read() {
    type Compress = fn(&[u8]) -> Vec<u8>;
    let zlib: Compress = |data| {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    let zstd: Compress = |data| {
        let mut out = vec![0; zstd_safe::compress_bound(data.len())];
        let size = zstd_safe::compress(&mut out[..], data, 1).unwrap();
        out.truncate(size);
        out
    };
    for (kind, compress) in [(1u32, zlib), (2, zstd)] {
        let packed = |size: Option<u64>| {
            let pack = |(name, data): (&'static str, Vec<u8>)| {
                let mut content = Vec::new();
                content.extend_from_slice(&u64::from(kind).to_le_bytes());
                content.extend_from_slice(&size.unwrap_or(data.len() as u64).to_le_bytes());
                content.extend_from_slice(&1u64.to_le_bytes());
                content.extend_from_slice(&compress(&data));
                Part::new(name, 0x800, &content)
            };
            open(&kernel(dwarf(5, TEXT, true).into_iter().map(pack).collect()))
        };
        assert_lines(&packed(None), TEXT);
        // A size that no compressor reaches is not even allocated.
        assert_eq!(packed(Some(1 << 50)).source_line(VirtAddr(TEXT)), None);
    }
}

/// The same DWARF in a module: every address in it is a relocation against `.text`.
fn module(kind: u32, machine: u16) -> TestElf {
    let mut parts = vec![Part::new(".text", 6, &[0x90; 64]), build_id_note(&[1; 20])];
    for (name, mut data) in dwarf(5, PLACEHOLDER, true) {
        let mut entries = Vec::new();
        for at in 0..data.len().saturating_sub(7) {
            let value = u64::from_le_bytes(data[at..at + 8].try_into().unwrap());
            if value >> 16 == PLACEHOLDER >> 16 {
                entries.push(Rela(at as u64, 1, kind, (value - PLACEHOLDER) as i64));
                data[at..at + 8].fill(0);
            }
        }
        parts.push(Part::new(name, 0, &data));
        if !entries.is_empty() {
            let target = parts.len() as u32;
            parts.push(Part::rela(".rela.debug", target, &entries));
        }
    }
    TestElf { kind: 1, machine, parts, symbols: vec![("", 3, 1, 0, 0)] }
}

#[test]
fn a_modules_dwarf_is_relocated() {
    for (kind, machine) in [(1, 62), (257, 183)] {
        let image = open(&module(kind, machine));
        assert_lines(&image, image.section(".text").unwrap().addr.0);
    }
}

#[test]
fn a_stripped_image_has_its_debug_files_lines() {
    let mut image = open(&kernel(Vec::new()));
    assert_eq!(image.source_line(VirtAddr(TEXT)), None);
    image.attach_debug(open(&kernel(plain(dwarf(5, TEXT, false))))).unwrap();
    assert_lines(&image, TEXT);

    let mut stripped = module(1, 62);
    stripped.parts.truncate(2);
    stripped.parts.insert(0, Part::new(".text.first", 6, &[0x90; 64]));
    let mut image = open(&stripped);
    image.attach_debug(open(&module(1, 62))).unwrap();
    assert_lines(&image, image.section(".text").unwrap().addr.0);
}

#[test]
fn overlapping_abbreviation_tables_are_not_parsed_over_and_over() {
    // Two units; the second names a table that begins inside the first one's.
    let mut units = Vec::new();
    for offset in [0u32, 5] {
        units.extend_from_slice(&9u32.to_le_bytes());
        units.extend_from_slice(&[5, 0, 1, 8]);
        units.extend_from_slice(&offset.to_le_bytes());
        units.push(1);
    }
    // Code 1 twice: a unit's entry with a language, and one without anything.
    let tables = [1, 0x11, 0, 0x13, 0x0b, 1, 0x11, 0, 0, 0, 0];
    let dwarf = gimli::Dwarf::load(|id| {
        let bytes: &[u8] = match id {
            gimli::SectionId::DebugInfo => &units,
            gimli::SectionId::DebugAbbrev => &tables,
            _ => &[],
        };
        Ok::<_, gimli::Error>(gimli::EndianSlice::new(bytes, LittleEndian))
    })
    .unwrap();
    let mut tables = super::AbbreviationTables::of(&dwarf);
    let mut headers = dwarf.units();
    let found: Vec<bool> = std::iter::from_fn(|| headers.next().unwrap())
        .map(|header| tables.of_unit(&header).is_some())
        .collect();
    assert_eq!(found, [false, true]);
}

#[test]
fn damaged_dwarf_neither_panics_nor_hangs() {
    for (file, from) in [(kernel(plain(dwarf(5, TEXT, true))), 64), (module(1, 62), 64)] {
        let bytes = file.build();
        let mut numbers = Numbers(4242);
        for _ in 0..4000 {
            let mut damaged = bytes.clone();
            for _ in 0..=numbers.below(3) {
                let at = from + numbers.below(damaged.len() - from);
                damaged[at] = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
            }
            if let Ok(image) = Image::from_bytes(Path::new("vmlinux"), damaged) {
                read_everything(&image);
                let _ = image.source_line(VirtAddr(TEXT + 0x10));
            }
        }
    }
}
