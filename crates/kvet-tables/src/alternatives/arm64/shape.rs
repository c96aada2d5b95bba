//! What an entry does, apart from where: which instructions are replaced by which.
//!
//! Thousands of entries have a few hundred shapes. Agreement is judged on shapes: entries of one shape patch
//! for one capability, and a replacement replaces what it always replaces.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use kvet_image::{Image, Kind, VirtAddr};

use super::entry::{Alternative, CallbackMarker};
use super::text::Text;
use crate::disasm::arm64::{
    ISB, branch_target, is_b, is_direct_branch, is_nop, mask_operands, mask_position, words,
};

/// Entries that do the same with the same registers.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// The replacement, without what depends on its place: the words, or the callback's name or address.
    pub(super) replacement: u64,
    /// As `replacement`, without registers, and the same at EL2.
    pub(super) replacement_kind: u64,
    /// It runs at EL2 without VHE.
    pub(super) is_hyp: bool,
    /// The replaced instructions, without places and registers.
    pub(super) original_kind: u64,
    /// The first of the replaced instructions, likewise.
    pub(super) original_first: u32,
    /// Its length in bytes.
    pub(super) original_len: usize,
    /// The original has nothing but `nop`, `b` or `isb`.
    pub(super) original_plain: bool,
    /// The replacement says nothing about what it is for: `nop`, `b`, `isb`, or the callback that writes `nop`s.
    pub(super) plain: bool,
    /// A callback's site chooses between LSE atomics and a load-exclusive loop.
    pub(super) for_lse: bool,
    /// The replacement is a lone `msr pan, #imm`.
    pub(super) sets_pan: bool,
    /// For a callback, the function.
    pub(super) callback: Option<VirtAddr>,
    /// The first entry of this shape.
    pub(super) first: usize,
    /// How many there are.
    pub(super) entries: usize,
}

/// No shape: the entry's instructions cannot be read.
pub(super) const NO_SHAPE: u32 = u32::MAX;

/// All shapes of a table and which one each entry has.
pub(super) struct Shapes {
    pub(super) all: Vec<Shape>,
    pub(super) of: Vec<u32>,
    /// Whether the code that runs at EL2 without VHE could be told apart. It is compiled from the same sources
    /// a second time with its own capabilities (`has_hvhe()` in arch/arm64/include/asm/virt.h), so one
    /// replacement belongs to one capability there and to another one in the kernel proper.
    pub(super) split: bool,
    /// Whether there are symbols to know a callback by.
    pub(super) named: bool,
}

/// The callback that only writes `nop`s (since 6.1), for whatever capability it is asked.
const PATCH_NOPS: &str = "alt_cb_patch_nops";

/// A hasher for keys that are hashes already.
#[derive(Default, Clone)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = mix(self.0, u64::from(byte));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map whose keys are hashes already.
pub(super) type HashedMap<V> = HashMap<u64, V, BuildHasherDefault<Hashed>>;

const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(hash: u64, value: u64) -> u64 {
    let x = (hash.rotate_left(5) ^ value).wrapping_mul(SEED);
    x ^ (x >> 29)
}

impl Shapes {
    /// Reads every entry's instructions.
    pub(super) fn of(
        image: &Image,
        text: &Text<'_>,
        entries: &[Alternative],
        marker: CallbackMarker,
    ) -> Shapes {
        let hyp = hyp_text(image);
        let mut shapes = Shapes {
            all: Vec::new(),
            of: Vec::with_capacity(entries.len()),
            split: hyp.is_some() || image.kind() == Kind::Module,
            named: !image.symbols().is_empty(),
        };
        let mut ids: HashedMap<u32> = HashedMap::default();
        let mut callbacks: HashedMap<u64> = HashedMap::default();
        for (index, entry) in entries.iter().enumerate() {
            let Some((original, replacement)) = instructions(text, entry, marker) else {
                shapes.of.push(NO_SHAPE);
                continue;
            };
            let is_hyp = hyp.is_some_and(|(from, to)| entry.orig >= from && entry.orig < to);
            let population = mix(SEED, u64::from(is_hyp));
            let replaced = match replacement {
                Some(bytes) => fold(population, bytes, mask_position),
                None => {
                    let name = callbacks.entry(entry.alt.0).or_insert_with(|| callback_key(image, entry.alt));
                    mix(population, *name)
                }
            };
            // What the choice is for shows in the code around it.
            let for_lse = replacement.is_none() && chooses_lse(text, entry.orig, original);
            let replaced = if for_lse { mix(replaced, 3) } else { replaced };
            let key = fold(mix(replaced, 1), original, mask_position);
            let id = *ids.entry(key).or_insert_with(|| {
                let kind = match replacement {
                    Some(bytes) => fold(SEED, bytes, mask_operands),
                    None => callbacks.get(&entry.alt.0).copied().unwrap_or_default(),
                };
                let plain = match replacement {
                    Some(bytes) => words(bytes).all(is_plain),
                    None => !for_lse && is_patch_nops(image, entry.alt),
                };
                shapes.all.push(Shape {
                    replacement: replaced,
                    replacement_kind: kind,
                    is_hyp,
                    original_kind: fold(mix(SEED, 2), original, mask_operands),
                    original_first: words(original).next().map_or(0, mask_operands),
                    original_len: original.len(),
                    original_plain: words(original).all(is_plain),
                    plain,
                    for_lse,
                    sets_pan: replacement
                        .is_some_and(|bytes| words(bytes).eq([PAN_0]) || words(bytes).eq([PAN_1])),
                    callback: replacement.is_none().then_some(entry.alt),
                    first: index,
                    entries: 0,
                });
                (shapes.all.len() - 1) as u32
            });
            shapes.all[id as usize].entries += 1;
            shapes.of.push(id);
        }
        shapes
    }

    /// An entry's shape.
    pub(super) fn get(&self, index: usize) -> Option<&Shape> {
        self.all.get(*self.of.get(index)? as usize)
    }
}

/// `msr pan, #0` and `msr pan, #1`.
const PAN_0: u32 = 0xd500_409f;
const PAN_1: u32 = 0xd500_419f;

fn is_plain(word: u32) -> bool {
    is_nop(word) || is_b(word) || word == ISB
}

/// How far to look for an atomic operation behind a branch, in instructions.
const LSE_WINDOW: u64 = 16;

/// Whether a lone `b` decides between an LSE atomic instruction, which follows it, and a load-exclusive loop,
/// where it goes (`__lse_ll_sc_body()` in arch/arm64/include/asm/lse.h, since 5.4). On Debian's 6.1, 6.12 and
/// 7.3 all of the 10,000 and more such places, and no others, ask for ARM64_HAS_LSE_ATOMICS.
fn chooses_lse(text: &Text<'_>, site: VirtAddr, original: &[u8]) -> bool {
    let Some(word) = words(original).next().filter(|w| original.len() == 4 && is_b(*w)) else { return false };
    let (Some(next), Some(target)) = (site.checked_add(4), branch_target(site, word)) else { return false };
    straight(text, next).any(is_lse_atomic) && straight(text, target).any(is_exclusive)
}

/// The instructions from an address to the first branch, a window at most.
fn straight<'a>(text: &Text<'a>, from: VirtAddr) -> impl Iterator<Item = u32> + use<'a> {
    let window = (1..=LSE_WINDOW).rev().step_by(5).find_map(|n| text.bytes(from, n * 4)).unwrap_or(&[]);
    words(window).take_while(|w| !is_direct_branch(*w) && w & 0xfe00_0000 != 0xd600_0000)
}

/// `ld<op>`, `st<op>`, `swp`, `cas`, `casp`.
fn is_lse_atomic(word: u32) -> bool {
    word & 0x3f20_0c00 == 0x3820_0000
        || word & 0x3fa0_7c00 == 0x08a0_7c00
        || word & 0xbfa0_7c00 == 0x0820_7c00
}

/// `ldxr`, `stxr` and their kin.
fn is_exclusive(word: u32) -> bool {
    word & 0x3f80_0000 == 0x0800_0000 && !is_lse_atomic(word)
}

fn fold(seed: u64, bytes: &[u8], mask: impl Fn(u32) -> u32) -> u64 {
    words(bytes).fold(mix(seed, bytes.len() as u64), |hash, word| mix(hash, u64::from(mask(word))))
}

/// The original's bytes, and the replacement's unless a function writes it.
fn instructions<'a>(
    text: &Text<'a>,
    entry: &Alternative,
    marker: CallbackMarker,
) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let original = text.bytes(entry.orig, entry.orig_len.into())?;
    if marker.marks(entry) || entry.looks_like_callback() {
        return Some((original, None));
    }
    Some((original, Some(text.bytes(entry.alt, entry.alt_len.into())?)))
}

/// A callback by its name, so that a module's and its kernel's are one; else by its address.
fn callback_key(image: &Image, addr: VirtAddr) -> u64 {
    match function_name(image, addr) {
        Some(name) => name.bytes().fold(SEED, |h, b| mix(h, u64::from(b))),
        None => mix(SEED, addr.0),
    }
}

fn is_patch_nops(image: &Image, addr: VirtAddr) -> bool {
    function_name(image, addr) == Some(PATCH_NOPS)
}

/// A function by its name, also one that a module imports; EL2 code knows the kernel's functions under an alias with a prefix
/// (`KVM_NVHE_ALIAS` in arch/arm64/kernel/image-vars.h).
fn function_name(image: &Image, addr: VirtAddr) -> Option<&str> {
    if let Some(name) = image.extern_at(addr) {
        return Some(name);
    }
    let (symbol, into) = image.symbol_at(addr)?;
    (into == 0).then(|| symbol.name.strip_prefix("__kvm_nvhe_").unwrap_or(symbol.name))
}

/// The code that runs at EL2 without VHE.
fn hyp_text(image: &Image) -> Option<(VirtAddr, VirtAddr)> {
    Some((image.symbol_addr("__hyp_text_start")?, image.symbol_addr("__hyp_text_end")?))
}
