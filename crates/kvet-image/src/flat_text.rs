//! The text, read-only data and init text of a flat arm64 image, told apart.
//!
//! The PE header calls everything up to `__initdata_begin` text. Inside, in the order of
//! arch/arm64/kernel/vmlinux.lds.S (6.1, 6.12, 7.3 alike): `.head.text`, `.text`, `.rodata` with all tables,
//! `.rodata.text` (trampolines and idmap code; absent before 5.20), page tables, `.init.text`, `.exit.text`, then
//! `.altinstructions`. kallsyms holds the bounds of text and init text in every configuration (scripts/kallsyms.c
//! keeps all of `_stext`.. `_etext` and `_sinittext`.. `_einittext`); what it leaves open the contents tell.

use crate::kallsyms::{Kallsyms, u32_at};
use crate::section::{Access, Section};
use crate::{Image, VirtAddr};

/// The step in which code is told from data: arm64 aligns `.rodata.text` to a 2 KiB vector table at least.
const BLOCK: usize = 2048;

/// Consecutive entries that make a table of alternatives.
const ALTERNATIVES: usize = 16;

/// File positions at which the kind of memory changes.
struct Bounds {
    stext: usize,
    etext: usize,
    init_text: usize,
    init_text_end: usize,
    end: usize,
}

/// Sections in place of the coarse `.text`, or none when the image has no kallsyms that bounds them.
pub(crate) fn split(image: &Image, end: usize) -> Vec<Section> {
    let Some(bounds) = bounds(image, end) else { return Vec::new() };
    let raw = image.raw();
    let code = rodata_text(raw, bounds.etext, bounds.init_text);
    let exit_end = exit_text_end(image, &bounds).unwrap_or(bounds.end);
    // `.rodata` has the read-only-after-init data in its midst, so it is linked writable in an ELF file too.
    let parts = [
        (".head.text", 0, bounds.stext, true, false),
        (".text", bounds.stext, bounds.etext, true, false),
        (".rodata", bounds.etext, code.start, false, true),
        (".rodata.text", code.start, code.end, true, false),
        (".pgdir", code.end, bounds.init_text, false, true),
        (".init.text", bounds.init_text, bounds.init_text_end, true, false),
        (".exit.text", bounds.init_text_end, exit_end, true, false),
        (".init.rodata", exit_end, bounds.end, false, false),
    ];
    let base = image.sections.first().map_or(0, |s| s.addr.0);
    let nonempty = parts.into_iter().filter(|(_, start, end, ..)| start < end);
    nonempty
        .map(|(name, start, end, execute, write)| Section {
            name: name.into(),
            addr: VirtAddr(base.wrapping_add(start as u64)),
            size: (end - start) as u64,
            file: start..end,
            access: Access { execute, write },
        })
        .collect()
}

fn bounds(image: &Image, end: usize) -> Option<Bounds> {
    let kallsyms = image.kallsyms().ok()?;
    let at = |name| {
        let index = kallsyms.lookup(name).or_else(|| kallsyms.lookup_in_order(name));
        position(image, kallsyms, index?)
    };
    let bounds = Bounds {
        stext: at("_stext")?,
        etext: at("_etext")?,
        init_text: at("_sinittext")?,
        init_text_end: at("_einittext")?,
        end,
    };
    let order = [bounds.stext, bounds.etext, bounds.init_text, bounds.init_text_end, bounds.end];
    order.is_sorted().then_some(bounds)
}

/// A symbol's position in the file.
fn position(image: &Image, kallsyms: Kallsyms<'_>, index: usize) -> Option<usize> {
    let addr = kallsyms.address(index)?;
    let base = image.sections.first()?.addr.0;
    let at = usize::try_from(addr.0.checked_sub(base)?).ok()?;
    (at <= image.raw().len()).then_some(at)
}

/// `.rodata.text`: the last code before init text, behind which only the (empty) page tables stand.
fn rodata_text(raw: &[u8], from: usize, init_text: usize) -> std::ops::Range<usize> {
    let (mut start, mut end) = (init_text, None);
    let mut at = init_text;
    while let Some(block) = at.checked_sub(BLOCK).filter(|b| *b >= from) {
        let bytes = raw.get(block..at).unwrap_or(&[]);
        match looks_like(bytes) {
            Content::Code => {
                end.get_or_insert(at.next_multiple_of(4096).min(init_text));
                start = block;
            }
            Content::Empty => {}
            Content::Data => break,
        }
        at = block;
    }
    end.map_or(init_text..init_text, |end| start..end)
}

#[derive(PartialEq, Debug)]
enum Content {
    Empty,
    Code,
    Data,
}

/// A heuristic: most words of A64 code are loads and stores, moves, adds, branches and system instructions, and
/// hardly any word of a pointer table is.
fn looks_like(block: &[u8]) -> Content {
    let (mut used, mut code) = (0, 0);
    for word in block.chunks_exact(4).filter_map(|b| b.try_into().ok()).map(u32::from_le_bytes) {
        if word == 0 {
            continue;
        }
        used += 1;
        let common = matches!(word >> 24,
            0x14..=0x17 | 0x94..=0x97 | 0x34..=0x37 | 0xb4..=0xb7 | 0x54
            | 0x91 | 0xd1 | 0x11 | 0x51 | 0xf1 | 0x71 | 0x8b | 0xcb | 0xeb | 0x6b | 0x0b | 0x4b
            | 0xaa | 0x2a | 0xca | 0x8a | 0x92 | 0xb2 | 0x12 | 0x32 | 0xf2 | 0xd2 | 0x52 | 0x72 | 0xd3 | 0x53 | 0xb3
            | 0xf9 | 0xb9 | 0xf8 | 0xb8 | 0x39 | 0x38 | 0x79 | 0xa9 | 0xa8 | 0x29 | 0x58 | 0xd5 | 0xd6 | 0xd4 | 0x9a | 0xda)
            || word & 0x1f00_0000 == 0x1000_0000;
        code += usize::from(common);
    }
    match used {
        0 => Content::Empty,
        _ if code * 10 >= used * 6 => Content::Code,
        _ => Content::Data,
    }
}

/// Where `.exit.text` ends: at `__exittext_end` where kallsyms has it, else at the first alternative.
fn exit_text_end(image: &Image, bounds: &Bounds) -> Option<usize> {
    let named = image.kallsyms().ok().and_then(|k| position(image, k, k.lookup("__exittext_end")?));
    let raw = image.raw();
    let is_entry = |at: usize| {
        let (Some(orig), Some(lengths)) = (u32_at(raw, at), u32_at(raw, at + 8)) else { return false };
        let (orig_len, alt_len) = (lengths >> 16 & 0xff, lengths >> 24);
        let target = at.checked_add_signed(orig as i32 as isize);
        target.is_some_and(|t| t < at)
            && orig_len > 0
            && orig_len.is_multiple_of(4)
            && (alt_len == 0 || alt_len == orig_len)
    };
    let found = || {
        (bounds.init_text_end..bounds.end)
            .step_by(4)
            .find(|at| (0..ALTERNATIVES).all(|i| is_entry(at + 12 * i)))
    };
    named.filter(|at| (bounds.init_text_end..=bounds.end).contains(at)).or_else(found)
}
