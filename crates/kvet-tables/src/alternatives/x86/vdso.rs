//! The vDSO's own alternatives.
//!
//! A kernel holds one ELF image for each kind of process (64-bit, x32, 32-bit). `init_vdso_image`
//! (arch/x86/entry/vdso/vma.c) hands `image->data + image->alt` and `image->alt_len` to `apply_alternatives`.
//! `struct vdso_image` begins alike in 5.10, 6.1, 6.12 and 7.3 (arch/x86/include/asm/vdso.h): `data`, `size`,
//! `alt`, `alt_len`, 8 bytes each. Its symbols are `vdso_image_64` and so on, `vdso64_image` in 7.x.

use kvet_finding::{Finding, Severity};
use kvet_image::{Image, Kind, VirtAddr};

use super::checker::{Checker, Scope};
use super::{Alternatives, REPLACEMENTS, Span};
use crate::disasm::x86::Mode;
use crate::{Bounds, Context, LocatedBy, TableReport};

const NAME: &str = "vdso-alternatives";

/// Names of `struct vdso_image`, up to 6.x and from 7.x.
const SYMBOLS: &[(&str, &str)] = &[
    ("64-bit", "vdso_image_64"),
    ("64-bit", "vdso64_image"),
    ("x32", "vdso_image_x32"),
    ("x32", "vdsox32_image"),
    ("32-bit", "vdso_image_32"),
    ("32-bit", "vdso32_image"),
];

/// `PAGE_SIZE`: vDSO images are aligned to it, to be mapped.
const PAGE: u64 = 4096;
/// No vDSO is nearly as large; a scan for one looks no further than this from its header.
const LARGEST: u64 = 1 << 20;

/// One vDSO image, and what its own headers say.
pub(super) struct Vdso {
    kind: &'static str,
    /// The whole image.
    pub(super) span: Span,
    /// Its `.text`.
    pub(super) text: Option<Span>,
    /// Its `.altinstr_replacement`.
    pub(super) replacements: Option<Span>,
    /// The mode of its code.
    pub(super) mode: Mode,
    table: Span,
    /// Its `.altinstructions`.
    section: Option<Span>,
    located_by: LocatedBy,
}

pub(super) fn check(context: &Context<'_>) -> Option<TableReport> {
    let image = context.image;
    if image.kind() == Kind::Module {
        return None;
    }
    let mut found = by_symbols(image);
    if found.is_empty() {
        found = by_scan(image);
    }
    let Some(first) = found.first() else {
        return Some(TableReport::absent(
            NAME,
            "no vdso_image symbol and no vDSO ELF image with .altinstructions was found",
        ));
    };
    let mut report = TableReport::new(NAME, Some(first.located_by.clone()));
    for vdso in &found {
        merge(&mut report, vdso.kind, check_one(context, vdso));
    }
    Some(report)
}

fn merge(into: &mut TableReport, kind: &str, one: TableReport) {
    into.entries += one.entries;
    into.layout = into.layout.take().or(one.layout);
    for phrase in one.proved {
        if !into.proved.contains(&phrase) {
            into.proved.push(phrase);
        }
    }
    into.skipped.extend(one.skipped.into_iter().map(|why| format!("{kind} vDSO: {why}")));
    into.findings.extend(one.findings.into_iter().map(|f| f.with("vDSO", kind)));
}

fn check_one<'a>(context: &'a Context<'a>, vdso: &Vdso) -> TableReport {
    let image = context.image;
    let bounds = Bounds { start: vdso.table.start, end: vdso.table.end, located_by: vdso.located_by.clone() };
    let plausible = |e: &super::Alternative| {
        vdso.span.holds(e.site, e.site_end()) && e.site_len > 0 && e.replacement_len <= e.site_len
    };
    if vdso.section.is_some_and(|s| s != vdso.table) || !vdso.span.holds(bounds.start, bounds.end) {
        return misplaced(vdso);
    }
    match Alternatives::read(image, bounds, plausible) {
        Some(table) => Checker::new(context, &table, Scope::vdso(image, vdso), NAME).report(),
        None => misplaced(vdso),
    }
}

/// `alt` and `alt_len` do not name the section that the vDSO itself has.
fn misplaced(vdso: &Vdso) -> TableReport {
    let mut report = TableReport::new(NAME, Some(vdso.located_by.clone()));
    let says = |s: Span| format!("{} to {}", s.start, s.end);
    let has = vdso.section.map_or("a place inside the vDSO".to_owned(), says);
    let message = format!(
        "struct vdso_image says that the {} vDSO's alternatives stand at {}, expected {has}",
        vdso.kind,
        says(vdso.table)
    );
    report.findings.push(Finding::new("vdso-alternatives/bounds", Severity::Error, message));
    report
}

fn by_symbols(image: &Image) -> Vec<Vdso> {
    let mut found = Vec::new();
    for &(kind, name) in SYMBOLS {
        let Some(at) = image.symbol_addr(name) else { continue };
        let word = |i: u64| at.checked_add(i * 8).and_then(|a| image.u64(a));
        let (Some(data), Some(size), Some(alt), Some(len)) = (word(0), word(1), word(2), word(3)) else {
            continue;
        };
        let start = data.wrapping_add(alt);
        let table = Span { start: VirtAddr(start), end: VirtAddr(start.wrapping_add(len)) };
        let span = Span { start: VirtAddr(data), end: VirtAddr(data.wrapping_add(size)) };
        let located_by = LocatedBy::Symbols(name.to_owned(), image.symbols().source());
        let sections = Sections::read(image, VirtAddr(data)).unwrap_or_default();
        // A vDSO without alternatives has neither an offset nor a section.
        if len == 0 && sections.alternatives.is_none() {
            continue;
        }
        found.push(sections.vdso(kind, span, Some(table), located_by));
    }
    found
}

/// Page-aligned ELF headers in read-only data whose sections hold alternatives.
fn by_scan(image: &Image) -> Vec<Vdso> {
    let mut found = Vec::new();
    for section in image.sections().iter().filter(|s| !s.access.execute && !s.file.is_empty()) {
        let first = section.addr.0.next_multiple_of(PAGE);
        for at in (first..section.end().0).step_by(PAGE as usize) {
            let at = VirtAddr(at);
            if image.bytes(at, 4) != Some(b"\x7fELF") {
                continue;
            }
            let Some(sections) = Sections::read(image, at).filter(|s| s.alternatives.is_some()) else {
                continue;
            };
            let kind = if sections.mode == Mode::Long { "64-bit or x32" } else { "32-bit" };
            let span = Span { start: at, end: VirtAddr(at.0.saturating_add(LARGEST).min(section.end().0)) };
            found.push(sections.vdso(kind, span, None, LocatedBy::Scan));
        }
    }
    found
}

/// The sections of a vDSO that matter here.
#[derive(Clone, Copy, Default)]
struct Sections {
    mode: Mode,
    alternatives: Option<Span>,
    replacements: Option<Span>,
    text: Option<Span>,
}

impl Sections {
    fn vdso(self, kind: &'static str, span: Span, table: Option<Span>, located_by: LocatedBy) -> Vdso {
        let none = Span { start: span.start, end: span.start };
        Vdso {
            kind,
            span,
            text: self.text,
            replacements: self.replacements,
            mode: self.mode,
            table: table.or(self.alternatives).unwrap_or(none),
            section: self.alternatives,
            located_by,
        }
    }

    /// Reads the section headers of an ELF image inside the kernel, of either class. The vDSO is linked at 0, so
    /// that offsets are addresses.
    fn read(image: &Image, base: VirtAddr) -> Option<Sections> {
        let elf = Elf { image, base, wide: image.u8(base.checked_add(4)?)? == 2 };
        // ET_DYN for EM_386 or EM_X86_64.
        let (kind, machine) = (elf.u16(16)?, elf.u16(18)?);
        if kind != 3 || !matches!(machine, 3 | 62) {
            return None;
        }
        let (headers, size, count, names) = match elf.wide {
            true => (elf.u64(40)?, elf.u16(58)?, elf.u16(60)?, elf.u16(62)?),
            false => (elf.u32(32)?.into(), elf.u16(46)?, elf.u16(48)?, elf.u16(50)?),
        };
        let header = |i: u16| headers.checked_add(u64::from(i) * u64::from(size));
        let names = elf.place(header(names)?)?.start;
        let mode = if machine == 3 { Mode::Compatibility } else { Mode::Long };
        let mut sections = Sections { mode, ..Sections::default() };
        for i in 1..count {
            let at = header(i)?;
            let name = names.checked_add(elf.u32(at)?.into())?;
            let slot = match image.cstr(name, 64)? {
                ".altinstructions" => &mut sections.alternatives,
                REPLACEMENTS => &mut sections.replacements,
                ".text" => &mut sections.text,
                _ => continue,
            };
            *slot = elf.place(at);
        }
        Some(sections)
    }
}

/// Fields of an ELF image by their offset in it.
struct Elf<'a> {
    image: &'a Image,
    base: VirtAddr,
    /// ELFCLASS64.
    wide: bool,
}

impl Elf<'_> {
    fn u16(&self, offset: u64) -> Option<u16> {
        self.image.u16(self.base.checked_add(offset)?)
    }

    fn u32(&self, offset: u64) -> Option<u32> {
        self.image.u32(self.base.checked_add(offset)?)
    }

    fn u64(&self, offset: u64) -> Option<u64> {
        self.image.u64(self.base.checked_add(offset)?)
    }

    /// The bytes of the section whose header stands at `header`.
    fn place(&self, header: u64) -> Option<Span> {
        let (offset, size) = match self.wide {
            true => (self.u64(header.checked_add(24)?)?, self.u64(header.checked_add(32)?)?),
            false => (self.u32(header.checked_add(16)?)?.into(), self.u32(header.checked_add(20)?)?.into()),
        };
        let start = self.base.checked_add(offset)?;
        Some(Span { start, end: start.checked_add(size)? })
    }
}
