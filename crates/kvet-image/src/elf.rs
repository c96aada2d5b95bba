//! ELF files: vmlinux with or without symbols, and modules.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, LittleEndian};

use crate::backing::Backing;
use crate::section::{Access, Section};
use crate::symbol::{SymbolKind, SymbolSource, SymbolTable, SymbolTableBuilder};
use crate::{Arch, ErrorKind, Image, Kind, VirtAddr};

type Header = FileHeader64<Endianness>;

/// Where `.symtab` and its strings stand in the file.
#[derive(Clone, Debug)]
pub(crate) struct SymtabPlace {
    symbols: Range<usize>,
    strings: Range<usize>,
}

/// Reads an ELF vmlinux's headers. Symbols are read when they are first asked for.
pub(crate) fn read(path: &Path, mut backing: Backing) -> Result<Image, ErrorKind> {
    let data = backing.bytes();
    let header = Header::parse(data).map_err(|e| damaged("ELF header", "a 64-bit ELF header", e))?;
    let endian = header.endian().map_err(|e| damaged("ELF header", "a byte order", e))?;
    let arch = arch_of(header, endian)?;
    let table =
        header.sections(endian, data).map_err(|e| damaged("section headers", "readable headers", e))?;

    let mut sections = Vec::new();
    let mut symtab = None;
    let mut rela = Vec::new();
    for section in table.iter() {
        let kind = section.sh_type(endian);
        let file = file_range(section, endian, data.len());
        if kind == elf::SHT_SYMTAB {
            let strings = table
                .section(object::SectionIndex(section.sh_link(endian) as usize))
                .map_err(|e| damaged(".symtab", "a string table", e))?;
            symtab = Some(SymtabPlace { symbols: file, strings: file_range(strings, endian, data.len()) });
            continue;
        }
        let flags = section.sh_flags(endian);
        if flags & u64::from(elf::SHF_ALLOC) == 0 || section.sh_size(endian) == 0 {
            continue;
        }
        if kind == elf::SHT_RELA && arch == Arch::Arm64 {
            rela.push(file.clone());
        }
        let name = table.section_name(endian, section).unwrap_or(b"");
        sections.push(Section {
            name: String::from_utf8_lossy(name).into_owned(),
            addr: VirtAddr(section.sh_addr(endian)),
            size: section.sh_size(endian),
            file,
            access: Access {
                execute: flags & u64::from(elf::SHF_EXECINSTR) != 0,
                write: flags & u64::from(elf::SHF_WRITE) != 0,
            },
        });
    }
    sections.sort_by_key(|s| s.addr);
    for table in rela {
        apply_relocations(&mut backing, &sections, table);
    }
    Ok(Image {
        path: path.into(),
        kind: Kind::Vmlinux,
        arch,
        sections,
        symbols: OnceLock::new(),
        symtab,
        externs: Vec::new(),
        facts: OnceLock::new(),
        debug: None,
        base_evidence: None,
        kallsyms: OnceLock::new(),
        backing,
    })
}

/// Fills the fields that an arm64 vmlinux (ET_DYN) leaves to its own relocation. An x86-64 one is ET_EXEC and
/// has its pointers in place; RELR fields hold their link-time value on both.
fn apply_relocations(backing: &mut Backing, sections: &[Section], table: Range<usize>) {
    let mut last = 0;
    crate::relocate::apply_rela(backing.bytes_mut(), table, |addr| {
        let addr = VirtAddr(addr);
        // Relocations come in address order, so the last section usually holds the next field as well.
        if !sections.get(last).is_some_and(|s| s.contains(addr)) {
            last = sections.partition_point(|s| s.addr <= addr).checked_sub(1)?;
        }
        let section = sections.get(last).filter(|s| s.contains(addr))?;
        let at = section.file.start.checked_add(usize::try_from(addr.0 - section.addr.0).ok()?)?;
        (at < section.file.end).then_some(at)
    });
}

fn arch_of(header: &Header, endian: Endianness) -> Result<Arch, ErrorKind> {
    match header.e_machine(endian) {
        elf::EM_X86_64 if endian == Endianness::Little => Ok(Arch::X86_64),
        elf::EM_AARCH64 if endian == Endianness::Little => Ok(Arch::Arm64),
        other => Err(ErrorKind::Architecture { found: format!("ELF machine {other} ({endian:?} endian)") }),
    }
}

fn damaged(what: &str, expected: &str, error: object::Error) -> ErrorKind {
    ErrorKind::Damaged { what: what.into(), expected: expected.into(), found: error.to_string() }
}

/// A section's place in the file, cut to the file's length; empty for SHT_NOBITS.
fn file_range(
    section: &elf::SectionHeader64<Endianness>,
    endian: Endianness,
    file_len: usize,
) -> Range<usize> {
    let Some((offset, size)) = section.file_range(endian) else { return 0..0 };
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file_len);
    let end = usize::try_from(offset.saturating_add(size)).unwrap_or(usize::MAX).min(file_len);
    start..end
}

/// Reads `.symtab`: functions, objects and labels with an address; not section or file symbols, nor arm64's
/// mapping symbols (`$x`, `$d`), which kallsyms leaves out too (scripts/kallsyms.c, `is_ignored_symbol`).
pub(crate) fn read_symtab(image: &Image, place: &SymtabPlace) -> SymbolTable {
    let data = image.raw();
    let bytes = data.get(place.symbols.clone()).unwrap_or(&[]);
    let strings = data.get(place.strings.clone()).unwrap_or(&[]);
    let count = bytes.len() / size_of::<elf::Sym64<LittleEndian>>();
    let symbols =
        object::pod::slice_from_bytes::<elf::Sym64<Endianness>>(bytes, count).map_or(&[][..], |(s, _)| s);
    let mut builder = SymbolTableBuilder::with_capacity(count, strings.len());
    let endian = Endianness::Little;
    for symbol in symbols {
        let kind = match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
            elf::STT_OBJECT => SymbolKind::Object,
            elf::STT_NOTYPE => SymbolKind::Other,
            _ => continue,
        };
        if symbol.is_undefined(endian) {
            continue;
        }
        let Some(tail) = strings.get(symbol.st_name(endian) as usize..) else { continue };
        let Some(end) = memchr::memchr(0, tail) else { continue };
        let Ok(name) = std::str::from_utf8(&tail[..end]) else { continue };
        if name.is_empty() || name.starts_with('$') {
            continue;
        }
        let global = symbol.st_bind() != elf::STB_LOCAL;
        builder.push(name, VirtAddr(symbol.st_value(endian)), symbol.st_size(endian), kind, global);
    }
    builder.finish(SymbolSource::Elf)
}
