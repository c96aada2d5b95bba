//! Disassembly for this architecture.

use kvet_finding::Code;
use kvet_image::{Image, VirtAddr};

pub(super) fn code(_image: &Image, address: VirtAddr, bytes: &[u8]) -> Code {
    Code { address, bytes: bytes.to_vec(), lines: Vec::new() }
}
