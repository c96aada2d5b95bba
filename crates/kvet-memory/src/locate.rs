//! Where the kernel is in a memory: the slide of KASLR, the physical base, the page tables.
//!
//! Three witnesses, each checked against the image's bytes: VMCOREINFO, registers (the page tables of CR3), and the
//! image itself, whose banner is looked for at every place where a kernel may be loaded. The slide then is what the
//! image's own pointers have moved by.

use std::fmt;

use kvet_image::{Arch, Image, VirtAddr};

use crate::paging::{self, Scheme, Tables};
use crate::registers::Registers;
use crate::vmcoreinfo::VmcoreInfo;
use crate::{ErrorKind, Memory};

/// `__START_KERNEL_map` of x86-64: the link-time address of physical address 0.
pub(crate) const START_KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;

/// How a placement is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Evidence {
    /// VMCOREINFO says so, and the image's banner stands there.
    VmcoreInfo,
    /// The image's banner stands there, and so many of its pointers, of so many looked at, have moved alike.
    Bytes {
        /// Pointers that agree.
        agree: u32,
        /// Pointers that were looked at.
        of: u32,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Evidence::VmcoreInfo => f.write_str("VMCOREINFO and the banner"),
            Evidence::Bytes { agree, of } => write!(f, "the banner and {agree} of {of} pointers"),
        }
    }
}

/// Where the kernel is.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What KASLR added to link-time addresses (modulo 2^64).
    pub slide: u64,
    /// What leads from a link-time address to a physical one (modulo 2^64); `None` where the file knows virtual
    /// addresses only.
    pub offset: Option<u64>,
    /// The image's first link-time address.
    pub start: VirtAddr,
    /// The first link-time address after it.
    pub end: VirtAddr,
    /// How that is known.
    pub evidence: Evidence,
    /// How the page tables were found; the sentence that says why not, where they were not.
    pub tables_by: String,
}

impl Placement {
    /// The physical address of a link-time one.
    pub fn physical(&self, link: VirtAddr) -> u64 {
        match self.offset {
            Some(offset) => link.0.wrapping_add(offset),
            None => u64::MAX,
        }
    }

    /// The physical address of the image's start.
    pub fn physical_base(&self) -> Option<u64> {
        Some(self.start.0.wrapping_add(self.offset?))
    }
}

/// What was found.
pub(crate) struct Found {
    pub(crate) placement: Placement,
    pub(crate) tables: Option<Tables>,
    pub(crate) info: Option<VmcoreInfo>,
}

/// The banner in an image: where it is linked to, and its bytes.
struct Banner<'i> {
    at: VirtAddr,
    bytes: &'i [u8],
}

/// Pointers that are looked at to tell the slide.
const SAMPLE: usize = 256;

pub(crate) fn find(memory: &mut Memory, image: &Image, registers: &[Registers]) -> Result<Found, ErrorKind> {
    let release = image.release().unwrap_or("of unknown release").to_owned();
    let missing = |why: String| ErrorKind::NoKernel { release: release.clone(), why };
    let banner =
        banner(image).ok_or_else(|| missing("the image has no banner (linux_banner) to look for".into()))?;
    let (start, end) = extent(image);
    let noted = memory.notes().vmcoreinfo.clone();
    let by_info = noted.as_ref().and_then(|info| from_info(memory, image, &banner, info));
    let candidates = match by_info {
        Some((slide, offset)) => vec![(slide, offset, Evidence::VmcoreInfo)],
        None => by_bytes(memory, image, &banner),
    };
    let Some(&(slide, offset, evidence)) = candidates.first() else {
        let odd: String = memory.remarks().iter().map(|remark| format!("; {remark}")).collect();
        return Err(missing(format!(
            "its banner ({} bytes, linked at {}) stands at none of the places where {} may load a kernel{odd}",
            banner.bytes.len(),
            banner.at,
            image.arch().as_str()
        )));
    };
    let mut placement = Placement { slide, offset, start, end, evidence, tables_by: String::new() };
    let tables = find_tables(memory, image, &mut placement, registers, noted.as_ref());
    Ok(Found { placement, tables, info: noted })
}

/// The image's extent in link-time addresses. Per-CPU data of x86 before 6.15 is linked at 0, and does not count.
fn extent(image: &Image) -> (VirtAddr, VirtAddr) {
    let kernel = image.sections().iter().filter(|s| s.addr.0 >= 1 << 63);
    let start = kernel.clone().map(|s| s.addr).min().unwrap_or_default();
    let end = kernel.map(|s| s.end()).max().unwrap_or_default();
    // `_end` is behind .bss and .brk, which a section may not cover.
    let end = image.symbol_addr("_end").filter(|e| *e > end && e.0 - end.0 < 1 << 30).unwrap_or(end);
    (start, end)
}

fn banner(image: &Image) -> Option<Banner<'_>> {
    let text = image.banner()?;
    image.sections().iter().find_map(|section| {
        let bytes = image.section_bytes(section);
        memchr::memmem::find_iter(bytes, text.as_bytes()).find_map(|at| {
            let found = bytes.get(at..at.checked_add(text.len() + 2)?)?;
            found
                .ends_with(b"\n\0")
                .then_some(Banner { at: section.addr.checked_add(at as u64)?, bytes: found })
        })
    })
}

/// Slide and offset as VMCOREINFO has them, when the banner stands there.
fn from_info(
    memory: &Memory,
    image: &Image,
    banner: &Banner<'_>,
    info: &VmcoreInfo,
) -> Option<(u64, Option<u64>)> {
    let slide = info.hex("KERNELOFFSET")?;
    let runtime = banner.at.0.wrapping_add(slide);
    let offset = match image.arch() {
        Arch::X86_64 => info
            .number("phys_base")
            .map(|base| slide.wrapping_sub(START_KERNEL_MAP).wrapping_add_signed(base)),
        Arch::Arm64 => info.number("kimage_voffset").map(|v| slide.wrapping_sub(v.cast_unsigned())),
    };
    let here = |offset: u64| {
        memory
            .physical(banner.at.0.wrapping_add(offset), banner.bytes.len())
            .is_some_and(|b| *b == *banner.bytes)
    };
    let offset = offset.filter(|o| here(*o));
    let by_address = memory.virtually(runtime, banner.bytes.len()).is_some_and(|b| *b == *banner.bytes);
    (offset.is_some() || by_address).then_some((slide, offset))
}

/// All placements at which the banner stands, the one whose pointers agree best first.
fn by_bytes(memory: &Memory, image: &Image, banner: &Banner<'_>) -> Vec<(u64, Option<u64>, Evidence)> {
    // CONFIG_PHYSICAL_ALIGN is 2 MiB at least on x86-64; arm64 loads at 2 MiB, or at 64 KiB by EFI.
    let steps: &[u64] = match image.arch() {
        Arch::X86_64 => &[2 << 20],
        Arch::Arm64 => &[2 << 20, 64 << 10],
    };
    let (start, _) = extent(image);
    for step in steps {
        let mut found = Vec::new();
        for segment in memory.segments() {
            // The image's start may be before the segment, the banner is not.
            let into = banner.at.0.wrapping_sub(start.0);
            let first = segment.physical.saturating_sub(into);
            let mut base = first.next_multiple_of(*step);
            while base.saturating_add(into) < segment.physical.saturating_add(segment.len) {
                // An x86 image starts at a multiple of 2 MiB as well.
                let bytes = memory.physical(base + into, banner.bytes.len());
                if bytes.is_some_and(|b| *b == *banner.bytes) {
                    found.push(base.wrapping_sub(start.0));
                }
                base += step;
            }
        }
        let mut placed: Vec<_> =
            found.into_iter().filter_map(|offset| with_slide(memory, image, offset)).collect();
        placed.sort_by_key(|(_, _, evidence)| match evidence {
            Evidence::Bytes { agree, .. } => std::cmp::Reverse(*agree),
            Evidence::VmcoreInfo => std::cmp::Reverse(u32::MAX),
        });
        if !placed.is_empty() {
            return placed;
        }
    }
    Vec::new()
}

/// What most of the image's pointers have moved by at this offset.
fn with_slide(memory: &Memory, image: &Image, offset: u64) -> Option<(u64, Option<u64>, Evidence)> {
    let (start, end) = extent(image);
    let mut votes: Vec<u64> = Vec::new();
    for section in image.sections().iter().filter(|s| !s.access.execute && s.addr.0 >= 1 << 63) {
        let bytes = image.section_bytes(section);
        let (words, _) = bytes.as_chunks::<8>();
        // Spread over the section: a kernel that has just started has changed parts of it.
        let stride = (words.len() / SAMPLE).max(1);
        let mut taken = 0;
        for (i, word) in words.iter().enumerate() {
            let value = u64::from_le_bytes(*word);
            if value < start.0 || value >= end.0 || !i.is_multiple_of(stride) && taken * stride > i {
                continue;
            }
            let at = section.addr.0.wrapping_add(8 * i as u64);
            if let Some(now) = memory.physical_u64(at.wrapping_add(offset)) {
                votes.push(now.wrapping_sub(value));
                taken += 1;
            }
            if taken >= SAMPLE {
                break;
            }
        }
        if votes.len() >= 4 * SAMPLE {
            break;
        }
    }
    let of = votes.len() as u32;
    votes.sort_unstable();
    let (agree, slide) = votes.chunk_by(|a, b| a == b).map(|same| (same.len() as u32, same[0])).max()?;
    // Data that has changed, or was freed after the boot, votes for nothing twice. A slide keeps pages in place.
    (agree >= 16 && agree * 16 > of && slide.is_multiple_of(4096)).then_some((
        slide,
        Some(offset),
        Evidence::Bytes { agree, of },
    ))
}

/// Places of the image that page tables must lead to: page-aligned, spread over it.
fn landmarks(placement: &Placement, image: &Image) -> Vec<(u64, u64)> {
    let Some(offset) = placement.offset else { return Vec::new() };
    let text = image
        .sections()
        .iter()
        .filter(|s| s.access.execute && s.addr.0 >= 1 << 63 && !s.name.contains("init"));
    let Some(text) = text.max_by_key(|s| s.size) else { return Vec::new() };
    [1, 4, 7]
        .map(|eighths| {
            let at = text.addr.0.wrapping_add(text.size / 8 * eighths) & !0xfff;
            (at.wrapping_add(placement.slide), at.wrapping_add(offset))
        })
        .to_vec()
}

fn leads(memory: &Memory, tables: &Tables, marks: &[(u64, u64)]) -> bool {
    !marks.is_empty()
        && marks
            .iter()
            .all(|(virt, phys)| tables.translate(memory, *virt).is_some_and(|m| m.physical == *phys))
}

fn find_tables(
    memory: &mut Memory,
    image: &Image,
    placement: &mut Placement,
    registers: &[Registers],
    info: Option<&VmcoreInfo>,
) -> Option<Tables> {
    let marks = landmarks(placement, image);
    if placement.offset.is_none() {
        placement.tables_by = "none: the file maps virtual addresses itself".into();
        return None;
    }
    let found = match image.arch() {
        Arch::X86_64 => x86_tables(memory, image, placement, registers, info, &marks),
        Arch::Arm64 => arm64_tables(memory, image, placement, info, &marks),
    };
    if let Some((tables, by)) = &found {
        placement.tables_by.clone_from(by);
        if memory.hole_is_a_guess() {
            settle_hole(memory, tables);
        }
    } else {
        placement.tables_by = "none: no page tables that lead to the kernel's text were found".into();
    }
    found.map(|(tables, _)| tables)
}

/// Of the two layouts of a large RAM file, the one in which fewer page tables are missing.
fn settle_hole(memory: &mut Memory, tables: &Tables) {
    let mut missing = |pc: bool| {
        memory.set_pc_hole(pc);
        let mut broken = 0_u64;
        tables.each_leaf(memory, 1 << 22, &mut |_| {}, &mut |_, _, _| broken += 1);
        broken
    };
    if missing(false) <= missing(true) {
        memory.set_pc_hole(false);
    }
}

fn x86_tables(
    memory: &Memory,
    image: &Image,
    placement: &Placement,
    registers: &[Registers],
    info: Option<&VmcoreInfo>,
    marks: &[(u64, u64)],
) -> Option<(Tables, String)> {
    let scheme = |five_levels| Scheme::X86(paging::x86::Scheme { five_levels });
    const LA57: u64 = 1 << 12;
    for r in registers {
        let Some([_, cr3, cr4]) = r.cr else { continue };
        let root = cr3 & 0x000f_ffff_ffff_f000;
        // With page table isolation, the user's tables stand one page behind the kernel's.
        for root in [root, root & !0x1000] {
            let tables = Tables { scheme: scheme(cr4 & LA57 != 0), root };
            if leads(memory, &tables, marks) {
                return Some((tables, format!("CR3 of CPU {}", r.cpu)));
            }
        }
    }
    let by_symbol =
        |name: &str| image.symbol_addr(name).map(|link| (placement.physical(link), name.to_owned()));
    let by_info = || {
        let virt = info?.symbol("swapper_pg_dir")?;
        let link = VirtAddr(virt.wrapping_sub(placement.slide));
        Some((placement.physical(link), "VMCOREINFO's swapper_pg_dir".to_owned()))
    };
    let roots =
        [by_symbol("init_top_pgt"), by_symbol("swapper_pg_dir"), by_info(), by_symbol("early_top_pgt")];
    for (root, by) in roots.into_iter().flatten() {
        for five_levels in [false, true] {
            let tables = Tables { scheme: scheme(five_levels), root };
            if leads(memory, &tables, marks) {
                return Some((tables, by));
            }
        }
    }
    None
}

/// An arm64 image's page size, from the flags of its header (Documentation/arch/arm64/booting.rst: bits 1 and 2).
fn arm64_page_shift(image: &Image) -> Option<u32> {
    let header = image.raw().get(..64).filter(|h| h.get(56..60) == Some(b"ARM\x64"))?;
    match header.get(24)? >> 1 & 3 {
        1 => Some(12),
        2 => Some(14),
        3 => Some(16),
        _ => None,
    }
}

fn arm64_tables(
    memory: &Memory,
    image: &Image,
    placement: &Placement,
    info: Option<&VmcoreInfo>,
    marks: &[(u64, u64)],
) -> Option<(Tables, String)> {
    let from_info = info.and_then(|i| i.get("PAGESIZE")?.parse::<u64>().ok()).map(u64::trailing_zeros);
    let page_shift = arm64_page_shift(image).or(from_info);
    let mut schemes = Vec::new();
    for (shift, sizes) in [(12, [48, 39, 52]), (14, [47, 48, 52]), (16, [48, 42, 52])] {
        if page_shift.is_none_or(|p| p == shift) {
            let scheme = |va_bits| paging::arm64::Scheme {
                page_shift: shift,
                va_bits,
                lpa2: va_bits == 52 && shift != 16,
            };
            schemes.extend(sizes.map(scheme));
        }
    }
    // VA_BITS is what the kernel was built for; TCR_EL1_T1SZ is what runs: they may differ.
    let bits = info.and_then(|i| i.number("TCR_EL1_T1SZ").map(|t| 64 - t).or_else(|| i.number("VA_BITS")));
    if let Some(bits) = bits {
        schemes.sort_by_key(|s| i64::from(s.va_bits) != bits);
    }
    let named = image
        .symbol_addr("swapper_pg_dir")
        .or_else(|| Some(VirtAddr(info?.symbol("swapper_pg_dir")?.wrapping_sub(placement.slide))));
    if let Some(link) = named {
        for scheme in &schemes {
            let tables = Tables { scheme: Scheme::Arm64(*scheme), root: placement.physical(link) };
            if leads(memory, &tables, marks) {
                return Some((tables, "swapper_pg_dir".into()));
            }
        }
    }
    scan_arm64(memory, placement, &schemes, marks)
}

/// The page inside the kernel's own image that, taken for a root, leads to the kernel's text where it stands: the one
/// with most entries, for `swapper_pg_dir` maps more than the tables of the early boot do.
fn scan_arm64(
    memory: &Memory,
    placement: &Placement,
    schemes: &[paging::arm64::Scheme],
    marks: &[(u64, u64)],
) -> Option<(Tables, String)> {
    let first = placement.physical_base()?;
    let len = placement.end.0.checked_sub(placement.start.0)?.min(1 << 30);
    let mut best: Option<(usize, Tables)> = None;
    for scheme in schemes {
        let size = 1_u64 << scheme.page_shift;
        for root in (0..len / size).map(|i| first.wrapping_add(i * size)) {
            let tables = Tables { scheme: Scheme::Arm64(*scheme), root };
            if !leads(memory, &tables, marks) {
                continue;
            }
            let entries = memory
                .physical(root, size as usize)
                .map_or(0, |bytes| bytes.as_chunks::<8>().0.iter().filter(|w| w[0] & 1 != 0).count());
            if best.is_none_or(|(most, _)| entries > most) {
                best = Some((entries, tables));
            }
        }
        if best.is_some() {
            break;
        }
    }
    best.map(|(_, tables)| (tables, "the root in the kernel's image that leads to its text".into()))
}
