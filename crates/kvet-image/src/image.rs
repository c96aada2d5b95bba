//! [`Image`]: one kernel or module, whatever file it came in.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::section::Section;
use crate::symbol::{Symbol, SymbolTable};
use crate::{BaseEvidence, Error, Kallsyms, KallsymsAbsent, VirtAddr, backing::Backing};

/// The processor architecture of an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Arch {
    /// x86-64, little endian.
    X86_64,
    /// AArch64, little endian.
    Arm64,
}

impl Arch {
    /// The name in output: `x86_64` or `arm64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
        }
    }
}

/// The form in which a kernel came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// An ELF vmlinux, with or without symbols.
    Vmlinux,
    /// An x86 boot image (`vmlinuz`, `bzImage`); the image is the ELF that it decompresses to.
    BzImage,
    /// A flat arm64 boot image (`Image`, `vmlinuz`), perhaps compressed as a whole (`Image.gz`).
    Arm64Image,
    /// An EFI zboot image (`vmlinuz.efi`); the image is the one that it decompresses to.
    Zboot,
    /// A module, `.ko`, perhaps compressed.
    Module,
}

impl Kind {
    /// The name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Vmlinux => "vmlinux",
            Kind::BzImage => "bzImage",
            Kind::Arm64Image => "arm64 Image",
            Kind::Zboot => "EFI zboot",
            Kind::Module => "module",
        }
    }
}

/// A kernel or module, opened: sections, symbols and bytes by virtual address, relocations applied.
///
/// ```no_run
/// let image = kvet_image::Image::open(std::path::Path::new("vmlinux"))?;
/// println!("{} {}", image.arch().as_str(), image.release().unwrap_or("?"));
/// if let Some(symbol) = image.symbols().by_name("start_kernel") {
///     println!("{} {:02x?}", symbol.addr, image.bytes(symbol.addr, 16));
/// }
/// # Ok::<(), kvet_image::Error>(())
/// ```
///
/// It decides nothing about a kernel's tables: those are `kvet-tables`'.
pub struct Image {
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) arch: Arch,
    pub(crate) backing: Backing,
    /// Sorted by address; zero-sized ones left out.
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: OnceLock<SymbolTable>,
    pub(crate) symtab: Option<crate::elf::SymtabPlace>,
    /// A module's undefined symbols: where each was placed, sorted by address.
    pub(crate) externs: Vec<(VirtAddr, String)>,
    pub(crate) facts: OnceLock<crate::facts::Facts>,
    /// What the kernel's module loader would refuse.
    pub(crate) load_faults: Vec<crate::module::LoadFault>,
    pub(crate) relocation_count: u64,
    pub(crate) debug: Option<Box<crate::debug::DebugFile>>,
    pub(crate) memo: crate::memo::Memo,
    /// The DWARF of this file, located at the first call for a source line.
    pub(crate) lines: OnceLock<Option<Box<crate::lines::DebugInfo>>>,
    /// For a flat image: how its link address was found.
    pub(crate) base_evidence: Option<BaseEvidence>,
    pub(crate) kallsyms: OnceLock<Result<crate::kallsyms::Tables, KallsymsAbsent>>,
}

impl Image {
    /// An image of these sections, sorted by address, with nothing else known yet.
    pub(crate) fn assemble(
        path: &Path,
        kind: Kind,
        arch: Arch,
        sections: Vec<Section>,
        backing: Backing,
    ) -> Image {
        Image {
            path: path.into(),
            kind,
            arch,
            backing,
            sections,
            symbols: OnceLock::new(),
            symtab: None,
            externs: Vec::new(),
            facts: OnceLock::new(),
            load_faults: Vec::new(),
            relocation_count: 0,
            debug: None,
            memo: crate::memo::Memo::default(),
            lines: OnceLock::new(),
            base_evidence: None,
            kallsyms: OnceLock::new(),
        }
    }

    /// Opens any file that [`Kind`] lists.
    ///
    /// # Errors
    /// The file cannot be read, is none of those, is for another architecture, or is damaged.
    pub fn open(path: &Path) -> Result<Image, Error> {
        crate::open::open(path)
    }

    /// Opens an image that is in memory already; `path` only names it in errors.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Image, Error> {
        crate::open::from_backing(path, Backing::Owned(bytes))
    }

    /// Opens an image together with its separate debug file: the vmlinux or `.ko` with symbols and DWARF of
    /// the same build.
    ///
    /// # Errors
    /// As [`Image::open`] for either file, and as [`Image::attach_debug`].
    pub fn open_with_debug(path: &Path, debug_path: &Path) -> Result<Image, Error> {
        let mut image = Image::open(path)?;
        image.attach_debug(Image::open(debug_path)?)?;
        Ok(image)
    }

    /// Gives the image its separate debug file. Its symbols are then used where this file has none of its
    /// own, and its DWARF for [`Image::source_line`].
    ///
    /// # Errors
    /// [`ErrorKind::BuildIdMismatch`](crate::ErrorKind::BuildIdMismatch) unless both have the same build id,
    /// [`ErrorKind::Architecture`](crate::ErrorKind::Architecture) or
    /// [`ErrorKind::Damaged`](crate::ErrorKind::Damaged) when they cannot be of one build all the same. The
    /// error names the debug file.
    pub fn attach_debug(&mut self, debug: Image) -> Result<(), Error> {
        crate::debug::attach(self, debug)
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The form it came in.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        self.arch
    }

    /// The file's own bytes after decompression, with relocations applied.
    pub fn raw(&self) -> &[u8] {
        self.backing.bytes()
    }

    /// The separate debug file, if one was given.
    pub fn debug(&self) -> Option<&Image> {
        self.debug.as_deref().map(crate::debug::DebugFile::image)
    }

    /// For a flat arm64 image, whose file does not state its link address: what it was read from.
    pub fn base_evidence(&self) -> Option<BaseEvidence> {
        self.base_evidence
    }

    /// All allocated sections, by address.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The first section of a name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// The section that holds an address.
    pub fn section_at(&self, addr: VirtAddr) -> Option<&Section> {
        let after = self.sections.partition_point(|s| s.addr <= addr);
        // Sections may overlap in a hostile file only; the nearest start wins.
        self.sections[..after].iter().rev().take(4).find(|s| s.contains(addr))
    }

    /// A section's bytes in the file; empty for `.bss`.
    pub fn section_bytes(&self, section: &Section) -> &[u8] {
        self.raw().get(section.file.clone()).unwrap_or(&[])
    }

    /// Where an address's byte stands in [`Image::raw`], with how many bytes of its section follow from there.
    pub fn file_range(&self, addr: VirtAddr) -> Option<Range<usize>> {
        let section = self.section_at(addr)?;
        let into = usize::try_from(addr.0 - section.addr.0).ok()?;
        let start = section.file.start.checked_add(into)?;
        (start < section.file.end).then_some(start..section.file.end)
    }

    /// `len` bytes at an address, all within one section that has bytes in the file.
    pub fn bytes(&self, addr: VirtAddr, len: usize) -> Option<&[u8]> {
        let range = self.file_range(addr)?;
        let end = range.start.checked_add(len)?;
        if end > range.end {
            return None;
        }
        self.raw().get(range.start..end)
    }

    /// The bytes from an address to the end of its section, at most `max`.
    pub fn bytes_up_to(&self, addr: VirtAddr, max: usize) -> &[u8] {
        let Some(range) = self.file_range(addr) else { return &[] };
        let end = range.end.min(range.start.saturating_add(max));
        self.raw().get(range.start..end).unwrap_or(&[])
    }

    fn array<const N: usize>(&self, addr: VirtAddr) -> Option<[u8; N]> {
        self.bytes(addr, N)?.try_into().ok()
    }

    /// One byte.
    pub fn u8(&self, addr: VirtAddr) -> Option<u8> {
        self.array::<1>(addr).map(|b| b[0])
    }

    /// A little-endian 16-bit value.
    pub fn u16(&self, addr: VirtAddr) -> Option<u16> {
        self.array(addr).map(u16::from_le_bytes)
    }

    /// A little-endian 32-bit value.
    pub fn u32(&self, addr: VirtAddr) -> Option<u32> {
        self.array(addr).map(u32::from_le_bytes)
    }

    /// A signed little-endian 32-bit value.
    pub fn i32(&self, addr: VirtAddr) -> Option<i32> {
        self.array(addr).map(i32::from_le_bytes)
    }

    /// A little-endian 64-bit value; a pointer after relocation.
    pub fn u64(&self, addr: VirtAddr) -> Option<u64> {
        self.array(addr).map(u64::from_le_bytes)
    }

    /// What a PC-relative signed 32-bit field at `field` points to.
    pub fn rel32(&self, field: VirtAddr) -> Option<VirtAddr> {
        self.i32(field).map(|d| field.wrapping_offset(i64::from(d)))
    }

    /// The NUL-terminated string at an address, without the NUL; `None` when it is longer than `max` or not
    /// UTF-8.
    pub fn cstr(&self, addr: VirtAddr, max: usize) -> Option<&str> {
        let bytes = self.bytes_up_to(addr, max.saturating_add(1));
        let end = memchr::memchr(0, bytes)?;
        std::str::from_utf8(&bytes[..end]).ok()
    }

    /// Whether instructions may be executed at an address.
    pub fn is_executable(&self, addr: VirtAddr) -> bool {
        self.section_at(addr).is_some_and(|s| s.access.execute)
    }

    /// Whether the address lies in memory that the link leaves writable (data, bss, and what becomes
    /// read-only only after init).
    pub fn is_writable(&self, addr: VirtAddr) -> bool {
        self.section_at(addr).is_some_and(|s| s.access.write)
    }

    /// The symbols: ELF's, else the debug file's, else the embedded kallsyms'. Read at the first call.
    pub fn symbols(&self) -> &SymbolTable {
        self.symbols.get_or_init(|| crate::open::read_symbols(self))
    }

    /// The kernel's own symbol tables, wherever [`Image::symbols`] come from. Found at the first call.
    ///
    /// # Errors
    /// A kernel without them, a module, or tables too damaged to be found.
    pub fn kallsyms(&self) -> Result<Kallsyms<'_>, &KallsymsAbsent> {
        let tables = self.kallsyms.get_or_init(|| match self.kind {
            Kind::Module => Err(KallsymsAbsent::NoTokenTable),
            _ => crate::kallsyms::locate(self),
        });
        tables.as_ref().map(|tables| Kallsyms::new(tables, self.raw()))
    }

    /// The address of a symbol.
    pub fn symbol_addr(&self, name: &str) -> Option<VirtAddr> {
        self.symbols().by_name(name).map(|s| s.addr)
    }

    /// The function or object that holds an address, with the offset into it: the last symbol at or before
    /// the address in the same section, a named function before a label of the same place.
    pub fn symbol_at(&self, addr: VirtAddr) -> Option<(Symbol<'_>, u64)> {
        crate::symbolize::symbol_at(self, addr)
    }

    /// An address as the running kernel's `%pS` prints it, `name+0x1c/0x60`: by the embedded kallsyms, with the
    /// first of several names of one address and the distance to the next address as its size. A module's has
    /// ` [module]` after it. `None` where the kernel prints a bare number (`0x%lx`), as for data without
    /// CONFIG_KALLSYMS_ALL; [`Image::symbol_at`] may still know a name.
    pub fn symbolize(&self, addr: VirtAddr) -> Option<String> {
        crate::symbolize::symbolize(self, addr)
    }

    /// The source line of an instruction, with the calls that were inlined there, when this file or its
    /// debug file has DWARF. DWARF is located at the first call, so an image that is never asked pays nothing.
    pub fn source_line(&self, addr: VirtAddr) -> Option<crate::SourceLine> {
        crate::lines::source_line(self, addr)
    }

    /// Whether this file or its debug file has line information.
    pub fn has_lines(&self) -> bool {
        crate::lines::has_lines(self)
    }

    /// The variables that are in registers when an instruction is about to run, of the innermost function first, when
    /// this file or its debug file has DWARF.
    pub fn variables_at(&self, addr: VirtAddr) -> Vec<crate::Variable> {
        crate::lines::variables(self, addr)
    }

    /// A module's undefined symbol that stands for exactly this address.
    ///
    /// Each gets a slot of its own close behind the module, so that every relocation has a value; the slots
    /// are in no section, hence neither executable nor writable, for the module cannot tell.
    pub fn extern_at(&self, addr: VirtAddr) -> Option<&str> {
        self.extern_around(addr).and_then(|(name, offset)| (offset == 0).then_some(name))
    }

    /// A module's undefined symbol whose slot holds an address, and the offset into it.
    pub fn extern_around(&self, addr: VirtAddr) -> Option<(&str, u64)> {
        crate::module::extern_around(&self.externs, addr)
    }

    /// A module's undefined symbols, each with the address that stands for it, by address.
    pub fn externs(&self) -> &[(VirtAddr, String)] {
        &self.externs
    }

    /// What the kernel's module loader would refuse in a module, in file order; it stops at the first, and
    /// at most 256 are kept.
    pub fn load_faults(&self) -> &[crate::module::LoadFault] {
        &self.load_faults
    }

    /// How many relocations were applied to the sections that a module's loader keeps; 0 for a kernel.
    pub fn relocation_count(&self) -> u64 {
        self.relocation_count
    }

    /// The `Linux version ...` line that the kernel prints first.
    pub fn banner(&self) -> Option<&str> {
        self.facts().banner.as_deref()
    }

    /// What is worked out of the image once and shared: the value of a type, made at the first call. A kernel
    /// that thousands of modules are checked against keeps its BTF's index here.
    pub fn shared<T: std::any::Any + Send + Sync>(
        &self,
        make: impl FnOnce(&Image) -> T,
    ) -> std::sync::Arc<T> {
        self.memo.get(|| make(self))
    }

    /// The kernel release, `6.1.0-56-cloud-amd64`; for a module, the one in its vermagic.
    pub fn release(&self) -> Option<&str> {
        self.facts().release.as_deref()
    }

    /// The GNU build id.
    pub fn build_id(&self) -> Option<&[u8]> {
        self.facts().build_id.as_deref()
    }

    /// The embedded configuration (CONFIG_IKCONFIG), decompressed.
    pub fn config(&self) -> Option<&str> {
        self.facts().config(self)
    }

    /// A module's name, as `/proc/modules` has it.
    pub fn module_name(&self) -> Option<&str> {
        self.facts().module_name.as_deref()
    }

    fn facts(&self) -> &crate::facts::Facts {
        self.facts.get_or_init(|| crate::facts::read(self))
    }
}
