//! Which entries contradict the others: the same replacement for another capability, or of other instructions.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::entry::{Alternative, CallbackMarker};
use super::shape::{Hashed, HashedMap, Shape, Shapes};
use crate::alternatives::agreement::{Dissent, Verdict, Vote, dissents};

/// An entry whose capability is not the one that its replacement belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct WrongCapability {
    pub(super) index: usize,
    pub(super) found: u16,
    pub(super) expected: u16,
    /// How many other entries with this replacement name the expected one.
    pub(super) support: usize,
    /// One of them.
    pub(super) example: usize,
    /// The registers differ: the same operation, not the same instruction.
    pub(super) by_kind: bool,
    /// The image does not say which side is wrong.
    pub(super) undecided: bool,
}

/// Entries of one object that were built against another header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StaleRun {
    /// Its wrong entries.
    pub(super) wrong: Vec<WrongCapability>,
}

/// The least support that decides by operation alone, without regard to registers.
const MIN_KIND_SUPPORT: usize = 4;

/// Support for one dissenter, where EL2 code could not be told apart from the kernel's own.
const MIN_UNSPLIT_RATIO: usize = 16;

/// All entries with a wrong capability, by index. `usable` says of an entry that nothing else is wrong with it.
pub(super) fn wrong_capabilities(
    entries: &[Alternative],
    shapes: &Shapes,
    marker: CallbackMarker,
    usable: impl Fn(usize) -> bool,
) -> Vec<WrongCapability> {
    let plain = plain_replacements(entries, shapes, marker);
    // Plain replacements are left out altogether: beside each other they look like the run of a stale object.
    let votes: Vec<Vote<u64>> = entries
        .iter()
        .enumerate()
        .filter(|&(i, _)| usable(i))
        .filter_map(|(i, entry)| {
            let shape = shapes.get(i).filter(|s| !plain.contains(&s.replacement))?;
            let capability = marker.capability(entry)?;
            Some(Vote { index: i as u64, signature: shape.replacement, feature: capability.into() })
        })
        .collect();
    let mut found: Vec<WrongCapability> =
        dissents(&votes, |_| false).iter().filter_map(|d| judge(d, entries, shapes, marker)).collect();
    found.extend(by_kind(&votes, entries, shapes, marker));
    found.sort_by_key(|w| w.index);
    found
}

/// The replacements that belong to no one capability.
fn plain_replacements(
    entries: &[Alternative],
    shapes: &Shapes,
    marker: CallbackMarker,
) -> HashSet<u64, BuildHasherDefault<Hashed>> {
    let known = shapes.all.iter().filter(|s| s.plain || ambiguous_in_old(s, marker)).map(|s| s.replacement);
    let mut plain: HashSet<u64, _> = known.collect();
    if !shapes.named {
        // Without symbols nothing tells alt_cb_patch_nops() by its name: it is the callback that several
        // capabilities have several entries with.
        let mut camps: HashedMap<Vec<(u16, usize)>> = HashedMap::default();
        for (i, entry) in entries.iter().enumerate() {
            let Some(shape) = shapes.get(i).filter(|s| s.callback.is_some()) else { continue };
            let camps = camps.entry(shape.replacement).or_default();
            if let Some(camp) = camps.iter_mut().find(|c| c.0 == entry.cpucap) {
                camp.1 += 1;
            } else if camps.len() < 64 {
                camps.push((entry.cpucap, 1));
            }
        }
        let shared = camps.iter().filter(|(_, c)| c.iter().filter(|camp| camp.1 > 1).count() > 1);
        plain.extend(shared.map(|(signature, _)| *signature));
    }
    plain
}

/// Up to 5.11 `msr pan, #imm` served two capabilities, PAN and "PAN and not UAO" (`ARM64_ALT_PAN_NOT_UAO` in
/// `__uaccess_enable()`, arch/arm64/include/asm/uaccess.h, 5.10).
fn ambiguous_in_old(shape: &Shape, marker: CallbackMarker) -> bool {
    matches!(marker, CallbackMarker::Number(_)) && shape.sets_pan
}

fn judge(
    d: &Dissent,
    entries: &[Alternative],
    shapes: &Shapes,
    marker: CallbackMarker,
) -> Option<WrongCapability> {
    let index = usize::try_from(d.index).ok()?;
    let example = usize::try_from(d.example).ok()?;
    let undecided = match d.verdict {
        Verdict::Ambiguous => return None,
        Verdict::Undecided => true,
        Verdict::Wrong => false,
    };
    if !shapes.split && d.support < MIN_UNSPLIT_RATIO * d.dissenters {
        return None;
    }
    Some(WrongCapability {
        index,
        found: marker.capability(entries.get(index)?)?,
        expected: marker.capability(entries.get(example)?)?,
        support: d.support,
        example,
        by_kind: false,
        undecided,
    })
}

/// Entries whose replacement is the only one of its kind with just these registers: what do the entries with
/// other registers say?
fn by_kind(
    votes: &[Vote<u64>],
    entries: &[Alternative],
    shapes: &Shapes,
    marker: CallbackMarker,
) -> Vec<WrongCapability> {
    let mut same: HashedMap<usize> = HashedMap::default();
    for vote in votes {
        *same.entry(vote.signature).or_default() += 1;
    }
    // Which capabilities each kind has, with how many entries and the first one.
    let mut kinds: HashedMap<Vec<(u32, usize, usize)>> = HashedMap::default();
    for vote in votes {
        let Some(shape) = shapes.get(vote.index as usize) else { continue };
        let camps = kinds.entry(kind(shape)).or_default();
        if let Some(camp) = camps.iter_mut().find(|c| c.0 == vote.feature) {
            camp.1 += 1;
        } else if camps.len() < 8 {
            camps.push((vote.feature, 1, vote.index as usize));
        }
    }
    let lone = votes.iter().filter(|v| same.get(&v.signature) == Some(&1));
    lone.filter_map(|vote| {
        let index = vote.index as usize;
        let camps = kinds.get(&kind(shapes.get(index)?))?;
        let [(_, _, _), (_, _, _)] = camps[..] else { return None };
        let own = camps.iter().find(|c| c.0 == vote.feature)?;
        let other = camps.iter().find(|c| c.0 != vote.feature)?;
        let least = if shapes.split { MIN_KIND_SUPPORT } else { MIN_UNSPLIT_RATIO };
        if own.1 != 1 || other.1 < least {
            return None;
        }
        Some(WrongCapability {
            index,
            found: marker.capability(entries.get(index)?)?,
            expected: marker.capability(entries.get(other.2)?)?,
            support: other.1,
            example: other.2,
            by_kind: true,
            undecided: false,
        })
    })
    .collect()
}

fn kind(shape: &Shape) -> u64 {
    shape.original_kind.rotate_left(17) ^ shape.replacement_kind ^ u64::from(shape.is_hyp)
}

/// How far apart two wrong entries of one object may stand in the table: entries of plain shape and of
/// capabilities below the change lie between them.
const MAX_GAP: usize = 256;

/// Splits wrong entries into runs that one stale object explains, and the rest.
///
/// A header that gained or lost capabilities shifts all numbers from some point on, so within one object the
/// distance is the same or grows with the number, and never changes sign.
pub(super) fn stale_runs(wrong: Vec<WrongCapability>) -> (Vec<StaleRun>, Vec<WrongCapability>) {
    let mut runs: Vec<Vec<WrongCapability>> = Vec::new();
    for entry in wrong {
        match runs.last_mut() {
            Some(run) if belongs(run, &entry) => run.push(entry),
            _ => runs.push(vec![entry]),
        }
    }
    let (mut stale, mut single) = (Vec::new(), Vec::new());
    for run in runs {
        if run.len() >= 3 {
            stale.push(StaleRun { wrong: run });
        } else {
            single.extend(run);
        }
    }
    (stale, single)
}

fn belongs(run: &[WrongCapability], entry: &WrongCapability) -> bool {
    let Some(last) = run.last() else { return false };
    let shift = |w: &WrongCapability| i32::from(w.found) - i32::from(w.expected);
    let near = entry.index - last.index <= MAX_GAP;
    let order_kept = run.iter().take(64).all(|w| {
        (w.expected == entry.expected) == (w.found == entry.found)
            && (w.expected < entry.expected) == (w.found < entry.found)
    });
    near && order_kept && shift(last).signum() == shift(entry).signum()
}

/// What contradicts an entry's pair of original and replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OddPair {
    /// The replacement always replaces something else.
    Original,
    /// The original is always replaced by something else.
    Replacement,
}

/// An entry whose pair of original and replacement stands alone against many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Odd {
    pub(super) index: usize,
    pub(super) what: OddPair,
    /// An entry that shows the usual pair.
    pub(super) example: usize,
    /// How many do.
    pub(super) support: usize,
}

/// How many entries must agree on a pair before one that does not is odd.
const MIN_PAIR_SUPPORT: usize = 8;

/// All pairs that stand alone, by index.
pub(super) fn odd_pairs(shapes: &Shapes) -> Vec<Odd> {
    #[derive(Default)]
    struct Tally {
        /// Partner, entries, first entry.
        partners: Vec<(u64, usize, usize)>,
    }
    impl Tally {
        fn add(&mut self, partner: u64, shape: &Shape) {
            if let Some(p) = self.partners.iter_mut().find(|p| p.0 == partner) {
                p.1 += shape.entries;
            } else if self.partners.len() < 64 {
                self.partners.push((partner, shape.entries, shape.first));
            }
        }
        /// The one other partner, when there is exactly one and it is common.
        fn only_other(&self, partner: u64) -> Option<(usize, usize)> {
            let mut others = self.partners.iter().filter(|p| p.0 != partner);
            let (_, count, example) = *others.next()?;
            (others.next().is_none() && count >= MIN_PAIR_SUPPORT).then_some((count, example))
        }
        fn count(&self, partner: u64) -> usize {
            self.partners.iter().find(|p| p.0 == partner).map_or(0, |p| p.1)
        }
    }
    let mut by_replacement: HashedMap<Tally> = HashedMap::default();
    let mut by_original: HashedMap<Tally> = HashedMap::default();
    for shape in &shapes.all {
        by_replacement.entry(shape.replacement_kind).or_default().add(shape.original_kind, shape);
        by_original.entry(shape.original_kind).or_default().add(shape.replacement_kind, shape);
    }
    let mut found: Vec<Odd> = Vec::new();
    for shape in &shapes.all {
        let (Some(originals), Some(replacements)) =
            (by_replacement.get(&shape.replacement_kind), by_original.get(&shape.original_kind))
        else {
            continue;
        };
        if originals.count(shape.original_kind) != 1 {
            continue;
        }
        let index = shape.first;
        let seen = shape.callback.is_some() || originals.partners.len() > 1;
        let first_of = |index| shapes.get(index).map(|s| s.original_first);
        if let Some((support, example)) =
            // A compiler may vary the rest of a sequence, not where it starts.
            originals
                .only_other(shape.original_kind)
                .filter(|&(_, example)| first_of(example) != Some(shape.original_first))
        {
            found.push(Odd { index, what: OddPair::Original, example, support });
        } else if let Some((support, example)) =
            // A replacement that stands nowhere else may be a rare form of the usual one.
            replacements
                .only_other(shape.replacement_kind)
                .filter(|_| seen && !shape.original_plain)
        {
            found.push(Odd { index, what: OddPair::Replacement, example, support });
        } else if let Some((support, example)) = new_callback(shape, shapes, &replacements.partners) {
            found.push(Odd { index, what: OddPair::Replacement, example, support });
        }
    }
    found.sort_by_key(|o| o.index);
    found
}

/// A function that one entry calls, in the place of an original that many entries give to few functions.
fn new_callback(shape: &Shape, shapes: &Shapes, partners: &[(u64, usize, usize)]) -> Option<(usize, usize)> {
    shape.callback?;
    let others = || {
        partners
            .iter()
            .filter(|p| p.0 != shape.replacement_kind)
            .filter(|p| shapes.get(p.2).is_some_and(|s| s.callback.is_some()))
    };
    if others().any(|p| p.1 < 4) {
        return None;
    }
    let common = others().max_by_key(|p| p.1)?;
    (common.1 >= 2 * MIN_PAIR_SUPPORT).then_some((common.1, common.2))
}
