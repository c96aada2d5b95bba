//! Modules: relocatable files, laid out and relocated as the kernel's module loader does it.
//!
//! Followed: kernel/module/main.c (6.1, 7.3) for the layout and the symbols, arch/{x86,arm64}/kernel/module.c
//! for the relocations. A loader has a running kernel at hand and this has not, so undefined symbols get slots
//! of their own close behind the module: what refers to them can be read, and says which symbol it means.

mod arm64;
mod layout;
mod relocation;
mod x86;

use std::ops::Range;
use std::path::Path;

use object::elf;
use object::read::elf::{SectionHeader, Sym};
use object::{Endianness, pod};

pub use relocation::{RelocationFault, RelocationTrouble};

use crate::backing::Backing;
use crate::elf::{Elf, SymtabPlace, damaged};
use crate::facts::Facts;
use crate::section::Section;
use crate::{Arch, ErrorKind, Image, Kind, VirtAddr};

const LITTLE: Endianness = Endianness::Little;

/// How many faults an image keeps: the kernel stops at the first.
const FAULTS_MAX: usize = 256;

/// All slots of undefined symbols together stay within this, so that branches of arm64 (128 MiB) reach them.
const EXTERN_AREA: u64 = 32 << 20;

/// Something for which the kernel's module loader refuses a module.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LoadFault {
    /// A relocation that cannot be applied (`apply_relocate_add`).
    Relocation(RelocationFault),
    /// Relocations without addends, SHT_REL, which neither architecture has; the section that they are for.
    RelWithoutAddend {
        /// The relocated section's name.
        section: String,
    },
    /// A common symbol: the kernel is compiled with -fno-common (`simplify_symbols`).
    CommonSymbol {
        /// Its name.
        name: String,
    },
    /// A symbol that names a section which the file does not have (`simplify_symbols`).
    SymbolSection {
        /// Its name.
        name: String,
        /// The section number.
        section: u32,
        /// The largest number that there is.
        largest: u32,
    },
}

/// One SHT_RELA section to apply.
struct Table {
    /// Its number among the section headers.
    number: u32,
    entries: Range<usize>,
    target: Target,
}

/// The loaded section that relocations change.
struct Target {
    name: String,
    file: Range<usize>,
    addr: u64,
}

/// What is to be done to a module's bytes, read from its headers before any byte changes.
pub(crate) struct Plan {
    arch: Arch,
    sections: Vec<Section>,
    symtab: Option<SymtabPlace>,
    tables: Vec<Table>,
    symbols: Symbols,
    faults: Vec<LoadFault>,
}

/// The values of all symbols, by number, and the slots of the undefined ones.
#[derive(Default)]
struct Symbols {
    values: Vec<u64>,
    externs: Vec<(VirtAddr, String)>,
}

impl Plan {
    /// Lays the sections out and resolves the symbols.
    ///
    /// # Errors
    /// Sections or tables that lie outside the file, sizes and alignments that no loader could satisfy.
    pub(crate) fn new(elf: &Elf<'_>) -> Result<Plan, ErrorKind> {
        let layout = layout::lay_out(elf)?;
        let mut faults = Vec::new();
        let mut symtab = elf.symtab()?;
        let mut symbols = Symbols::default();
        if let Some(place) = &symtab {
            symbols = resolve(elf, place, &layout, &mut faults);
        }
        let tables = relocation_tables(elf, &layout.bases, &mut faults)?;
        if let Some(place) = &mut symtab {
            place.bases = Some(layout.bases);
        }
        Ok(Plan { arch: elf.arch, sections: layout.sections, symtab, tables, symbols, faults })
    }

    /// Applies the relocations to the file's bytes and makes the image.
    pub(crate) fn load(mut self, path: &Path, mut backing: Backing) -> Image {
        let bytes = backing.bytes_mut();
        for table in &self.tables {
            apply(bytes, self.arch, table, &self.symbols.values, &mut self.faults);
        }
        let mut image = Image::assemble(path, Kind::Module, self.arch, self.sections, backing);
        image.symtab = self.symtab;
        image.externs = self.symbols.externs;
        let each = size_of::<elf::Rela64<Endianness>>();
        image.relocation_count = self.tables.iter().map(|table| (table.entries.len() / each) as u64).sum();
        image.load_faults = self.faults;
        image
    }
}

fn note(faults: &mut Vec<LoadFault>, fault: LoadFault) {
    if faults.len() < FAULTS_MAX {
        faults.push(fault);
    }
}

/// Gives every symbol its value (`simplify_symbols`). A symbol of a section that is not loaded keeps its
/// offset: DWARF's own relocations want that.
fn resolve(
    elf: &Elf<'_>,
    place: &SymtabPlace,
    layout: &layout::Layout,
    faults: &mut Vec<LoadFault>,
) -> Symbols {
    let table = crate::elf::symbols(elf.data, place);
    let strings = elf.data.get(place.strings.clone()).unwrap_or(&[]);
    let name_of = |symbol| crate::elf::symbol_name(strings, symbol).unwrap_or("");
    let undefined =
        |symbol: &&elf::Sym64<Endianness>| matches!(symbol.st_shndx(LITTLE), elf::SHN_UNDEF | SHN_LIVEPATCH);
    let mut slots = Slots::new(layout.end, table.iter().skip(1).filter(undefined).count() as u64);
    let mut symbols = Symbols { values: Vec::with_capacity(table.len()), externs: Vec::new() };
    // The same bound as for reading the symbols: what the file has of names, not what it claims.
    let mut room = strings.len().saturating_mul(4);
    for (i, symbol) in table.iter().enumerate() {
        let value = symbol.st_value(LITTLE);
        let resolved = match symbol.st_shndx(LITTLE) {
            elf::SHN_UNDEF if i == 0 => 0,
            elf::SHN_UNDEF | SHN_LIVEPATCH => {
                let addr = slots.next();
                let name = name_of(symbol);
                if let Some(left) = room.checked_sub(name.len()).filter(|_| !name.is_empty()) {
                    room = left;
                    symbols.externs.push((VirtAddr(addr), name.to_owned()));
                }
                addr
            }
            elf::SHN_ABS => value,
            elf::SHN_COMMON => {
                let name = name_of(symbol);
                // LTO's own marker is the one that the loader lets pass.
                if !name.starts_with("__gnu_lto") {
                    note(faults, LoadFault::CommonSymbol { name: name.to_owned() });
                }
                0
            }
            section => match layout.bases.get(usize::from(section)) {
                Some(base) => value.wrapping_add(base.unwrap_or(0)),
                None => {
                    let largest = elf.section_count().saturating_sub(1) as u32;
                    let name = name_of(symbol).to_owned();
                    note(faults, LoadFault::SymbolSection { name, section: section.into(), largest });
                    0
                }
            },
        };
        symbols.values.push(resolved);
    }
    symbols
}

/// A symbol that the livepatch core resolves when the patched object comes (include/linux/livepatch.h).
const SHN_LIVEPATCH: u16 = 0xff20;

/// Hands out the addresses of undefined symbols, a page each where that many pages fit: references into an
/// object (`pv_ops + 0x110`) then stay in the slot of their symbol.
struct Slots {
    next: u64,
    each: u64,
}

const SLOT_MAX: u64 = 4096;

impl Slots {
    fn new(end: u64, count: u64) -> Slots {
        let each = (EXTERN_AREA / count.max(1)).clamp(16, SLOT_MAX) & !15;
        Slots { next: end, each }
    }

    fn next(&mut self) -> u64 {
        let addr = self.next;
        self.next = addr.wrapping_add(self.each);
        addr
    }
}

/// The extern whose slot holds an address, and the offset into the slot.
pub(crate) fn extern_around(externs: &[(VirtAddr, String)], addr: VirtAddr) -> Option<(&str, u64)> {
    let after = externs.partition_point(|(a, _)| *a <= addr);
    let (at, name) = externs.get(after.checked_sub(1)?)?;
    let offset = addr.0.checked_sub(at.0)?;
    (offset < SLOT_MAX).then_some((name.as_str(), offset))
}

/// The relocation sections that change loaded sections (`apply_relocations`).
///
/// Up to 6.1 the loader leaves out those of `.data..percpu`, whose SHF_ALLOC it has cleared by then; 7.3
/// applies them. They are applied here, for that is what the file means.
fn relocation_tables(
    elf: &Elf<'_>,
    bases: &[Option<u64>],
    faults: &mut Vec<LoadFault>,
) -> Result<Vec<Table>, ErrorKind> {
    let mut tables = Vec::new();
    let mut total = 0usize;
    let headers: Vec<_> = elf.sections().collect();
    for (number, section) in headers.iter().enumerate() {
        let kind = section.sh_type(LITTLE);
        if !matches!(kind, elf::SHT_RELA | elf::SHT_REL) {
            continue;
        }
        let info = section.sh_info(LITTLE) as usize;
        let (Some(target), Some(Some(addr))) = (headers.get(info), bases.get(info)) else { continue };
        if kind == elf::SHT_REL {
            note(faults, LoadFault::RelWithoutAddend { section: elf.name(target) });
            continue;
        }
        let entries = elf.file_range(section)?;
        total = total.saturating_add(entries.len());
        // Each entry is one's own in every real file. A thousand headers for one table would cost its square.
        if total > elf.data.len() {
            let expected = "relocation sections that do not overlap";
            return Err(damaged("relocations", expected, &format!("{total} bytes of them")));
        }
        tables.push(Table {
            number: number as u32,
            entries,
            target: Target { name: elf.name(target), file: elf.file_range(target)?, addr: *addr },
        });
    }
    Ok(tables)
}

/// Applies one table to the file's bytes.
fn apply(bytes: &mut [u8], arch: Arch, table: &Table, symbols: &[u64], faults: &mut Vec<LoadFault>) {
    let size = size_of::<elf::Rela64<Endianness>>();
    for index in 0..table.entries.len() / size {
        let at = table.entries.start + index * size;
        let Some(Ok((rela, _))) = bytes.get(at..).map(pod::from_bytes::<elf::Rela64<Endianness>>) else {
            return;
        };
        let entry = relocation::Entry {
            offset: rela.r_offset.get(LITTLE),
            kind: rela.r_type(LITTLE, false),
            symbol: rela.r_sym(LITTLE, false),
            addend: rela.r_addend.get(LITTLE),
        };
        let field = bytes.get_mut(table.target.file.clone()).unwrap_or(&mut []);
        if let Err((value, trouble)) = entry.apply(field, arch, table.target.addr, symbols) {
            note(
                faults,
                LoadFault::Relocation(RelocationFault {
                    trouble,
                    section: table.target.name.clone(),
                    table: table.number,
                    index: index as u64,
                    kind: entry.kind,
                    addr: VirtAddr(table.target.addr.wrapping_add(entry.offset)),
                    value,
                }),
            );
        }
    }
}

/// Applies the relocations of a section that is not loaded (DWARF) to a copy of its bytes.
pub(crate) fn relocate_copy(
    arch: Arch,
    bytes: &mut [u8],
    relocations: &[elf::Rela64<Endianness>],
    symbols: &[u64],
) {
    for rela in relocations {
        let entry = relocation::Entry {
            offset: rela.r_offset.get(LITTLE),
            kind: rela.r_type(LITTLE, false),
            symbol: rela.r_sym(LITTLE, false),
            addend: rela.r_addend.get(LITTLE),
        };
        // One that cannot be applied leaves its field as it is: no line is found through it.
        let _ = entry.apply(bytes, arch, 0, symbols);
    }
}

/// The values of all symbols of a module again, for its DWARF.
pub(crate) fn symbol_values(elf: &Elf<'_>) -> Option<Vec<u64>> {
    let place = elf.symtab().ok()??;
    let layout = layout::lay_out(elf).ok()?;
    Some(resolve(elf, &place, &layout, &mut Vec::new()).values)
}

/// What a module says about itself: its name, the release it is for, its build id.
pub(crate) fn facts(image: &Image) -> Facts {
    let vermagic = modinfo(image, "vermagic");
    Facts {
        release: vermagic.and_then(|v| v.split(' ').next()).map(str::to_owned),
        build_id: crate::facts::build_id(image),
        module_name: this_module_name(image).or_else(|| modinfo(image, "name")).map(str::to_owned),
        ..Facts::default()
    }
}

/// The name in `struct module`, which is the one that the kernel prints. It follows the state and the list
/// links, at 24 bytes on 64-bit machines (include/linux/module.h, 5.10 to 7.3), and has 56 bytes of room.
fn this_module_name(image: &Image) -> Option<&str> {
    let section = image.section(".gnu.linkonce.this_module")?;
    let name = image.section_bytes(section).get(24..24 + 56)?;
    let name = std::str::from_utf8(&name[..memchr::memchr(0, name)?]).ok()?;
    (!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())).then_some(name)
}

/// The value of a `key=value` string in `.modinfo`.
fn modinfo<'a>(image: &'a Image, key: &str) -> Option<&'a str> {
    let bytes = image.section_bytes(image.section(".modinfo")?);
    let line =
        bytes.split(|b| *b == 0).find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(line).ok()
}

#[cfg(test)]
mod tests;
