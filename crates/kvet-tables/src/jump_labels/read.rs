//! The table's entries, typed.

use kvet_image::{Image, VirtAddr};

use super::ENTRY;
use super::keys::{self, StaticKey};
use crate::{Bounds, Context};

/// Bit 0 of the key field: `static_branch_likely`, the branch that is a nop while the key is enabled.
const BRANCH: u64 = 1;
/// Bit 1 of the key field.
const INIT: u64 = 2;

/// One entry of the jump table (`struct jump_entry` with CONFIG_HAVE_ARCH_JUMP_LABEL_RELATIVE, both
/// architectures since 4.19): `s32 code, s32 target, s64 key`, each relative to its own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JumpLabel {
    /// Its place in the table as the file has it, from 0.
    pub index: u32,
    /// The site: where the nop or the jump stands.
    pub code: VirtAddr,
    /// Where the site jumps when it is a jump.
    pub target: VirtAddr,
    /// The static key; bits 0 and 1 of the field taken off.
    pub key: VirtAddr,
    /// Bit 0: the site is a jump when the key's value differs from this.
    pub branch: bool,
    /// Bit 1. In the file on x86 since 5.14: objtool has turned the compiler's jump into a nop
    /// (CONFIG_HAVE_JUMP_LABEL_HACK, tools/objtool/check.c `handle_jump_alt`). At run time: init text.
    pub init: bool,
}

impl JumpLabel {
    /// Whether the site is a jump while the key is enabled or not (include/linux/jump_label.h: `enabled ^ branch`).
    pub fn is_jump_when(&self, enabled: bool) -> bool {
        enabled ^ self.branch
    }
}

/// The jump table of an image, with the keys that it names.
#[derive(Clone, Debug)]
pub struct JumpTable {
    /// Where it stands, and how that is known.
    pub bounds: Bounds,
    /// The entries in the order of the file.
    pub labels: Vec<JumpLabel>,
    /// Bytes after the last whole entry.
    pub left_over: u64,
    /// The distinct keys, by address.
    pub keys: Vec<StaticKey>,
}

impl JumpTable {
    /// Reads the table that stands within bounds; `None` when its bytes are not in the file.
    pub(crate) fn read(context: &Context<'_>, bounds: Bounds) -> Option<JumpTable> {
        let labels = labels(context.image, &bounds)?;
        let left_over = bounds.len() % ENTRY;
        let keys = keys::read(context, &labels);
        Some(JumpTable { bounds, labels, left_over, keys })
    }

    /// The key at an address.
    pub fn key(&self, addr: VirtAddr) -> Option<&StaticKey> {
        self.keys.binary_search_by_key(&addr, |key| key.addr).ok().map(|i| &self.keys[i])
    }

    /// The entries of a key, in the order of the file. Linear in the table.
    pub fn labels_of(&self, key: VirtAddr) -> impl Iterator<Item = &JumpLabel> {
        self.labels.iter().filter(move |label| label.key == key)
    }

    /// The address of an entry.
    pub fn entry_addr(&self, label: &JumpLabel) -> VirtAddr {
        self.bounds.start.wrapping_offset((u64::from(label.index) * ENTRY).cast_signed())
    }
}

/// One entry from its 16 bytes.
pub(super) fn label(index: u32, entry: VirtAddr, bytes: &[u8; ENTRY as usize]) -> JumpLabel {
    let half =
        |at: usize| i64::from(i32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[8..]);
    let field = entry.wrapping_offset(8).wrapping_offset(i64::from_le_bytes(word)).0;
    JumpLabel {
        index,
        code: entry.wrapping_offset(half(0)),
        target: entry.wrapping_offset(4).wrapping_offset(half(4)),
        key: VirtAddr(field & !(BRANCH | INIT)),
        branch: field & BRANCH != 0,
        init: field & INIT != 0,
    }
}

fn labels(image: &Image, bounds: &Bounds) -> Option<Vec<JumpLabel>> {
    let (entries, _) = bounds.bytes(image)?.as_chunks::<{ ENTRY as usize }>();
    let mut labels = Vec::with_capacity(entries.len());
    let mut at = bounds.start;
    for (i, bytes) in entries.iter().enumerate() {
        labels.push(label(u32::try_from(i).ok()?, at, bytes));
        at = at.wrapping_offset(ENTRY.cast_signed());
    }
    Some(labels)
}
