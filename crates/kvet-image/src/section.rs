//! Sections: named, addressed parts of an image.

use crate::VirtAddr;

/// What may be done with a section's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Access {
    /// Instructions may be executed there.
    pub execute: bool,
    /// The link-time flags let it be written.
    pub write: bool,
}

/// One allocated section of an image, or, where the file has no section headers, one region that stands for
/// several (`.text` of an arm64 `Image`'s PE header).
#[derive(Clone, Debug)]
pub struct Section {
    /// The name, `.text`; lossy where the file holds no UTF-8.
    pub name: String,
    /// Where it starts.
    pub addr: VirtAddr,
    /// Its length in memory, in bytes.
    pub size: u64,
    /// Where its bytes stand in [`crate::Image::raw`]; empty for `.bss`.
    pub file: std::ops::Range<usize>,
    /// Execute and write permission.
    pub access: Access,
}

impl Section {
    /// The first address after the section; saturates at the end of the address space.
    pub fn end(&self) -> VirtAddr {
        VirtAddr(self.addr.0.saturating_add(self.size))
    }

    /// Whether the address lies inside.
    pub fn contains(&self, addr: VirtAddr) -> bool {
        addr >= self.addr && addr < self.end()
    }
}
