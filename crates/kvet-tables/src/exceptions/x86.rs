//! Where x86-64 instructions begin, and which of them a type is for.

use iced_x86::{Mnemonic, OpKind};
use kvet_image::{Image, VirtAddr};

use super::Exception;
use crate::disasm::x86;

/// The longest stretch that is decoded to find where instructions begin.
const FAR: u64 = 64 << 10;

/// The longest instruction.
const MAX_INSN_SIZE: usize = 15;

/// Whether an instruction begins at each of some sorted addresses, decoding from their functions' starts; `None`
/// when that cannot be told: no symbol, or something on the way that does not decode.
///
/// Each function is decoded once for all of its addresses, so the work is bounded by the text.
pub(super) fn boundaries(image: &Image, addrs: &[VirtAddr]) -> Vec<Option<bool>> {
    let starts: Vec<Option<VirtAddr>> = addrs.iter().map(|addr| function(image, *addr)).collect();
    let mut found = Vec::with_capacity(addrs.len());
    for group in starts.chunk_by(|a, b| a == b) {
        let first = found.len();
        let wanted = &addrs[first..first + group.len()];
        if let (Some(start), Some(last)) = (group[0], wanted.last()) {
            decode(image, start, *last, wanted, &mut found);
        }
        found.resize(first + group.len(), None);
    }
    found
}

/// The start of the function that holds an address, when it is not too far.
fn function(image: &Image, addr: VirtAddr) -> Option<VirtAddr> {
    let (symbol, offset) = image.symbol_at(addr)?;
    (offset <= FAR).then_some(symbol.addr)
}

/// Answers for the addresses of one function, as far as its bytes decode.
fn decode(
    image: &Image,
    start: VirtAddr,
    last: VirtAddr,
    wanted: &[VirtAddr],
    found: &mut Vec<Option<bool>>,
) {
    // Room for the instruction that covers the last address, and for the one behind it.
    let len = last.wrapping_distance(start).unsigned_abs() as usize + 2 * MAX_INSN_SIZE;
    let mut wanted = wanted.iter().peekable();
    // What stops the decoding leaves the rest unanswered.
    let _ = x86::decode_each(start, image.bytes_up_to(start, len), |instruction| {
        while let Some(addr) = wanted.next_if(|addr| addr.0 <= instruction.ip()) {
            found.push(Some(addr.0 == instruction.ip()));
        }
    });
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
