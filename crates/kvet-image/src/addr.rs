//! Addresses as a type of their own, so that no file offset or length is taken for one.

use std::fmt;

/// A link-time virtual address of a kernel: the one in its ELF headers and in System.map, before KASLR.
///
/// For a module, an address in the layout that [`crate::Image`] gave its sections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VirtAddr(pub u64);

impl VirtAddr {
    /// The address `delta` bytes further, or `None` when that leaves the address space.
    pub fn checked_add(self, delta: u64) -> Option<VirtAddr> {
        self.0.checked_add(delta).map(VirtAddr)
    }

    /// The address at a signed distance, as a PC-relative table field holds it; wraps as the kernel's own
    /// pointer arithmetic does, so a hostile field gives an address that no section holds.
    pub fn wrapping_offset(self, delta: i64) -> VirtAddr {
        VirtAddr(self.0.wrapping_add_signed(delta))
    }

    /// The signed distance from `base` to this address, modulo 2^64.
    pub fn wrapping_distance(self, base: VirtAddr) -> i64 {
        self.0.wrapping_sub(base.0) as i64
    }
}

impl fmt::Display for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

impl fmt::Debug for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::LowerHex for VirtAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0, f)
    }
}
