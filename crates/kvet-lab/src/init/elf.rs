//! A static executable of one segment: header, program header, instructions, texts.

/// `e_machine`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    X86_64 = 62,
    Arm64 = 183,
}

const BASE: u64 = 0x40_0000;
const HEADERS: u64 = 64 + 56;

/// The file. `assemble` gives the instructions for texts at an address; it is called twice, for the length of
/// the instructions decides the address, and must give the same length for every address in the segment.
pub fn executable(machine: Machine, assemble: impl Fn(u64) -> (Vec<u8>, Vec<u8>)) -> Vec<u8> {
    let entry = BASE + HEADERS;
    let length = assemble(entry).0.len() as u64;
    let (code, data) = assemble(entry + length);
    debug_assert_eq!(code.len() as u64, length, "the address changed the length");
    let size = HEADERS + length + data.len() as u64;

    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(2u16.to_le_bytes()); // ET_EXEC
    file.extend((machine as u16).to_le_bytes());
    file.extend(1u32.to_le_bytes()); // EV_CURRENT
    for field in [entry, 64, 0] {
        file.extend(u64::to_le_bytes(field)); // e_entry, e_phoff, e_shoff
    }
    file.extend(0u32.to_le_bytes()); // e_flags
    for field in [64, 56, 1, 64, 0, 0] {
        file.extend(u16::to_le_bytes(field)); // sizes and counts of the headers
    }
    file.extend(1u32.to_le_bytes()); // PT_LOAD
    file.extend(5u32.to_le_bytes()); // PF_R | PF_X
    for field in [0, BASE, BASE, size, size, 0x1_0000] {
        file.extend(u64::to_le_bytes(field)); // offset, addresses, sizes, alignment (arm64 pages reach 64 KiB)
    }
    file.extend(code);
    file.extend(data);
    file
}
