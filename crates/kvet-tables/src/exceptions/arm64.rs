//! What arm64 instructions can fault.

use kvet_image::{Image, VirtAddr};

use super::{Action, Exception};

/// Types of all versions, and two register numbers as data.
pub(super) fn is_typed(exception: &Exception) -> bool {
    matches!(exception.action, Action::Typed { kind: 1..=5, data: 0..=0x3ff })
}

/// Whether an instruction word accesses memory, or is a system instruction with a register or an operation (cache
/// maintenance, MRS of a register that may be missing) and no hint or barrier: the encodings of DDI 0487, C4.1.
pub(super) fn can_fault(word: u32) -> bool {
    is_load_or_store(word) || (word & 0xff00_0000 == 0xd500_0000 && (word >> 19) & 3 != 0)
}

/// op0 (bits 28 to 25) is x1x0.
pub(super) fn is_load_or_store(word: u32) -> bool {
    (word >> 25) & 0b101 == 0b100
}

/// Whether an address is one that may be an entry's instruction.
pub(super) fn is_site(image: &Image, addr: VirtAddr) -> bool {
    addr.0.is_multiple_of(4) && image.is_executable(addr) && image.u32(addr).is_some_and(can_fault)
}

/// Whether an address is one that may be an entry's fixup.
pub(super) fn is_fixup(image: &Image, addr: VirtAddr) -> bool {
    addr.0.is_multiple_of(4) && image.is_executable(addr)
}

/// For LOAD_UNALIGNED_ZEROPAD, what contradicts the load at the site: it must be an `ldr` of 64 bits whose
/// register and base are the ones in the data (`load_unaligned_zeropad` in arch/arm64/include/asm/word-at-a-time.h).
pub(super) fn bad_zeropad(word: u32, data: u32) -> Option<String> {
    let (target, base) = (data & 0x1f, (data >> 5) & 0x1f);
    let (rt, rn) = (word & 0x1f, (word >> 5) & 0x1f);
    (is_load_or_store(word) && (target, base) != (rt, rn))
        .then(|| format!("it names x{target} and x{base}, the load there has x{rt} and x{rn}"))
}
