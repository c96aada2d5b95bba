//! Instructions around an address: is it a boundary, does a call stand before it, which instruction is it.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction};
use kvet_image::{Arch, Image, VirtAddr};

use super::{arm64, x86};

/// How far a function is decoded from its start: the longest of Debian's kernels have 30 KB.
const FAR: u64 = 1 << 17;

/// What stands before an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Before {
    /// A call, to this place when it is direct.
    Call(Option<VirtAddr>),
    /// Something that never returns there but whose stack frame looks as if: `lret`, `iret`, a jump to a function.
    /// Entry code of x86 builds such frames by hand (`secondary_startup_64`, arch/x86/kernel/head_64.S).
    FarReturn,
    /// Another instruction, disassembled.
    Other(String),
    /// Nothing: the address is the function's first.
    Start,
    /// The address lies inside an instruction.
    Inside {
        /// Where that instruction begins.
        instruction: VirtAddr,
    },
}

/// What stands before `addr` in the function that starts at `start`; `None` when the bytes are not at hand or do not
/// decode.
pub fn before(image: &Image, start: VirtAddr, addr: VirtAddr) -> Option<Before> {
    if addr == start {
        return Some(Before::Start);
    }
    match image.arch() {
        Arch::Arm64 => before_arm64(image, addr),
        Arch::X86_64 => before_x86(image, start, addr),
    }
}

/// Where the instruction that holds an address begins, and its length; `None` as [`before`].
pub fn instruction_at(image: &Image, start: VirtAddr, addr: VirtAddr) -> Option<(VirtAddr, u64)> {
    if image.arch() == Arch::Arm64 {
        return image.bytes(VirtAddr(addr.0 & !3), 4).map(|_| (VirtAddr(addr.0 & !3), 4));
    }
    let mut found = None;
    walk(image, start, addr.checked_add(16)?, |instruction| {
        let at = instruction.ip();
        if at <= addr.0 && addr.0 < at + instruction.len() as u64 {
            found = Some((VirtAddr(at), instruction.len() as u64));
        }
        at <= addr.0
    });
    found
}

fn before_arm64(image: &Image, addr: VirtAddr) -> Option<Before> {
    if !addr.0.is_multiple_of(4) {
        return Some(Before::Inside { instruction: VirtAddr(addr.0 & !3) });
    }
    let at = VirtAddr(addr.0.checked_sub(4)?);
    let word = image.u32(at)?;
    if arm64::is_bl(word) {
        return Some(Before::Call(arm64::branch_target(at, word)));
    }
    if arm64::is_blr(word) {
        return Some(Before::Call(None));
    }
    let lines = super::code(image, at, &word.to_le_bytes()).lines;
    Some(Before::Other(lines.into_iter().next().unwrap_or_default()))
}

fn before_x86(image: &Image, start: VirtAddr, addr: VirtAddr) -> Option<Before> {
    let mut answer = None;
    walk(image, start, addr, |instruction| {
        let (at, end) = (instruction.ip(), instruction.next_ip());
        if end < addr.0 {
            return true;
        }
        answer = Some(match end == addr.0 {
            true => what_x86(image, instruction),
            false => Before::Inside { instruction: VirtAddr(at) },
        });
        false
    });
    answer
}

fn what_x86(image: &Image, instruction: &Instruction) -> Before {
    match instruction.flow_control() {
        FlowControl::Call => Before::Call(Some(VirtAddr(instruction.near_branch_target()))),
        FlowControl::IndirectCall => Before::Call(None),
        FlowControl::Return if instruction.mnemonic() != iced_x86::Mnemonic::Ret => Before::FarReturn,
        _ => {
            let at = VirtAddr(instruction.ip());
            let bytes = image.bytes_up_to(at, instruction.len());
            Before::Other(x86::code(Some(image), at, bytes).lines.into_iter().next().unwrap_or_default())
        }
    }
}

/// Decodes from a function's start until an address or until `visit` says no. Bytes past the address are at the
/// decoder's disposal, so that an instruction across it is seen whole.
fn walk(image: &Image, start: VirtAddr, until: VirtAddr, mut visit: impl FnMut(&Instruction) -> bool) {
    let Some(length) = until.0.checked_sub(start.0).filter(|l| *l <= FAR) else { return };
    let Ok(length) = usize::try_from(length) else { return };
    let bytes = image.bytes_up_to(start, length + 16);
    let mut decoder = Decoder::with_ip(64, bytes, start.0, DecoderOptions::NO_INVALID_CHECK);
    let mut instruction = Instruction::default();
    while decoder.can_decode() && decoder.position() < length {
        decoder.decode_out(&mut instruction);
        // Data in text ends what is known: where code goes on after it cannot be told.
        if instruction.is_invalid() {
            return;
        }
        if !visit(&instruction) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testimage::{AX, TestImage};

    const TEXT: u64 = 0xffff_ffff_8100_0000;

    fn at(offset: u64) -> VirtAddr {
        VirtAddr(TEXT + offset)
    }

    #[test]
    fn x86_calls_jumps_and_the_inside_of_an_instruction() {
        // push rbx; call +0x10; call *rax; mov rdi,rbx; lretq
        let bytes =
            [0x53, 0xe8, 0x10, 0, 0, 0, 0xff, 0xd0, 0x48, 0x89, 0xdf, 0x48, 0xcb, 0x90, 0x90, 0x90, 0x90];
        let mut t = TestImage::new(Arch::X86_64);
        let image = t.section(".text", TEXT, AX, &bytes).function("f", TEXT, 17).build();
        let look = |offset| before(&image, at(0), at(offset));
        assert_eq!(look(0), Some(Before::Start));
        assert_eq!(look(1), Some(Before::Other("push %rbx".into())));
        assert_eq!(look(6), Some(Before::Call(Some(at(0x16)))));
        assert_eq!(look(8), Some(Before::Call(None)));
        assert_eq!(look(3), Some(Before::Inside { instruction: at(1) }));
        assert_eq!(look(13), Some(Before::FarReturn));
        assert_eq!(look(0x4000), None);
        assert_eq!(instruction_at(&image, at(0), at(4)), Some((at(1), 5)));
        assert_eq!(instruction_at(&image, at(0), at(6)), Some((at(6), 2)));
    }

    #[test]
    fn arm64_bl_and_blr() {
        let base = 0xffff_8000_0800_0000_u64;
        // bl +8; blr x19; nop; bl -4; blraaz x8
        let words = [0x9400_0002_u32, 0xd63f_0260, 0xd503_201f, 0x97ff_ffff, 0xd63f_091f];
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut t = TestImage::new(Arch::Arm64);
        let image = t.section(".text", base, AX, &bytes).function("f", base, 20).build();
        let look = |offset| before(&image, VirtAddr(base), VirtAddr(base + offset));
        assert_eq!(look(4), Some(Before::Call(Some(VirtAddr(base + 8)))));
        assert_eq!(look(8), Some(Before::Call(None)));
        assert_eq!(look(12), Some(Before::Other("nop".into())));
        assert_eq!(look(16), Some(Before::Call(Some(VirtAddr(base + 8)))));
        assert_eq!(look(20), Some(Before::Call(None)));
        assert_eq!(look(6), Some(Before::Inside { instruction: VirtAddr(base + 4) }));
    }
}
