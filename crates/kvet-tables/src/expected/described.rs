//! A processor that is known by description, not by a guest's memory: what the file says, and features by number.

use std::collections::BTreeSet;

use kvet_image::{Image, VirtAddr};

use super::{Machine, Stage};

/// A kernel that has just patched itself on a processor with given features. Variables that the boot sets are not
/// known; what depends on them stays as it is in the file, and [`super::PatchedText::skipped`] says so.
pub struct Described<'a> {
    image: &'a Image,
    features: &'a BTreeSet<u16>,
    uniprocessor: bool,
    return_thunk: Option<(VirtAddr, u64)>,
}

impl<'a> Described<'a> {
    /// A machine with these features (arm64: capabilities), with one processor or with several.
    pub fn new(image: &'a Image, features: &'a BTreeSet<u16>, uniprocessor: bool) -> Described<'a> {
        Described { image, features, uniprocessor, return_thunk: return_thunk(image, features) }
    }
}

/// Whether a static key is enabled before the kernel's first instruction.
pub fn initially_enabled(image: &Image, key: VirtAddr) -> Option<bool> {
    // .bss has no bytes in the file, and is zero.
    image.u32(key).map(|enabled| enabled != 0).or_else(|| image.section_at(key).map(|_| false))
}

/// Where `x86_return_thunk` stands and what the default mitigation makes of it (arch/x86/kernel/cpu/bugs.c,
/// `retbleed_select_mitigation`, `srso_select_mitigation`): the last one that is selected wins.
fn return_thunk(image: &Image, features: &BTreeSet<u16>) -> Option<(VirtAddr, u64)> {
    use crate::features::x86::{SRSO, SRSO_ALIAS, UNRET};
    let at = image.symbol_addr("x86_return_thunk")?;
    let chosen: [(u16, &[&str]); 3] = [
        (SRSO_ALIAS, &["srso_alias_return_thunk", "srso_return_thunk"]),
        (SRSO, &["srso_return_thunk"]),
        (UNRET, &["retbleed_return_thunk", "zen_return_thunk"]),
    ];
    let (_, names) = chosen.into_iter().find(|(feature, _)| features.contains(feature))?;
    // Before 6.1.45 the thunk for retbleed was __x86_return_thunk itself, which the variable holds already.
    names.iter().find_map(|name| image.symbol_addr(name)).map(|thunk| (at, thunk.0))
}

impl Machine for Described<'_> {
    fn has(&self, feature: u16) -> bool {
        self.features.contains(&feature)
    }

    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        initially_enabled(self.image, key)
    }

    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        match self.return_thunk {
            Some((variable, thunk)) if variable == at => Some(thunk),
            _ => self.image.u64(at).or_else(|| self.image.section_at(at).map(|_| 0)),
        }
    }

    fn raw(&self, _at: VirtAddr, _into: &mut [u8]) -> bool {
        false
    }

    fn stage(&self) -> Stage {
        Stage {
            alternatives: true,
            static_calls: true,
            static_keys: true,
            running: true,
            uniprocessor: self.uniprocessor,
        }
    }

    fn slide(&self) -> u64 {
        0
    }
}

/// Another machine, with keys in other states than its own.
pub struct WithKeys<'m> {
    /// The machine.
    pub machine: &'m dyn Machine,
    /// The image, when keys not named below are to be in their initial state.
    pub initially: Option<&'m Image>,
    /// Keys whose state is given.
    pub given: &'m [(VirtAddr, bool)],
}

impl Machine for WithKeys<'_> {
    fn has(&self, feature: u16) -> bool {
        self.machine.has(feature)
    }

    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        if let Some((_, enabled)) = self.given.iter().rev().find(|(at, _)| *at == key) {
            return Some(*enabled);
        }
        match self.initially {
            Some(image) => initially_enabled(image, key),
            None => self.machine.key_enabled(key),
        }
    }

    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        self.machine.pointer(at)
    }

    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        self.machine.raw(at, into)
    }

    fn stage(&self) -> Stage {
        self.machine.stage()
    }

    fn slide(&self) -> u64 {
        self.machine.slide()
    }
}

/// Another machine, with features added and taken away.
pub struct WithFeatures<'m> {
    /// The machine.
    pub machine: &'m dyn Machine,
    /// Features and whether they are there.
    pub changed: &'m [(u16, bool)],
}

impl Machine for WithFeatures<'_> {
    fn has(&self, feature: u16) -> bool {
        let changed = self.changed.iter().rev().find(|(number, _)| *number == feature);
        changed.map_or_else(|| self.machine.has(feature), |(_, there)| *there)
    }

    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        self.machine.key_enabled(key)
    }

    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        self.machine.pointer(at)
    }

    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        self.machine.raw(at, into)
    }

    fn stage(&self) -> Stage {
        self.machine.stage()
    }

    fn slide(&self) -> u64 {
        self.machine.slide()
    }
}
