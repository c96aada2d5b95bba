//! The table by its own form, on images that name it nowhere (a flat arm64 Image without KALLSYMS_ALL).

use std::ops::Range;

use kvet_image::{Arch, Image, VirtAddr};

use super::read::read;
use super::{ExceptionTable, Layout, arm64};
use crate::runs::{self, Likeness, Shape};
use crate::{Bounds, LocatedBy, disasm};

pub(super) fn find(image: &Image) -> Option<ExceptionTable> {
    if image.arch() != Arch::Arm64 {
        return None;
    }
    let ranges = runs::data_in_file(image);
    let find = |layout: Layout, is_entry: fn(&Image, VirtAddr) -> bool| {
        let shape = Shape { entry: layout.size(), align: 4, fewest: 16, hole: 4, dense: true };
        let run = runs::find(&ranges, shape, |at| Likeness::entry_if(is_entry(image, at)))?;
        Some(table(run, layout))
    };
    find(Layout::TypeData, is_typed).or_else(|| find(Layout::Pair, is_pair))
}

fn table(run: Range<VirtAddr>, layout: Layout) -> ExceptionTable {
    ExceptionTable { bounds: Bounds { start: run.start, end: run.end, located_by: LocatedBy::Scan }, layout }
}

fn is_typed(image: &Image, at: VirtAddr) -> bool {
    // The third word first: it is the cheapest to refuse.
    let third = at.checked_add(8).and_then(|at| image.u32(at));
    third.is_some_and(|word| matches!(word & 0xffff, 1..=5) && word >> 16 <= 0x3ff)
        && read(image, Layout::TypeData, at, 0)
            .is_some_and(|e| arm64::is_site(image, e.insn) && arm64::is_fixup(image, e.fixup))
}

/// A pair says little, so its order against a neighbour counts too. Where pairs are used, up to 5.10, entries of
/// `uao_user_alternative` may stand at a nop that becomes an access when it is patched.
fn is_pair(image: &Image, at: VirtAddr) -> bool {
    let sound = |at: VirtAddr| {
        let e = read(image, Layout::Pair, at, 0)?;
        let site = arm64::is_site(image, e.insn)
            || image.is_executable(e.insn) && image.u32(e.insn).is_some_and(disasm::arm64::is_nop);
        (site && arm64::is_fixup(image, e.fixup) && e.insn != e.fixup).then_some(e.insn)
    };
    let Some(insn) = sound(at) else { return false };
    let after = at.checked_add(8).and_then(sound);
    let before = at.0.checked_sub(8).and_then(|at| sound(VirtAddr(at)));
    after.is_some_and(|next| next > insn) || before.is_some_and(|last| last < insn)
}
