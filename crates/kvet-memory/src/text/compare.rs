//! Byte against byte, site against site.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;
use kvet_tables::expected::{Class, PatchedText, Stage, TextPart, Touched};

use super::verdict::Case;
use super::{Audit, Kind, MOST_ODDITIES, Oddity, Part};
use crate::Guest;

/// Bytes that are compared at once, before one by one.
const BLOCK: usize = 64;

pub(super) struct Compare<'c> {
    pub(super) guest: &'c Guest<'c>,
    pub(super) context: &'c Context<'c>,
    pub(super) text: &'c PatchedText,
    pub(super) stage: Stage,
    pub(super) locks: Locks,
    /// The image's extent, for what is an address of it.
    image: std::ops::Range<u64>,
}

/// Which of the kernel's patchers holds its lock: its work is not done.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Locks {
    pub(super) jump_labels: bool,
    pub(super) static_calls: bool,
}

pub(super) fn run(
    guest: &Guest<'_>,
    context: &Context<'_>,
    text: &PatchedText,
    ahead: Option<&PatchedText>,
    stage: Stage,
    audit: &mut Audit,
) {
    // `struct mutex` starts with its owner.
    let held =
        |name: &str| guest.symbol(name).and_then(|at| guest.u64(at)).is_some_and(|owner| owner & !7 != 0);
    let locks = Locks { jump_labels: held("jump_label_mutex"), static_calls: held("static_call_mutex") };
    let placement = guest.placement();
    let image = placement.start.0..placement.end.0;
    let compare = Compare { guest, context, text, stage, locks, image };
    for (i, part) in text.parts.iter().enumerate() {
        compare.part(part, ahead.and_then(|a| a.parts.get(i)), audit);
    }
    compare.count_sites(audit);
}

impl Compare<'_> {
    /// Sites that are not among the oddities are as expected.
    fn count_sites(&self, audit: &mut Audit) {
        for touched in &self.text.touched {
            if !self.guest.is_gone(touched.start) {
                *audit.as_expected.entry(touched.owner.class).or_default() += 1;
            }
        }
        for odd in &audit.oddities {
            if let Some(count) = odd.owner.and_then(|o| audit.as_expected.get_mut(&o.class)) {
                *count = count.saturating_sub(1);
            }
        }
    }

    fn part(&self, part: &TextPart, ahead: Option<&TextPart>, audit: &mut Audit) {
        if self.guest.is_gone(part.start) {
            return;
        }
        let Some(memory) = self.guest.link_bytes(part.start, part.bytes.len()) else {
            audit.skipped.push(format!("the text {} at {} is not in this memory", part.name, part.start));
            return;
        };
        audit.bytes += memory.len() as u64;
        audit.parts.push(Part { name: part.name.clone(), start: part.start, len: memory.len() as u64 });
        let mut at = 0;
        while at < part.bytes.len() {
            let end = (at + BLOCK).min(part.bytes.len());
            if part.bytes[at..end] == memory[at..end] {
                at = end;
                continue;
            }
            at += part.bytes[at..end].iter().zip(&memory[at..end]).take_while(|(a, b)| a == b).count();
            at = self.difference(part, ahead, &memory, at, audit).max(at + 1);
        }
    }

    /// Judges the difference at an offset; gives the offset to go on from.
    fn difference(
        &self,
        part: &TextPart,
        ahead: Option<&TextPart>,
        memory: &[u8],
        at: usize,
        audit: &mut Audit,
    ) -> usize {
        let addr = part.start.wrapping_offset(at as i64);
        if self.guest.is_gone(addr) {
            return at + 1;
        }
        if let Some(len) = self.relocated(part.start, &part.bytes, memory, at) {
            audit.relocated += 1;
            return len;
        }
        let sites: Vec<Touched> = self.text.touched_at(addr).copied().collect();
        let Some(range) = extent(part, &sites) else {
            return self.nobodys(part, ahead, memory, at, audit);
        };
        let before = part.before.as_ref().map(|b| &b[range.clone()]);
        let case = Case {
            start: part.start.wrapping_offset(range.start as i64),
            expected: &part.bytes[range.clone()],
            before,
            ahead: ahead.map(|a| &a.bytes[range.clone()]),
            memory: &memory[range.clone()],
            sites: &sites,
        };
        self.site(&case, audit);
        range.end
    }

    /// A difference where no table has a site.
    fn nobodys(
        &self,
        part: &TextPart,
        ahead: Option<&TextPart>,
        memory: &[u8],
        at: usize,
        audit: &mut Audit,
    ) -> usize {
        let addr = part.start.wrapping_offset(at as i64);
        // While capabilities are being applied, sites exist that are not this text's yet.
        if ahead.is_some_and(|a| a.bytes[at] == memory[at]) {
            audit.on_the_way += 1;
            return at + 1;
        }
        if self.is_ftrace_call(addr) {
            audit.traced += 1;
            return at + 4;
        }
        // One run is one oddity: up to the next byte that is as expected, or an explained one.
        let mut end = at + 1;
        while end < part.bytes.len()
            && part.bytes[end] != memory[end]
            && self.text.touched_at(part.start.wrapping_offset(end as i64)).next().is_none()
        {
            end += 1;
        }
        self.odd(
            audit,
            Oddity {
                kind: Kind::Nobody,
                in_progress: false,
                start: addr,
                file: self.file(addr, end - at),
                expected: part.bytes[at..end].iter().take(64).copied().collect(),
                memory: memory[at..end].iter().take(64).copied().collect(),
                owner: None,
                len: (end - at) as u64,
            },
        );
        end
    }

    /// The calls inside ftrace's own trampolines are changed with what is traced (`ftrace_update_ftrace_func`).
    fn is_ftrace_call(&self, addr: VirtAddr) -> bool {
        const CALLS: [&str; 4] =
            ["ftrace_call", "ftrace_regs_call", "ftrace_graph_call", "ftrace_regs_caller_end"];
        CALLS.iter().any(|name| {
            let at = self.guest.image().symbol_addr(name);
            at.is_some_and(|at| addr >= at && addr.0 - at.0 < 5)
        })
    }

    pub(super) fn odd(&self, audit: &mut Audit, oddity: Oddity) {
        if audit.oddities.len() < MOST_ODDITIES {
            audit.oddities.push(oddity);
        } else {
            audit.more += 1;
        }
    }

    pub(super) fn file(&self, at: VirtAddr, len: usize) -> Vec<u8> {
        self.guest.image().bytes(at, len.min(64)).map(<[u8]>::to_vec).unwrap_or_default()
    }

    /// Whether the difference at an offset is in an address that KASLR moved; gives the offset behind it.
    ///
    /// x86-64: a 32-bit or 64-bit absolute address of the image, and before 6.15 the 32-bit distance of a per-CPU
    /// variable, which is linked at 0 and stays while the code moves (arch/x86/boot/compressed/misc.c,
    /// `handle_relocations`). arm64: 64-bit words.
    pub(super) fn relocated(
        &self,
        start: VirtAddr,
        expected: &[u8],
        memory: &[u8],
        at: usize,
    ) -> Option<usize> {
        let slide = self.guest.placement().slide;
        if slide == 0 && self.guest.arch() == Arch::X86_64 {
            return None;
        }
        let u64_at = |bytes: &[u8], o: usize| Some(u64::from_le_bytes(*bytes.get(o..)?.first_chunk()?));
        let u32_at = |bytes: &[u8], o: usize| Some(u32::from_le_bytes(*bytes.get(o..)?.first_chunk()?));
        if self.guest.arch() == Arch::Arm64 {
            let o = at & !7;
            let (old, new) = (u64_at(expected, o)?, u64_at(memory, o)?);
            let moved = new == old.wrapping_add(slide)
                || self.is_hyp_pointer(start.wrapping_offset(o as i64), old, new);
            return (self.image.contains(&old) && moved).then_some(o + 8);
        }
        for o in (at.saturating_sub(3)..=at).rev() {
            let (Some(old), Some(new)) = (u32_at(expected, o), u32_at(memory, o)) else { continue };
            let address = old.cast_signed() as i64 as u64;
            // Early code and whoever wants a physical address subtracts __START_KERNEL_map, or even _text.
            let is_address = self.is_near_image(address) || u64::from(old) < self.physical_end();
            if is_address && new == old.wrapping_add(slide as u32) {
                return Some(o + 4);
            }
            let next = start.0.wrapping_add(o as u64 + 4);
            let target = next.wrapping_add_signed(old.cast_signed().into());
            if target < PER_CPU_END && new == old.wrapping_sub(slide as u32) {
                return Some(o + 4);
            }
        }
        for o in (at.saturating_sub(7)..=at).rev() {
            let (Some(old), Some(new)) = (u64_at(expected, o), u64_at(memory, o)) else { continue };
            if self.is_near_image(old) && new == old.wrapping_add(slide) {
                return Some(o + 8);
            }
        }
        None
    }

    /// Whether a pointer in the code of KVM's hypervisor has become the hypervisor's own address of the same place
    /// (arch/arm64/kvm/va_layout.c, `kvm_apply_hyp_relocations`): the place in the linear map, with other upper bits.
    fn is_hyp_pointer(&self, at: VirtAddr, old: u64, new: u64) -> bool {
        const SAME: u64 = (2 << 20) - 1;
        let in_hyp = self.guest.image().symbol_at(at).is_some_and(|(s, _)| s.name.starts_with("__kvm_nvhe_"));
        in_hyp && new >> 52 == 0 && new & SAME == self.guest.placement().physical(VirtAddr(old)) & SAME
    }

    /// Where the image ends, counted from `__START_KERNEL_map`.
    fn physical_end(&self) -> u64 {
        self.image.end.wrapping_sub(crate::locate::START_KERNEL_MAP).min(1 << 30)
    }

    /// Whether a value is an address of the image, or a little beside it, as a table's address less an index is.
    fn is_near_image(&self, address: u64) -> bool {
        const BESIDE: u64 = 16 << 20;
        address >= self.image.start.saturating_sub(BESIDE) && address < self.image.end.saturating_add(BESIDE)
    }
}

/// Where per-CPU variables linked at 0 end: some hundred KiB, and the distance may count an immediate behind it.
const PER_CPU_END: u64 = 1 << 20;

/// The bytes that these sites have together, as offsets of their part.
fn extent(part: &TextPart, sites: &[Touched]) -> Option<std::ops::Range<usize>> {
    let start = sites.iter().map(|t| t.start).min()?;
    let end = sites.iter().map(|t| t.start.0.saturating_add(t.len.into())).max()?;
    let from = usize::try_from(start.0.checked_sub(part.start.0)?).ok()?;
    let to = usize::try_from(end.checked_sub(part.start.0)?).ok()?.min(part.bytes.len());
    (from < to).then_some(from..to)
}

/// Whether a site belongs to a class.
pub(super) fn of_class(sites: &[Touched], class: Class) -> Option<&Touched> {
    sites.iter().rev().find(|t| t.owner.class == class)
}
