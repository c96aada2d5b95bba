//! The vDSO's own alternatives: an ELF image in the kernel's read-only data.
//!
//! `apply_alternatives_vdso()` (since 5.19, commit 4e3bca8f7cdd; arch/arm64/kernel/alternative.c) looks for the
//! section `.altinstructions` by name in the ELF at `vdso_start` and applies it as the kernel's own, for all
//! capabilities in one pass. The 32-bit vDSO has none.

use kvet_image::{Image, VirtAddr};

use super::Arm64Alternatives;
use super::check;
use super::text::Text;
use crate::{Context, LocatedBy, TableReport};
use object::LittleEndian;
use object::elf::{FileHeader64, PF_X, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

const NAME: &str = "vdso-alternatives";

/// Checks the vDSO's table.
pub(super) fn table(context: &Context<'_>) -> TableReport {
    let image = context.image;
    let Some((start, blob, how)) = find(image) else {
        return TableReport::absent(NAME, "no vDSO was found in the image");
    };
    let Some((offset, size, code)) = parse(start, blob) else {
        return TableReport::absent(NAME, "the vDSO has no section .altinstructions");
    };
    let text = Text::new(code);
    let at = VirtAddr(start.0.wrapping_add(offset as u64));
    let bytes = blob.get(offset..offset.saturating_add(size)).unwrap_or(&[]);
    let mut table = Arm64Alternatives::parse(at, bytes, Default::default());
    // A vDSO cannot call the kernel, so it has no callbacks to tell the marker by.
    table.marker = context.arm64_alternatives().marker;
    let mut report = TableReport::new(NAME, Some(how));
    check::run(context, &table, Some(context), &text, &mut report);
    for finding in &mut report.findings {
        finding.table = NAME;
    }
    report
}

/// The vDSO by its boundary symbols, else by its ELF header on a page boundary.
fn find(image: &Image) -> Option<(VirtAddr, &[u8], LocatedBy)> {
    if let (Some(start), Some(end)) = (image.symbol_addr("vdso_start"), image.symbol_addr("vdso_end")) {
        let blob = image.bytes(start, usize::try_from(end.0.checked_sub(start.0)?).ok()?)?;
        return Some((start, blob, LocatedBy::Symbols("vdso_start".into(), image.symbols().source())));
    }
    image.sections().iter().find_map(|section| {
        let bytes = image.section_bytes(section);
        let skew = (section.addr.0.wrapping_neg() % PAGE) as usize;
        (skew..bytes.len()).step_by(PAGE as usize).find_map(|at| {
            let blob = bytes.get(at..)?;
            // e_machine EM_AARCH64, e_type ET_DYN.
            let is_vdso = blob.starts_with(b"\x7fELF\x02\x01")
                && blob.get(16..20) == Some(&[3, 0, 183, 0])
                && memchr::memmem::find(blob.get(..64 << 10).unwrap_or(blob), b"linux-vdso.so").is_some();
            is_vdso.then(|| (VirtAddr(section.addr.0 + at as u64), blob, LocatedBy::Scan))
        })
    })
}

/// The kernel's smallest page; the vDSO is page-aligned (arch/arm64/kernel/vdso-wrap.S).
const PAGE: u64 = 4096;

type Code<'a> = Vec<(VirtAddr, &'a [u8])>;

/// Place and size of `.altinstructions` in the file, and the executable parts with their addresses.
fn parse(start: VirtAddr, blob: &[u8]) -> Option<(usize, usize, Code<'_>)> {
    let endian = LittleEndian;
    let header = FileHeader64::<LittleEndian>::parse(blob).ok()?;
    let sections = header.sections(endian, blob).ok()?;
    let (_, section) = sections.section_by_name(endian, b".altinstructions")?;
    let (offset, size) = section.file_range(endian)?;
    let code = header
        .program_headers(endian, blob)
        .ok()?
        .iter()
        .filter(|p| p.p_type(endian) == PT_LOAD && p.p_flags(endian) & PF_X != 0)
        .filter_map(|p| {
            let bytes = p.data(endian, blob).ok()?;
            Some((VirtAddr(start.0.wrapping_add(p.p_offset(endian))), bytes))
        })
        .collect();
    Some((usize::try_from(offset).ok()?, usize::try_from(size).ok()?, code))
}
