//! The nops that x86-64 kernels write.

use kvet_image::{Image, VirtAddr};

use super::Machine;

/// By length, from 5.13 on for every processor (arch/x86/include/asm/nops.h).
pub(super) const NOPS: [&[u8]; 12] = [
    &[],
    &[0x90],
    &[0x66, 0x90],
    &[0x0f, 0x1f, 0x00],
    &[0x0f, 0x1f, 0x40, 0x00],
    &[0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00],
    &[0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00],
    &[0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
    &[0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/// The longest nop of a kernel before 5.13 (ASM_NOP_MAX); the one of 5 bytes for places that are switched while the
/// system runs is behind it (NOP_ATOMIC5).
const LONGEST_CHOSEN: usize = 8;

/// The nops of one kernel on one processor.
pub(super) struct Nops {
    by_length: Vec<Vec<u8>>,
    live: Vec<u8>,
}

impl Default for Nops {
    fn default() -> Nops {
        Nops { by_length: NOPS.iter().map(|nop| nop.to_vec()).collect(), live: NOPS[5].to_vec() }
    }
}

impl Nops {
    /// Before 5.13 `ideal_nops` points to the array of pointers that the processor's vendor and family decided on
    /// (arch/x86/kernel/alternative.c, `arch_init_ideal_nops`); the bytes are read where they lead.
    pub(super) fn of(image: &Image, machine: &dyn Machine) -> Nops {
        chosen(image, machine).unwrap_or_default()
    }

    /// Appends nops of so many bytes in all, as long ones as there are, none longer than `longest` (`add_nops`).
    pub(super) fn pad(&self, out: &mut Vec<u8>, len: usize, longest: usize) {
        let end = out.len() + len;
        while out.len() < end {
            let n = (end - out.len()).min(longest).min(self.by_length.len() - 1);
            out.extend_from_slice(&self.by_length[n]);
        }
    }

    /// The nop of 5 bytes where a call or jump may stand later.
    pub(super) fn live(&self) -> &[u8] {
        &self.live
    }
}

fn chosen(image: &Image, machine: &dyn Machine) -> Option<Nops> {
    let array = machine.pointer(image.symbol_addr("ideal_nops")?)?;
    let nop = |index: usize, len: usize| {
        let at = machine.pointer(VirtAddr(array.checked_add(8 * index as u64)?))?;
        let mut bytes = vec![0; len];
        machine.raw(VirtAddr(at), &mut bytes).then_some(bytes)
    };
    let mut by_length = vec![Vec::new()];
    for len in 1..=LONGEST_CHOSEN {
        by_length.push(nop(len, len)?);
    }
    Some(Nops { by_length, live: nop(LONGEST_CHOSEN + 1, 5)? })
}
