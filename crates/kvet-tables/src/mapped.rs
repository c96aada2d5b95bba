//! What an x86-64 kernel maps of itself while it patches, and what it says where it reads something else.

use kvet_image::{Image, Kind, VirtAddr};

/// The kernel's mapping is rounded to large pages (arch/x86/mm/init_64.c, `cleanup_highmap`).
const LARGE_PAGE: u64 = 2 << 20;

/// The line with which a kernel dies that reads an address outside everything it maps (arch/x86/mm/fault.c,
/// `show_fault_oops`); `None` where it is mapped, or where the image is a module, whose place is not known.
pub(crate) fn page_fault(image: &Image, addr: VirtAddr) -> Option<String> {
    if image.kind() == Kind::Module {
        return None;
    }
    let sections = image.sections().iter().filter(|s| s.addr.0 >= 1 << 63);
    let (start, end) = sections.fold((u64::MAX, 0), |(a, b), s| (a.min(s.addr.0), b.max(s.end().0)));
    let end = end.checked_next_multiple_of(LARGE_PAGE).unwrap_or(u64::MAX);
    let outside = start < end && (addr.0 < start / LARGE_PAGE * LARGE_PAGE || addr.0 >= end);
    outside.then(|| format!("BUG: unable to handle page fault for address: {:016x}", addr.0))
}
