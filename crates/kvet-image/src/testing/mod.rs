//! ELF files built by tests.
#![allow(clippy::unwrap_used)]

mod elf_file;

pub(crate) use elf_file::{Part, Rela, TestElf, build_id_note};

/// A small generator of numbers that are the same in every run (xorshift64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// Reads all that an image gives, as a check would; for files that must not make anything panic.
pub(crate) fn read_everything(image: &crate::Image) {
    let _ = (image.release(), image.build_id(), image.module_name(), image.load_faults().len());
    for symbol in image.symbols().iter().take(50) {
        let _ = (image.symbolize(symbol.addr), image.source_line(symbol.addr), image.u64(symbol.addr));
    }
    for section in image.sections().iter().take(50) {
        let _ =
            (image.section_bytes(section).len(), image.rel32(section.addr), image.extern_at(section.end()));
        let _ = (image.symbolize(section.addr), image.source_line(section.addr));
    }
}
