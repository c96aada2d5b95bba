//! The code of all entries, decoded once.
//!
//! A kernel repeats few sequences thousands of times (stac, clac, sti, a call through `pv_ops`), and whether
//! bytes are whole instructions does not depend on where they stand. So each distinct sequence is decoded once,
//! at address 0; what it names by distance is found by adding the address.

use std::collections::HashMap;

use iced_x86::Instruction;
use kvet_image::{Image, VirtAddr};

use super::Alternative;
use crate::disasm::x86::{Mode, NotWhole, decode_each_in, relative_target};

/// One distinct sequence of bytes.
pub(super) struct Sequence<'a> {
    /// The bytes.
    pub(super) bytes: &'a [u8],
    /// Its instructions, at address 0; those before the fault where there is one.
    pub(super) instructions: Vec<Instruction>,
    /// Where it stops being whole instructions.
    pub(super) fault: Option<NotWhole>,
}

impl Sequence<'_> {
    /// The bytes of one of its instructions.
    pub(super) fn bytes_of(&self, i: &Instruction) -> &[u8] {
        let at = i.ip() as usize;
        self.bytes.get(at..at + i.len()).unwrap_or(&[])
    }

    /// The address that an instruction names by distance when the sequence stands at `base`.
    pub(super) fn target(i: &Instruction, base: VirtAddr) -> Option<VirtAddr> {
        relative_target(i).map(|target| VirtAddr(base.0.wrapping_add(target)))
    }

    /// Whether an address is inside the sequence, or just behind it, when it stands at `base`: the kernel does
    /// not relocate a branch to there (`need_reloc`).
    pub(super) fn is_inside(&self, target: VirtAddr, base: VirtAddr) -> bool {
        target >= base && target.0 - base.0 <= self.bytes.len() as u64
    }
}

/// The sequences of a table's entries.
pub(super) struct Code<'a> {
    sequences: Vec<Sequence<'a>>,
    sites: Vec<Option<u32>>,
    replacements: Vec<Option<u32>>,
}

impl<'a> Code<'a> {
    /// Decodes what stands at sites and replacements.
    pub(super) fn read(image: &'a Image, mode: Mode, entries: &[Alternative]) -> Code<'a> {
        let mut ids: HashMap<&'a [u8], u32> = HashMap::new();
        let mut sequences = Vec::new();
        let mut id_of = |bytes: Option<&'a [u8]>| {
            let bytes = bytes?;
            Some(*ids.entry(bytes).or_insert_with(|| {
                sequences.push(decode(mode, bytes));
                sequences.len() as u32 - 1
            }))
        };
        let mut sites = Vec::with_capacity(entries.len());
        let mut replacements = Vec::with_capacity(entries.len());
        for entry in entries {
            sites.push(id_of(entry.site_bytes(image)));
            replacements.push(id_of(entry.replacement_bytes(image)));
        }
        Code { sequences, sites, replacements }
    }

    /// The code at an entry's site; `None` when the file does not have it.
    pub(super) fn site(&self, entry: &Alternative) -> Option<&Sequence<'a>> {
        self.get(&self.sites, entry)
    }

    /// An entry's replacement; `None` when the file does not have it.
    pub(super) fn replacement(&self, entry: &Alternative) -> Option<&Sequence<'a>> {
        self.get(&self.replacements, entry)
    }

    fn get(&self, ids: &[Option<u32>], entry: &Alternative) -> Option<&Sequence<'a>> {
        let id = (*ids.get(usize::try_from(entry.index).ok()?)?)?;
        self.sequences.get(id as usize)
    }
}

fn decode(mode: Mode, bytes: &[u8]) -> Sequence<'_> {
    let mut instructions = Vec::new();
    let fault = decode_each_in(mode, VirtAddr(0), bytes, |i| instructions.push(*i)).err();
    Sequence { bytes, instructions, fault }
}
