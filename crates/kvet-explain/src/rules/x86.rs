//! x86 machine code, as far as rules read it.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind, Register};

/// The first instruction of some bytes, when they hold a whole one.
pub fn decode(bytes: &[u8], address: u64) -> Option<Instruction> {
    let mut decoder = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE);
    let instruction = decoder.decode();
    (!instruction.is_invalid()).then_some(instruction)
}

/// What a patch site holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Site {
    /// A nop of so many bytes.
    Nop(usize),
    /// A jump of so many bytes, with its displacement.
    Jump(usize, i64),
    /// A call of five bytes, with its displacement.
    Call(usize, i64),
    /// Another instruction.
    Other(usize),
}

impl Site {
    /// Bytes.
    pub fn len(self) -> usize {
        match self {
            Site::Nop(len) | Site::Jump(len, _) | Site::Call(len, _) | Site::Other(len) => len,
        }
    }

    /// In words: `a 2-byte nop`, `jmp short +0x1c`.
    pub fn describe(self) -> String {
        match self {
            Site::Nop(len) => format!("a {len}-byte nop"),
            Site::Jump(2, by) => format!("jmp short {}", signed(by)),
            Site::Jump(_, by) => format!("jmp {}", signed(by)),
            Site::Call(_, by) => format!("call {}", signed(by)),
            Site::Other(len) => format!("a {len}-byte instruction"),
        }
    }
}

fn signed(by: i64) -> String {
    if by < 0 { format!("-{:#x}", by.unsigned_abs()) } else { format!("+{by:#x}") }
}

/// The patch site at the beginning of some bytes.
pub fn site(bytes: &[u8]) -> Option<Site> {
    let instruction = decode(bytes, 0)?;
    let len = instruction.len();
    let by = || (instruction.near_branch64().wrapping_sub(len as u64)).cast_signed();
    Some(match instruction.flow_control() {
        _ if is_nop(&instruction, &bytes[..len]) => Site::Nop(len),
        FlowControl::UnconditionalBranch if instruction.op0_kind() == OpKind::NearBranch64 => {
            Site::Jump(len, by())
        }
        FlowControl::Call if instruction.op0_kind() == OpKind::NearBranch64 => Site::Call(len, by()),
        _ => Site::Other(len),
    })
}

fn is_nop(instruction: &Instruction, bytes: &[u8]) -> bool {
    // `66 90` and `90` decode as xchg %ax,%ax in some tables.
    instruction.mnemonic() == iced_x86::Mnemonic::Nop
        || matches!(bytes, [0x90] | [0x66, 0x90] | [0x66, 0x66, 0x90])
}

/// In `smp_call_function_many_cond` the CPU waited for indexes `__per_cpu_offset`:
/// `movslq %eax,%rdx; add __per_cpu_offset(,%rdx,8),%rsi`. Gives the 32-bit register that holds its number.
pub fn per_cpu_index(code: &[u8]) -> Option<&'static str> {
    // Code: begins in the middle of an instruction: every start is tried, a real one decodes both.
    (0..code.len()).find_map(|start| {
        let first = decode(&code[start..], 0)?;
        if first.mnemonic() != iced_x86::Mnemonic::Movsxd || first.op1_kind() != OpKind::Register {
            return None;
        }
        let (index, cpu) = (first.op0_register(), first.op1_register());
        let mut at = start + first.len();
        for _ in 0..4 {
            let next = decode(code.get(at..)?, 0)?;
            let is_offset = next.memory_index() == index
                && next.memory_index_scale() == 8
                && next.memory_base() == Register::None;
            if is_offset && matches!(next.mnemonic(), iced_x86::Mnemonic::Add | iced_x86::Mnemonic::Mov) {
                return wide(cpu);
            }
            at += next.len();
        }
        None
    })
}

/// The kernel's name of the 64-bit register that holds a 32-bit one.
fn wide(register: Register) -> Option<&'static str> {
    Some(match register.full_register() {
        Register::RAX => "rax",
        Register::RBX => "rbx",
        Register::RCX => "rcx",
        Register::RDX => "rdx",
        Register::RSI => "rsi",
        Register::RDI => "rdi",
        Register::RBP => "rbp",
        Register::R8 => "r8",
        Register::R9 => "r9",
        Register::R10 => "r10",
        Register::R11 => "r11",
        Register::R12 => "r12",
        Register::R13 => "r13",
        Register::R14 => "r14",
        Register::R15 => "r15",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites() {
        assert_eq!(site(&[0xeb, 0x1c, 0x48]).map(Site::describe).as_deref(), Some("jmp short +0x1c"));
        assert_eq!(site(&[0x66, 0x90, 0x0f]), Some(Site::Nop(2)));
        assert_eq!(site(&[0x0f, 0x1f, 0x44, 0, 0]), Some(Site::Nop(5)));
        assert_eq!(site(&[0xe9, 0xa2, 1, 0, 0]).map(Site::describe).as_deref(), Some("jmp +0x1a2"));
        assert_eq!(site(&[0xeb, 0xfe]), Some(Site::Jump(2, -2)));
        assert_eq!(site(&[]), None);
        assert_eq!(site(&[0x0f]), None);
    }

    #[test]
    fn the_cpu_that_is_waited_for() {
        // From smp_call_function_many_cond of 6.1: movslq %eax,%rdx; mov (%rbx),%rsi; add off(,%rdx,8),%rsi.
        let code = [
            0x73, 0x25, 0x48, 0x63, 0xd0, 0x48, 0x8b, 0x33, 0x48, 0x03, 0x34, 0xd5, 0x60, 0xeb, 0x19, 0xb6,
            0x8b,
        ];
        assert_eq!(per_cpu_index(&code), Some("rax"));
        assert_eq!(per_cpu_index(&[0x90; 20]), None);
        assert_eq!(per_cpu_index(&[]), None);
    }
}
