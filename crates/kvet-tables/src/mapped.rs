//! What an x86-64 kernel maps of itself while it patches, and what it says where it reads something else.

use kvet_image::{Arch, Image, Kind, VirtAddr};

/// The kernel's mapping is rounded to large pages (arch/x86/mm/init_64.c, `cleanup_highmap`).
const LARGE_PAGE: u64 = 2 << 20;

/// From here on up is what is linked: the image, and below and above it nothing while the kernel patches.
const LINKED: u64 = 0xffff_ffff_0000_0000;
/// User space ends there, and nothing of it is mapped yet.
const USER_END: u64 = 1 << 47;
/// With five levels of page tables user space ends there.
const NOT_CANONICAL: u64 = 1 << 56;
/// Between the two halves no address is canonical (with five levels of page tables the gap is smaller, and such an
/// address faults as any other).
const KERNEL_START: u64 = 0xff00_0000_0000_0000;
/// Below it a fault is one of a null pointer.
const PAGE: u64 = 4096;

/// The line with which an x86-64 kernel dies that reads an address outside everything it maps
/// (arch/x86/mm/fault.c, `show_fault_oops`; arch/x86/kernel/traps.c, `exc_general_protection`); `None` where it may be mapped, and of a module, whose place is not known.
pub(crate) fn page_fault(image: &Image, addr: VirtAddr) -> Option<String> {
    if image.kind() == Kind::Module || image.arch() != Arch::X86_64 {
        return None;
    }
    let addr = addr.0;
    if addr < PAGE {
        return Some(format!("BUG: kernel NULL pointer dereference, address: {addr:016x}"));
    }
    if (NOT_CANONICAL..KERNEL_START).contains(&addr) {
        return Some(format!(
            "general protection fault, probably for non-canonical address {addr:#x}: 0000 [#1]"
        ));
    }
    let sections = image.sections().iter().filter(|s| s.addr.0 >= LINKED);
    let (start, end) = sections.fold((u64::MAX, 0), |(a, b), s| (a.min(s.addr.0), b.max(s.end().0)));
    let end = end.checked_next_multiple_of(LARGE_PAGE).unwrap_or(u64::MAX);
    let beside = start < end && addr >= LINKED && (addr < start / LARGE_PAGE * LARGE_PAGE || addr >= end);
    let nowhere = addr < USER_END || beside;
    nowhere.then(|| format!("BUG: unable to handle page fault for address: {addr:016x}"))
}

/// [`page_fault`] before `trap_init()`: page faults alone have their handler (`idt_setup_early_pf`), a protection fault is
/// an early exception, of which only early_printk tells (arch/x86/mm/extable.c, `early_fixup_exception`).
pub(crate) fn page_fault_before_traps(image: &Image, addr: VirtAddr) -> Option<String> {
    let line = page_fault(image, addr)?;
    let protection = line.starts_with("general protection");
    Some(if protection { "PANIC: early exception 0x0d".to_owned() } else { line })
}
