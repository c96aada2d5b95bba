//! x86-64 features: `x86_cap_flags` and `x86_bug_flags`, the kernel's own lists of names.
//!
//! Both are arrays of string pointers with one slot a bit, NULL where /proc/cpuinfo shows no name
//! (arch/x86/kernel/cpu/mkcapflags.sh writes them). A bug's number follows on the last feature's:
//! `X86_BUG(x)` is `NCAPINTS*32 + x`, so the arrays' sizes are exactly NCAPINTS and NBUGINTS words.

use kvet_image::{Image, VirtAddr};

/// Bits in a feature word, which is also the number of slots it has in an array of names.
const WORD: u64 = 32;
/// Bytes of names' pointers a word has.
const WORD_BYTES: u64 = WORD * 8;
/// No kernel has more words (22 and 2 in 6.1 to 7.3): a bound on what symbols by distance may claim.
const MOST_WORDS: u64 = 64;

/// Features without a flag name whose number is one and the same in 5.10, 6.1, 6.12 and 7.3
/// (arch/x86/include/asm/cpufeatures.h). Others move between versions, so they are shown by number.
const NAMELESS: &[(u16, &str)] = &[
    (ALWAYS, "ALWAYS"),
    (RSB_VMEXIT, "RSB_VMEXIT"),
    (RSB_CTXSW, "RSB_CTXSW"),
    (USE_IBRS_FW, "USE_IBRS_FW"),
    (8 * 32 + 16, "XENPV"),
    (8 * 32 + 18, "VMCALL"),
    (8 * 32 + 19, "VMW_VMMCALL"),
    (FENCE_SWAPGS_USER, "FENCE_SWAPGS_USER"),
    (FENCE_SWAPGS_KERNEL, "FENCE_SWAPGS_KERNEL"),
    (11 * 32 + 10, "ENTRY_IBPB"),
    (RETPOLINE, "RETPOLINE"),
    (RETPOLINE_LFENCE, "RETPOLINE_LFENCE"),
    (RETHUNK, "RETHUNK"),
    (UNRET, "UNRET"),
    (RSB_VMEXIT_LITE, "RSB_VMEXIT_LITE"),
    (SRSO, "SRSO"),
    (SRSO_ALIAS, "SRSO_ALIAS"),
];

/// Numbers out of [`NAMELESS`] that decide more than alternatives, or follow from the kernel's defaults.
pub(crate) const RETPOLINE: u16 = 11 * 32 + 12;
pub(crate) const RETPOLINE_LFENCE: u16 = 11 * 32 + 13;
pub(crate) const RETHUNK: u16 = 11 * 32 + 14;
pub(crate) const UNRET: u16 = 11 * 32 + 15;
pub(crate) const SRSO: u16 = 11 * 32 + 24;
pub(crate) const SRSO_ALIAS: u16 = 11 * 32 + 25;
pub(crate) const RSB_VMEXIT: u16 = 7 * 32 + 13;
pub(crate) const RSB_CTXSW: u16 = 7 * 32 + 19;
pub(crate) const USE_IBRS_FW: u16 = 7 * 32 + 22;
pub(crate) const FENCE_SWAPGS_USER: u16 = 11 * 32 + 4;
pub(crate) const FENCE_SWAPGS_KERNEL: u16 = 11 * 32 + 5;
pub(crate) const RSB_VMEXIT_LITE: u16 = 11 * 32 + 17;

/// `X86_FEATURE_ALWAYS`: set on every CPU (arch/x86/kernel/cpu/common.c sets it for the boot CPU).
pub const ALWAYS: u16 = 3 * 32 + 21;

/// One array of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Names {
    start: VirtAddr,
    words: u64,
}

/// What an image says about feature numbers.
#[derive(Clone, Debug, Default)]
pub struct Features {
    caps: Option<Names>,
    bugs: Option<Names>,
}

impl Features {
    /// Finds the arrays of a kernel; a module has none of its own.
    pub fn read(kernel: &Image) -> Features {
        let array = |name| {
            let symbol = kernel.symbols().by_name(name)?;
            let bytes = if symbol.size != 0 { symbol.size } else { distance_to_next(kernel, symbol.addr)? };
            let most = (bytes / WORD_BYTES).min(MOST_WORDS);
            // By distance, an object without a symbol that follows the array counts too: it holds no names.
            let words = (0..most).take_while(|&word| may_be_names(kernel, symbol.addr, word)).count() as u64;
            (words > 0).then_some(Names { start: symbol.addr, words })
        };
        Features { caps: array("x86_cap_flags"), bugs: array("x86_bug_flags") }
    }

    /// NCAPINTS and NBUGINTS, when both arrays were found.
    pub fn words(&self) -> Option<(u64, u64)> {
        Some((self.caps?.words, self.bugs?.words))
    }

    /// The first number that is no feature, `(NCAPINTS + NBUGINTS) * 32`, when both arrays were found.
    pub fn limit(&self) -> Option<u32> {
        let (caps, bugs) = self.words()?;
        u32::try_from((caps + bugs) * WORD).ok()
    }

    /// A feature for messages: `smap (9*32+20)`, `ALWAYS (3*32+21)`, `bug spectre_v2 (22*32+15)`, or the number
    /// alone where the image has no name for it.
    pub fn name(&self, kernel: &Image, feature: u16) -> String {
        let (word, bit) = (feature / 32, feature % 32);
        let number = format!("{word}*32+{bit}");
        match self.flag(kernel, feature) {
            Some((true, name)) => format!("bug {name} ({number})"),
            Some((false, name)) => format!("{name} ({number})"),
            None => match NAMELESS.iter().find(|(n, _)| *n == feature) {
                Some((_, name)) => format!("{name} ({number})"),
                None => number,
            },
        }
    }

    /// Whether this image has a name for a feature, or its number means the same in every version.
    pub fn is_named(&self, kernel: &Image, feature: u16) -> bool {
        self.flag(kernel, feature).is_some() || NAMELESS.iter().any(|(n, _)| *n == feature)
    }

    /// The number of a feature or bug by its name in /proc/cpuinfo; of those without one, by their constant's name.
    pub fn number(&self, kernel: &Image, name: &str, is_bug: bool) -> Option<u16> {
        if !is_bug && let Some((number, _)) = NAMELESS.iter().find(|(_, n)| n.eq_ignore_ascii_case(name)) {
            return Some(*number);
        }
        let limit = self.limit()?;
        let caps = u32::try_from(self.caps?.words * WORD).ok()?;
        let numbers = if is_bug { caps..limit } else { 0..caps };
        let mut numbers = numbers.filter_map(|n| u16::try_from(n).ok());
        numbers.find(|n| self.flag(kernel, *n).is_some_and(|(_, found)| found == name))
    }

    /// The name in /proc/cpuinfo, and whether it is a bug's.
    fn flag<'a>(&self, kernel: &'a Image, feature: u16) -> Option<(bool, &'a str)> {
        let caps = self.caps?;
        let feature = u64::from(feature);
        let (names, slot, is_bug) = match feature.checked_sub(caps.words * WORD) {
            None => (caps, feature, false),
            Some(slot) => (self.bugs?, slot, true),
        };
        if slot >= names.words * WORD {
            return None;
        }
        let name = kernel.cstr(kernel.u64(names.start.checked_add(slot * 8)?).map(VirtAddr)?, 64)?;
        (!name.is_empty()).then_some((is_bug, name))
    }
}

fn distance_to_next(kernel: &Image, addr: VirtAddr) -> Option<u64> {
    let table = kernel.symbols();
    let section_end = kernel.section_at(addr)?.end();
    let end = table.get(table.upper_bound(addr)).map_or(section_end, |next| next.addr.min(section_end));
    end.0.checked_sub(addr.0)
}

/// Whether a word's 32 slots are NULL or point to short printable strings.
fn may_be_names(kernel: &Image, start: VirtAddr, word: u64) -> bool {
    (0..WORD).all(|slot| {
        let at = start.checked_add(word * WORD_BYTES + slot * 8);
        match at.and_then(|at| kernel.u64(at)) {
            Some(0) => true,
            Some(pointer) => kernel
                .cstr(VirtAddr(pointer), 64)
                .is_some_and(|s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic())),
            None => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use kvet_image::{Arch, SymbolKind};

    use super::*;
    use crate::testimage::{A, TestImage};

    const RODATA: u64 = 0xffff_ffff_8200_0000;
    const STRINGS: u64 = RODATA + 0x1000;

    /// Two words of features and one of bugs, with names for 0*32+1, 1*32+3 and bug 2; `size` is ELF's.
    fn image(sized: bool) -> Image {
        let mut data = vec![0u8; 3 * 256 + 64];
        for (slot, at) in [(1usize, STRINGS), (32 + 3, STRINGS + 4), (64 + 2, STRINGS + 9)] {
            data[slot * 8..slot * 8 + 8].copy_from_slice(&at.to_le_bytes());
        }
        data[3 * 256..3 * 256 + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let mut t = TestImage::new(Arch::X86_64);
        t.section(".rodata", RODATA, A, &data).section(".str", STRINGS, A, b"vme\0smap\0meltdown\0");
        let size = if sized { 512 } else { 0 };
        t.symbol("x86_cap_flags", RODATA, size, SymbolKind::Object);
        t.symbol("x86_bug_flags", RODATA + 0x200, size / 2, SymbolKind::Object);
        t.build()
    }

    #[test]
    fn sizes_and_names_come_from_the_arrays() {
        for sized in [true, false] {
            let image = image(sized);
            let features = Features::read(&image);
            assert_eq!(features.words(), Some((2, 1)), "sized: {sized}");
            assert_eq!(features.limit(), Some(96));
            assert_eq!(features.name(&image, 1), "vme (0*32+1)");
            assert_eq!(features.name(&image, 35), "smap (1*32+3)");
            assert_eq!(features.name(&image, 66), "bug meltdown (2*32+2)");
            assert_eq!(features.name(&image, 2), "0*32+2");
            assert_eq!(features.name(&image, 5000), "156*32+8");
            assert_eq!(features.name(&image, ALWAYS), "ALWAYS (3*32+21)");
        }
    }

    #[test]
    fn an_image_without_the_arrays_has_numbers_only() {
        let image = TestImage::new(Arch::X86_64).section(".rodata", RODATA, A, &[0; 8]).build();
        let features = Features::read(&image);
        assert_eq!(features.limit(), None);
        assert_eq!(features.name(&image, 308), "9*32+20");
    }
}
