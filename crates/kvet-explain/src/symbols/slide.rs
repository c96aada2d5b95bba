//! KASLR's slide: what is added to the file's addresses in the log's.

use std::collections::HashMap;

use kvet_console::{Frame, Report};
use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::disasm::instruction_at;

use super::frame::{ResolvedFrame, Verdict};

/// How the slide is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlideFrom {
    /// `Kernel Offset: 0x... from 0x...`, or `disabled`.
    KernelOffset,
    /// Frames that print their address beside their symbol: how many agree.
    Frames(usize),
    /// Absolute addresses in the `Code:` bytes.
    Code,
}

/// The slide: a log's address minus the file's, modulo 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slide {
    /// What is added.
    pub by: u64,
    /// How that is known.
    pub from: SlideFrom,
}

/// x86 moves the kernel by whole CONFIG_PHYSICAL_ALIGN (2 MiB at least), within 1 GiB.
const X86_ALIGN: u64 = 2 << 20;
const X86_RANGE: u64 = 1 << 30;
/// arm64 moves it by whole 64 KiB at least (the segments' alignment); with 4 KiB pages usually 2 MiB.
const ARM64_ALIGN: u64 = 64 << 10;

/// `Kernel Offset: 0x2c000000 from 0xffffffff81000000 (...)` (arch/x86/kernel/setup.c, `dump_kernel_offset`;
/// arch/arm64/kernel/setup.c has `Kernel Offset: 0x... from 0x...` too).
pub(crate) fn from_line(line: &str) -> Option<u64> {
    let rest = line.split_once("Kernel Offset: ")?.1;
    if rest.starts_with("disabled") {
        return Some(0);
    }
    let digits = rest.strip_prefix("0x")?;
    let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    u64::from_str_radix(&digits[..end], 16).ok()
}

/// The slide that a report itself shows.
pub(crate) fn of_report(report: &Report) -> Option<Slide> {
    let lines = report.details.iter().map(|(_, text)| text.as_str()).chain(report.panic.as_deref());
    let by = lines.filter_map(from_line).next()?;
    Some(Slide { by, from: SlideFrom::KernelOffset })
}

/// The slide that most frames with a printed address agree on.
pub(crate) fn of_frames<'f>(
    arch: Arch,
    frames: impl Iterator<Item = (&'f Frame, &'f ResolvedFrame)>,
) -> Option<Slide> {
    let mut votes: HashMap<u64, usize> = HashMap::new();
    for (frame, resolved) in frames {
        let (Some(printed), Some(place)) = (frame.address, resolved.place()) else { continue };
        if place.module.is_some() || resolved.verdict != Verdict::Fits {
            continue;
        }
        let by = printed.wrapping_sub(place.addr.0);
        if is_plausible(arch, by) {
            *votes.entry(by).or_default() += 1;
        }
    }
    let (by, agree) = votes.into_iter().max_by_key(|(by, n)| (*n, *by == 0))?;
    Some(Slide { by, from: SlideFrom::Frames(agree) })
}

fn is_plausible(arch: Arch, by: u64) -> bool {
    match arch {
        Arch::X86_64 => by.is_multiple_of(X86_ALIGN) && by < X86_RANGE,
        Arch::Arm64 => by.is_multiple_of(ARM64_ALIGN),
    }
}

/// The slide that absolute addresses inside x86 instructions show: the one that every differing 32-bit field with a
/// kernel address agrees on.
pub(crate) fn from_code(image: &Image, base: VirtAddr, memory: &[u8]) -> Option<u64> {
    if image.arch() != Arch::X86_64 {
        return None;
    }
    let file = image.bytes(base, memory.len())?;
    let (symbol, _) = image.symbol_at(base)?;
    let mut agreed = None;
    let mut at = 0;
    while at < file.len() {
        if file[at] == memory[at] {
            at += 1;
            continue;
        }
        let addr = base.checked_add(at as u64)?;
        let (start, len) = instruction_at(image, symbol.addr, addr)?;
        let end = start.checked_add(len)?;
        // The differing byte is one of the field's upper ones: the slide is a multiple of 2 MiB.
        let field = (at.saturating_sub(3)..=at).find_map(|field| {
            let inside =
                base.checked_add(field as u64)? >= start && base.checked_add(field as u64 + 4)? <= end;
            let word = |b: &[u8]| Some(u32::from_le_bytes(b.get(field..field + 4)?.try_into().ok()?));
            let (old, new) = (word(file)?, word(memory)?);
            let by = new.wrapping_sub(old);
            (inside && old >= 0x8000_0000 && is_plausible(Arch::X86_64, by.into())).then_some((field, by))
        });
        match (field, agreed) {
            (Some((_, by)), Some(other)) if by != other => return None,
            (Some((field, by)), _) => {
                agreed = Some(by);
                at = field + 4;
            }
            (None, _) => at += 1,
        }
    }
    agreed.map(u64::from)
}

#[cfg(test)]
mod tests {
    use super::from_line;

    #[test]
    fn reads_the_kernels_own_line() {
        let line =
            "Kernel Offset: 0x2c000000 from 0xffffffff81000000 (relocation range: 0xffffffff80000000-)";
        assert_eq!(from_line(line), Some(0x2c00_0000));
        assert_eq!(from_line("Kernel Offset: disabled"), Some(0));
        assert_eq!(from_line("Kernel Offset: "), None);
        assert_eq!(from_line("nothing"), None);
    }
}
