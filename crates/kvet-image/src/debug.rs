//! A separate debug file: the vmlinux or `.ko` with symbols and DWARF of the same build.

use std::collections::HashMap;

use crate::symbol::{SymbolSource, SymbolTable, SymbolTableBuilder};
use crate::{Error, ErrorKind, Image, Kind, Section, VirtAddr};

/// A debug file, and how its addresses relate to the image's.
pub(crate) struct DebugFile {
    image: Image,
    map: Map,
}

/// From the image's addresses to the debug file's.
enum Map {
    /// The debug file's are greater by this, modulo 2^64: 0 but for a flat image whose base was not known.
    Shift(u64),
    /// A module's sections, by the image's address: each has its counterpart of the same name.
    Sections(Vec<Pair>),
}

struct Pair {
    image: VirtAddr,
    debug: VirtAddr,
    size: u64,
}

impl DebugFile {
    /// The debug file as an image of its own.
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// The debug file's address for one of the image's.
    pub(crate) fn address(&self, addr: VirtAddr) -> Option<VirtAddr> {
        match &self.map {
            Map::Shift(shift) => Some(VirtAddr(addr.0.wrapping_add(*shift))),
            Map::Sections(pairs) => {
                let after = pairs.partition_point(|p| p.image <= addr);
                let pair = pairs.get(after.checked_sub(1)?)?;
                let into = addr.0 - pair.image.0;
                (into < pair.size).then(|| VirtAddr(pair.debug.0.wrapping_add(into)))
            }
        }
    }

    /// The image's address for one of the debug file's.
    fn image_address(&self, by_debug: &[&Pair], addr: VirtAddr) -> Option<VirtAddr> {
        match &self.map {
            Map::Shift(shift) => Some(VirtAddr(addr.0.wrapping_sub(*shift))),
            Map::Sections(_) => {
                let after = by_debug.partition_point(|p| p.debug <= addr);
                let pair = by_debug.get(after.checked_sub(1)?)?;
                let into = addr.0 - pair.debug.0;
                // A label may stand at a section's end.
                (into <= pair.size).then(|| VirtAddr(pair.image.0.wrapping_add(into)))
            }
        }
    }
}

/// See [`Image::attach_debug`].
pub(crate) fn attach(image: &mut Image, debug: Image) -> Result<(), Error> {
    match check(image, &debug) {
        Ok(map) => {
            image.debug = Some(Box::new(DebugFile { image: debug, map }));
            // Whoever asked before got the embedded kallsyms.
            image.symbols.take();
            Ok(())
        }
        Err(kind) => Err(Error { path: debug.path, kind }),
    }
}

/// Whether the file is the image's, and how their addresses relate.
fn check(image: &Image, debug: &Image) -> Result<Map, ErrorKind> {
    let (expected, found) = (image.build_id(), debug.build_id());
    if expected.is_none() || expected != found {
        return Err(ErrorKind::BuildIdMismatch { expected: in_words(expected), found: in_words(found) });
    }
    let module = |i: &Image| i.kind() == Kind::Module;
    if image.arch() != debug.arch() || module(image) != module(debug) {
        let form =
            |i: &Image| format!("{} {}", i.arch().as_str(), if module(i) { "module" } else { "kernel" });
        return Err(crate::elf::damaged("debug file", &format!("a {}", form(image)), &form(debug)));
    }
    if module(image) {
        return Ok(Map::Sections(pair_sections(image, debug)));
    }
    shift(image, debug).map(Map::Shift)
}

fn in_words(id: Option<&[u8]>) -> String {
    match id {
        Some(id) => id.iter().map(|b| format!("{b:02x}")).collect(),
        None => "none".into(),
    }
}

/// Sections of one name and size, in the order in which each file has them.
fn pair_sections(image: &Image, debug: &Image) -> Vec<Pair> {
    let mut theirs: Vec<&Section> = debug.sections().iter().collect();
    let mut ours: Vec<&Section> = image.sections().iter().collect();
    theirs.sort_by(|a, b| a.name.cmp(&b.name));
    ours.sort_by(|a, b| a.name.cmp(&b.name));
    let mut theirs = theirs.into_iter().peekable();
    let mut pairs = Vec::with_capacity(ours.len());
    for section in ours {
        while theirs.next_if(|other| other.name < section.name).is_some() {}
        if let Some(other) = theirs.next_if(|other| other.name == section.name && other.size == section.size)
        {
            pairs.push(Pair { image: section.addr, debug: other.addr, size: section.size });
        }
    }
    pairs.sort_by_key(|p| p.image);
    pairs
}

/// A linked kernel and its debug file have one set of addresses. A flat image has no section that could be
/// compared; its first byte is `_text`.
fn shift(image: &Image, debug: &Image) -> Result<u64, ErrorKind> {
    if image.kind() == Kind::Arm64Image {
        let text = debug.symtab.as_ref().and_then(|place| crate::elf::find_symbol(debug, place, "_text"));
        let (Some(text), Some(first)) = (text, image.sections().first()) else { return Ok(0) };
        return Ok(text.0.wrapping_sub(first.addr.0));
    }
    // Of several sections of one name, the first counts in both.
    let mut theirs = HashMap::new();
    for section in debug.sections() {
        theirs.entry(section.name.as_str()).or_insert(section.addr);
    }
    for section in image.sections() {
        if let Some(other) = theirs.remove(section.name.as_str()).filter(|other| *other != section.addr) {
            let what = format!("section {} of the debug file", section.name);
            let expected = format!("{}, as in the kernel", section.addr);
            return Err(crate::elf::damaged(&what, &expected, &other.to_string()));
        }
    }
    Ok(0)
}

/// The debug file's symbols at the image's addresses; `None` without a debug file that has any.
pub(crate) fn symbols(image: &Image) -> Option<SymbolTable> {
    let file = image.debug.as_deref()?;
    let place = file.image.symtab.as_ref()?;
    let table = crate::elf::read_symtab(&file.image, place, SymbolSource::DebugFile);
    let mut by_debug: Vec<&Pair> = match &file.map {
        Map::Shift(0) => return Some(table),
        Map::Shift(_) => Vec::new(),
        Map::Sections(pairs) => pairs.iter().collect(),
    };
    by_debug.sort_by_key(|p| p.debug);
    let mut builder = SymbolTableBuilder::with_capacity(table.len(), 0);
    for symbol in table.iter() {
        if let Some(addr) = file.image_address(&by_debug, symbol.addr) {
            builder.push(symbol.name, addr, symbol.size, symbol.kind, symbol.global);
        }
    }
    Some(builder.finish(SymbolSource::DebugFile))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;
    use crate::testing::{Part, TestElf, build_id_note};

    fn open(name: &str, file: &TestElf) -> Image {
        Image::from_bytes(Path::new(name), file.build()).unwrap()
    }

    fn kernel(id: &[u8], text: u64, symbols: bool) -> TestElf {
        TestElf {
            kind: 2,
            machine: 62,
            parts: vec![Part::new(".text", 6, &[0x90; 64]).at(text), build_id_note(id).at(text + 0x1000)],
            symbols: if symbols { vec![("start_kernel", 0x12, 1, text + 16, 16)] } else { Vec::new() },
        }
    }

    const TEXT: u64 = 0xffff_ffff_8100_0000;

    #[test]
    fn a_stripped_kernel_has_its_debug_files_symbols() {
        let mut image = open("vmlinux", &kernel(&[1; 20], TEXT, false));
        assert_eq!(image.symbols().source(), SymbolSource::None);
        image.attach_debug(open("vmlinux.debug", &kernel(&[1; 20], TEXT, true))).unwrap();
        assert_eq!(image.symbols().source(), SymbolSource::DebugFile);
        assert_eq!(image.symbol_addr("start_kernel"), Some(VirtAddr(TEXT + 16)));
        assert_eq!(image.debug().unwrap().path(), Path::new("vmlinux.debug"));
    }

    #[test]
    fn another_builds_debug_file_is_refused_with_both_ids() {
        let attach = |image: &[u8], debug: &[u8]| {
            let mut image = open("vmlinux", &kernel(image, TEXT, false));
            image.attach_debug(open("vmlinux.debug", &kernel(debug, TEXT, true))).unwrap_err()
        };
        let error = attach(&[1; 20], &[2; 20]);
        assert!(matches!(error.kind, ErrorKind::BuildIdMismatch { .. }));
        let text = error.to_string();
        assert!(text.starts_with("vmlinux.debug: "), "{text}");
        assert!(text.contains(&"01".repeat(20)) && text.contains(&"02".repeat(20)), "{text}");
        assert!(attach(&[1; 20], &[]).to_string().contains("none"));
        // Two files without an id may be of one build, but nothing shows it.
        assert!(matches!(attach(&[], &[]).kind, ErrorKind::BuildIdMismatch { .. }));
    }

    #[test]
    fn one_id_at_other_addresses_is_damage() {
        let mut image = open("vmlinux", &kernel(&[1; 20], TEXT, false));
        let error = image.attach_debug(open("d", &kernel(&[1; 20], TEXT + 64, true))).unwrap_err();
        assert!(error.to_string().contains("section .text of the debug file"), "{error}");
        let mut module = kernel(&[1; 20], 0, true);
        module.kind = 1;
        let error = image.attach_debug(open("d.ko", &module)).unwrap_err();
        assert!(error.to_string().contains("x86_64 module"), "{error}");
        assert!(image.debug().is_none());
    }

    #[test]
    fn a_modules_sections_are_matched_by_name() {
        let parts = vec![
            Part::new(".text", 6, &[0x90; 64]),
            Part::new(".text.hot", 6, &[0x90; 32]),
            Part::new(".text.hot", 6, &[0x90; 16]),
            build_id_note(&[3; 20]),
        ];
        let module = |parts: Vec<Part>, symbols| TestElf { kind: 1, machine: 62, parts, symbols };
        let mut image = open("m.ko", &module(parts.clone(), Vec::new()));
        // The debug file has a section that the module lost, before the others.
        let mut with_more = vec![Part::new(".text.cold", 6, &[0x90; 128])];
        with_more.extend(parts);
        let symbols = vec![
            ("main", 0x12, 2, 8, 8),
            ("hot", 0x12, 3, 4, 8),
            ("hotter", 0x12, 4, 0, 8),
            ("cold", 0x12, 1, 0, 8),
            ("end", 0x10, 2, 64, 0),
        ];
        image.attach_debug(open("m.ko.debug", &module(with_more, symbols))).unwrap();
        let at = |i: usize, offset| Some(VirtAddr(image.sections()[i].addr.0 + offset));
        assert_eq!(image.symbols().source(), SymbolSource::DebugFile);
        assert_eq!(image.symbol_addr("main"), at(0, 8));
        assert_eq!(image.symbol_addr("hot"), at(1, 4));
        assert_eq!(image.symbol_addr("hotter"), at(2, 0));
        assert_eq!(image.symbol_addr("cold"), None);
        assert_eq!(image.symbol_addr("end"), at(0, 64));
        let file = image.debug.as_deref().unwrap();
        let debug_text = file.image().section(".text").unwrap().addr;
        assert_eq!(file.address(at(0, 8).unwrap()), debug_text.checked_add(8));
        assert_eq!(file.address(VirtAddr(1)), None);
    }
}
