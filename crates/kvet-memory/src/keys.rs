//! Static keys: whether they are enabled, and what stands at their sites.

use std::collections::BTreeMap;

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;
use kvet_tables::jump_labels::JumpLabel;

use crate::Guest;

/// What stands at a jump label's site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AtSite {
    /// A nop.
    Nop,
    /// The jump to the label's target.
    Jump,
    /// An int3 in place of the first byte: it is being patched.
    Int3,
    /// Something else.
    Other,
    /// The memory does not have it, or init text that has been freed.
    Gone,
}

/// One static key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyState {
    /// Its link-time address.
    pub addr: VirtAddr,
    /// The object that holds it.
    pub name: Option<String>,
    /// `enabled.counter`: 0 off, above 0 the number of its users, -1 while the first one switches it on.
    pub enabled: i32,
    /// What the file has there.
    pub initially: Option<i32>,
    /// Sites that are a jump when the key is on or off as it is, and are one; or nops likewise.
    pub as_asked: u32,
    /// Sites that are the other way round.
    pub otherwise: u32,
    /// Sites that are being patched.
    pub in_patching: u32,
    /// Sites with other code.
    pub other: u32,
    /// Sites in freed init text, or not in the memory.
    pub gone: u32,
    /// Functions of the first sites that are not as the key asks.
    pub odd_sites: Vec<VirtAddr>,
}

/// Odd sites that are kept of each key.
const MOST_ODD: usize = 16;

impl KeyState {
    /// Whether the key is on: `static_key_enabled` (include/linux/jump_label.h) takes -1 for on as well.
    pub fn is_on(&self) -> bool {
        self.enabled != 0
    }

    /// The name, else the address.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{:#x}", self.addr))
    }
}

/// All static keys that the image's jump table names, by address.
///
/// # Errors
/// The image has no jump table that can be read: the sentence that says why.
pub fn keys(guest: &Guest<'_>, context: &Context<'_>) -> Result<Vec<KeyState>, String> {
    let table = context.jump_labels().map_err(|report| report.skipped.join(" "))?;
    let mut states: BTreeMap<VirtAddr, KeyState> = BTreeMap::new();
    for key in &table.keys {
        let Some(enabled) = guest.u32(guest.to_runtime(key.addr)) else { continue };
        states.insert(
            key.addr,
            KeyState {
                addr: key.addr,
                name: key.name.clone(),
                enabled: enabled.cast_signed(),
                initially: key.enabled,
                as_asked: 0,
                otherwise: 0,
                in_patching: 0,
                other: 0,
                gone: 0,
                odd_sites: Vec::new(),
            },
        );
    }
    for label in &table.labels {
        let Some(state) = states.get_mut(&label.key) else { continue };
        let odd = match (at_site(guest, label), label.is_jump_when(state.is_on())) {
            (AtSite::Nop, false) | (AtSite::Jump, true) => {
                state.as_asked += 1;
                false
            }
            (AtSite::Nop, true) | (AtSite::Jump, false) => {
                state.otherwise += 1;
                true
            }
            (AtSite::Int3, _) => {
                state.in_patching += 1;
                true
            }
            (AtSite::Other, _) => {
                state.other += 1;
                true
            }
            (AtSite::Gone, _) => {
                state.gone += 1;
                false
            }
        };
        if odd && state.odd_sites.len() < MOST_ODD {
            state.odd_sites.push(label.code);
        }
    }
    Ok(states.into_values().collect())
}

/// What stands at a site.
pub fn at_site(guest: &Guest<'_>, label: &JumpLabel) -> AtSite {
    if guest.is_gone(label.code) {
        return AtSite::Gone;
    }
    let Some(bytes) = guest.link_bytes(label.code, if guest.arch() == Arch::Arm64 { 4 } else { 5 }) else {
        return AtSite::Gone;
    };
    let jumps = |len: usize, distance: i64| {
        label.code.wrapping_offset(len as i64).wrapping_offset(distance) == label.target
    };
    if guest.arch() == Arch::Arm64 {
        let word = bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let distance = (i64::from(word & 0x03ff_ffff) << 38) >> 36;
        return match word {
            0xd503_201f => AtSite::Nop,
            w if w & 0xfc00_0000 == 0x1400_0000 && jumps(0, distance) => AtSite::Jump,
            _ => AtSite::Other,
        };
    }
    match bytes.as_ref() {
        [0x66, 0x90, ..] | [0x0f, 0x1f, 0x44, 0x00, 0x00] => AtSite::Nop,
        // Before 5.13: NOP_ATOMIC5 of the processors that are given other nops.
        [0x66, 0x66, 0x66, 0x66, 0x90] | [0x3e, 0x8d, 0x74, 0x26, 0x00] => AtSite::Nop,
        [0xeb, d, ..] if jumps(2, i64::from(d.cast_signed())) => AtSite::Jump,
        [0xe9, a, b, c, d] if jumps(5, i64::from(i32::from_le_bytes([*a, *b, *c, *d]))) => AtSite::Jump,
        [0xcc, ..] => AtSite::Int3,
        _ => AtSite::Other,
    }
}
