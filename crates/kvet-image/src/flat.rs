//! Flat arm64 images: `arch/arm64/boot/Image`, which distributions install as `vmlinuz`.
//!
//! Such a file is memory as it will be, from `_text` on (Documentation/arch/arm64/booting.rst): a 64-byte header,
//! usually a PE header behind it (arch/arm64/kernel/efi-header.S) with two sections, and no link address. That
//! address stands only in what the linker left for relocation, so it is found there: see [`BaseEvidence`].

use std::fmt;
use std::ops::Range;
use std::path::Path;

use crate::backing::Backing;
use crate::relocate;
use crate::section::{Access, Section};
use crate::{Arch, ErrorKind, Image, Kind, VirtAddr};

/// Bytes of the header that booting.rst describes.
const HEADER_SIZE: usize = 64;

/// Kernels are linked at a multiple of this plus TEXT_OFFSET (a multiple of 4 KiB, in practice 0 or 0x80000).
const BASE_STEP: u64 = 0x10000;

/// arm64's `SEGMENT_ALIGN` in arch/arm64/include/asm/memory.h: text, rodata, init and data each start on it.
const SEGMENT_ALIGN: u64 = 0x10000;

/// How many relocations are tried on each candidate base before all are counted on the best.
const SAMPLE: usize = 512;

/// What the link address of a flat image was read from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BaseEvidence {
    /// The RELA entries: at this base, so many of their fields hold 0 or the addend, as a linker leaves them.
    Rela {
        /// Fields that agree.
        agree: usize,
        /// Entries in all.
        total: usize,
    },
    /// The RELR table: at this base, so many of the fields that it names hold an address of the image.
    Relr {
        /// Fields that agree.
        agree: usize,
        /// Fields in all.
        total: usize,
    },
    /// No relocations; the lowest address among the image's pointers, rounded down to 2 MiB.
    Pointers {
        /// How many 8-byte words are addresses of the image at this base.
        count: usize,
    },
    /// Nothing in the image tells it: the usual `KIMAGE_VADDR` of kernels since 6.6. Distances are right,
    /// absolute addresses may not be.
    Assumed,
}

impl fmt::Display for BaseEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BaseEvidence::Rela { agree, total } => write!(f, "{agree} of {total} RELA fields"),
            BaseEvidence::Relr { agree, total } => write!(f, "{agree} of {total} RELR fields"),
            BaseEvidence::Pointers { count } => write!(f, "{count} pointers"),
            BaseEvidence::Assumed => f.write_str("assumed"),
        }
    }
}

/// What booting.rst's header says.
#[derive(Clone, Copy, Debug)]
struct Header {
    /// Memory that the kernel needs from its first byte on, `.bss` included; 0 before 3.17.
    image_size: u64,
    big_endian: bool,
    pe_offset: u32,
}

/// What the PE header's two sections say, as file positions.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PeSections {
    /// `.text`: everything from the PE header's end to `__initdata_begin`.
    text: Range<usize>,
    /// `.data`: from `__initdata_begin` to `_edata`.
    data: Range<usize>,
}

/// The file positions at which one kind of memory ends and the next starts.
struct Layout {
    /// End of the kernel's own bytes; a signature may follow.
    end: usize,
    init_data: usize,
    rela: Option<Range<usize>>,
    relr: Option<Range<usize>>,
}

/// Reads a flat image, finds its link address, and applies its relocations.
pub(crate) fn read(path: &Path, mut backing: Backing) -> Result<Image, ErrorKind> {
    let data = backing.bytes();
    let header = read_header(data)?;
    if header.big_endian {
        return Err(ErrorKind::Architecture { found: "big-endian arm64".into() });
    }
    let pe = read_pe(data, header.pe_offset)?;
    let layout = find_layout(data, pe.as_ref());
    let memory = header.image_size.max(layout.end as u64);
    let (base, evidence) = find_base(&data[..layout.end], memory, &layout);
    if base.checked_add(memory).is_none() {
        return Err(ErrorKind::Damaged {
            what: "arm64 Image header".into(),
            expected: "an image size that fits the address space".into(),
            found: format!("{:#x} bytes", header.image_size),
        });
    }
    if let Some(table) = layout.rela.clone() {
        let end = layout.end as u64;
        relocate::apply_rela(backing.bytes_mut(), table, |addr| {
            let at = addr.checked_sub(base).filter(|at| *at < end)?;
            usize::try_from(at).ok()
        });
    }
    let coarse = sections(base, memory, &layout);
    let mut image = Image::assemble(path, Kind::Arm64Image, Arch::Arm64, coarse, backing);
    image.base_evidence = Some(evidence);
    let text = crate::flat_text::split(&image, layout.init_data);
    if !text.is_empty() {
        image.sections.retain(|s| s.name != ".text");
        image.sections.splice(0..0, text);
    }
    Ok(image)
}

fn read_header(data: &[u8]) -> Result<Header, ErrorKind> {
    let Some(header) = data.get(..HEADER_SIZE) else {
        return Err(ErrorKind::Truncated {
            what: "the arm64 Image header".into(),
            needed: HEADER_SIZE as u64,
            available: data.len() as u64,
        });
    };
    let word = |at| relocate::word(header, at).unwrap_or(0);
    Ok(Header { image_size: word(16), big_endian: word(24) & 1 != 0, pe_offset: (word(56) >> 32) as u32 })
}

/// The PE header's sections, when there is a PE header (CONFIG_EFI).
fn read_pe(data: &[u8], offset: u32) -> Result<Option<PeSections>, ErrorKind> {
    let u16_at = |at: usize| data.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    let u32_at = |at: usize| data.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    let offset = offset as usize;
    if offset < HEADER_SIZE || data.get(offset..offset.saturating_add(4)) != Some(b"PE\0\0") {
        return Ok(None);
    }
    let (Some(count), Some(optional)) = (u16_at(offset + 6), u16_at(offset + 20)) else { return Ok(None) };
    let table = offset + 24 + usize::from(optional);
    let find = |name: &[u8; 8]| {
        (0..usize::from(count).min(16)).map(|i| table + i * 40).find_map(|at| {
            (data.get(at..at + 8) == Some(name)).then_some(())?;
            let start = u32_at(at + 20)? as usize;
            Some(start..start.checked_add(u32_at(at + 16)? as usize)?)
        })
    };
    let (Some(text), Some(init)) = (find(b".text\0\0\0"), find(b".data\0\0\0")) else { return Ok(None) };
    for (name, range) in [(".text", &text), (".data", &init)] {
        if range.end > data.len() {
            return Err(ErrorKind::Truncated {
                what: format!("PE section {name}"),
                needed: range.end as u64,
                available: data.len() as u64,
            });
        }
    }
    if text.end > init.start {
        return Err(ErrorKind::Damaged {
            what: "PE header".into(),
            expected: ".data behind .text".into(),
            found: format!(".text to {:#x}, .data from {:#x}", text.end, init.start),
        });
    }
    Ok(Some(PeSections { text, data: init }))
}

fn find_layout(data: &[u8], pe: Option<&PeSections>) -> Layout {
    let end = pe.map_or(data.len(), |pe| pe.data.end);
    // Relocations are init data, so the second PE section has them; without one, search everything.
    let init_data = pe.map_or(0, |pe| pe.data.start);
    let rela = relocate::find_rela(data, init_data..end);
    let relr = match &rela {
        // With so many entries there is no packed table beside them: the linker packs all that it can.
        Some(table) if table.len() > 4096 * relocate::RELA_SIZE => None,
        _ => relocate::find_relr(data, init_data..end),
    };
    Layout { end, init_data, rela, relr }
}

/// The link address and what speaks for it.
fn find_base(data: &[u8], memory: u64, layout: &Layout) -> (u64, BaseEvidence) {
    let rela = layout.rela.as_ref().and_then(|table| base_from_rela(data, table));
    let relr = layout.relr.as_ref().and_then(|table| base_from_relr(data, memory, table));
    match (rela, relr) {
        (Some((base, BaseEvidence::Rela { agree, total })), None) => {
            (base, BaseEvidence::Rela { agree, total })
        }
        (_, Some(found)) => found,
        (Some(found), _) => found,
        (None, None) => base_from_pointers(data, memory, layout.init_data),
    }
}

/// A field that a RELA entry names holds 0, or the addend if the linker wrote it there too. At a wrong base the
/// fields fall on whatever stands there, so the base at which all are such is the right one.
fn base_from_rela(data: &[u8], table: &Range<usize>) -> Option<(u64, BaseEvidence)> {
    let entries = || table.clone().step_by(relocate::RELA_SIZE).filter_map(|at| relocate::rela_at(data, at));
    let total = table.len() / relocate::RELA_SIZE;
    let fits = |base: u64, r: &relocate::Rela| {
        let field = r.offset.checked_sub(base).and_then(|at| relocate::word(data, usize::try_from(at).ok()?));
        field.is_some_and(|value| value == 0 || value == r.addend)
    };
    let lowest = entries().map(|r| r.offset).min()?;
    let highest = entries().map(|r| r.offset).max()?;
    let sample: Vec<_> = entries().step_by(total.div_ceil(SAMPLE).max(1)).collect();
    let base = best_base(lowest, highest, data.len() as u64, sample.len(), |base| {
        sample.iter().filter(|r| fits(base, r)).count()
    })?;
    let agree = entries().filter(|r| fits(base, r)).count();
    Some((base, BaseEvidence::Rela { agree, total }))
}

/// A field that RELR names holds an address of the image.
fn base_from_relr(data: &[u8], memory: u64, table: &Range<usize>) -> Option<(u64, BaseEvidence)> {
    let fields = || relocate::relr_fields(data.get(table.clone()).unwrap_or(&[]));
    let fits = |base: u64, field: u64| {
        let value = field.checked_sub(base).and_then(|at| relocate::word(data, usize::try_from(at).ok()?));
        value.and_then(|v| v.checked_sub(base)).is_some_and(|into| into <= memory)
    };
    let (total, lowest, highest) =
        fields().fold((0usize, u64::MAX, 0), |(n, low, high), f| (n + 1, low.min(f), high.max(f)));
    let sample: Vec<u64> = fields().step_by(total.div_ceil(SAMPLE).max(1)).collect();
    let base = best_base(lowest, highest, data.len() as u64, sample.len(), |base| {
        sample.iter().filter(|f| fits(base, **f)).count()
    })?;
    let agree = fields().filter(|f| fits(base, *f)).count();
    Some((base, BaseEvidence::Relr { agree, total }))
}

/// The base with the highest score among those at which the lowest and the highest field lie in the file. Kernels
/// since 5.8 (TEXT_OFFSET is 0) are linked at multiples of 2 MiB, so those are tried first, and one at which the
/// whole sample fits is not compared with others.
fn best_base(
    lowest: u64,
    highest: u64,
    length: u64,
    sample: usize,
    score: impl Fn(u64) -> usize,
) -> Option<u64> {
    const MIB2: u64 = 2 << 20;
    let first = highest.checked_add(8)?.saturating_sub(length);
    // The file's length bounds the number of steps: both fields lie within it.
    let multiples = |step: u64| (first.div_ceil(step)..=lowest / step).map(move |i| i * step);
    if let Some(aligned) = multiples(MIB2).find(|base| score(*base) == sample) {
        return Some(aligned);
    }
    multiples(BASE_STEP).max_by_key(|base| (score(*base), base.trailing_zeros()))
}

/// Without relocations (CONFIG_RELOCATABLE=n) pointers are stored as they are: the densest range of the image's
/// size among all kernel addresses in the data is the image.
fn base_from_pointers(data: &[u8], memory: u64, from: usize) -> (u64, BaseEvidence) {
    const MIB2: u64 = 2 << 20;
    const DEFAULT: u64 = 0xffff_8000_8000_0000;
    let mut pages: std::collections::BTreeMap<u64, usize> = std::collections::BTreeMap::new();
    let words = data.get(from..).unwrap_or(&[]).chunks_exact(8).filter_map(|b| b.try_into().ok());
    for value in words.map(u64::from_le_bytes) {
        // The last 16 MiB are error numbers and small negative values, not addresses of the image.
        if relocate::is_kernel_address(value) && value < 0u64.wrapping_sub(16 << 20) {
            *pages.entry(value / MIB2).or_default() += 1;
        }
    }
    let span = memory.div_ceil(MIB2);
    let best = pages
        .keys()
        .map(|start| (pages.range(*start..start.saturating_add(span)).map(|(_, n)| n).sum::<usize>(), *start))
        .max_by_key(|(count, start)| (*count, std::cmp::Reverse(*start)));
    match best {
        Some((count, start)) if count >= 256 => (start * MIB2, BaseEvidence::Pointers { count }),
        _ => (DEFAULT, BaseEvidence::Assumed),
    }
}

fn sections(base: u64, memory: u64, layout: &Layout) -> Vec<Section> {
    let mut out = Vec::new();
    let mut push = |name: &str, file: Range<usize>, execute: bool, write: bool| {
        if !file.is_empty() {
            out.push(Section {
                name: name.into(),
                addr: VirtAddr(base + file.start as u64),
                size: file.len() as u64,
                file,
                access: Access { execute, write },
            });
        }
    };
    let end = layout.end;
    push(".text", 0..layout.init_data, true, false);
    // Without a PE header nothing tells text from data.
    let mixed = layout.init_data == 0;
    let mut at = layout.init_data;
    let mut tables: Vec<_> = [(".rela.dyn", &layout.rela), (".relr.dyn", &layout.relr)]
        .into_iter()
        .filter_map(|(name, range)| range.clone().map(|r| (name, r)))
        .collect();
    tables.sort_by_key(|(_, range)| range.start);
    for (name, range) in &tables {
        if range.start >= at {
            push(".init.data", at..range.start, mixed, true);
            push(name, range.clone(), false, false);
            at = range.end;
        }
    }
    let data = if tables.is_empty() {
        at
    } else {
        at.checked_next_multiple_of(SEGMENT_ALIGN as usize).unwrap_or(end).min(end)
    };
    push(".init.data", at..data, mixed, true);
    push(".data", data..end, mixed, true);
    let size = memory.saturating_sub(end as u64);
    if size > 0 {
        out.push(Section {
            name: ".bss".into(),
            addr: VirtAddr(base + end as u64),
            size,
            file: 0..0,
            access: Access { execute: false, write: true },
        });
    }
    out
}
