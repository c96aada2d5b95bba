//! Static keys, as the file initialises them.

use kvet_image::{Image, VirtAddr};

use super::place::{self, Object};
use super::read::JumpLabel;
use crate::Context;

/// The bytes of a `struct static_key` on a 64-bit machine: `atomic_t enabled`, four bytes of padding, and a word
/// that holds the type before boot and a pointer with two type bits afterwards (include/linux/jump_label.h).
pub(super) const KEY_SIZE: u64 = 16;

/// The word's bits: JUMP_TYPE_TRUE, JUMP_TYPE_LINKED.
const TYPE_TRUE: u64 = 1;

/// Where a static key lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyHome {
    /// In the image itself.
    Image,
    /// In the kernel that the module is for, at this address there.
    Kernel(VirtAddr),
    /// In another file, which was not given: the undefined symbol's name.
    Undefined(String),
    /// Nowhere that the image has memory for.
    Nowhere,
}

/// One static key: a `struct static_key` as it stands in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticKey {
    /// Its address in the image that was read (a module's undefined key: the address of the symbol's stand-in).
    pub addr: VirtAddr,
    /// Where it really lives.
    pub home: KeyHome,
    /// The object that holds it, with the offset into it.
    pub name: Option<String>,
    /// `enabled.counter`: 0 or 1 before boot. `None` when the key's memory is not at hand.
    pub enabled: Option<i32>,
    /// The word after it: 1 for a key that is true at compile time, else 0. After boot a pointer.
    pub type_word: Option<u64>,
    /// How many entries name it.
    pub entries: u32,
}

impl StaticKey {
    /// Whether it is enabled before boot; `None` when its memory is not at hand or holds no key.
    pub fn initially_enabled(&self) -> Option<bool> {
        self.is_plausible().then_some(self.enabled? != 0)
    }

    /// Whether it holds what a static key holds before boot: STATIC_KEY_INIT_TRUE or STATIC_KEY_INIT_FALSE.
    pub fn is_plausible(&self) -> bool {
        matches!((self.enabled, self.type_word), (Some(0), Some(0)) | (Some(1), Some(TYPE_TRUE)))
    }

    /// The name, else the address.
    pub fn label(&self) -> String {
        match (&self.home, &self.name) {
            (_, Some(name)) => name.clone(),
            (KeyHome::Undefined(name), None) => name.clone(),
            _ => format!("{:#x}", self.addr),
        }
    }
}

/// The distinct keys of a table, by address.
pub(super) fn read(context: &Context<'_>, labels: &[JumpLabel]) -> Vec<StaticKey> {
    let mut addrs: Vec<VirtAddr> = labels.iter().map(|label| label.key).collect();
    addrs.sort_unstable();
    addrs.chunk_by(|a, b| a == b).map(|same| read_key(context, same[0], same.len())).collect()
}

fn read_key(context: &Context<'_>, addr: VirtAddr, entries: usize) -> StaticKey {
    let (home, name, values) = match context.image.extern_around(addr) {
        None => {
            let values = values(context.image, addr);
            let home = if values.is_some() { KeyHome::Image } else { KeyHome::Nowhere };
            (home, object_name(context.image, addr), values)
        }
        Some((symbol, offset)) => {
            let name = place::with_offset(symbol, offset);
            let there = context.kernel.and_then(|kernel| {
                let at = kernel.symbol_addr(symbol)?.checked_add(offset)?;
                Some((KeyHome::Kernel(at), values(kernel, at)))
            });
            let (home, values) = there.unwrap_or_else(|| (KeyHome::Undefined(symbol.to_owned()), None));
            (home, Some(name), values)
        }
    };
    StaticKey {
        addr,
        home,
        name,
        enabled: values.map(|(enabled, _)| enabled),
        type_word: values.map(|(_, word)| word),
        entries: u32::try_from(entries).unwrap_or(u32::MAX),
    }
}

fn object_name(image: &Image, addr: VirtAddr) -> Option<String> {
    place::object_at(image, addr).map(|Object { name, start, .. }| place::with_offset(name, addr.0 - start.0))
}

/// `enabled` and the type word.
fn values(image: &Image, addr: VirtAddr) -> Option<(i32, u64)> {
    let bytes: [u8; KEY_SIZE as usize] = initial_bytes(image, addr)?;
    let (enabled, rest) = bytes.split_at(4);
    let (_, word) = rest.split_at(4);
    Some((i32::from_le_bytes(enabled.try_into().ok()?), u64::from_le_bytes(word.try_into().ok()?)))
}

/// What memory holds before boot: the file's bytes, or zeros where a section has none (`.bss`).
pub(crate) fn initial_bytes<const N: usize>(image: &Image, addr: VirtAddr) -> Option<[u8; N]> {
    if let Some(bytes) = image.bytes(addr, N) {
        return bytes.try_into().ok();
    }
    let section = image.section_at(addr)?;
    let in_file = section.file.len() as u64;
    let past_file = addr.0.checked_sub(section.addr.0)? >= in_file;
    let end = addr.checked_add(N as u64)?;
    (past_file && end <= section.end()).then_some([0; N])
}
