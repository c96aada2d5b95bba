//! arm64: alternatives with their callbacks, ftrace, runtime constants, jump labels.

use std::collections::BTreeMap;

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
    ftrace(text, context.image, machine);
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
    let mut callbacks: BTreeMap<&str, Vec<Site>> = BTreeMap::new();
    for (i, entry) in table.entries.iter().enumerate() {
        let capability = table.marker.capability(entry);
        if !capability.is_none_or(|c| machine.has(c)) {
            continue;
        }
        let Some(old) = words_at(text, entry.orig, entry.orig_len.into()) else { continue };
        let owner = Owner { feature: capability.map(|c| (c, false)), ..Owner::of(Class::Alternative, i) };
        if table.marker.marks(entry) && entry.alt_len == 0 {
            let name = image.symbol_at(entry.alt).map_or("", |(s, _)| s.name);
            match called(image, machine, name, &old) {
                Some(new) => _ = text.put(entry.orig, &to_bytes(&new), owner),
                None => callbacks.entry(name).or_default().push(Site { at: entry.orig, old, owner }),
            }
        } else {
            let bytes = to_bytes(&replaced(image, entry).unwrap_or(old));
            text.put(entry.orig, &bytes, owner);
        }
    }
    for (name, sites) in callbacks {
        by_agreement(text, machine, name, &sites);
    }
}

/// A callback's site.
struct Site {
    at: VirtAddr,
    old: Vec<u32>,
    owner: Owner,
}

/// Where what a callback writes depends on a variable that no symbol names: what most of its sites hold, which must be
/// something that the callback writes, with the site's own registers.
fn by_agreement(text: &mut PatchedText, machine: &dyn Machine, name: &str, sites: &[Site]) {
    let in_memory = |site: &Site| {
        let mut bytes = vec![0; site.old.len() * 4];
        machine.raw(site.at, &mut bytes).then(|| insn::words(&bytes).collect::<Vec<u32>>())
    };
    let form = |old: &[u32], now: &[u32]| match form(old, now) {
        // Where it branches to depends on the vector that it is in.
        Form::Code(mut code) if name == "kvm_patch_vector_branch" => {
            if let Some(first) = code.first_mut() {
                *first &= !(0xffff << 5);
            }
            Form::Code(code)
        }
        form => form,
    };
    let forms = sites.iter().filter_map(|site| Some(form(&site.old, &in_memory(site)?)));
    let allowed: Vec<Form> = forms.filter(|form| may_write(name, form)).collect();
    let most = super::most_common(allowed);
    if most.is_none() {
        text.skipped.push(format!(
            "what the callback {name} writes is not known here; sites that stay as in the file: {}",
            sites.len()
        ));
    }
    for site in sites {
        let new = match &most {
            Some(Form::Nops) => vec![NOP; site.old.len()],
            Some(code @ Form::Code(_)) => match in_memory(site) {
                Some(now) if form(&site.old, &now) == *code => now,
                _ => site.old.clone(),
            },
            Some(Form::Same) | None => site.old.clone(),
        };
        text.put(site.at, &to_bytes(&new), site.owner);
    }
}

/// What was done to a site, without what may differ from site to site.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Form {
    /// The file's instructions.
    Same,
    /// Nops.
    Nops,
    /// Others, their registers taken away where they are the file's own.
    Code(Vec<u32>),
}

fn form(old: &[u32], now: &[u32]) -> Form {
    if old == now {
        return Form::Same;
    }
    if now.iter().all(|w| *w == NOP) {
        return Form::Nops;
    }
    let without_registers = |(i, word): (usize, &u32)| {
        let source = old.get(i).or(old.first()).copied().unwrap_or(0);
        let first = old.first().copied().unwrap_or(0);
        let own =
            |register: u32| register == source & 31 || register == source >> 5 & 31 || register == first & 31;
        match *word {
            NOP => NOP,
            // movz and movk: rd.
            w if w & 0x9f80_0000 == 0x9280_0000 && own(w & 31) => w & !31,
            // and, orr with an immediate; add with an immediate: rn, rd.
            w if matches!(w & 0x1f80_0000, 0x1200_0000 | 0x1100_0000 | 0x1180_0000) && own(w & 31) => {
                if own(w >> 5 & 31) { w & !0x3ff } else { w & !31 }
            }
            // extr: rm, rn, rd.
            w if w & 0x7f80_0000 == 0x1380_0000 && own(w & 31) && own(w >> 5 & 31) => w & !0x1f_03ff,
            w => w,
        }
    };
    Form::Code(now.iter().enumerate().map(without_registers).collect())
}

fn is_movz(w: u32) -> bool {
    w & 0xff80_0000 == 0xd280_0000
}

fn is_movk(w: u32) -> bool {
    w & 0xff80_0000 == 0xf280_0000
}

/// What each callback may write (arch/arm64/kernel/proton-pack.c, mte.c, arch/arm64/kvm/va_layout.c, vgic/vgic-v3.c).
fn may_write(name: &str, form: &Form) -> bool {
    let code = match form {
        Form::Same => {
            return !matches!(
                name,
                "kvm_update_va_mask" | "kvm_get_kimage_voffset" | "kvm_compute_final_ctr_el0"
            );
        }
        Form::Nops => {
            return !matches!(
                name,
                "smccc_patch_fw_mitigation_conduit" | "spectre_bhb_patch_loop_iter" | "spectre_bhb_patch_wa3"
            );
        }
        Form::Code(code) => code.as_slice(),
    };
    match name {
        "smccc_patch_fw_mitigation_conduit" => matches!(code, [HVC] | [SMC]),
        "spectre_bhb_patch_loop_iter" => matches!(code, [w] if is_movz(*w)),
        // orr wd, wzr, #ARM_SMCCC_ARCH_WORKAROUND_3
        "spectre_bhb_patch_wa3" => matches!(code, [w] if w & 0xff80_0000 == 0x3200_0000),
        "kvm_get_kimage_voffset" | "kvm_compute_final_ctr_el0" => {
            matches!(code, [a, rest @ ..] if is_movz(*a) && rest.iter().all(|w| is_movk(*w)))
        }
        "kvm_update_va_mask" => {
            matches!(code, [first, rest @ ..] if first & 0xff80_0000 == 0x9200_0000 && rest.iter().all(|w| {
                *w == NOP || w & 0x7f80_0000 == 0x1380_0000 || w & 0x7f00_0000 == 0x1100_0000
            }))
        }
        "kvm_patch_vector_branch" => {
            matches!(code, [a, b, c, 0xd61f_0000] if is_movz(*a) && is_movk(*b) && is_movk(*c))
        }
        "kvm_patch_ich_vtr_el2" | "kvm_compute_ich_hcr_trap_bits" => {
            matches!(code, [a, rest @ ..] if is_movz(*a) && rest.iter().all(|w| is_movk(*w) || *w == NOP))
        }
        "alt_cb_patch_nops"
        | "kasan_hw_tags_enable"
        | "spectre_bhb_patch_clearbhb"
        | "spectre_bhb_patch_fw_mitigation_enabled"
        | "spectre_bhb_patch_loop_mitigation_enable"
        | "spectre_v4_patch_fw_mitigation_enable" => false,
        // A callback that is new: what most of its sites have in common.
        _ => true,
    }
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

const HVC: u32 = 0xd400_0002;
const SMC: u32 = 0xd400_0003;
/// Bits of `system_bhb_mitigations` (arch/arm64/kernel/proton-pack.c, `enum bhb_mitigation_bits`).
const BHB_LOOP: u32 = 0;
const BHB_FW: u32 = 1;
const BHB_INSN: u32 = 3;

/// What a callback writes over these instructions.
fn called(image: &Image, machine: &dyn Machine, name: &str, old: &[u32]) -> Option<Vec<u32>> {
    let variable = |name: &str| -> Option<u64> {
        let mut bytes = [0; 8];
        let at = image.symbol_addr(name)?;
        machine.raw(at, &mut bytes).then(|| u64::from_le_bytes(bytes))
    };
    let bhb = |bit: u32| variable("system_bhb_mitigations").map(|bits| bits >> bit & 1 == 1);
    let nops = || vec![NOP; old.len()];
    let rd = old.first().map_or(0, |w| w & 31);
    match name {
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
        let known = image.symbol_addr(name).is_some_and(|at| machine.raw(at, &mut value[..len]));
        let value = match known {
            true => Some(u64::from_le_bytes(value)),
            // The compiler may have found that nobody reads the variable: then its sites tell, and must agree.
            false => agreed(machine, kind, &site_list(image, &bounds, start)),
        };
        let Some(value) = value else {
            text.skipped.push(format!(
                "the constants of {section} stay as in the file: the boot decides what {name} holds"
            ));
            continue;
        };
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

/// `mov x9, x30`, which ftrace puts first (arch/arm64/kernel/ftrace.c, `ftrace_init_nop`).
const SAVE_LR: u32 = 0xaa1e_03e9;

/// `ftrace_init_nop`: of the two nops at a function's start (behind a `bti`), the first saves the link register. With
/// CONFIG_DYNAMIC_FTRACE_WITH_CALL_OPS (6.3 and later) the eight bytes before the function hold the address of
/// `ftrace_nop_ops`, everywhere the same while nothing is traced.
///
/// `__mcount_loc` names the functions; without its symbols, those places count that hold two nops in the file
/// and have been changed so; one that has not been is then not missed.
fn ftrace(text: &mut PatchedText, image: &Image, machine: &dyn Machine) {
    let named = Bounds::locate(image, "__mcount_loc", "__start_mcount_loc", "__stop_mcount_loc");
    let (words, _) = named.as_ref().and_then(|b| b.bytes(image)).unwrap_or(&[]).as_chunks::<8>();
    let mut starts: Vec<VirtAddr> = words.iter().map(|w| VirtAddr(u64::from_le_bytes(*w))).collect();
    let by_form = starts.is_empty();
    if by_form {
        starts = pairs_of_nops(text);
    }
    // With the pointer, the table names the two nops in front of the function, whose own two follow.
    const BTI: u32 = 0xd503_245f;
    let in_front = |at: &&VirtAddr| {
        matches!(
            words_at(text, **at, 20).as_deref(),
            Some([NOP, NOP, NOP, NOP, _] | [NOP, NOP, BTI, NOP, NOP])
        )
    };
    let shift = if !by_form && starts.iter().filter(in_front).count() * 2 > starts.len() { 8 } else { 0 };
    let found: Vec<Entry> = starts
        .iter()
        .enumerate()
        .filter_map(|(i, at)| ftrace_entry(text, machine, i, at.wrapping_offset(shift)))
        .collect();
    if by_form && found.iter().all(|entry| entry.now.is_empty()) {
        text.skipped
            .push("ftrace's sites stay as in the file: nothing in the image names __mcount_loc".into());
    }
    let literal = super::most_common(found.iter().filter_map(|e| e.literal).collect());
    for entry in found {
        // A start that is a guess proves itself by what stands there, or before it, where ftrace begins.
        let proved = entry.now.first() == Some(&SAVE_LR) || literal.is_some() && entry.literal == literal;
        if by_form && !proved {
            continue;
        }
        let owner = Owner::of(Class::Ftrace, entry.index);
        text.put(entry.nops, &to_bytes(&[SAVE_LR, NOP]), owner);
        if let (Some(before), Some(literal)) = (entry.before, literal) {
            text.put(before, &literal.to_le_bytes(), owner);
        }
    }
}

/// Every place with two nops, one behind the other: without the table, any may be ftrace's.
fn pairs_of_nops(text: &PatchedText) -> Vec<VirtAddr> {
    let mut found = Vec::new();
    for part in &text.parts {
        let words: Vec<u32> = insn::words(&part.bytes).collect();
        let pairs = words.windows(2).enumerate().filter(|(_, pair)| pair[..] == [NOP, NOP]);
        found.extend(pairs.map(|(i, _)| part.start.wrapping_offset(4 * i as i64)));
    }
    found
}

/// One function that ftrace knows.
struct Entry {
    index: usize,
    /// Where its two nops stand, and what is there now.
    nops: VirtAddr,
    now: Vec<u32>,
    /// Where the pointer before it stands, and its value.
    before: Option<VirtAddr>,
    literal: Option<u64>,
}

fn ftrace_entry(text: &PatchedText, machine: &dyn Machine, index: usize, start: VirtAddr) -> Option<Entry> {
    const BTI: u32 = 0xd503_245f;
    let nops = match words_at(text, start, 12)?[..] {
        [BTI, NOP, NOP] => start.wrapping_offset(4),
        [NOP, NOP, _] => start,
        _ => return None,
    };
    let ahead = start.wrapping_offset(-8);
    let before = words_at(text, ahead, 8).filter(|w| w[..] == [NOP, NOP]).map(|_| ahead);
    let read = |at: VirtAddr| {
        let mut bytes = [0; 8];
        machine.raw(at, &mut bytes).then_some(bytes)
    };
    let now = read(nops).map(|bytes| insn::words(&bytes).collect()).unwrap_or_default();
    // An address of the kernel's half, which instructions are not: they begin with other bits.
    let literal = before.and_then(read).map(u64::from_le_bytes).filter(|value| value >> 52 == 0xfff);
    Some(Entry { index, nops, now, before: before.filter(|_| literal.is_some()), literal })
}

fn site_list(image: &Image, bounds: &Bounds, start: VirtAddr) -> Vec<VirtAddr> {
    let (words, _) = bounds.bytes(image).unwrap_or(&[]).as_chunks::<4>();
    let site = |(i, bytes): (usize, &[u8; 4])| {
        start.wrapping_offset(4 * i as i64).wrapping_offset(i32::from_le_bytes(*bytes).into())
    };
    words.iter().enumerate().map(site).collect()
}

/// The pointer that most sites hold in their four instructions.
fn agreed(machine: &dyn Machine, kind: &str, sites: &[VirtAddr]) -> Option<u64> {
    if kind != "ptr" {
        return None;
    }
    let value = |at: &VirtAddr| {
        let mut bytes = [0; 16];
        machine.raw(*at, &mut bytes).then(|| {
            let words = insn::words(&bytes).enumerate();
            words.fold(0, |value, (i, w)| value | u64::from(w >> 5 & 0xffff) << (16 * i))
        })
    };
    super::most_common(sites.iter().take(1024).filter_map(value).collect())
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
        let new = match machine.key_enabled(label.key).map(|enabled| label.is_jump_when(enabled)) {
            Some(true) => insn::retarget(0x1400_0000, label.code, label.target),
            Some(false) => Some(NOP),
            // What has not been switched has not been written either.
            None => Some(old),
        };
        let Some(new) = new else { continue };
        let owner = Owner { key: Some(label.key), ..Owner::of(Class::JumpLabel, label.index as usize) };
        text.put(label.code, &to_bytes(&[new]), owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RD5: u32 = 5;

    #[test]
    fn a_64_bit_value_takes_four_moves() {
        let words = mov_q(RD5, 0x1122_3344_5566_7788);
        assert_eq!(words, [0xd28e_f105, 0xf2aa_acc5, 0xf2c6_6885, 0xf2e2_2445]);
        let moved =
            constant("ptr", &[0xd299_bde5, 0xf2b1_3565, 0xf2c8_ace5, 0xf2e0_2465], 0x1122_3344_5566_7788);
        assert_eq!(moved.as_deref(), Some(&words[..]));
    }

    #[test]
    fn a_shift_and_a_mask_stand_in_their_fields() {
        // lsr w1, w2, #12 -> #20; ubfx w0, w1, #0, #32 -> 8 bits
        assert_eq!(constant("shift", &[0x530c_7c41], 20), Some(vec![0x5314_7c41]));
        assert_eq!(constant("mask", &[0x5300_7c20], 0xff), Some(vec![0x5300_1c20]));
        assert_eq!(constant("other", &[0], 1), None);
    }

    #[test]
    fn a_form_is_without_the_sites_own_registers() {
        // and x1, x1, #1 at two sites with other registers, written by the callback.
        let (old_a, old_b) = ([0x9240_0021, NOP], [0x9240_0042, NOP]);
        let (now_a, now_b) = ([0x9240_b821, NOP], [0x9240_b842, NOP]);
        assert_eq!(form(&old_a, &now_a), form(&old_b, &now_b));
        assert_ne!(form(&old_a, &now_a), form(&old_b, &now_a), "another register than its own");
        assert_eq!(form(&old_a, &old_a), Form::Same);
        assert_eq!(form(&old_a, &[NOP, NOP]), Form::Nops);
        assert!(may_write("kvm_update_va_mask", &form(&old_a, &now_a)));
        assert!(
            !may_write("kvm_update_va_mask", &Form::Code(vec![0xd65f_03c0, NOP])),
            "a ret is nothing that it writes"
        );
    }

    #[test]
    fn callbacks_write_what_they_are_known_to_write() {
        assert!(may_write("smccc_patch_fw_mitigation_conduit", &Form::Code(vec![HVC])));
        assert!(!may_write("smccc_patch_fw_mitigation_conduit", &Form::Code(vec![HVC | 1 << 5])));
        assert!(!may_write("smccc_patch_fw_mitigation_conduit", &Form::Nops));
        assert!(may_write("spectre_v4_patch_fw_mitigation_enable", &Form::Nops));
        assert!(!may_write("spectre_v4_patch_fw_mitigation_enable", &Form::Code(vec![HVC])));
        assert!(may_write(
            "kvm_patch_vector_branch",
            &Form::Code(vec![0xd280_0000, 0xf2a0_0000, 0xf2c0_0000, 0xd61f_0000])
        ));
    }

    #[test]
    fn most_is_what_is_there_most_often() {
        assert_eq!(super::super::most_common(vec![3, 1, 2, 1]), Some(1));
        assert_eq!(super::super::most_common(Vec::<u8>::new()), None);
    }
}
