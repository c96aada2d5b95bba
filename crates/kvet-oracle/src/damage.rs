//! Damage to one entry of a table, drawn from a seed.

use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::jump_labels::JumpLabel;
use kvet_tables::{Context, alternatives};

use crate::random::Random;

/// Bytes to write over an image, and what that does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// Which kind it is, one of [`kinds`].
    pub kind: &'static str,
    /// The table that it hurts.
    pub table: &'static str,
    /// The entry.
    pub index: u64,
    /// What is written where.
    pub patches: Vec<(VirtAddr, Vec<u8>)>,
}

type Draw = fn(&Context<'_>, &mut Random) -> Option<Damage>;

const X86: &[(&str, Draw)] = &[
    ("capability out of range", x86_capability_out_of_range),
    ("capability shifted", x86_capability_shifted),
    ("patched length too long", x86_length_too_long),
    ("replacement longer than the site", x86_replacement_too_long),
    ("entry duplicated", x86_duplicated),
    ("jump label state", label_state),
    ("jump label state of a switched key", switched_label_state),
    ("jump label target moved", label_target),
    ("jump label key moved", label_key),
    ("static call opcode", static_call_opcode),
];

const ARM64: &[(&str, Draw)] = &[
    ("capability out of range", arm64_capability_out_of_range),
    ("capability shifted", arm64_capability_shifted),
    ("replacement length", arm64_length),
    ("jump label state", label_state),
    ("jump label key moved", label_key),
];

/// The kinds of damage for an architecture.
pub fn kinds(arch: Arch) -> impl Iterator<Item = &'static str> {
    of(arch).iter().map(|(name, _)| *name)
}

fn of(arch: Arch) -> &'static [(&'static str, Draw)] {
    match arch {
        Arch::X86_64 => X86,
        Arch::Arm64 => ARM64,
    }
}

/// Draws damage of a kind; `None` when the kernel has no entry for it.
pub fn draw(context: &Context<'_>, kind: &str, random: &mut Random) -> Option<Damage> {
    let (_, draw) = of(context.image.arch()).iter().find(|(name, _)| *name == kind)?;
    draw(context, random)
}

/// A copy of an image's file with damage in it.
pub fn apply(image: &Image, damage: &Damage) -> Option<Vec<u8>> {
    let mut bytes = image.raw().to_vec();
    for (addr, patch) in &damage.patches {
        let at = image.file_range(*addr)?.start;
        bytes.get_mut(at..at.checked_add(patch.len())?)?.copy_from_slice(patch);
    }
    Some(bytes)
}

fn x86_entry<'c>(
    context: &'c Context<'_>,
    random: &mut Random,
) -> Option<(&'c alternatives::x86::Alternative, VirtAddr, usize)> {
    let table = alternatives::x86::entries(context)?;
    let entry = table.entries.get(random.below(table.entries.len()))?;
    let size = table.layout.size();
    Some((entry, table.bounds.start.checked_add(entry.index * size as u64)?, size))
}

fn x86_damage(
    kind: &'static str,
    entry: &alternatives::x86::Alternative,
    patches: Vec<(VirtAddr, Vec<u8>)>,
) -> Damage {
    Damage { kind, table: "alternatives", index: entry.index, patches }
}

fn x86_capability_out_of_range(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (entry, at, _) = x86_entry(context, random)?;
    // Far above every kernel's (NCAPINTS + NBUGINTS) * 32, below bit 15, which older layouts use for NOT.
    let feature = (2048 + random.below(2048)) as u16;
    Some(x86_damage(
        "capability out of range",
        entry,
        vec![(at.checked_add(8)?, feature.to_le_bytes().into())],
    ))
}

fn x86_capability_shifted(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (entry, at, size) = x86_entry(context, random)?;
    let mut field = entry.feature.checked_add(1)?;
    if size != 14 && entry.not {
        field |= 1 << 15;
    }
    Some(x86_damage("capability shifted", entry, vec![(at.checked_add(8)?, field.to_le_bytes().into())]))
}

/// Where the two lengths stand behind the offsets and the feature: 10 or 12 bytes into the entry.
fn lengths_at(entry: VirtAddr, size: usize) -> Option<VirtAddr> {
    entry.checked_add(if size == 14 { 12 } else { 10 })
}

fn x86_length_too_long(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (entry, at, size) = x86_entry(context, random)?;
    Some(x86_damage("patched length too long", entry, vec![(lengths_at(at, size)?, vec![255])]))
}

fn x86_replacement_too_long(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (entry, at, size) = x86_entry(context, random)?;
    let length = entry.site_len.checked_add(1 + random.below(4) as u8)?;
    let field = lengths_at(at, size)?.checked_add(1)?;
    Some(x86_damage("replacement longer than the site", entry, vec![(field, vec![length])]))
}

fn x86_duplicated(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (entry, at, size) = x86_entry(context, random)?;
    let mut copy = context.image.bytes(at, size)?.to_vec();
    let next = at.checked_add(size as u64)?;
    context.image.bytes(next, size)?;
    // The offsets are relative to the field: the copy is made to point where the original does.
    for field in [0, 4] {
        let value = i32::from_le_bytes(copy[field..field + 4].try_into().ok()?);
        copy[field..field + 4].copy_from_slice(&value.wrapping_sub(size as i32).to_le_bytes());
    }
    let mut damage = x86_damage("entry duplicated", entry, vec![(next, copy)]);
    damage.index += 1;
    Some(damage)
}

fn arm64_entry(context: &Context<'_>, random: &mut Random) -> Option<(u64, u16, u8, VirtAddr)> {
    let table = context.arm64_alternatives();
    let index = random.below(table.entries.len());
    let entry = table.entries.get(index)?;
    let at = table.bounds.as_ref()?.start.checked_add(12 * index as u64)?;
    Some((index as u64, entry.cpucap, entry.alt_len, at))
}

fn arm64_damage(kind: &'static str, index: u64, at: VirtAddr, bytes: Vec<u8>) -> Damage {
    Damage { kind, table: "alternatives", index, patches: vec![(at, bytes)] }
}

fn arm64_capability_out_of_range(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (index, capability, _, at) = arm64_entry(context, random)?;
    let value = (capability & 0x8000) | (150 + random.below(300) as u16);
    Some(arm64_damage("capability out of range", index, at.checked_add(8)?, value.to_le_bytes().into()))
}

fn arm64_capability_shifted(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (index, capability, _, at) = arm64_entry(context, random)?;
    let value = capability.wrapping_add(1);
    Some(arm64_damage("capability shifted", index, at.checked_add(8)?, value.to_le_bytes().into()))
}

fn arm64_length(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let (index, _, alt_len, at) = arm64_entry(context, random)?;
    Some(arm64_damage("replacement length", index, at.checked_add(11)?, vec![alt_len.wrapping_add(4)]))
}

/// Keys that a boot on one CPU switches, whatever its configuration: `timers_update_nohz()`
/// (kernel/time/timer.c), `sched_init_smp()`'s and `page_alloc_init_late()`'s come on some machines only.
const SWITCHED: &[&str] = &["timers_nohz_active", "timers_migration_enabled"];

fn switched_label_state(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let table = context.jump_labels().ok()?;
    let named = |l: &&JumpLabel| {
        context.image.symbol_at(l.key).is_some_and(|(s, into)| into == 0 && SWITCHED.contains(&s.name))
    };
    let labels: Vec<&JumpLabel> = table.labels.iter().filter(named).collect();
    let mut damage = flip(context, labels.get(random.below(labels.len()))?)?;
    damage.kind = "jump label state of a switched key";
    Some(damage)
}

fn label_state(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let table = context.jump_labels().ok()?;
    flip(context, table.labels.get(random.below(table.labels.len()))?)
}

/// A nop where a jump belongs, or the jump where the nop does.
fn flip(context: &Context<'_>, label: &JumpLabel) -> Option<Damage> {
    let image = context.image;
    let distance = label.target.wrapping_distance(label.code);
    let bytes = match image.arch() {
        Arch::X86_64 => match image.bytes(label.code, 5)? {
            [0x66, 0x90, ..] => vec![0xeb, i8::try_from(distance - 2).ok()? as u8],
            [0xeb, ..] => vec![0x66, 0x90],
            [0xe9, ..] => vec![0x0f, 0x1f, 0x44, 0, 0],
            [0x0f, 0x1f, ..] => {
                let mut jump = vec![0xe9];
                jump.extend(i32::try_from(distance - 5).ok()?.to_le_bytes());
                jump
            }
            _ => return None,
        },
        Arch::Arm64 => match image.u32(label.code)? {
            0xd503_201f => (0x1400_0000 | ((distance >> 2) as u32 & 0x03ff_ffff)).to_le_bytes().into(),
            _ => 0xd503_201fu32.to_le_bytes().into(),
        },
    };
    let patches = vec![(label.code, bytes)];
    Some(Damage { kind: "jump label state", table: "jump-labels", index: label.index.into(), patches })
}

fn label_target(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let table = context.jump_labels().ok()?;
    let label = table.labels.get(random.below(table.labels.len()))?;
    let field = table.entry_addr(label).checked_add(4)?;
    let moved = context.image.i32(field)?.wrapping_add(1 + random.below(3) as i32);
    let patches = vec![(field, moved.to_le_bytes().into())];
    Some(Damage { kind: "jump label target moved", table: "jump-labels", index: label.index.into(), patches })
}

fn label_key(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let table = context.jump_labels().ok()?;
    let label = table.labels.get(random.below(table.labels.len()))?;
    let field = table.entry_addr(label).checked_add(8)?;
    let moved = context.image.u64(field)?.wrapping_add(8);
    let patches = vec![(field, moved.to_le_bytes().into())];
    Some(Damage { kind: "jump label key moved", table: "jump-labels", index: label.index.into(), patches })
}

fn static_call_opcode(context: &Context<'_>, random: &mut Random) -> Option<Damage> {
    let table = context.static_calls().ok()?;
    let call = table.calls.get(random.below(table.calls.len()))?;
    let patches = vec![(call.site, vec![0x90])];
    Some(Damage { kind: "static call opcode", table: "static-calls", index: call.index.into(), patches })
}
