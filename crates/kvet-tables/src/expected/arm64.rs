//! arm64: alternatives with their callbacks, ftrace, runtime constants, jump labels.

use std::collections::HashMap;

use kvet_image::{Image, VirtAddr};

use super::{Class, Machine, Owner, PatchedText};
use crate::alternatives::arm64::Alternative;
use crate::disasm::arm64::{self as insn, NOP};
use crate::{Bounds, Context};

pub(super) fn apply(text: &mut PatchedText, context: &Context<'_>, machine: &dyn Machine) {
    if !machine.stage().alternatives {
        text.remember();
    }
    alternatives(text, context, machine);
    runtime_constants(text, context.image, machine);
    jump_labels(text, context, machine);
}

fn words_at(text: &PatchedText, at: VirtAddr, len: usize) -> Option<Vec<u32>> {
    text.bytes(at, len).map(|bytes| insn::words(bytes).collect())
}

fn to_bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// `__apply_alternatives`: entry by entry, those whose capability has been applied.
fn alternatives(text: &mut PatchedText, context: &Context<'_>, machine: &dyn Machine) {
    let table = context.arm64_alternatives();
    let image = context.image;
    let mut unknown: HashMap<String, usize> = HashMap::new();
    for (i, entry) in table.entries.iter().enumerate() {
        let capability = table.marker.capability(entry);
        if !capability.is_none_or(|c| machine.has(c)) {
            continue;
        }
        let Some(old) = words_at(text, entry.orig, entry.orig_len.into()) else { continue };
        let owner = Owner { feature: capability.map(|c| (c, false)), ..Owner::of(Class::Alternative, i) };
        let callback = table.marker.marks(entry) && entry.alt_len == 0;
        let new = match callback {
            false => replaced(image, entry),
            true => {
                let name = image.symbol_at(entry.alt).map_or("", |(s, _)| s.name);
                match called(image, machine, name, &old) {
                    Called::Known(new) => Some(new),
                    Called::Unknown => {
                        *unknown.entry(name.to_owned()).or_default() += 1;
                        None
                    }
                }
            }
        };
        let bytes = to_bytes(&new.unwrap_or(old));
        text.put(entry.orig, &bytes, owner);
    }
    let mut unknown: Vec<_> = unknown.into_iter().collect();
    unknown.sort();
    text.skipped.extend(unknown.into_iter().map(|(name, count)| {
        format!("{count} alternatives are written by the callback {name}, which is not followed here: their sites stay as in the file")
    }));
}

/// `patch_alternative`, `get_alt_insn`.
fn replaced(image: &Image, entry: &Alternative) -> Option<Vec<u32>> {
    let new = image.bytes(entry.alt, entry.alt_len.into())?;
    let move_one = |(i, word): (usize, u32)| {
        let (from, to) = (entry.alt.wrapping_offset(4 * i as i64), entry.orig.wrapping_offset(4 * i as i64));
        if let Some(target) = insn::branch_target(from, word) {
            // A branch inside the replacement keeps its distance; its end counts as inside.
            let inside = target >= entry.alt && target <= entry.alt_end();
            return if inside { Some(word) } else { insn::retarget(word, to, target) };
        }
        match insn::adrp_page(from, word) {
            Some(page) => insn::repage(word, to, page),
            None => Some(word),
        }
    };
    insn::words(new).enumerate().map(move_one).collect()
}

enum Called {
    Known(Vec<u32>),
    Unknown,
}

const HVC: u32 = 0xd400_0002;
const SMC: u32 = 0xd400_0003;
/// Bits of `system_bhb_mitigations` (arch/arm64/kernel/proton-pack.c, `enum bhb_mitigation_bits`).
const BHB_LOOP: u32 = 0;
const BHB_FW: u32 = 1;
const BHB_INSN: u32 = 3;

/// What a callback writes over these instructions.
fn called(image: &Image, machine: &dyn Machine, name: &str, old: &[u32]) -> Called {
    let variable = |name: &str| -> Option<u64> {
        let mut bytes = [0; 8];
        let at = image.symbol_addr(name)?;
        machine.raw(at, &mut bytes).then(|| u64::from_le_bytes(bytes))
    };
    let bhb = |bit: u32| variable("system_bhb_mitigations").map(|bits| bits >> bit & 1 == 1);
    let nops = || vec![NOP; old.len()];
    let rd = old.first().map_or(0, |w| w & 31);
    let made = match name {
        "alt_cb_patch_nops" => Some(nops()),
        "spectre_bhb_patch_loop_mitigation_enable" => {
            bhb(BHB_LOOP).map(|on| if on { nops() } else { old.to_vec() })
        }
        "spectre_bhb_patch_fw_mitigation_enabled" => {
            bhb(BHB_FW).map(|on| if on { nops() } else { old.to_vec() })
        }
        "spectre_bhb_patch_clearbhb" => bhb(BHB_INSN).map(|on| if on { old.to_vec() } else { nops() }),
        "spectre_bhb_patch_loop_iter" => {
            let mut byte = [0; 1];
            let at = image.symbol_addr("max_bhb_k");
            at.filter(|at| machine.raw(*at, &mut byte))
                .map(|_| vec![0xd280_0000 | u32::from(byte[0]) << 5 | rd])
        }
        "kvm_get_kimage_voffset" => variable("kimage_voffset").map(|value| mov_q(rd, value)),
        "smccc_patch_fw_mitigation_conduit" => {
            let mut word = [0; 4];
            let at = image.symbol_addr("smccc_conduit");
            at.filter(|at| machine.raw(*at, &mut word)).and_then(|_| match u32::from_le_bytes(word) {
                0 => Some(old.to_vec()),
                // enum arm_smccc_conduit: NONE, SMC, HVC.
                1 => Some(vec![SMC]),
                2 => Some(vec![HVC]),
                _ => None,
            })
        }
        _ => None,
    };
    match made {
        Some(new) => Called::Known(new),
        None => Called::Unknown,
    }
}

/// `generate_mov_q`: movz and three movk.
fn mov_q(rd: u32, value: u64) -> Vec<u32> {
    (0..4_u32)
        .map(|i| {
            let imm = (value >> (16 * i)) as u32 & 0xffff;
            let opcode = if i == 0 { 0xd280_0000 } else { 0xf280_0000 };
            opcode | i << 21 | imm << 5 | rd
        })
        .collect()
}

/// `runtime_ptr_NAME`, `runtime_shift_NAME`, `runtime_mask_NAME` (6.11 and later), by their boundary symbols where the
/// image has no sections.
fn runtime_constants(text: &mut PatchedText, image: &Image, machine: &dyn Machine) {
    let symbols = image.symbols();
    let starts =
        symbols.iter().filter_map(|s| Some((s.name.strip_prefix("__start_runtime_")?.to_owned(), s.addr)));
    for (rest, start) in starts.collect::<Vec<_>>() {
        let Some((kind, name)) = rest.split_once('_') else { continue };
        let section = format!("runtime_{rest}");
        let stop = format!("__stop_runtime_{rest}");
        let Some(bounds) = Bounds::locate(image, &section, &format!("__start_runtime_{rest}"), &stop) else {
            continue;
        };
        let mut value = [0; 8];
        let len = if kind == "ptr" { 8 } else { 4 };
        let variable = image.symbol_addr(name).filter(|at| machine.raw(*at, &mut value[..len]));
        if variable.is_none() {
            text.skipped.push(format!("the constants of {section} are not followed: {name} is not known"));
            continue;
        }
        let value = u64::from_le_bytes(value);
        let (words, _) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<4>();
        for (i, bytes) in words.iter().enumerate() {
            let at = start.wrapping_offset(4 * i as i64).wrapping_offset(i32::from_le_bytes(*bytes).into());
            let count = if kind == "ptr" { 4 } else { 1 };
            let Some(old) = words_at(text, at, 4 * count) else { continue };
            if let Some(new) = constant(kind, &old, value) {
                text.put(at, &to_bytes(&new), Owner::of(Class::RuntimeConstant, i));
            }
        }
    }
}

fn constant(kind: &str, old: &[u32], value: u64) -> Option<Vec<u32>> {
    match kind {
        "ptr" => Some(
            old.iter()
                .zip(0_u32..)
                .map(|(word, i)| word & 0xffe0_001f | ((value >> (16 * i)) as u32 & 0xffff) << 5)
                .collect(),
        ),
        // lsr: the shift stands in immr; __runtime_fixup_shift.
        "shift" => Some(vec![old.first()? & 0xffc0_ffff | (value as u32 & 63) << 16]),
        // ubfx #0, #width: imms is the width less one; __runtime_fixup_mask.
        "mask" => Some(vec![
            old.first()? & 0xffff_03ff | (((value as u32).count_ones().wrapping_sub(1)) & 63) << 10,
        ]),
        _ => None,
    }
}

fn jump_labels(text: &mut PatchedText, context: &Context<'_>, machine: &dyn Machine) {
    let Ok(table) = context.jump_labels() else { return };
    for label in &table.labels {
        let Some(&[old]) = words_at(text, label.code, 4).as_deref() else { continue };
        let jump = match machine.key_enabled(label.key) {
            Some(enabled) => label.is_jump_when(enabled),
            None => !insn::is_nop(old),
        };
        let new = if jump { insn::retarget(0x1400_0000, label.code, label.target) } else { Some(NOP) };
        let Some(new) = new else { continue };
        let owner = Owner { key: Some(label.key), ..Owner::of(Class::JumpLabel, label.index as usize) };
        text.put(label.code, &to_bytes(&[new]), owner);
    }
}
