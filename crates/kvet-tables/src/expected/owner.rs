//! Whose a patched place is.

use kvet_image::VirtAddr;

/// The table that a place belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Class {
    /// `.altinstructions`.
    Alternative,
    /// The jump table.
    JumpLabel,
    /// A static call's site.
    StaticCall,
    /// A static call's trampoline.
    StaticCallTrampoline,
    /// `.return_sites`.
    Return,
    /// `.retpoline_sites`.
    Retpoline,
    /// `.call_sites`.
    Call,
    /// `.ibt_endbr_seal`.
    Endbr,
    /// `.smp_locks`.
    LockPrefix,
    /// `.parainstructions`.
    Paravirt,
    /// `__mcount_loc`.
    Ftrace,
    /// `runtime_ptr_*`, `runtime_shift_*`, `runtime_mask_*`.
    RuntimeConstant,
}

impl Class {
    /// The table's name in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Alternative => "alternatives",
            Class::JumpLabel => "jump-labels",
            Class::StaticCall => "static-calls",
            Class::StaticCallTrampoline => "static-call-trampolines",
            Class::Return => "returns",
            Class::Retpoline => "retpolines",
            Class::Call => "calls",
            Class::Endbr => "endbr",
            Class::LockPrefix => "smp-locks",
            Class::Paravirt => "paravirt",
            Class::Ftrace => "mcount",
            Class::RuntimeConstant => "runtime-constants",
        }
    }

    /// Whether such a place is switched while the system runs, on x86-64 by way of an int3.
    pub fn is_live(self) -> bool {
        matches!(self, Class::JumpLabel | Class::StaticCall | Class::StaticCallTrampoline | Class::Ftrace)
    }
}

/// The entry that a place belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its table.
    pub class: Class,
    /// Its index in the table.
    pub index: u32,
    /// The feature or capability that decides, and whether it is its absence.
    pub feature: Option<(u16, bool)>,
    /// The static key, or the static call's key.
    pub key: Option<VirtAddr>,
}

impl Owner {
    pub(super) fn of(class: Class, index: usize) -> Owner {
        Owner { class, index: u32::try_from(index).unwrap_or(u32::MAX), feature: None, key: None }
    }
}

/// A place that was patched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Touched {
    /// The first byte.
    pub start: VirtAddr,
    /// How many bytes.
    pub len: u8,
    /// Whose it is.
    pub owner: Owner,
}
