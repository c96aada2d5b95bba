//! What the kernel found its processor to have, by name.

use kvet_image::Arch;
use kvet_tables::Context;
use kvet_tables::features::x86::Features;

use crate::Guest;

/// A set of features or capabilities by number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FeatureSet {
    words: Vec<u64>,
}

impl FeatureSet {
    /// Whether a number is in it.
    pub fn has(&self, number: u16) -> bool {
        self.words.get(usize::from(number) / 64).is_some_and(|w| w >> (number % 64) & 1 == 1)
    }

    /// All numbers, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u16> + '_ {
        (0..u16::try_from(self.words.len() * 64).unwrap_or(u16::MAX)).filter(|n| self.has(*n))
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    pub(crate) fn read(guest: &Guest<'_>, at: u64, bits: u64) -> Option<FeatureSet> {
        let len = usize::try_from(bits.checked_next_multiple_of(64)? / 8).ok()?;
        // The last word may end with the object: read what is whole in it.
        let bytes = guest.read(at, len.min(4096))?;
        Some(FeatureSet { words: bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect() })
    }
}

/// The features of the boot CPU: x86-64 `boot_cpu_data.x86_capability` with the bugs behind it, arm64
/// `system_cpucaps` (`cpu_hwcaps` before 6.4).
///
/// # Errors
/// The sentence that says what is not known.
pub fn features(guest: &Guest<'_>, context: &Context<'_>) -> Result<FeatureSet, String> {
    match guest.arch() {
        Arch::X86_64 => {
            let data = guest.symbol("boot_cpu_data").ok_or("no symbol boot_cpu_data")?;
            let place = guest
                .layouts()
                .member("cpuinfo_x86", "x86_capability")
                .ok_or("the layout of struct cpuinfo_x86 is not known: the image has no BTF")?;
            let read = FeatureSet::read(guest, data.wrapping_add(place.offset), place.size * 8);
            read.ok_or_else(|| "boot_cpu_data is not in this memory".into())
        }
        Arch::Arm64 => {
            let at = guest.symbol("system_cpucaps").or_else(|| guest.symbol("cpu_hwcaps"));
            let at = at.ok_or("neither system_cpucaps nor cpu_hwcaps is known by symbol or export")?;
            let count = context.arm64_alternatives().capabilities.count.unwrap_or(128);
            FeatureSet::read(guest, at, count.into())
                .ok_or_else(|| "the capabilities are not in this memory".into())
        }
    }
}

/// The features by name, in order of their numbers.
pub fn names(guest: &Guest<'_>, context: &Context<'_>, set: &FeatureSet) -> Vec<String> {
    match guest.arch() {
        Arch::X86_64 => {
            let features = Features::read(guest.image());
            set.numbers().map(|n| features.name(guest.image(), n)).collect()
        }
        Arch::Arm64 => {
            let known = &context.arm64_alternatives().capabilities;
            set.numbers().map(|n| known.describe(n)).collect()
        }
    }
}
