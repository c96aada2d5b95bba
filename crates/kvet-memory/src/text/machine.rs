//! A guest's memory as what patching depends on.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;
use kvet_tables::expected::{Machine, Stage};

use crate::Guest;
use crate::features::{self, FeatureSet};
use crate::symbols::formed_addresses;

/// The answers of one guest.
pub struct GuestMachine<'g, 'a> {
    guest: &'g Guest<'a>,
    features: FeatureSet,
    /// arm64: `applied_alternatives`, where it is known.
    applied: Option<FeatureSet>,
    stage: Stage,
    /// Take capabilities for applied that are detected and not applied yet.
    ahead: bool,
}

impl<'g, 'a> GuestMachine<'g, 'a> {
    /// Reads what is asked for all the time.
    ///
    /// # Errors
    /// The features are not known: the sentence that says why.
    pub fn new(guest: &'g Guest<'a>, context: &Context<'_>) -> Result<GuestMachine<'g, 'a>, String> {
        let features = features::features(guest, context)?;
        let applied = (guest.arch() == Arch::Arm64).then(|| applied(guest, context)).flatten();
        Ok(GuestMachine { guest, features, applied, stage: stage(guest), ahead: false })
    }

    /// The same guest, a moment later: everything that is being applied has been.
    #[must_use]
    pub fn ahead(self) -> Self {
        GuestMachine { ahead: true, ..self }
    }

    /// The features.
    pub fn features(&self) -> &FeatureSet {
        &self.features
    }
}

/// `applied_alternatives` (6.1 and later), by its symbol, else by the code of `alternative_is_applied`, which tests
/// one of its bits.
fn applied(guest: &Guest<'_>, context: &Context<'_>) -> Option<FeatureSet> {
    let image = guest.image();
    let by_code = || {
        let start = image.symbol_addr("alternative_is_applied")?;
        // A flag of WARN_ON's is addressed as well, behind the test; the bitmap is what is not in text.
        formed_addresses(image, start, 32).into_iter().find(|at| at.0.is_multiple_of(8))
    };
    let at = image.symbol_addr("applied_alternatives").or_else(by_code)?;
    let count = context.arm64_alternatives().capabilities.count.unwrap_or(128);
    FeatureSet::read(guest, guest.to_runtime(at), count.into())
}

fn stage(guest: &Guest<'_>) -> Stage {
    let flag = |name: &str| guest.symbol(name).and_then(|at| guest.u8(at)).map(|b| b != 0);
    let running = guest.init_is_freed();
    let patched = match guest.arch() {
        Arch::X86_64 => flag("alternatives_patched"),
        Arch::Arm64 => flag("all_alternatives_applied"),
    };
    Stage {
        alternatives: patched.unwrap_or(running),
        static_calls: flag("static_call_initialized").unwrap_or(running),
        static_keys: flag("static_key_initialized").unwrap_or(running),
        running,
        uniprocessor: flag("uniproc_patched").unwrap_or(false),
    }
}

impl Machine for GuestMachine<'_, '_> {
    fn has(&self, feature: u16) -> bool {
        match &self.applied {
            Some(applied) => applied.has(feature) || self.ahead && self.features.has(feature),
            None => self.features.has(feature),
        }
    }

    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        if !self.stage.static_keys {
            return None;
        }
        self.guest.u32(self.guest.to_runtime(key)).map(|enabled| enabled != 0)
    }

    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        let value = self.guest.u64(self.guest.to_runtime(at))?;
        Some(self.guest.to_link(value).map_or(value, |link| link.0))
    }

    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        if self.guest.is_gone(at) {
            return false;
        }
        match self.guest.link_bytes(at, into.len()) {
            Some(bytes) => {
                into.copy_from_slice(&bytes);
                true
            }
            None => false,
        }
    }

    fn stage(&self) -> Stage {
        self.stage
    }

    fn slide(&self) -> u64 {
        self.guest.placement().slide
    }
}
