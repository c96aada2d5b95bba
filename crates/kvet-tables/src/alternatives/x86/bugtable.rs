//! The bug table's entries inside some functions: just enough to name a trap's file and line.

use kvet_image::{Image, VirtAddr};

use crate::Bounds;

/// One entry of `__bug_table` (include/asm-generic/bug.h).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bug {
    /// The trapping instruction.
    pub(super) addr: VirtAddr,
    /// The source file, as the kernel prints it.
    pub(super) file: String,
    /// Its line.
    pub(super) line: u16,
    /// A WARN (`BUGFLAG_WARNING`) rather than a BUG.
    pub(super) warning: bool,
}

/// Address ranges of functions and of their `.cold` parts.
pub(super) fn function_ranges(kernel: &Image, names: &[&str]) -> Vec<(VirtAddr, VirtAddr)> {
    let table = kernel.symbols();
    let mut ranges = Vec::new();
    for name in names {
        for full in [(*name).to_owned(), format!("{name}.cold")] {
            for symbol in table.all_by_name(&full) {
                let next = table.get(table.upper_bound(symbol.addr)).map(|s| s.addr);
                let by_size = (symbol.size != 0).then(|| VirtAddr(symbol.addr.0.saturating_add(symbol.size)));
                if let Some(end) = by_size.or(next) {
                    ranges.push((symbol.addr, end));
                }
            }
        }
    }
    ranges
}

/// The bug entries whose trap lies in one of the ranges.
pub(super) fn in_ranges(kernel: &Image, ranges: &[(VirtAddr, VirtAddr)]) -> Vec<Bug> {
    let Some(bounds) = Bounds::locate(kernel, "__bug_table", "__start___bug_table", "__stop___bug_table")
    else {
        return Vec::new();
    };
    let Some(bytes) = bounds.bytes(kernel) else { return Vec::new() };
    let Some(layout) = Layout::ALL.into_iter().find(|l| l.fits(kernel, bounds.start, bytes)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (i, raw) in bytes.chunks_exact(layout.size).enumerate() {
        let at = VirtAddr(bounds.start.0.wrapping_add((i * layout.size) as u64));
        let Some(addr) = rel32(at, raw, 0) else { continue };
        if !ranges.iter().any(|(start, end)| addr >= *start && addr < *end) {
            continue;
        }
        if let Some(bug) = layout.entry(kernel, at, raw) {
            found.push(bug);
        }
    }
    found
}

/// Where file, line and flags stand in an entry.
#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    file: usize,
}

impl Layout {
    /// 12 bytes: address, file, line, flags. 7.x with `HAVE_ARCH_BUG_FORMAT`: a format string after the address.
    const ALL: [Layout; 2] = [Layout { size: 12, file: 4 }, Layout { size: 16, file: 8 }];

    fn fits(self, kernel: &Image, start: VirtAddr, bytes: &[u8]) -> bool {
        let sample = bytes.chunks_exact(self.size).take(16);
        bytes.len().is_multiple_of(self.size)
            && sample.enumerate().all(|(i, raw)| {
                let at = VirtAddr(start.0.wrapping_add((i * self.size) as u64));
                rel32(at, raw, 0).is_some_and(|a| kernel.is_executable(a))
                    && self.entry(kernel, at, raw).is_some()
            })
    }

    fn entry(self, kernel: &Image, at: VirtAddr, raw: &[u8]) -> Option<Bug> {
        let half = |i: usize| Some(u16::from_le_bytes([*raw.get(i)?, *raw.get(i + 1)?]));
        let file = kernel.cstr(rel32(at, raw, self.file)?, 512)?;
        let printable = !file.is_empty() && file.bytes().all(|b| b.is_ascii_graphic());
        printable.then_some(())?;
        Some(Bug {
            addr: rel32(at, raw, 0)?,
            file: file.to_owned(),
            line: half(self.file + 4)?,
            warning: half(self.file + 6)? & 1 != 0,
        })
    }
}

fn rel32(at: VirtAddr, raw: &[u8], field: usize) -> Option<VirtAddr> {
    let distance = i32::from_le_bytes(raw.get(field..field + 4)?.try_into().ok()?);
    Some(VirtAddr(at.0.wrapping_add(field as u64)).wrapping_offset(distance.into()))
}
