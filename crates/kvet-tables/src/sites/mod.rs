//! Which table entries an address belongs to: whose code it is to patch, catch or explain.
//!
//! A checker goes from a table to the text; who reads an oops goes the other way. [`Sites`] holds the sites of all
//! tables of one image by address. It owns what it needs, so an image can keep it: see [`Sites::of`].

mod collect;
mod describe;
mod patched;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kvet_image::{Image, VirtAddr};

pub use patched::{Explained, Patched};

use crate::Context;
use crate::alternatives::{arm64, x86};
use crate::exceptions::Exception;
use crate::features;
use crate::jump_labels::{JumpLabel, StaticKey};
use crate::static_calls::StaticCall;

/// What a table's entry does at a site.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Site {
    /// A nop or jump that a static key switches.
    JumpLabel {
        /// The entry.
        label: JumpLabel,
        /// Its key.
        key: StaticKey,
    },
    /// Code that is replaced on a CPU with a feature.
    Alternative {
        /// The entry's index in its table.
        index: u64,
        /// The feature's name and number; `not` before it where the replacement is for CPUs without it.
        feature: String,
        /// The replacement; a function that writes the code, for a callback.
        replacement: VirtAddr,
        /// The replacement's length in bytes; 0 for a callback.
        replacement_len: u64,
        /// A function writes the replacement (arm64).
        callback: bool,
    },
    /// The replacement itself, which never runs where it stands.
    Replacement {
        /// The entry's index in its table.
        index: u64,
        /// The feature's name and number.
        feature: String,
        /// The code that it replaces.
        site: VirtAddr,
    },
    /// A call or jump that a static call's key points somewhere.
    StaticCall {
        /// The entry.
        call: StaticCall,
        /// The key's symbol.
        key: Option<String>,
    },
    /// An instruction that may fault, and where the kernel then goes on.
    Exception(Exception),
    /// Where the kernel goes on after a fault of an instruction.
    Fixup(Exception),
    /// A trap of BUG() or WARN().
    Bug {
        /// The entry's index in its table.
        index: u64,
        /// The source file as the table has it.
        file: Option<String>,
        /// The line; 0 where the table has none.
        line: u16,
        /// A WARN, which the kernel survives.
        warning: bool,
    },
    /// An indirect branch through a retpoline thunk (`.retpoline_sites`).
    Retpoline,
    /// A return, or the jump to the return thunk (`.return_sites`).
    Return,
    /// A direct call that call depth tracking may patch (`.call_sites`).
    Call,
    /// An `endbr64` that may be sealed (`.ibt_endbr_seal`).
    Endbr,
    /// A `lock` prefix, taken away on one CPU (`.smp_locks`).
    LockPrefix,
    /// A call through `pv_ops` (`.parainstructions`).
    Paravirt,
    /// A constant that is known at boot (`runtime_ptr_*`, `runtime_shift_*`); the section's name.
    RuntimeConstant(String),
    /// Where ftrace's call goes (`__mcount_loc`).
    Ftrace,
}

/// A site with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteAt {
    /// The first byte.
    pub start: VirtAddr,
    /// How many bytes belong to it.
    pub len: u64,
    /// What it is.
    pub site: Site,
}

impl SiteAt {
    /// The first address after it.
    pub fn end(&self) -> VirtAddr {
        VirtAddr(self.start.0.saturating_add(self.len))
    }
}

/// What an entry is in the index: which table, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Which {
    JumpLabel(u32),
    X86Alternative(u32),
    X86Replacement(u32),
    Arm64Alternative(u32),
    Arm64Replacement(u32),
    StaticCall(u32),
    Exception(u32),
    Fixup(u32),
    Bug(u32),
    Retpoline,
    Return,
    Call,
    Endbr,
    LockPrefix,
    Paravirt,
    RuntimeConstant(u32),
    Ftrace,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    start: u64,
    len: u32,
    which: Which,
}

/// One bug entry, owned.
#[derive(Clone, Debug)]
struct BugAt {
    index: u64,
    file: Option<String>,
    line: u16,
    warning: bool,
}

/// All sites of an image by address.
#[derive(Default)]
pub struct Sites {
    /// By start.
    entries: Vec<Entry>,
    /// The longest entry, so that a look-up knows how far back to look.
    longest: u64,
    labels: Vec<JumpLabel>,
    keys: Vec<StaticKey>,
    x86: Vec<x86::Alternative>,
    features: features::x86::Features,
    arm64: Vec<arm64::Alternative>,
    marker: Option<arm64::CallbackMarker>,
    capabilities: arm64::Capabilities,
    calls: Vec<StaticCall>,
    exceptions: Vec<Exception>,
    bugs: Vec<BugAt>,
    constants: Vec<String>,
}

/// What an image keeps: its sites.
struct Kept(Arc<Sites>);

impl Sites {
    /// The sites of an image, read once and kept with it. `kernel` is a module's kernel.
    pub fn of(image: &Image, kernel: Option<&Image>) -> Arc<Sites> {
        Arc::clone(&image.shared(|image| Kept(Arc::new(Sites::read(&Context::new(image, kernel))))).0)
    }

    /// Reads all tables.
    pub fn read(context: &Context<'_>) -> Sites {
        collect::collect(context)
    }

    /// How many sites there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The sites that hold an address, in the order of their starts. `image` is the one that they were read from,
    /// `kernel` its kernel if it is a module.
    pub fn at(&self, image: &Image, kernel: Option<&Image>, addr: VirtAddr) -> Vec<SiteAt> {
        match addr.checked_add(1) {
            Some(end) => self.within(image, kernel, addr, end),
            None => Vec::new(),
        }
    }

    /// The sites that share bytes with `start..end`, in the order of their starts.
    pub fn within(
        &self,
        image: &Image,
        kernel: Option<&Image>,
        start: VirtAddr,
        end: VirtAddr,
    ) -> Vec<SiteAt> {
        self.overlapping(start, end).map(|entry| self.describe(image, kernel, entry)).collect()
    }

    /// Whether patching may change the code in `start..end`.
    pub fn may_change(&self, start: VirtAddr, end: VirtAddr) -> bool {
        self.overlapping(start, end).any(|entry| entry.which.is_patched())
    }

    fn overlapping(&self, start: VirtAddr, end: VirtAddr) -> impl Iterator<Item = &Entry> {
        let from = start.0.saturating_sub(self.longest);
        let first = self.entries.partition_point(|e| e.start < from);
        self.entries[first..]
            .iter()
            .take_while(move |e| e.start < end.0)
            .filter(move |e| start.0 < e.start.saturating_add(e.len.into()))
    }
}

impl Which {
    /// Whether the kernel writes to such a place.
    fn is_patched(self) -> bool {
        !matches!(
            self,
            Which::Exception(_)
                | Which::Fixup(_)
                | Which::Bug(_)
                | Which::X86Replacement(_)
                | Which::Arm64Replacement(_)
        )
    }
}
