//! Machine code to text, branch targets symbolised, for evidence.

pub(crate) mod arm64;
mod calls;
pub mod flow;
pub mod x86;

pub use calls::{Before, before, instruction_at};

use kvet_finding::Code;
use kvet_image::{Arch, Image, VirtAddr};

/// Disassembles bytes as if they stood at an address of an image.
pub fn code(image: &Image, address: VirtAddr, bytes: &[u8]) -> Code {
    code_of(image.arch(), Some(image), address, bytes)
}

/// As [`code`], where there may be no image to name targets by.
pub fn code_of(arch: Arch, image: Option<&Image>, address: VirtAddr, bytes: &[u8]) -> Code {
    match arch {
        Arch::X86_64 => x86::code(image, address, bytes),
        Arch::Arm64 => arm64::code(image, address, bytes),
    }
}
