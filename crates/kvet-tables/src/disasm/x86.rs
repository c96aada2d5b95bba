//! x86-64 decoding, and text in the syntax of `objdump` and of an oops' `Code:` (AT&T).

use std::cell::RefCell;
use std::rc::Rc;

use iced_x86::{
    Decoder, DecoderError, DecoderOptions, Formatter, GasFormatter, Instruction, OpKind, SymbolResolver,
    SymbolResult,
};
use kvet_finding::Code;
use kvet_image::{Image, VirtAddr};

/// Why bytes are not a whole number of instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotWhole {
    /// No instruction begins with the bytes at this offset.
    Bad {
        /// Offset from the first byte.
        offset: usize,
    },
    /// The instruction at this offset goes past the end.
    Cut {
        /// Offset from the first byte.
        offset: usize,
    },
}

/// Calls `visit` with each instruction of `bytes`, as if they stood at `address`.
///
/// # Errors
/// The first place where the bytes stop being whole instructions; those before it have been visited.
pub fn decode_each(address: VirtAddr, bytes: &[u8], visit: impl FnMut(&Instruction)) -> Result<(), NotWhole> {
    decode_each_in(Mode::Long, address, bytes, visit)
}

/// The processor's mode that code is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// 64-bit.
    #[default]
    Long,
    /// 32-bit: the vDSO of 32-bit processes.
    Compatibility,
}

/// As [`decode_each`], for either mode.
///
/// # Errors
/// As [`decode_each`].
pub fn decode_each_in(
    mode: Mode,
    address: VirtAddr,
    bytes: &[u8],
    mut visit: impl FnMut(&Instruction),
) -> Result<(), NotWhole> {
    let bits = match mode {
        Mode::Long => 64,
        Mode::Compatibility => 32,
    };
    let mut decoder = Decoder::with_ip(bits, bytes, address.0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        let offset = decoder.position();
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return Err(match decoder.last_error() {
                DecoderError::NoMoreBytes => NotWhole::Cut { offset },
                _ => NotWhole::Bad { offset },
            });
        }
        visit(&instruction);
    }
    Ok(())
}

/// The instructions of `bytes`, as if they stood at `address`, when they end exactly at its end.
///
/// # Errors
/// The first place where the bytes stop being whole instructions.
pub fn decode_whole(address: VirtAddr, bytes: &[u8]) -> Result<Vec<Instruction>, NotWhole> {
    let mut list = Vec::with_capacity(bytes.len() / 3 + 1);
    decode_each(address, bytes, |instruction| list.push(*instruction))?;
    Ok(list)
}

/// The first instruction of `bytes`, as if they stood at `address`.
pub fn decode_one(address: VirtAddr, bytes: &[u8]) -> Option<Instruction> {
    let instruction = Decoder::with_ip(64, bytes, address.0, DecoderOptions::NONE).decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// Whether the kernel's decoder takes the first instruction of `bytes` (arch/x86/lib/insn.c, `insn_decode`, 6.1 to 7.3):
/// it is content with opcodes that do not exist or not in 64-bit mode, such as `das`, unless they are coded with VEX,
/// EVEX or XOP, and refuses what has no end within 15 bytes.
pub(crate) fn kernel_decodes(address: VirtAddr, bytes: &[u8]) -> bool {
    const LONGEST: usize = 15;
    let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
    let is_prefix =
        |b: &u8| matches!(b, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3);
    decode_one(address, bytes).is_some()
        || bytes.iter().find(|b| !is_prefix(b)).is_some_and(|opcode| !matches!(opcode, 0x62 | 0xc4 | 0xc5))
}

pub(super) fn code(image: Option<&Image>, address: VirtAddr, bytes: &[u8]) -> Code {
    let mut printer = Printer::new();
    let mut lines = Vec::new();
    let mut offset = 0;
    while let Some(rest) = bytes.get(offset..).filter(|rest| !rest.is_empty()) {
        match address.checked_add(offset as u64).and_then(|at| decode_one(at, rest)) {
            Some(instruction) => {
                lines.push(printer.line(image, &instruction));
                offset += instruction.len();
            }
            None => {
                lines.push("(bad)".to_owned());
                offset += 1;
            }
        }
    }
    Code { address, bytes: bytes.to_vec(), lines }
}

/// The address that an instruction names relative to itself, and its symbol.
type Target = Rc<RefCell<Option<(u64, String)>>>;

/// A formatter, and the symbol that it is to print for the current instruction. The formatter owns its
/// resolver, which may borrow nothing; so each instruction's one relative address is looked up before.
struct Printer {
    formatter: GasFormatter,
    target: Target,
}

impl Printer {
    fn new() -> Printer {
        let target = Target::default();
        let mut formatter = GasFormatter::with_options(Some(Box::new(Resolver(Rc::clone(&target)))), None);
        let options = formatter.options_mut();
        options.set_uppercase_hex(false);
        options.set_branch_leading_zeros(false);
        options.set_rip_relative_addresses(true);
        options.set_small_hex_numbers_in_decimal(false);
        Printer { formatter, target }
    }

    fn line(&mut self, image: Option<&Image>, instruction: &Instruction) -> String {
        let named = relative_target(instruction).and_then(|at| Some((at, place(image?, VirtAddr(at))?)));
        *self.target.borrow_mut() = named;
        let mut text = String::new();
        self.formatter.format(instruction, &mut text);
        text
    }
}

struct Resolver(Target);

impl SymbolResolver for Resolver {
    fn symbol(
        &mut self,
        _instruction: &Instruction,
        _operand: u32,
        _instruction_operand: Option<u32>,
        address: u64,
        _address_size: u32,
    ) -> Option<SymbolResult<'_>> {
        let target = self.0.borrow();
        let (at, name) = target.as_ref()?;
        (*at == address).then(|| SymbolResult::with_string(address, name.clone()))
    }
}

/// The address that an instruction names by its distance: a near branch's target or a RIP-relative operand.
pub fn relative_target(instruction: &Instruction) -> Option<u64> {
    if instruction.is_ip_rel_memory_operand() {
        return Some(instruction.ip_rel_memory_address());
    }
    instruction.op_kinds().any(|kind| kind == OpKind::NearBranch64).then(|| instruction.near_branch64())
}

/// `name+0x1c`: as `%pS` without the size, and without a zero offset.
fn place(image: &Image, address: VirtAddr) -> Option<String> {
    if let Some(name) = image.extern_at(address) {
        return Some(name.to_owned());
    }
    let (symbol, offset) = image.symbol_at(address)?;
    Some(if offset == 0 { symbol.name.to_owned() } else { format!("{}+{offset:#x}", symbol.name) })
}

#[cfg(test)]
mod tests {
    use kvet_image::Arch;

    use super::*;
    use crate::testimage::{AX, TestImage};

    #[test]
    fn the_kernels_decoder_takes_what_the_processor_would_not() {
        let takes = |bytes: &[u8]| kernel_decodes(VirtAddr(0x1000), bytes);
        assert!(
            takes(&[0x2f, 0x11, 0x6b]),
            "das: booted 6.1 said that it is no call, not that it does not decode"
        );
        assert!(takes(&[0xe8, 1, 2, 3, 4]));
        assert!(!takes(&[0xc5, 0xff, 0xff, 0xff]) && !takes(&[0x66; 15]));
    }

    #[test]
    fn whole_instructions_end_at_the_end() {
        let at = VirtAddr(0x1000);
        assert_eq!(decode_whole(at, &[0x90, 0x0f, 0x01, 0xcb]).map(|l| l.len()), Ok(2));
        assert_eq!(decode_whole(at, &[]), Ok(Vec::new()));
        assert_eq!(decode_whole(at, &[0x90, 0x0f, 0x01]), Err(NotWhole::Cut { offset: 1 }));
        assert_eq!(decode_whole(at, &[0x90, 0x06, 0x90]), Err(NotWhole::Bad { offset: 1 }));
    }

    #[test]
    fn prints_as_objdump_does_with_symbols_for_targets() {
        let mut t = TestImage::new(Arch::X86_64);
        t.section(".text", 0xffff_ffff_8100_0000, AX, &[0x90; 0x100]);
        t.function("swap_writepage", 0xffff_ffff_8100_0010, 0x60);
        let image = t.build();
        let bytes = [
            0xeb, 0x48, 0xe8, 0x09, 0, 0, 0, 0x48, 0x89, 0xdf, 0x8b, 0x05, 0xff, 0xff, 0xff, 0xff, 0x06,
            0x66, 0x90,
        ];
        let lines = code(Some(&image), VirtAddr(0xffff_ffff_8100_0000), &bytes).lines;
        assert_eq!(
            lines,
            [
                "jmp swap_writepage+0x3a",
                "call swap_writepage",
                "mov %rbx,%rdi",
                "mov -0x1(%rip),%eax",
                "(bad)",
                "xchg %ax,%ax"
            ]
        );
    }
}
