//! Where x86-64 instructions begin, and which of them a type is for.

use iced_x86::{Mnemonic, OpKind};
use kvet_image::{Image, VirtAddr};

use super::Exception;
use crate::disasm::x86;

/// The longest stretch that is decoded to find where instructions begin.
const FAR: u64 = 64 << 10;

/// The longest instruction.
const MAX_INSN_SIZE: usize = 15;

/// Whether an instruction begins at an address, decoding from its function's start; `None` when that cannot be
/// told: no symbol, or something on the way that does not decode.
pub(super) fn is_boundary(image: &Image, addr: VirtAddr) -> Option<bool> {
    let (symbol, offset) = image.symbol_at(addr)?;
    if offset > FAR {
        return None;
    }
    let bytes = image.bytes_up_to(symbol.addr, offset as usize + MAX_INSN_SIZE);
    let mut found = None;
    // What stops the decoding behind the address does not matter.
    let _ = x86::decode_each(symbol.addr, bytes, |instruction| {
        if found.is_none() && instruction.ip() >= addr.0 {
            found = Some(instruction.ip() == addr.0);
        }
    });
    found
}

/// What contradicts an entry's type in the instruction at its site.
pub(super) fn contradiction(image: &Image, exception: &Exception, name: &str) -> Option<String> {
    let bytes = image.bytes_up_to(exception.insn, MAX_INSN_SIZE);
    let Some(instruction) = x86::decode_one(exception.insn, bytes) else {
        return Some("no instruction begins there".into());
    };
    let found = instruction.mnemonic();
    let expected = match name {
        "WRMSR" | "WRMSR_SAFE" | "WRMSR_IN_MCE" if !matches!(found, Mnemonic::Wrmsr | Mnemonic::Wrmsrns) => {
            "wrmsr"
        }
        "RDMSR" | "RDMSR_SAFE" | "RDMSR_IN_MCE" if found != Mnemonic::Rdmsr => "rdmsr",
        "FAULT_SGX" if found != Mnemonic::Encls => "encls",
        // ex_handler_zeropad gives up unless the instruction is a mov of 8 bytes and the fixup follows it.
        "ZEROPAD" if found != Mnemonic::Mov || instruction.op1_kind() != OpKind::Memory => "mov from memory",
        "ZEROPAD" if instruction.next_ip() != exception.fixup.0 => {
            return Some(format!("the fixup is {}, not the instruction that follows", exception.fixup));
        }
        _ => return None,
    };
    Some(format!("expected {expected}, found {}", format!("{found:?}").to_lowercase()))
}
