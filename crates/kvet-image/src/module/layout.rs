//! Where a module's sections go (kernel/module/main.c, `layout_sections`; the same order in 6.1 and 7.3).

use object::Endianness;
use object::elf::{self, SectionHeader64};
use object::read::elf::SectionHeader;

use crate::elf::{Elf, access, damaged, is_loaded};
use crate::section::Section;
use crate::{Arch, ErrorKind, VirtAddr};

const LITTLE: Endianness = Endianness::Little;

/// The loader rounds each group up to a page, so that it can protect them apart.
const PAGE: u64 = 4096;

/// No section of a module wants more: the largest are huge pages.
const ALIGN_MAX: u64 = 2 << 20;

/// The module area is smaller than this on both architectures.
const SIZE_MAX: u64 = 512 << 20;

/// A module's sections with their addresses.
pub(super) struct Layout {
    /// The loaded sections that are not empty, by address.
    pub(super) sections: Vec<Section>,
    /// The address of each section, by its number in the file; `None` for one that is not loaded.
    pub(super) bases: Vec<Option<u64>>,
    /// A page-aligned address behind all of them.
    pub(super) end: u64,
}

/// The start of the module area without KASLR: behind the kernel's own mapping on x86-64
/// (arch/x86/include/asm/pgtable_64_types.h, `MODULES_VADDR`), at the bottom of the kernel's half with 48-bit
/// addresses on arm64 (arch/arm64/include/asm/memory.h).
fn base(arch: Arch) -> u64 {
    match arch {
        Arch::X86_64 => 0xffff_ffff_c000_0000,
        Arch::Arm64 => 0xffff_8000_0000_0000,
    }
}

/// In which order the loader allocates: text, read-only data, data that becomes read-only after init, data; the
/// same for init; last what it does not load with the rest (the per-CPU template, and the two sections that it
/// only reads).
fn group(name: &[u8], section: &SectionHeader64<Endianness>) -> u8 {
    if matches!(name, b".data..percpu" | b".modinfo" | b"__versions") {
        return 8;
    }
    let access = access(section);
    // The loader itself marks these (`layout_and_allocate`); the third since 6.12.
    let after_init = matches!(name, b".data..ro_after_init" | b"__jump_table" | b".static_call_sites");
    let part = match access {
        a if a.execute => 0,
        a if !a.write => 1,
        _ if after_init => 2,
        _ => 3,
    };
    // module_init_layout_section(), with CONFIG_MODULE_UNLOAD: .exit stays with the core.
    if name.starts_with(b".init") { part + 4 } else { part }
}

/// Gives every loaded section an address.
///
/// # Errors
/// A section lies outside the file, or has a size or an alignment that the module area could not satisfy.
pub(super) fn lay_out(elf: &Elf<'_>) -> Result<Layout, ErrorKind> {
    let headers: Vec<_> = elf.sections().collect();
    let mut order: Vec<(u8, usize)> = headers
        .iter()
        .enumerate()
        .filter(|(_, s)| is_loaded(s) && s.sh_type(LITTLE) != elf::SHT_NULL)
        .map(|(i, s)| (group(elf.name_bytes(s), s), i))
        .collect();
    order.sort_unstable();

    let base = base(elf.arch);
    let mut layout =
        Layout { sections: Vec::with_capacity(order.len()), bases: vec![None; headers.len()], end: base };
    let mut offset = 0u64;
    let mut last_group = 0;
    for (group, i) in order {
        let header = headers[i];
        let align =
            if group == last_group { alignment(elf, header)? } else { alignment(elf, header)?.max(PAGE) };
        last_group = group;
        let start = offset.next_multiple_of(align);
        let size = header.sh_size(LITTLE);
        offset =
            start.checked_add(size).filter(|end| *end <= SIZE_MAX).ok_or_else(|| too_large(elf, header))?;
        layout.bases[i] = Some(base + start);
        if size != 0 {
            layout.sections.push(Section {
                name: elf.name(header),
                addr: VirtAddr(base + start),
                size,
                file: elf.file_range(header)?,
                access: access(header),
            });
        }
    }
    layout.end = base + offset.next_multiple_of(PAGE);
    Ok(layout)
}

fn alignment(elf: &Elf<'_>, section: &SectionHeader64<Endianness>) -> Result<u64, ErrorKind> {
    let align = section.sh_addralign(LITTLE).max(1);
    if align.is_power_of_two() && align <= ALIGN_MAX {
        return Ok(align);
    }
    let what = format!("section {}", elf.name(section));
    Err(damaged(&what, "an alignment that is a power of two up to 2 MiB", &format!("{align:#x}")))
}

fn too_large(elf: &Elf<'_>, section: &SectionHeader64<Endianness>) -> ErrorKind {
    let what = format!("section {}", elf.name(section));
    let found = format!("a size of {:#x}", section.sh_size(LITTLE));
    damaged(&what, "loaded sections of less than 512 MiB in all", &found)
}
