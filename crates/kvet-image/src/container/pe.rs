//! As much of PE as it takes to say what an EFI binary is.

use super::{le16, le32};

pub(super) const MACHINE_X86_64: u16 = 0x8664;
pub(super) const MACHINE_ARM64: u16 = 0xaa64;

/// The machine of a PE file (IMAGE_FILE_HEADER.Machine).
pub(super) fn machine(file: &[u8]) -> Option<u16> {
    le16(file, header(file)? + 4)
}

/// A machine's name.
pub(super) fn name(machine: u16) -> String {
    match machine {
        0x014c => "x86 (32-bit)".into(),
        MACHINE_X86_64 => "x86-64".into(),
        0x01c0 | 0x01c2 | 0x01c4 => "ARM (32-bit)".into(),
        MACHINE_ARM64 => "arm64".into(),
        0x5032 => "RISC-V (32-bit)".into(),
        0x5064 => "RISC-V (64-bit)".into(),
        0x6232 => "LoongArch (32-bit)".into(),
        0x6264 => "LoongArch (64-bit)".into(),
        other => format!("machine {other:#06x}"),
    }
}

/// Whether the file has a PE section of that name (at most eight bytes of it count).
pub(super) fn has_section(file: &[u8], name: &str) -> bool {
    let Some(header) = header(file) else { return false };
    let count = le16(file, header + 6).map_or(0, usize::from);
    let optional = le16(file, header + 20).map_or(0, usize::from);
    let table = header + 24 + optional;
    (0..count).any(|i| {
        let field = file.get(table + i * 40..table + i * 40 + 8).unwrap_or(&[]);
        field.split(|b| *b == 0).next() == Some(name.as_bytes())
    })
}

fn header(file: &[u8]) -> Option<usize> {
    if !file.starts_with(b"MZ") {
        return None;
    }
    // A u32 and the offsets added to it cannot overflow a 64-bit usize; `get` refuses the rest.
    let at = usize::try_from(le32(file, 0x3c)?).ok()?;
    (file.get(at..at.checked_add(4)?)? == b"PE\0\0").then_some(at)
}
