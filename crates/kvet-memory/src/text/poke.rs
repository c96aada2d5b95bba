//! What `text_poke` is at: the sites that are being switched by way of an int3, and which step has been reached.
//!
//! `text_poke_bp_batch` (arch/x86/kernel/alternative.c, 5.10 to 6.15; `smp_text_poke_batch_finish` later) puts an
//! int3 on every site, then writes the bytes behind it, then the first byte, and waits for all processors after each.

use kvet_image::{Arch, VirtAddr};
use kvet_tables::Context;

use crate::Guest;

/// A step of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The int3s are being written, or the processors are being told; the bytes behind are the old ones.
    Int3,
    /// The bytes behind the int3 are the new ones.
    Tail,
    /// The first bytes are being written, or have been.
    First,
}

impl Step {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Step::Int3 => "step 1 of 3: int3 written, the old bytes behind it",
            Step::Tail => "step 2 of 3: the new bytes behind the int3 written",
            Step::First => "step 3 of 3: first bytes written",
        }
    }
}

/// A patching that was under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Poke {
    /// The sites, by link-time address.
    pub sites: Vec<PokeSite>,
    /// How far it has come, where a site tells.
    pub step: Option<Step>,
}

/// One site of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PokeSite {
    /// Where.
    pub at: VirtAddr,
    /// What it shall be.
    pub new: Vec<u8>,
    /// What stands there.
    pub memory: Vec<u8>,
    /// The static key or static call's key that it is a site of.
    pub key: Option<VirtAddr>,
}

impl Poke {
    /// What is going on, in words: `switching 2 sites of sched_schedstats, the first at update_curr+0x1c/0x200: step ...`.
    pub fn words(&self, guest: &Guest<'_>) -> String {
        let count = self.sites.len();
        let mut keys: Vec<VirtAddr> = self.sites.iter().filter_map(|s| s.key).collect();
        keys.sort_unstable();
        keys.dedup();
        let name = |key: &VirtAddr| match guest.image().symbol_at(*key) {
            Some((symbol, 0)) => symbol.name.to_owned(),
            Some((symbol, offset)) => format!("{}+{offset:#x}", symbol.name),
            None => format!("{key}"),
        };
        let of = match &keys[..] {
            [] => String::new(),
            keys => format!(" of {}", keys.iter().map(name).collect::<Vec<_>>().join(", ")),
        };
        let place = |site: &PokeSite| guest.symbolize(guest.to_runtime(site.at));
        let first = self.sites.first().and_then(place).map_or(String::new(), |at| match count {
            1 => format!(" at {at}"),
            _ => format!(", the first at {at}"),
        });
        let step = self.step.map_or("before its first step", Step::as_str);
        format!("text_poke is switching {count} site{}{of}{first}: {step}", if count == 1 { "" } else { "s" })
    }
}

/// No more sites fit into the kernel's array, which is one page.
const MOST: u64 = 4096 / 8;

/// The patching under way; `None` when there is none, or it cannot be told.
pub fn poke(guest: &Guest<'_>, context: &Context<'_>) -> Option<Poke> {
    if guest.arch() != Arch::X86_64 {
        return None;
    }
    let (vector, count, loc) = vector(guest)?;
    let size = guest.layouts().size(loc)?;
    let text = guest.layouts().member(loc, "text")?;
    let origin = guest.symbol("_stext")?;
    let mut sites = Vec::new();
    for i in 0..count.min(MOST) {
        let entry = vector.checked_add(i.checked_mul(size)?)?;
        let rel = guest.field(entry, loc, "rel_addr")? as u32;
        let address = origin.wrapping_add_signed(i64::from(rel.cast_signed()));
        let len = guest.field(entry, loc, "len")?.min(6);
        let opcode = guest.read(entry.checked_add(text.offset)?, 5)?.into_owned();
        // Six bytes are a jcc, whose 0f is not in the array.
        let mut new = if len == 6 { vec![0x0f] } else { Vec::new() };
        new.extend(opcode);
        new.truncate(usize::try_from(len).ok()?);
        let Some(at) = guest.to_link(address) else { continue };
        let memory = guest.read(address, new.len()).map(|m| m.into_owned()).unwrap_or_default();
        sites.push(PokeSite { at, new, memory, key: key(context, at) });
    }
    if sites.is_empty() {
        return None;
    }
    let step = step(&sites);
    Some(Poke { sites, step })
}

/// Whose site an address is.
fn key(context: &Context<'_>, at: VirtAddr) -> Option<VirtAddr> {
    let label = || context.jump_labels().ok()?.labels.iter().find(|label| label.code == at).map(|l| l.key);
    let call = || context.static_calls().ok()?.calls.iter().find(|call| call.site == at).map(|c| c.key);
    label().or_else(call)
}

/// The array and its length, when it is in use.
fn vector(guest: &Guest<'_>) -> Option<(u64, u64, &'static str)> {
    if let Some(desc) = guest.symbol("bp_desc") {
        let refs = guest.field(desc, "bp_patching_desc", "refs.counter")?;
        let count = guest.field(desc, "bp_patching_desc", "nr_entries")?;
        let vector = guest.field(desc, "bp_patching_desc", "vec")?;
        return (refs != 0 && count > 0).then_some((vector, count, "text_poke_loc"));
    }
    let array = guest.symbol("text_poke_array")?;
    let count = guest.field(array, "smp_text_poke_array", "nr_entries")?;
    // Each processor counts its own users of the array; the one that patches sets them all.
    let busy = guest.online_cpus().into_iter().any(|cpu| {
        guest.per_cpu(cpu, "text_poke_array_refs").and_then(|at| guest.u32(at)).is_some_and(|refs| refs != 0)
    });
    (count > 0 && busy).then_some((array, count, "smp_text_poke_loc"))
}

fn step(sites: &[PokeSite]) -> Option<Step> {
    const INT3: u8 = 0xcc;
    let state = |s: &PokeSite| match s.memory.split_first() {
        Some((&INT3, tail)) if s.new.get(1..) == Some(tail) => Some(Step::Tail),
        Some((&INT3, _)) => Some(Step::Int3),
        Some(_) if s.memory == s.new => Some(Step::First),
        // Not reached yet by the first step.
        _ => None,
    };
    let states: Vec<_> = sites.iter().map(state).collect();
    if states.contains(&Some(Step::First)) && !states.contains(&None) && !states.contains(&Some(Step::Int3)) {
        return Some(Step::First);
    }
    if states.contains(&Some(Step::Tail)) && !states.contains(&None) {
        return Some(Step::Tail);
    }
    states.contains(&Some(Step::Int3)).then_some(Step::Int3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(memory: &[u8], new: &[u8]) -> PokeSite {
        PokeSite { at: VirtAddr(0), new: new.to_vec(), memory: memory.to_vec(), key: None }
    }

    #[test]
    fn the_step_is_what_all_sites_agree_on() {
        let (old, new) = ([0x0f, 0x1f, 0x44, 0, 0], [0xe9, 1, 2, 3, 4]);
        let (int3_old, int3_new) = ([0xcc, 0x1f, 0x44, 0, 0], [0xcc, 1, 2, 3, 4]);
        let step_of = |a: &[u8], b: &[u8]| step(&[site(a, &new), site(b, &new)]);
        assert_eq!(step_of(&old, &old), None);
        assert_eq!(step_of(&int3_old, &old), Some(Step::Int3));
        assert_eq!(step_of(&int3_old, &int3_old), Some(Step::Int3));
        assert_eq!(step_of(&int3_new, &int3_old), Some(Step::Tail));
        assert_eq!(step_of(&int3_new, &int3_new), Some(Step::Tail));
        assert_eq!(step_of(&new, &int3_new), Some(Step::First));
        assert_eq!(step_of(&new, &new), Some(Step::First));
    }
}
