//! ELF files: vmlinux with or without symbols or section headers. Modules go on to [`crate::module`].

use std::ops::Range;
use std::path::Path;

use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64, Sym64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym};
use object::{Endianness, ReadRef};

use crate::backing::Backing;
use crate::section::{Access, Section};
use crate::symbol::{SymbolKind, SymbolSource, SymbolTable, SymbolTableBuilder};
use crate::{Arch, ErrorKind, Image, Kind, VirtAddr};

type Header = FileHeader64<Endianness>;

/// Names of sections are cut here: a hostile file could give a million sections one name of a megabyte.
const NAME_MAX: usize = 256;

/// Longer symbol names are left out. The kernel's own limit (`KSYM_NAME_LEN`) is 512.
const SYMBOL_NAME_MAX: usize = 1024;

/// Where `.symtab` and its strings stand in the file.
#[derive(Clone, Debug)]
pub(crate) struct SymtabPlace {
    pub(crate) symbols: Range<usize>,
    pub(crate) strings: Range<usize>,
    /// In a relocatable file: the address that each section of the file was given, by section number; `None`
    /// for one that is not loaded. Its symbols' values are relative to it.
    pub(crate) bases: Option<Vec<Option<u64>>>,
}

/// The headers of an ELF file, found to lie inside it.
pub(crate) struct Elf<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) arch: Arch,
    header: &'a Header,
    table: SectionTable<'a, Header>,
    /// The section names.
    names: &'a [u8],
}

const LITTLE: Endianness = Endianness::Little;

/// Reads an ELF file's headers; a module is laid out and relocated as well. Symbols are read when they are
/// first asked for.
pub(crate) fn read(path: &Path, mut backing: Backing) -> Result<Image, ErrorKind> {
    let elf = Elf::parse(backing.bytes())?;
    match elf.header.e_type(LITTLE) {
        elf::ET_REL => {
            let plan = crate::module::Plan::new(&elf)?;
            Ok(plan.load(path, backing))
        }
        elf::ET_EXEC | elf::ET_DYN => {
            let arch = elf.arch;
            let sections = elf.vmlinux_sections()?;
            let symtab = elf.symtab()?;
            for table in elf.dynamic_relocations()? {
                apply_relocations(&mut backing, &sections, table);
            }
            let mut image = Image::assemble(path, Kind::Vmlinux, arch, sections, backing);
            image.symtab = symtab;
            Ok(image)
        }
        other => Err(ErrorKind::NotAKernel {
            expected: "a linked kernel or a module",
            found: match other {
                elf::ET_CORE => "an ELF core dump".into(),
                _ => format!("an ELF file of type {other}"),
            },
        }),
    }
}

impl<'a> Elf<'a> {
    /// Reads the file header and the section headers.
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, ErrorKind> {
        let (header, arch) = file_header(data)?;
        let count = section_count(header, data)?;
        let table = if count == 0 {
            SectionTable::default()
        } else {
            header
                .sections(LITTLE, data)
                .map_err(|e| damaged("section headers", "readable headers", &e.to_string()))?
        };
        let names = header.section_strings_index(LITTLE, data).ok().and_then(|i| table.section(i).ok());
        let names = names.and_then(|s| s.data(LITTLE, data).ok()).unwrap_or(&[]);
        Ok(Elf { data, arch, header, table, names })
    }

    /// All section headers, with the reserved first one.
    pub(crate) fn sections(&self) -> impl ExactSizeIterator<Item = &'a SectionHeader64<Endianness>> + '_ {
        (0..self.table.len()).map(|i| self.table.section(object::SectionIndex(i)).unwrap_or(&EMPTY_SECTION))
    }

    /// How many section headers there are, with the reserved first one.
    pub(crate) fn section_count(&self) -> usize {
        self.table.len()
    }

    /// A section's name; lossy where it is no UTF-8.
    pub(crate) fn name(&self, section: &SectionHeader64<Endianness>) -> String {
        String::from_utf8_lossy(self.name_bytes(section)).into_owned()
    }

    /// A section's name as it stands in the file, cut to a sane length.
    pub(crate) fn name_bytes(&self, section: &SectionHeader64<Endianness>) -> &'a [u8] {
        let tail = self.names.get(section.sh_name(LITTLE) as usize..).unwrap_or(&[]);
        let tail = &tail[..tail.len().min(NAME_MAX)];
        &tail[..memchr::memchr(0, tail).unwrap_or(tail.len())]
    }

    /// A section's bytes in the file; empty for SHT_NOBITS.
    ///
    /// # Errors
    /// The file ends before the section does.
    pub(crate) fn file_range(
        &self,
        section: &SectionHeader64<Endianness>,
    ) -> Result<Range<usize>, ErrorKind> {
        let Some((offset, size)) = section.file_range(LITTLE) else { return Ok(0..0) };
        inside(self.data, offset, size)
            .map_err(|needed| truncated(format!("section {}", self.name(section)), needed, self.data))
    }

    /// The first symbol table, as the kernel's module loader takes it.
    pub(crate) fn symtab(&self) -> Result<Option<SymtabPlace>, ErrorKind> {
        let Some(section) = self.sections().find(|s| s.sh_type(LITTLE) == elf::SHT_SYMTAB) else {
            return Ok(None);
        };
        let link = section.sh_link(LITTLE) as usize;
        let strings = self
            .table
            .section(object::SectionIndex(link))
            .ok()
            .filter(|s| s.sh_type(LITTLE) == elf::SHT_STRTAB)
            .ok_or_else(|| damaged(".symtab", "a string table as its sh_link", &format!("section {link}")))?;
        Ok(Some(SymtabPlace {
            symbols: self.file_range(section)?,
            strings: self.file_range(strings)?,
            bases: None,
        }))
    }

    /// The allocated sections of a linked kernel, by address; its segments where there are no headers.
    fn vmlinux_sections(&self) -> Result<Vec<Section>, ErrorKind> {
        let mut sections = if self.table.is_empty() { self.segments()? } else { self.allocated_sections()? };
        // Both architectures link the kernel into the upper half of the address space; only x86-64's per-CPU
        // template lies at 0. A user program, a library, a vDSO or the boot wrapper has nothing there.
        if !sections.iter().any(|s| s.addr.0 >> 63 != 0) {
            let highest = sections.iter().map(|s| s.addr).max().unwrap_or_default();
            return Err(ErrorKind::NotAKernel {
                expected: "an ELF file linked at kernel addresses",
                found: format!("one whose highest section is at {highest}"),
            });
        }
        sections.sort_by_key(|s| s.addr);
        Ok(sections)
    }

    /// The relocation tables that an arm64 vmlinux (ET_DYN) applies to itself. An x86-64 one is ET_EXEC and has
    /// its pointers in place; RELR fields hold their link-time value on both.
    fn dynamic_relocations(&self) -> Result<Vec<Range<usize>>, ErrorKind> {
        let arm64 = self.arch == Arch::Arm64;
        let tables = self.sections().filter(|s| arm64 && is_loaded(s) && s.sh_type(LITTLE) == elf::SHT_RELA);
        tables.map(|section| self.file_range(section)).collect()
    }

    fn allocated_sections(&self) -> Result<Vec<Section>, ErrorKind> {
        let mut sections = Vec::new();
        for section in self.sections().filter(|s| is_loaded(s) && s.sh_size(LITTLE) != 0) {
            sections.push(Section {
                name: self.name(section),
                addr: VirtAddr(section.sh_addr(LITTLE)),
                size: section.sh_size(LITTLE),
                file: self.file_range(section)?,
                access: access(section),
            });
        }
        Ok(sections)
    }

    /// PT_LOAD segments as sections: the first executable one stands for `.text`.
    fn segments(&self) -> Result<Vec<Section>, ErrorKind> {
        let mut sections = Vec::new();
        let mut text = false;
        for segment in self.program_headers()? {
            if segment.p_type(LITTLE) != elf::PT_LOAD || segment.p_memsz(LITTLE) == 0 {
                continue;
            }
            let flags = segment.p_flags(LITTLE);
            let execute = flags & elf::PF_X != 0;
            let name = match execute && !text {
                true => ".text".to_owned(),
                false => format!("LOAD{}", sections.len()),
            };
            text |= execute;
            let size = segment.p_filesz(LITTLE).min(segment.p_memsz(LITTLE));
            let file = inside(self.data, segment.p_offset(LITTLE), size)
                .map_err(|needed| truncated(format!("segment {}", sections.len()), needed, self.data))?;
            sections.push(Section {
                name,
                addr: VirtAddr(segment.p_vaddr(LITTLE)),
                size: segment.p_memsz(LITTLE),
                file,
                access: Access { execute, write: flags & elf::PF_W != 0 },
            });
        }
        Ok(sections)
    }

    fn program_headers(&self) -> Result<&'a [ProgramHeader64<Endianness>], ErrorKind> {
        let size = u64::from(self.header.e_phnum(LITTLE)) * size_of::<ProgramHeader64<Endianness>>() as u64;
        inside(self.data, self.header.e_phoff(LITTLE), size)
            .map_err(|needed| truncated("the program headers".into(), needed, self.data))?;
        self.header
            .program_headers(LITTLE, self.data)
            .map_err(|e| damaged("program headers", "readable headers", &e.to_string()))
    }
}

/// What a section number without a section stands for: SHT_NULL.
static EMPTY_SECTION: SectionHeader64<Endianness> = {
    use object::endian::{U32, U64};
    let (word, xword) = (U32::from_bytes([0; 4]), U64::from_bytes([0; 8]));
    SectionHeader64 {
        sh_name: word,
        sh_type: word,
        sh_flags: xword,
        sh_addr: xword,
        sh_offset: xword,
        sh_size: xword,
        sh_link: word,
        sh_info: word,
        sh_addralign: xword,
        sh_entsize: xword,
    }
};

/// Whether a section is loaded with the kernel or module.
pub(crate) fn is_loaded(section: &SectionHeader64<Endianness>) -> bool {
    section.sh_flags(LITTLE) & u64::from(elf::SHF_ALLOC) != 0
}

/// A section's permissions by its flags.
pub(crate) fn access(section: &SectionHeader64<Endianness>) -> Access {
    let flags = section.sh_flags(LITTLE);
    Access {
        execute: flags & u64::from(elf::SHF_EXECINSTR) != 0,
        write: flags & u64::from(elf::SHF_WRITE) != 0,
    }
}

/// The file header, of a file that [`crate::container`] has found to be 64-bit, little-endian and complete.
fn file_header(data: &[u8]) -> Result<(&Header, Arch), ErrorKind> {
    let size = size_of::<Header>();
    let header =
        data.read_at::<Header>(0).map_err(|()| truncated("the ELF header".into(), size as u64, data))?;
    match header.e_machine.get(LITTLE) {
        elf::EM_X86_64 => Ok((header, Arch::X86_64)),
        elf::EM_AARCH64 => Ok((header, Arch::Arm64)),
        other => Err(ErrorKind::Architecture { found: format!("an ELF file for machine {other}") }),
    }
}

/// How many section headers the file has, all of them found to lie inside it.
fn section_count(header: &Header, data: &[u8]) -> Result<u64, ErrorKind> {
    let offset = header.e_shoff(LITTLE);
    if offset == 0 {
        return Ok(0);
    }
    let each = size_of::<SectionHeader64<Endianness>>() as u64;
    if u64::from(header.e_shentsize(LITTLE)) != each {
        let found = header.e_shentsize(LITTLE).to_string();
        return Err(damaged("ELF header", "section headers of 64 bytes", &found));
    }
    let count = match header.e_shnum(LITTLE) {
        // The number did not fit into 16 bits, and stands in the first header's size.
        0 => usize::try_from(offset)
            .ok()
            .and_then(|at| data.read_at::<SectionHeader64<Endianness>>(at as u64).ok())
            .ok_or_else(|| truncated("the section headers".into(), offset.saturating_add(each), data))?
            .sh_size(LITTLE),
        count => count.into(),
    };
    let most = data.len() as u64 / each;
    if header.e_shnum(LITTLE) == 0 && count > most {
        let expected = format!("at most {most} sections in a file of {} bytes", data.len());
        return Err(damaged("section headers", &expected, &count.to_string()));
    }
    inside(data, offset, count.saturating_mul(each))
        .map_err(|needed| truncated("the section headers".into(), needed, data))?;
    Ok(count)
}

/// A range of the file, or, when the file ends before it, the length that it would need.
fn inside(data: &[u8], offset: u64, size: u64) -> Result<Range<usize>, u64> {
    let needed = offset.saturating_add(size);
    if needed > data.len() as u64 {
        return Err(needed);
    }
    // Both are at most the file's length, which is a usize.
    Ok(offset as usize..needed as usize)
}

fn truncated(what: String, needed: u64, data: &[u8]) -> ErrorKind {
    ErrorKind::Truncated { what, needed, available: data.len() as u64 }
}

pub(crate) fn damaged(what: &str, expected: &str, found: &str) -> ErrorKind {
    ErrorKind::Damaged { what: what.into(), expected: expected.into(), found: found.into() }
}

/// Fills the fields that a vmlinux leaves to its own relocation.
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

/// The entries of a symbol table; a last one that is cut off is left out.
pub(crate) fn symbols<'a>(data: &'a [u8], place: &SymtabPlace) -> &'a [Sym64<Endianness>] {
    let bytes = data.get(place.symbols.clone()).unwrap_or(&[]);
    let count = bytes.len() / size_of::<Sym64<Endianness>>();
    object::pod::slice_from_bytes::<Sym64<Endianness>>(bytes, count).map_or(&[][..], |(s, _)| s)
}

/// A symbol's name; `None` when it lies outside the strings, has no end, is no UTF-8 or is too long.
pub(crate) fn symbol_name<'a>(strings: &'a [u8], symbol: &Sym64<Endianness>) -> Option<&'a str> {
    let tail = strings.get(symbol.st_name(LITTLE) as usize..)?;
    // The limit keeps a file of many symbols that all name one long string from costing their product.
    let tail = &tail[..tail.len().min(SYMBOL_NAME_MAX + 1)];
    std::str::from_utf8(&tail[..memchr::memchr(0, tail)?]).ok()
}

/// The first symbol of a name in `.symtab`, without reading the others.
pub(crate) fn find_symbol(image: &Image, place: &SymtabPlace, name: &str) -> Option<VirtAddr> {
    let strings = image.raw().get(place.strings.clone())?;
    let mut symbols = symbols(image.raw(), place).iter();
    let symbol = symbols.find(|symbol| {
        let tail = strings.get(symbol.st_name(LITTLE) as usize..).unwrap_or(&[]);
        tail.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    })?;
    symbol_address(symbol, place).map(VirtAddr)
}

/// Reads `.symtab`: functions, objects and labels with an address; not section or file symbols, nor arm64's
/// mapping symbols (`$x`, `$d`), which kallsyms leaves out too (scripts/kallsyms.c, `is_ignored_symbol`).
pub(crate) fn read_symtab(image: &Image, place: &SymtabPlace, source: SymbolSource) -> SymbolTable {
    let strings = image.raw().get(place.strings.clone()).unwrap_or(&[]);
    let symbols = symbols(image.raw(), place);
    let mut builder = SymbolTableBuilder::with_capacity(symbols.len(), strings.len());
    // Names may share their tails, so a real table's are somewhat longer than its strings; never this much.
    let mut room = strings.len().saturating_mul(4).saturating_add(1 << 16);
    for symbol in symbols {
        let kind = match symbol.st_type() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => SymbolKind::Function,
            elf::STT_OBJECT => SymbolKind::Object,
            elf::STT_NOTYPE => SymbolKind::Other,
            _ => continue,
        };
        let Some(addr) = symbol_address(symbol, place) else { continue };
        let Some(name) = symbol_name(strings, symbol) else { continue };
        if name.is_empty() || name.starts_with('$') {
            continue;
        }
        let Some(left) = room.checked_sub(name.len()) else { break };
        room = left;
        let global = symbol.st_bind() != elf::STB_LOCAL;
        builder.push(name, VirtAddr(addr), symbol.st_size(LITTLE), kind, global);
    }
    builder.finish(source)
}

/// The address of a defined symbol; in a relocatable file, only of one in a loaded section or an absolute one.
fn symbol_address(symbol: &Sym64<Endianness>, place: &SymtabPlace) -> Option<u64> {
    let value = symbol.st_value(LITTLE);
    match (symbol.st_shndx(LITTLE), &place.bases) {
        (elf::SHN_UNDEF | elf::SHN_COMMON, _) => None,
        (_, None) | (elf::SHN_ABS, _) => Some(value),
        (section, Some(bases)) => Some(value.wrapping_add((*bases.get(usize::from(section))?)?)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::testing::{Numbers, Part, TestElf, read_everything};

    const TEXT: u64 = 0xffff_ffff_8100_0000;

    fn kernel() -> TestElf {
        TestElf {
            kind: 2,
            machine: 62,
            parts: vec![
                Part::new(".text", 6, &[0x90; 64]).at(TEXT),
                Part::new(".data", 3, &[1; 64]).at(TEXT + 0x1000),
                Part { addr: TEXT + 0x2000, ..Part::nobits(".bss", 0x100) },
                Part::new(".data..percpu", 3, &[2; 16]).at(0),
                Part::new(".comment", 0, &[0; 8]),
            ],
            symbols: vec![("start_kernel", 0x12, 1, TEXT, 16), ("$x", 0, 1, TEXT, 0)],
        }
    }

    fn open(bytes: Vec<u8>) -> Result<Image, ErrorKind> {
        Image::from_bytes(Path::new("vmlinux"), bytes).map_err(|e| e.kind)
    }

    /// The file offset of a section's header.
    fn header_at(file: &[u8], number: usize) -> usize {
        u64::from_le_bytes(file[0x28..0x30].try_into().unwrap()) as usize + number * 64
    }

    fn set(file: &mut [u8], at: usize, value: u64) {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    #[test]
    fn a_kernels_sections_and_symbols_are_read() {
        let image = open(kernel().build()).unwrap();
        let names: Vec<_> = image.sections().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, [".data..percpu", ".text", ".data", ".bss"]);
        assert_eq!(image.u8(VirtAddr(TEXT + 0x1000)), Some(1));
        assert_eq!(image.u8(VirtAddr(TEXT + 0x2000)), None);
        assert_eq!(image.symbols().len(), 1);
    }

    #[test]
    fn a_section_past_the_end_is_named_with_both_lengths() {
        let mut file = kernel().build();
        let at = header_at(&file, 1);
        set(&mut file, at + 32, 1 << 40);
        let len = file.len() as u64;
        match open(file).err().unwrap() {
            ErrorKind::Truncated { what, needed, available } => {
                assert_eq!((what.as_str(), available), ("section .text", len));
                assert!(needed > 1 << 40);
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn sizes_that_overflow_are_truncation_too() {
        let mut file = kernel().build();
        let at = header_at(&file, 1);
        set(&mut file, at + 24, u64::MAX - 4);
        assert!(matches!(open(file), Err(ErrorKind::Truncated { needed: u64::MAX, .. })));
    }

    #[test]
    fn a_hidden_section_count_is_bounded_by_the_file() {
        let mut file = kernel().build();
        let (count, first) = (u16::from_le_bytes([file[0x3c], file[0x3d]]), header_at(&file, 0));
        file[0x3c..0x3e].fill(0);
        set(&mut file, first + 32, u64::MAX);
        let error = open(file.clone()).err().unwrap().to_string();
        assert!(error.contains("at most") && error.contains(&u64::MAX.to_string()), "{error}");
        set(&mut file, first + 32, count.into());
        assert_eq!(open(file).unwrap().sections().len(), 4);
    }

    #[test]
    fn headers_of_another_size_are_damage() {
        let mut file = kernel().build();
        file[0x3a] = 40;
        assert!(open(file).err().unwrap().to_string().contains("64 bytes"));
    }

    #[test]
    fn segments_stand_for_sections_where_there_are_none() {
        let mut file = kernel().build();
        let program_headers = file.len() as u64;
        let text_at = u64::from_le_bytes(file[header_at(&file, 1) + 24..][..8].try_into().unwrap());
        for (flags, offset, addr, size, memory) in [
            (4u32, 0, TEXT - 0x1000, 64u64, 64u64),
            (5, text_at, TEXT, 64, 64),
            (6, 0, TEXT + 0x1000, 16, 0x500),
        ] {
            file.extend_from_slice(&1u32.to_le_bytes());
            file.extend_from_slice(&flags.to_le_bytes());
            for value in [offset, addr, addr, size, memory, 0x1000] {
                file.extend_from_slice(&value.to_le_bytes());
            }
        }
        set(&mut file, 0x20, program_headers);
        set(&mut file, 0x28, 0);
        file[0x36..0x3a].copy_from_slice(&[56, 0, 3, 0]);
        file[0x3c..0x40].fill(0);
        let image = open(file.clone()).unwrap();
        let names: Vec<_> = image.sections().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["LOAD0", ".text", "LOAD2"]);
        assert_eq!(image.u8(VirtAddr(TEXT)), Some(0x90));
        assert!(image.is_executable(VirtAddr(TEXT)) && image.is_writable(VirtAddr(TEXT + 0x1400)));
        assert_eq!(image.bytes(VirtAddr(TEXT + 0x1010), 1), None);
        file.truncate(file.len() - 1);
        assert!(matches!(open(file), Err(ErrorKind::Truncated { .. })));
    }

    #[test]
    fn a_program_at_low_addresses_is_no_kernel() {
        let mut low = kernel();
        for part in &mut low.parts {
            part.addr &= 0xffff_ffff;
        }
        assert!(matches!(open(low.build()), Err(ErrorKind::NotAKernel { .. })));
    }

    #[test]
    fn many_symbols_of_one_long_name_stay_bounded() {
        // Each of 20,000 symbols names the same 1,000 bytes: 20 MB from a file of half a megabyte.
        let long: &'static str = "n".repeat(1000).leak();
        let mut file = kernel();
        file.symbols = vec![(long, 0x12, 1, TEXT, 1); 1];
        file.symbols.extend(vec![("", 0x12, 1, TEXT, 1); 20_000]);
        let mut bytes = file.build();
        let symtab = header_at(&bytes, 6);
        let at = u64::from_le_bytes(bytes[symtab + 24..][..8].try_into().unwrap()) as usize;
        for i in 1..=20_000 {
            bytes[at + i * 24..at + i * 24 + 4].copy_from_slice(&1u32.to_le_bytes());
        }
        let symbols = open(bytes).unwrap().symbols().len();
        assert!((1..200).contains(&symbols), "{symbols}");
    }

    #[test]
    fn names_outside_or_without_an_end_are_left_out() {
        let mut file = kernel();
        file.symbols = vec![("good", 0x12, 1, TEXT, 1), ("bad", 0x12, 1, TEXT + 1, 1)];
        let mut bytes = file.build();
        let symtab = header_at(&bytes, 6);
        let at = u64::from_le_bytes(bytes[symtab + 24..][..8].try_into().unwrap()) as usize;
        bytes[at + 48..at + 52].copy_from_slice(&u32::MAX.to_le_bytes());
        let image = open(bytes).unwrap();
        assert_eq!(image.symbols().iter().map(|s| s.name).collect::<Vec<_>>(), ["good"]);
    }

    #[test]
    fn damaged_kernels_neither_panic_nor_hang() {
        let file = kernel().build();
        let mut numbers = Numbers(77);
        for _ in 0..4000 {
            let mut damaged = file.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(damaged.len());
                damaged[at] = [0, 1, 0x7f, 0x80, 0xff, numbers.below(256) as u8][numbers.below(6)];
            }
            if let Ok(image) = open(damaged) {
                read_everything(&image);
            }
        }
    }
}
