//! The types of entries that a kernel knows, by architecture and version.

use kvet_image::{Arch, Image};

use super::{Action, Exception, Layout};
use crate::release::{self, NEWEST, Version};

/// The type numbers of one family of kernels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numbering {
    /// arch/x86/include/asm/extable_fixup_types.h.
    X86,
    /// arm64 of 5.16 to 5.19, which had a type for a plain fixup.
    Arm64Fixup,
    /// arm64 of 6.0 to 6.15.
    Arm64,
    /// arm64 since EX_TYPE_UACCESS_CPY came in between (6.16).
    Arm64Cpy,
}

/// What is known of a type number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The kernel handles it.
    Known(&'static str),
    /// The kernel handles it, but only in the tables that the BPF JIT makes.
    Jit,
    /// The kernel BUG()s.
    Unknown,
    /// The kernel is newer than what is known here.
    TooNew,
}

const X86: [&str; 22] = [
    "NONE",
    "DEFAULT",
    "FAULT",
    "UACCESS",
    "COPY",
    "CLEAR_FS",
    "FPU_RESTORE",
    "BPF",
    "WRMSR",
    "RDMSR",
    "WRMSR_SAFE",
    "RDMSR_SAFE",
    "WRMSR_IN_MCE",
    "RDMSR_IN_MCE",
    "DEFAULT_MCE_SAFE",
    "FAULT_MCE_SAFE",
    "POP_REG",
    "IMM_REG",
    "FAULT_SGX",
    "UCOPY_LEN",
    "ZEROPAD",
    "ERETU",
];
const ARM64_FIXUP: [&str; 5] = ["NONE", "FIXUP", "BPF", "UACCESS_ERR_ZERO", "LOAD_UNALIGNED_ZEROPAD"];
const ARM64: [&str; 5] = ["NONE", "BPF", "UACCESS_ERR_ZERO", "KACCESS_ERR_ZERO", "LOAD_UNALIGNED_ZEROPAD"];
const ARM64_CPY: [&str; 6] =
    ["NONE", "BPF", "UACCESS_ERR_ZERO", "KACCESS_ERR_ZERO", "UACCESS_CPY", "LOAD_UNALIGNED_ZEROPAD"];

impl Numbering {
    /// The numbering of an image, by its version where that decides, else by its entries.
    pub(super) fn of(image: &Image, entries: &[Exception]) -> Numbering {
        if image.arch() == Arch::X86_64 {
            return Numbering::X86;
        }
        // UACCESS_CPY came with 6.16, and may be ported back; LOAD_UNALIGNED_ZEROPAD is in every kernel.
        let five = |e: &&Exception| matches!(e.action, Action::Typed { kind: 5, .. });
        let has_five = entries.iter().filter(five).count() >= 2;
        match release::version(image) {
            Some(version) if version < (6, 0) => Numbering::Arm64Fixup,
            Some(version) if version < (6, 13) => Numbering::Arm64,
            Some(version) if version >= NEWEST => Numbering::Arm64Cpy,
            _ if has_five => Numbering::Arm64Cpy,
            _ => Numbering::Arm64,
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Numbering::X86 => &X86,
            Numbering::Arm64Fixup => &ARM64_FIXUP,
            Numbering::Arm64 => &ARM64,
            Numbering::Arm64Cpy => &ARM64_CPY,
        }
    }

    /// What a kernel of a version knows of a type.
    pub(super) fn kind(self, number: u16, version: Option<Version>) -> Kind {
        let Some(name) = self.names().get(usize::from(number)).copied() else {
            return if version.is_some_and(|v| v > NEWEST) { Kind::TooNew } else { Kind::Unknown };
        };
        match (self, name) {
            (_, "NONE") => Kind::Unknown,
            (_, "BPF") => Kind::Jit,
            // Gone when 6.4 rewrote the copies; still there in 6.1, no longer in 6.12.
            (Numbering::X86, "COPY") if version.is_some_and(|v| v >= (6, 12)) => Kind::Unknown,
            // FRED, 6.9.
            (Numbering::X86, "ERETU") if version.is_some_and(|v| v < (6, 9)) => Kind::Unknown,
            _ => Kind::Known(name),
        }
    }

    /// What is wrong with a known type's data, if anything: bits that no macro of the kernel sets.
    pub(super) fn bad_data(self, name: &str, data: u32) -> Option<String> {
        match self {
            Numbering::X86 => bad_x86_data(name, data),
            _ => bad_arm64_data(name, data),
        }
    }
}

/// EX_DATA_REG_MASK (4 bits), EX_DATA_FLAG_MASK (4), EX_DATA_IMM_MASK (16, signed), above the type.
fn bad_x86_data(name: &str, data: u32) -> Option<String> {
    let (reg, flags, imm) = (data & 0xf, (data >> 4) & 0xf, (data >> 8) as u16 as i16);
    // EX_FLAG_CLEAR_AX and EX_FLAG_CLEAR_DX are all there is.
    if flags > 3 {
        return Some(format!("flags {flags:#x}: expected at most 0x3"));
    }
    let has_reg = matches!(name, "WRMSR_SAFE" | "RDMSR_SAFE" | "POP_REG" | "IMM_REG" | "UCOPY_LEN");
    if reg != 0 && !has_reg {
        return Some(format!("register {reg}: expected 0 for this type"));
    }
    match name {
        "POP_REG" | "IMM_REG" => None,
        "UCOPY_LEN" if matches!(imm, 1 | 4 | 8) => None,
        "UCOPY_LEN" => Some(format!("a unit of {imm} bytes: expected 1, 4 or 8")),
        _ if imm != 0 => Some(format!("immediate {imm}: expected 0 for this type")),
        _ => None,
    }
}

/// Two register numbers of 5 bits, or for UACCESS_CPY one bit (EX_DATA_UACCESS_WRITE).
fn bad_arm64_data(name: &str, data: u32) -> Option<String> {
    let valid = match name {
        "FIXUP" => 0,
        "UACCESS_CPY" => 1,
        _ => 0x3ff,
    };
    (data & !valid != 0).then(|| format!("{data:#x}: expected no bits besides {valid:#x}"))
}

/// Whether a layout has types at all.
pub(super) fn is_typed(layout: Layout) -> bool {
    matches!(layout, Layout::Data | Layout::TypeData)
}
