//! The undamaged kernel, booted once: what its processor and its keys are, which predictions rest on.

use std::collections::HashSet;
use std::path::Path;

use kvet_image::{Image, VirtAddr};
use kvet_memory::text::GuestMachine;
use kvet_memory::{Guest, Memory};
use kvet_tables::Context;
use kvet_tables::expected::{Machine, PatchedText, Stage, initially_enabled};

use crate::boot::{Boot, End};

/// The undamaged kernel's guest.
pub struct Reference<'a> {
    image: &'a Image,
    guest: &'a Guest<'a>,
    machine: GuestMachine<'a, 'a>,
    /// The undamaged table's keys. Nothing switches what a damaged entry takes for a key, whatever stands there.
    keys: HashSet<VirtAddr>,
}

/// The memory of a boot as a guest of an image.
///
/// # Errors
/// The sentence that says why it cannot be read.
pub fn guest<'a>(boot: &Boot, image: &'a Image) -> Result<Guest<'a>, String> {
    let memory =
        Memory::from_file(&boot.memory, Path::new("guest"), image.arch()).map_err(|e| e.to_string())?;
    Guest::new(memory, image, Vec::new()).map_err(|e| e.to_string())
}

impl<'a> Reference<'a> {
    /// Takes the guest of a good boot.
    ///
    /// # Errors
    /// The boot was not good, or its memory does not tell what is needed.
    pub fn new(boot: &Boot, guest: &'a Guest<'a>, context: &'a Context<'a>) -> Result<Reference<'a>, String> {
        if boot.end != End::Booted {
            let last = boot.lines.last().map_or("", String::as_str);
            return Err(format!("the undamaged kernel does not boot here ({:?}, {last:?})", boot.end));
        }
        let labels = context.jump_labels().map_or(&[][..], |table| &table.labels);
        Ok(Reference {
            image: context.image,
            guest,
            machine: GuestMachine::new(guest, context)?,
            keys: labels.iter().map(|label| label.key).collect(),
        })
    }

    fn enabled(&self, key: VirtAddr) -> Option<bool> {
        self.guest.u32(self.guest.to_runtime(key)).map(|enabled| enabled != 0)
    }

    /// Whether the boot has switched a key.
    pub fn is_switched(&self, key: VirtAddr) -> bool {
        self.keys.contains(&key) && self.enabled(key) != initially_enabled(self.image, key)
    }

    /// Whether a feature is there.
    pub fn has(&self, feature: u16) -> bool {
        self.machine.has(feature)
    }

    /// The text that an image's tables make on this machine.
    pub fn text(&self, context: &Context<'_>) -> PatchedText {
        PatchedText::of(context, self)
    }
}

impl Machine for Reference<'_> {
    fn has(&self, feature: u16) -> bool {
        self.machine.has(feature)
    }

    /// Sites of keys that are not switched stay as they are in the file.
    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        self.enabled(key).filter(|_| self.is_switched(key))
    }

    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        self.machine.pointer(at)
    }

    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        self.machine.raw(at, into)
    }

    /// It booted: whatever its variables say, where they have names.
    fn stage(&self) -> Stage {
        let uniprocessor = self.machine.stage().uniprocessor;
        Stage { alternatives: true, static_calls: true, static_keys: true, running: true, uniprocessor }
    }

    fn slide(&self) -> u64 {
        self.machine.slide()
    }
}
