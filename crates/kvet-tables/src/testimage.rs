//! Small images for unit tests: an ELF vmlinux with the sections and symbols that a test names.

use std::path::Path;

use kvet_image::{Arch, Image, SymbolKind, VirtAddr};

/// A section's rights, as `readelf -S` writes them.
pub(crate) const AX: u64 = 0x2 | 0x4;
/// Read-only data.
pub(crate) const A: u64 = 0x2;
/// Writable data.
pub(crate) const WA: u64 = 0x2 | 0x1;

struct TestSection {
    name: String,
    addr: u64,
    bytes: Vec<u8>,
    /// Longer than `bytes` for SHT_NOBITS, which then has none.
    size: u64,
    flags: u64,
}

struct TestSymbol {
    name: String,
    addr: u64,
    size: u64,
    kind: SymbolKind,
    global: bool,
}

/// Collects sections and symbols; [`TestImage::build`] writes the ELF file and opens it.
///
/// ```ignore
/// let mut t = TestImage::new(Arch::X86_64);
/// t.section(".text", 0x1000, AX, &[0x90; 16]).function("f", 0x1000, 16);
/// let image = t.build();
/// ```
pub(crate) struct TestImage {
    arch: Arch,
    sections: Vec<TestSection>,
    symbols: Vec<TestSymbol>,
}

impl TestImage {
    /// An empty image.
    pub(crate) fn new(arch: Arch) -> Self {
        TestImage { arch, sections: Vec::new(), symbols: Vec::new() }
    }

    /// Adds a section with bytes in the file.
    pub(crate) fn section(&mut self, name: &str, addr: u64, flags: u64, bytes: &[u8]) -> &mut Self {
        self.sections.push(TestSection {
            name: name.into(),
            addr,
            bytes: bytes.to_vec(),
            size: bytes.len() as u64,
            flags,
        });
        self
    }

    /// Adds a section without bytes, as `.bss`.
    #[allow(dead_code, reason = "not every table's tests need one")]
    pub(crate) fn nobits(&mut self, name: &str, addr: u64, size: u64) -> &mut Self {
        self.sections.push(TestSection { name: name.into(), addr, bytes: Vec::new(), size, flags: WA });
        self
    }

    /// The bytes of a section added before, to change them.
    #[allow(dead_code, reason = "not every table's tests need it")]
    pub(crate) fn bytes_mut(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.sections.iter_mut().find(|s| s.name == name).expect("a section of that name").bytes
    }

    /// Adds a symbol.
    pub(crate) fn symbol(&mut self, name: &str, addr: u64, size: u64, kind: SymbolKind) -> &mut Self {
        self.symbols.push(TestSymbol { name: name.into(), addr, size, kind, global: true });
        self
    }

    /// Adds a function.
    pub(crate) fn function(&mut self, name: &str, addr: u64, size: u64) -> &mut Self {
        self.symbol(name, addr, size, SymbolKind::Function)
    }

    /// Adds a data object.
    #[allow(dead_code, reason = "not every table's tests need one")]
    pub(crate) fn object(&mut self, name: &str, addr: u64, size: u64) -> &mut Self {
        self.symbol(name, addr, size, SymbolKind::Object)
    }

    /// Adds a label, such as a table's boundary.
    #[allow(dead_code, reason = "not every table's tests need one")]
    pub(crate) fn label(&mut self, name: &str, addr: u64) -> &mut Self {
        self.symbol(name, addr, 0, SymbolKind::Other)
    }

    /// Writes the file and opens it.
    pub(crate) fn build(&self) -> Image {
        Image::from_bytes(Path::new("test"), self.elf()).expect("the test's ELF opens")
    }

    /// The file: header, sections' bytes, symbols, strings, section headers.
    pub(crate) fn elf(&self) -> Vec<u8> {
        let mut out = vec![0; 64];
        let mut names = vec![0u8];
        let mut headers = vec![[0u8; 64]];
        for s in &self.sections {
            let kind = if s.bytes.len() as u64 == s.size { 1 } else { 8 };
            let offset = append(&mut out, &s.bytes);
            headers.push(section_header(
                push_name(&mut names, &s.name),
                kind,
                s.flags,
                s.addr,
                offset,
                s.size,
                [0; 2],
            ));
        }
        let (symtab, strtab) = self.symtab();
        let symbols_at = append(&mut out, &symtab);
        let strings_at = append(&mut out, &strtab);
        let strtab_index = headers.len() as u32 + 1;
        let (a, b, c) = (
            push_name(&mut names, ".symtab"),
            push_name(&mut names, ".strtab"),
            push_name(&mut names, ".shstrtab"),
        );
        headers.push(section_header(a, 2, 0, 0, symbols_at, symtab.len() as u64, [strtab_index, 1]));
        headers.push(section_header(b, 3, 0, 0, strings_at, strtab.len() as u64, [0; 2]));
        let names_at = append(&mut out, &names);
        headers.push(section_header(c, 3, 0, 0, names_at, names.len() as u64, [0; 2]));
        let table_at = append(&mut out, &headers.concat());
        self.header(&mut out, table_at, headers.len() as u16);
        out
    }

    fn symtab(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut table, mut strings) = (vec![0u8; 24], vec![0u8]);
        for s in &self.symbols {
            let kind = match s.kind {
                SymbolKind::Function => 2,
                SymbolKind::Object => 1,
                SymbolKind::Other => 0,
            };
            let section = self.sections.iter().position(|x| s.addr >= x.addr && s.addr < x.addr + x.size);
            // A label at a section's end, or one without a section, is absolute.
            let index = section.map_or(0xfff1, |i| i as u16 + 1);
            table.extend(push_name(&mut strings, &s.name).to_le_bytes());
            table.extend([u8::from(s.global) << 4 | kind, 0]);
            table.extend(index.to_le_bytes());
            table.extend(s.addr.to_le_bytes());
            table.extend(s.size.to_le_bytes());
        }
        (table, strings)
    }

    fn header(&self, out: &mut [u8], table_at: u64, count: u16) {
        let machine: u16 = match self.arch {
            Arch::X86_64 => 62,
            Arch::Arm64 => 183,
        };
        out[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        out[16..18].copy_from_slice(&2u16.to_le_bytes());
        out[18..20].copy_from_slice(&machine.to_le_bytes());
        out[20..24].copy_from_slice(&1u32.to_le_bytes());
        out[40..48].copy_from_slice(&table_at.to_le_bytes());
        out[52..54].copy_from_slice(&64u16.to_le_bytes());
        out[58..60].copy_from_slice(&64u16.to_le_bytes());
        out[60..62].copy_from_slice(&count.to_le_bytes());
        out[62..64].copy_from_slice(&(count - 1).to_le_bytes());
    }
}

fn append(out: &mut Vec<u8>, bytes: &[u8]) -> u64 {
    out.resize(out.len().next_multiple_of(16), 0);
    let at = out.len() as u64;
    out.extend_from_slice(bytes);
    at
}

fn push_name(names: &mut Vec<u8>, name: &str) -> u32 {
    let at = names.len() as u32;
    names.extend_from_slice(name.as_bytes());
    names.push(0);
    at
}

fn section_header(
    name: u32,
    kind: u32,
    flags: u64,
    addr: u64,
    offset: u64,
    size: u64,
    link: [u32; 2],
) -> [u8; 64] {
    let mut h = [0; 64];
    h[0..4].copy_from_slice(&name.to_le_bytes());
    h[4..8].copy_from_slice(&kind.to_le_bytes());
    h[8..16].copy_from_slice(&flags.to_le_bytes());
    h[16..24].copy_from_slice(&addr.to_le_bytes());
    h[24..32].copy_from_slice(&offset.to_le_bytes());
    h[32..40].copy_from_slice(&size.to_le_bytes());
    h[40..44].copy_from_slice(&link[0].to_le_bytes());
    h[44..48].copy_from_slice(&link[1].to_le_bytes());
    h[56..64].copy_from_slice(&(if kind == 2 { 24u64 } else { 0 }).to_le_bytes());
    h
}

/// The signed 32-bit distance that a PC-relative field at `field` holds for `target`.
#[allow(dead_code, reason = "not every table's tests need it")]
pub(crate) fn rel32(field: u64, target: u64) -> [u8; 4] {
    (target.wrapping_sub(field) as i64 as i32).to_le_bytes()
}

#[test]
fn builds_what_was_asked_for() {
    const BASE: u64 = 0xffff_8000_0800_0000;
    let mut t = TestImage::new(Arch::Arm64);
    t.section(".text", BASE, AX, &[1, 2, 3, 4]).nobits(".bss", BASE + 0x2000, 64).function("f", BASE, 4);
    t.label("end", BASE + 0x4);
    let image = t.build();
    assert_eq!(image.arch(), Arch::Arm64);
    assert_eq!(image.bytes(VirtAddr(BASE + 0x1), 2), Some(&[2, 3][..]));
    assert!(image.is_executable(VirtAddr(BASE + 0x3)) && image.is_writable(VirtAddr(BASE + 0x2020)));
    assert_eq!(image.symbol_addr("end"), Some(VirtAddr(BASE + 0x4)));
    assert_eq!(image.symbolize(VirtAddr(BASE + 0x2)).as_deref(), Some("f+0x2/0x4"));
}
