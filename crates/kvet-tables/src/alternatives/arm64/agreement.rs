//! Which entries contradict the others: the same replacement for another capability, or of other instructions.
//!
//! A kernel is judged by itself. A module has too few entries for that; it is judged by its kernel.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::entry::{Alternative, CallbackMarker};
use super::shape::{Hashed, HashedMap, Shape, Shapes};
use crate::alternatives::agreement::{Dissent, Verdict, Vote, dissents};

type HashedSet = HashSet<u64, BuildHasherDefault<Hashed>>;

/// An entry whose capability is not the one that its replacement belongs to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct WrongCapability {
    pub(super) index: usize,
    pub(super) found: u16,
    pub(super) expected: u16,
    /// How many other entries with this replacement name the expected one.
    pub(super) support: usize,
    /// One of them; `None` when they are the kernel's and this is a module.
    pub(super) example: Option<usize>,
    /// The registers differ: the same operation, not the same instruction.
    pub(super) by_kind: bool,
    /// The image does not say which side is wrong.
    pub(super) undecided: bool,
}

/// What a kernel's own entries teach about those of its modules.
pub(super) struct Learned {
    /// The one capability of a replacement, and how many entries say so.
    capabilities: HashedMap<(u16, usize)>,
    pairs: Pairs,
}

impl Learned {
    /// From a kernel's table.
    pub(super) fn from(entries: &[Alternative], shapes: &Shapes, marker: CallbackMarker) -> Learned {
        let plain = plain_replacements(entries, shapes, marker);
        let mut capabilities = HashedMap::default();
        let mut split = HashedSet::default();
        for (index, entry) in entries.iter().enumerate() {
            let (Some(shape), Some(found)) = (shapes.get(index), marker.capability(entry)) else { continue };
            let known = capabilities.entry(shape.replacement).or_insert((found, 0));
            known.1 += 1;
            if known.0 != found {
                split.insert(shape.replacement);
            }
        }
        capabilities.retain(|signature, _| !plain.contains(signature) && !split.contains(signature));
        Learned { capabilities, pairs: Pairs::of(shapes) }
    }
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
    found.extend(by_kind(&votes, shapes));
    found.sort_by_key(|w| w.index);
    found
}

/// As [`wrong_capabilities`], of a module, by what its kernel teaches.
pub(super) fn wrong_by_kernel(
    learned: &Learned,
    entries: &[Alternative],
    shapes: &Shapes,
    marker: CallbackMarker,
    usable: impl Fn(usize) -> bool,
) -> Vec<WrongCapability> {
    let judged = entries.iter().enumerate().filter(|&(i, _)| usable(i)).filter_map(|(index, entry)| {
        let &(expected, support) = learned.capabilities.get(&shapes.get(index)?.replacement)?;
        let found = marker.capability(entry)?;
        (found != expected && support > 1).then_some(WrongCapability {
            index,
            found,
            expected,
            support,
            example: None,
            by_kind: false,
            undecided: false,
        })
    });
    judged.collect()
}

/// The replacements that belong to no one capability.
fn plain_replacements(entries: &[Alternative], shapes: &Shapes, marker: CallbackMarker) -> HashedSet {
    let known = shapes.all.iter().filter(|s| s.plain || ambiguous_in_old(s, marker)).map(|s| s.replacement);
    let mut plain: HashedSet = known.collect();
    if !shapes.named {
        // Without symbols nothing tells alt_cb_patch_nops() by its name: it is the callback that several
        // capabilities have several entries with.
        let mut camps: HashedMap<Vec<(u16, usize)>> = HashedMap::default();
        for (i, entry) in entries.iter().enumerate() {
            let Some(shape) = shapes.get(i).filter(|s| s.callback.is_some() && !s.for_lse) else { continue };
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
        example: Some(example),
        by_kind: false,
        undecided,
    })
}

/// Entries whose replacement is the only one of its kind with just these registers: what do the entries with
/// other registers say?
fn by_kind(votes: &[Vote<u64>], shapes: &Shapes) -> Vec<WrongCapability> {
    // What each shape's entries say; more than two capabilities decide nothing.
    let mut said: Vec<Vec<Camp>> = Vec::new();
    said.resize_with(shapes.all.len(), Vec::new);
    for vote in votes {
        let index = vote.index as usize;
        let camps = shapes.of.get(index).and_then(|&id| said.get_mut(id as usize));
        if let Some(camps) = camps {
            join(camps, Camp { feature: vote.feature, entries: 1, first: index });
        }
    }
    let mut same: HashedMap<usize> = HashedMap::default();
    let mut kinds: HashedMap<Vec<Camp>> = HashedMap::default();
    for (shape, camps) in shapes.all.iter().zip(&said) {
        *same.entry(shape.replacement).or_default() += camps.iter().map(|c| c.entries).sum::<usize>();
        for camp in camps {
            join(kinds.entry(kind(shape)).or_default(), *camp);
        }
    }
    let least = if shapes.split { MIN_KIND_SUPPORT } else { MIN_UNSPLIT_RATIO };
    let lone = shapes
        .all
        .iter()
        .zip(&said)
        .filter(|(s, camps)| same.get(&s.replacement) == Some(&1) && camps.len() == 1);
    lone.filter_map(|(shape, camps)| {
        let mine = camps.first()?;
        let [a, b] = &kinds.get(&kind(shape))?[..] else { return None };
        let (own, other) = if a.feature == mine.feature { (a, b) } else { (b, a) };
        if own.feature != mine.feature || own.entries != 1 || other.entries < least {
            return None;
        }
        Some(WrongCapability {
            index: mine.first,
            found: u16::try_from(own.feature).ok()?,
            expected: u16::try_from(other.feature).ok()?,
            support: other.entries,
            example: Some(other.first),
            by_kind: true,
            undecided: false,
        })
    })
    .collect()
}

/// The entries that name one capability.
#[derive(Clone, Copy)]
struct Camp {
    feature: u32,
    entries: usize,
    first: usize,
}

/// Adds entries to what is known; three capabilities are as good as many.
fn join(camps: &mut Vec<Camp>, more: Camp) {
    if let Some(camp) = camps.iter_mut().find(|c| c.feature == more.feature) {
        camp.entries += more.entries;
    } else if camps.len() < 3 {
        camps.push(more);
    }
}

fn kind(shape: &Shape) -> u64 {
    shape.original_kind.rotate_left(17)
        ^ shape.replacement_kind
        ^ (u64::from(shape.is_hyp) | u64::from(shape.for_lse) << 1)
}

/// How far apart two wrong entries of one object may stand in the table: entries of plain shape and of
/// capabilities below the change lie between them.
const MAX_GAP: usize = 256;

/// How many wrong entries in a row, off in one way, are no coincidence.
const MIN_RUN: usize = 3;

/// Splits wrong entries into runs that one stale object explains, and the rest.
///
/// A header that gained or lost capabilities shifts all numbers from some point on, so within one object the
/// distance never changes sign and larger numbers stay larger.
pub(super) fn stale_runs(wrong: Vec<WrongCapability>) -> (Vec<Vec<WrongCapability>>, Vec<WrongCapability>) {
    let mut runs: Vec<Vec<WrongCapability>> = Vec::new();
    for entry in wrong {
        match runs.last_mut() {
            Some(run) if belongs(run, &entry) => run.push(entry),
            _ => runs.push(vec![entry]),
        }
    }
    let decided = |run: &Vec<WrongCapability>| run.iter().filter(|w| !w.undecided).count();
    let (stale, single): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| decided(run) >= MIN_RUN);
    // An entry that only a stale object contradicts is right.
    let by_stale = |w: &WrongCapability| {
        w.example.is_some_and(|example| {
            stale.iter().any(|run| {
                run.first().is_some_and(|f| f.index <= example)
                    && run.last().is_some_and(|l| l.index >= example)
            })
        })
    };
    let single = single.into_iter().flatten().filter(|w| !by_stale(w)).collect();
    (stale, single)
}

fn belongs(run: &[WrongCapability], entry: &WrongCapability) -> bool {
    let Some(last) = run.last() else { return false };
    let shift = |w: &WrongCapability| i32::from(w.found) - i32::from(w.expected);
    let near = entry.index - last.index <= MAX_GAP;
    let order_kept = run.iter().rev().take(64).all(|w| {
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
    /// An entry that shows the usual pair; in a module, one of the kernel's.
    pub(super) example: usize,
    /// How many do.
    pub(super) support: usize,
}

/// How many entries must agree on a pair before one that does not is odd.
const MIN_PAIR_SUPPORT: usize = 8;

/// More partners than any original or replacement of a real kernel has; a hostile table gains nothing by more.
const MAX_PARTNERS: usize = 256;

/// Which originals go with which replacements.
#[derive(Default)]
pub(super) struct Pairs {
    by_replacement: HashedMap<Vec<Partner>>,
    by_original: HashedMap<Vec<Partner>>,
}

#[derive(Clone, Copy)]
struct Partner {
    key: u64,
    entries: usize,
    example: usize,
    is_callback: bool,
    original_first: u32,
    original_len: usize,
}

impl Pairs {
    pub(super) fn of(shapes: &Shapes) -> Pairs {
        let mut pairs = Pairs::default();
        for shape in &shapes.all {
            let add = |map: &mut HashedMap<Vec<Partner>>, of: u64, key: u64| {
                let partners = map.entry(of).or_default();
                if let Some(partner) = partners.iter_mut().find(|p| p.key == key) {
                    partner.entries += shape.entries;
                } else if partners.len() < MAX_PARTNERS {
                    partners.push(Partner {
                        key,
                        entries: shape.entries,
                        example: shape.first,
                        is_callback: shape.callback.is_some(),
                        original_first: shape.original_first,
                        original_len: shape.original_len,
                    });
                }
            };
            add(&mut pairs.by_replacement, shape.replacement_kind, shape.original_kind);
            add(&mut pairs.by_original, shape.original_kind, shape.replacement_kind);
        }
        pairs
    }

    /// How many entries have the pair of a shape.
    pub(super) fn entries(&self, shape: &Shape) -> usize {
        let originals = self.by_replacement.get(&shape.replacement_kind).map_or(&[][..], |p| p);
        originals.iter().find(|p| p.key == shape.original_kind).map_or(0, |p| p.entries)
    }

    /// What contradicts the pair of a shape, going by the others.
    fn against(&self, shape: &Shape) -> Option<(OddPair, Partner)> {
        let others = |map: &HashedMap<Vec<Partner>>, of: u64, own: u64| -> Vec<Partner> {
            let partners = map.get(&of).map_or(&[][..], |p| p);
            partners.iter().filter(|p| p.key != own).copied().collect()
        };
        let originals = others(&self.by_replacement, shape.replacement_kind, shape.original_kind);
        let replacements = others(&self.by_original, shape.original_kind, shape.replacement_kind);
        let common = |p: &Partner| p.entries >= MIN_PAIR_SUPPORT;
        // A compiler may vary the rest of a sequence, not where it starts or ends.
        let moved =
            |p: &Partner| p.original_first != shape.original_first || p.original_len != shape.original_len;
        if !originals.is_empty() && originals.iter().all(|p| common(p) && moved(p)) {
            let usual = originals.iter().max_by_key(|p| p.entries)?;
            return Some((OddPair::Original, *usual));
        }
        // A replacement that stands nowhere else may be a rare form of the usual one.
        let seen = shape.callback.is_some() || !originals.is_empty();
        if let [only] = &replacements[..]
            && common(only)
            && seen
            && !shape.original_plain
        {
            return Some((OddPair::Replacement, *only));
        }
        // A function that one entry calls, for an original that many entries give to few functions.
        shape.callback?;
        let functions = || replacements.iter().filter(|p| p.is_callback);
        let usual = functions().max_by_key(|p| p.entries)?;
        let few = functions().all(|p| p.entries >= MIN_PAIR_SUPPORT / 2);
        (originals.is_empty() && few && usual.entries >= 2 * MIN_PAIR_SUPPORT)
            .then_some((OddPair::Replacement, *usual))
    }
}

/// All pairs that stand alone, by index.
pub(super) fn odd_pairs(shapes: &Shapes, pairs: &Pairs) -> Vec<Odd> {
    let lone = shapes.all.iter().filter(|s| pairs.entries(s) == 1);
    odd(lone, pairs)
}

/// As [`odd_pairs`], of a module, by what its kernel teaches.
pub(super) fn odd_by_kernel(learned: &Learned, shapes: &Shapes) -> Vec<Odd> {
    let own = Pairs::of(shapes);
    let lone = shapes.all.iter().filter(|s| own.entries(s) == 1 && learned.pairs.entries(s) == 0);
    odd(lone, &learned.pairs)
}

fn odd<'s>(lone: impl Iterator<Item = &'s Shape>, pairs: &Pairs) -> Vec<Odd> {
    let mut found: Vec<Odd> = lone
        .filter_map(|shape| {
            let (what, usual) = pairs.against(shape)?;
            Some(Odd { index: shape.first, what, example: usual.example, support: usual.entries })
        })
        .collect();
    found.sort_by_key(|o| o.index);
    found
}
