//! CPU capabilities: how many the kernel knows, which it can detect, and what it calls them.
//!
//! `ARM64_NCAPS` is a constant of the generated header; in an image it stands as the size of the array of
//! pointers to capabilities, and in every comparison of `alternative_is_applied()` and `this_cpu_has_cap()`.
//! Names are the descriptions in the arrays `arm64_features` and `arm64_errata`, which the kernel prints as
//! `CPU features: detected: ...` (arch/arm64/kernel/cpufeature.c and cpu_errata.c, 5.10 to 7.3).

use std::collections::BTreeMap;

use kvet_image::{Image, SymbolKind, VirtAddr};
use memchr::memmem;

use super::text::Text;
use crate::disasm::arm64::words;

/// One capability that the kernel can detect.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capability {
    /// Its description, where it has one.
    pub name: Option<String>,
    /// Every CPU has it (`ARM64_ALWAYS_BOOT`, `ARM64_ALWAYS_SYSTEM`: its `matches` is `has_always`).
    pub always: bool,
}

/// What an image says about capabilities.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// `ARM64_NCAPS`, when the image tells it exactly.
    pub count: Option<u16>,
    /// Where the number was read.
    pub count_from: Option<String>,
    /// Those with an entry in `arm64_features` or `arm64_errata`; empty when the arrays were not found.
    pub listed: BTreeMap<u16, Capability>,
    /// Whether both arrays were found, so that a capability that is not listed is never detected.
    pub complete: bool,
}

impl Capabilities {
    /// Reads them from a vmlinux or a flat image.
    pub(super) fn read(image: &Image, text: &Text<'_>) -> Capabilities {
        let mut found = Capabilities::default();
        if let Some((count, from)) = count_from_object(image).or_else(|| count_from_code(image, text)) {
            found.count = Some(count);
            found.count_from = Some(from);
        }
        let features = Array::find(image, text, "arm64_features", FEATURE_ANCHORS);
        let errata = Array::find(image, text, "arm64_errata", ERRATA_ANCHORS);
        found.complete = features.is_some() && errata.is_some();
        for array in [features, errata].into_iter().flatten() {
            array.list(image, &mut found.listed);
        }
        found
    }

    /// A capability for a sentence: `37 "Virtualization Host Extensions"`.
    pub fn describe(&self, number: u16) -> String {
        match self.listed.get(&number) {
            Some(Capability { name: Some(name), .. }) => format!("{number} \"{name}\""),
            Some(Capability { always: true, .. }) => format!("{number} (always there)"),
            Some(_) => format!("{number} (without a description)"),
            None if self.complete => format!("{number} (in neither arm64_features nor arm64_errata)"),
            None => number.to_string(),
        }
    }

    /// Whether every CPU has a capability.
    pub fn is_always(&self, number: u16) -> bool {
        self.listed.get(&number).is_some_and(|c| c.always)
    }
}

/// No kernel has fewer (3.19 had 4, 5.10 has 63) or as many as the callback bit leaves room for.
const PLAUSIBLE_COUNT: std::ops::Range<u64> = 4..1024;

/// From the size of an array that has one element a capability. kallsyms knows no sizes, and the distance to
/// the next symbol may hold padding, so only ELF symbols will do.
fn count_from_object(image: &Image) -> Option<(u16, String)> {
    // cpucap_ptrs since 6.6 (commit 7f242982e46a); cpu_hwcap_keys up to 5.19, an array of struct static_key.
    [("cpucap_ptrs", 8), ("cpu_hwcaps_ptrs", 8), ("cpu_hwcap_keys", 16)].into_iter().find_map(
        |(name, size)| {
            let symbol = image.symbols().by_name(name).filter(|s| s.size > 0 && s.size % size == 0)?;
            let count = Some(symbol.size / size).filter(|n| PLAUSIBLE_COUNT.contains(n))?;
            Some((u16::try_from(count).ok()?, format!("the size of {name}")))
        },
    )
}

/// From the range check at the start of two functions that do little else.
fn count_from_code(image: &Image, text: &Text<'_>) -> Option<(u16, String)> {
    let read = |name: &str| bound_in_function(text, image.symbol_addr(name)?);
    let names = ["alternative_is_applied", "this_cpu_has_cap"];
    let found: Vec<(u16, &str)> = names.iter().filter_map(|n| Some((read(n)?, *n))).collect();
    let &(count, name) = found.first()?;
    // Two functions that disagree prove that one was misread.
    found.iter().all(|f| f.0 == count).then(|| (count, format!("the comparison in {name}()")))
}

/// The constant that a function compares its 32-bit argument with before a branch for "too large".
fn bound_in_function(text: &Text<'_>, start: VirtAddr) -> Option<u16> {
    let code: Vec<u32> = words(text.bytes(start, 64)?).collect();
    code.windows(2).find_map(|pair| {
        let (cmp, branch) = (pair[0], pair[1]);
        if cmp & 0xffc0_001f != 0x7100_001f || branch & 0xff00_0010 != 0x5400_0000 {
            return None;
        }
        let limit = (cmp >> 10) & 0xfff;
        let count = match branch & 0xf {
            8 | 9 => limit + 1, // hi: too large; ls: in range
            2 | 3 => limit,     // hs, lo
            _ => return None,
        };
        PLAUSIBLE_COUNT.contains(&u64::from(count)).then_some(count as u16)
    })
}

/// Descriptions that every version has, whatever the configuration.
const FEATURE_ANCHORS: &[&str] =
    &["GIC system register CPU interface", "Virtualization Host Extensions", "RAS Extension Support"];
const ERRATA_ANCHORS: &[&str] = &["Mismatched cache type (CTR_EL0)", "Spectre-v2", "Spectre-v4"];

/// An array of `struct arm64_cpu_capabilities`: `const char *desc, u16 capability, u16 type, matches(),
/// cpu_enable(), ...`; its length differs by version (64 bytes in 6.1, 72 in 6.12 and 7.3).
struct Array {
    start: VirtAddr,
    stride: u64,
    entries: u64,
}

/// The lengths that the structure may have.
const STRIDES: std::ops::RangeInclusive<u64> = 48..=160;

/// More entries than any array has.
const MAX_ENTRIES: u64 = 1024;

impl Array {
    fn find(image: &Image, text: &Text<'_>, name: &str, anchors: &[&str]) -> Option<Array> {
        if let Some(symbol) = image.symbols().by_name(name).filter(|s| s.kind != SymbolKind::Function) {
            let end = (symbol.size > 0).then(|| symbol.addr.checked_add(symbol.size)).flatten();
            if let Some(array) = Array::measure(image, text, symbol.addr, end) {
                return Some(array);
            }
        }
        anchors.iter().find_map(|anchor| {
            // Arrays of ELF hwcaps and match lists use other strings; the first array that works is the one.
            pointers_to(image, anchor).into_iter().find_map(|at| Array::around(image, text, at))
        })
    }

    /// The array that starts at an address and ends at another or at its empty last entry.
    fn measure(image: &Image, text: &Text<'_>, start: VirtAddr, end: Option<VirtAddr>) -> Option<Array> {
        let fits = |stride: &u64| {
            let entries = Array::run(image, text, start, *stride, end);
            let sized = end.is_none_or(|e| (e.0 - start.0).is_multiple_of(*stride));
            (sized && entries > 0).then_some(Array { start, stride: *stride, entries })
        };
        STRIDES.step_by(8).filter_map(|s| fits(&s)).max_by_key(|a| a.entries)
    }

    /// The array that has an entry at an address: the stride at which most entries follow and precede it.
    fn around(image: &Image, text: &Text<'_>, entry: VirtAddr) -> Option<Array> {
        let extent = |stride: u64| {
            let mut start = entry;
            let mut before = 0;
            while before < MAX_ENTRIES && is_entry(image, text, VirtAddr(start.0.wrapping_sub(stride))) {
                start = VirtAddr(start.0.wrapping_sub(stride));
                before += 1;
            }
            Array { start, stride, entries: before + Array::run(image, text, entry, stride, None) }
        };
        STRIDES.step_by(8).map(extent).max_by_key(|a| a.entries).filter(|a| a.entries >= 4)
    }

    fn run(image: &Image, text: &Text<'_>, start: VirtAddr, stride: u64, end: Option<VirtAddr>) -> u64 {
        (0..MAX_ENTRIES)
            .take_while(|i| {
                let at = VirtAddr(start.0.wrapping_add(i * stride));
                end.is_none_or(|end| at < end) && is_entry(image, text, at)
            })
            .count() as u64
    }

    fn list(&self, image: &Image, into: &mut BTreeMap<u16, Capability>) {
        for i in 0..self.entries {
            let at = VirtAddr(self.start.0.wrapping_add(i * self.stride));
            let Some(number) = at.checked_add(8).and_then(|a| image.u16(a)) else { continue };
            let name = image.u64(at).filter(|p| *p != 0).and_then(|p| image.cstr(VirtAddr(p), 128));
            let always = at
                .checked_add(16)
                .and_then(|a| image.u64(a))
                .and_then(|f| image.symbol_at(VirtAddr(f)))
                .is_some_and(|(s, into)| into == 0 && s.name == "has_always");
            let capability = into.entry(number).or_default();
            capability.always |= always;
            if capability.name.is_none() {
                capability.name = name.map(str::to_owned);
            }
        }
    }
}

/// Whether an entry of the array may stand there. `type` holds the scope (one of three bits) and how late CPUs
/// are treated (`ARM64_CPUCAP_*` in arch/arm64/include/asm/cpufeature.h); `matches` is never empty.
fn is_entry(image: &Image, text: &Text<'_>, at: VirtAddr) -> bool {
    let word = |offset: u64| at.checked_add(offset).and_then(|a| image.u64(a));
    let (Some(desc), Some(numbers), Some(matches), Some(enable)) = (word(0), word(8), word(16), word(24))
    else {
        return false;
    };
    let (capability, kind) = (numbers & 0xffff, (numbers >> 16) & 0xffff);
    PLAUSIBLE_COUNT.end > capability
        && kind & 7 != 0
        && kind < 0x100
        && numbers >> 32 == 0
        && matches != 0
        && text.contains(VirtAddr(matches))
        && (enable == 0 || text.contains(VirtAddr(enable)))
        && (desc == 0 || image.cstr(VirtAddr(desc), 128).is_some_and(|s| !s.is_empty()))
}

/// Where pointers to a string stand. Both are data: text and relocation tables are not searched.
fn pointers_to(image: &Image, string: &str) -> Vec<VirtAddr> {
    const MOST: usize = 8;
    let mut needle = vec![0];
    needle.extend_from_slice(string.as_bytes());
    needle.push(0);
    let finder = memmem::Finder::new(&needle);
    let data = || {
        let sections = image.sections().iter().filter(|s| !s.access.execute && !s.name.starts_with(".rel"));
        sections.map(|s| (s.addr.0, image.section_bytes(s)))
    };
    let strings: Vec<u64> = data()
        .flat_map(|(start, bytes)| finder.find_iter(bytes).map(move |at| start.wrapping_add(at as u64 + 1)))
        .take(MOST)
        .collect();
    if strings.is_empty() {
        return Vec::new();
    }
    let pointers = data().flat_map(|(start, bytes)| {
        let skew = (start.wrapping_neg() % 8) as usize;
        let words = bytes.get(skew..).unwrap_or(&[]).as_chunks::<8>().0.iter();
        let hits = words.enumerate().filter(|(_, word)| strings.contains(&u64::from_le_bytes(**word)));
        hits.map(move |(i, _)| VirtAddr(start.wrapping_add((skew + 8 * i) as u64)))
    });
    pointers.take(MOST).collect()
}
