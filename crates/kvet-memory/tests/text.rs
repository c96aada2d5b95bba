//! Real kernels as guests: the text that patching makes is laid into memory, and every byte changed there is found.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use kvet_image::{Arch, Image, VirtAddr};
use kvet_memory::{Guest, Memory, text};
use kvet_tables::Context;
use kvet_tables::expected::{Machine, PatchedText, Stage};

/// A processor with the features that every one has, patching done, nothing initialised since.
struct Plain<'i>(&'i Image);

const ALWAYS: u16 = 3 * 32 + 21;

impl Machine for Plain<'_> {
    fn has(&self, feature: u16) -> bool {
        feature == ALWAYS
    }
    fn key_enabled(&self, key: VirtAddr) -> Option<bool> {
        Some(self.0.u32(key).unwrap_or(0) != 0)
    }
    fn pointer(&self, at: VirtAddr) -> Option<u64> {
        self.0.u64(at).or_else(|| self.0.section_at(at).map(|_| 0))
    }
    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool {
        match self.0.bytes(at, into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            // .bss has no bytes in the file.
            None => into.fill(0),
        }
        self.0.section_at(at).is_some()
    }
    fn stage(&self) -> Stage {
        Stage {
            alternatives: true,
            static_calls: true,
            static_keys: true,
            running: true,
            uniprocessor: false,
        }
    }
    fn slide(&self) -> u64 {
        0
    }
}

const MAP: u64 = 0xffff_ffff_8000_0000;

/// RAM with the image where it is linked to, and this text.
fn ram(image: &Image, context: &Context<'_>) -> Vec<u8> {
    let end = image.sections().iter().filter(|s| s.addr.0 >= MAP).map(|s| s.end().0 - MAP).max().unwrap();
    let mut ram = vec![0; end as usize + (4 << 20)];
    let mut put = |at: VirtAddr, bytes: &[u8]| {
        let at = (at.0 - MAP) as usize;
        ram[at..at + bytes.len()].copy_from_slice(bytes);
    };
    for section in image.sections().iter().filter(|s| s.addr.0 >= MAP) {
        put(section.addr, image.section_bytes(section));
    }
    for part in PatchedText::of(context, &Plain(image)).parts {
        put(part.start, &part.bytes);
    }
    for (name, value) in [
        ("alternatives_patched", 1),
        ("static_call_initialized", 1),
        ("static_key_initialized", 1),
        ("system_state", 2),
    ] {
        if let Some(at) = image.symbol_addr(name) {
            put(at, &[value]);
        }
    }
    let capability = image.symbol_addr("boot_cpu_data").unwrap();
    let offset = kvet_memory::Layouts::of(image).offset("cpuinfo_x86", "x86_capability").unwrap();
    put(VirtAddr(capability.0 + offset + u64::from(ALWAYS) / 8), &[1 << (ALWAYS % 8)]);
    ram
}

#[test]
fn every_changed_byte_is_found_and_nothing_else() {
    for path in kvet_testkernels::kernels(&["vmlinux"]) {
        let image = Image::open(&path).unwrap();
        if image.arch() != Arch::X86_64 {
            continue;
        }
        let context = Context::new(&image, None);
        let mut ram = ram(&image, &context);
        let audit = |ram: Vec<u8>| {
            let memory = Memory::from_bytes(Path::new("ram"), ram, Arch::X86_64).unwrap();
            let guest = Guest::new(memory, &image, Vec::new()).unwrap();
            text::audit(&guest, &context).unwrap()
        };
        let clean = audit(ram.clone());
        assert_eq!(clean.faults().count(), 0, "{}: {:?}", path.display(), clean.faults().next());
        assert!(clean.bytes > 8 << 20 && clean.as_expected.len() >= 6);
        // Far enough apart that no two share a site.
        let text = PatchedText::of(&context, &Plain(&image)).parts.into_iter().next().unwrap();
        let places: Vec<VirtAddr> = (0..500)
            .map(|i| text.start.checked_add(i * (text.bytes.len() as u64 / 500) + i % 7).unwrap())
            .collect();
        for at in &places {
            ram[(at.0 - MAP) as usize] ^= 0x10;
        }
        let damaged = audit(ram);
        let missed: Vec<_> = places
            .iter()
            .filter(|at| !damaged.faults().any(|o| o.start <= **at && at.0 < o.start.0 + o.len))
            .collect();
        assert!(missed.is_empty(), "{}: {missed:?} of {} were not found", path.display(), places.len());
        assert!(damaged.faults().count() <= places.len());
    }
}
