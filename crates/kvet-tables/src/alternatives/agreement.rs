//! The same replacement must name the same feature everywhere in one image.
//!
//! An object built against a stale feature header patches on the wrong feature, in range and in silence. It
//! shows because other objects use the same replacements: one signature, two features. Entries of one object
//! stand next to each other in the table (the linker concatenates input sections), so a stale object is one
//! run of entries that are all off by the same distance.
//!
//! This file knows no architecture: it sees indices, signatures and feature numbers.

use std::collections::HashMap;
use std::hash::Hash;

/// One entry's claim: this signature belongs to this feature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Vote<K> {
    /// The entry's index in its table.
    pub(crate) index: u64,
    /// What identifies the replacement: its bytes with everything that depends on its place taken out.
    pub(crate) signature: K,
    /// The feature's number (with a NOT or callback flag folded in, where the architecture has one).
    pub(crate) feature: u32,
}

/// What a disagreement proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The entry names the wrong feature.
    Wrong,
    /// One side is wrong, and the image does not say which.
    Undecided,
    /// Kernels use this signature for several features: nothing is proved.
    Ambiguous,
}

/// An entry that disagrees with most entries of its signature.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Dissent {
    /// The entry.
    pub(crate) index: u64,
    /// The feature that it names.
    pub(crate) feature: u32,
    /// The feature that most others of its signature name.
    pub(crate) majority: u32,
    /// How many entries name the majority's feature.
    pub(crate) support: usize,
    /// How many entries name this one's.
    pub(crate) dissenters: usize,
    /// An entry of the majority, to show beside this one.
    pub(crate) example: u64,
    /// First and last entry of the run of dissenters around this one that are off by the same distance: the
    /// entries of one object, if the object is stale. Just the entry itself when it stands alone.
    pub(crate) run: (u64, u64),
    /// How many different signatures that run has.
    pub(crate) run_signatures: usize,
    /// What it proves.
    pub(crate) verdict: Verdict,
}

/// All entries of one feature within one signature.
struct Camp {
    feature: u32,
    entries: usize,
    /// How many times the signature's entries, in table order, switch to this feature: one for a single object.
    runs: usize,
    first: u64,
    last: u64,
}

/// All dissents, by index. `votes` must come in the order of the table; `generic` says of a signature that it
/// is too plain to belong to one feature (a lone fence).
///
/// Linear in the number of votes, but for the sort of few dissents.
pub(crate) fn dissents<K: Hash + Eq>(votes: &[Vote<K>], generic: impl Fn(&K) -> bool) -> Vec<Dissent> {
    let mut group_of: HashMap<&K, usize> = HashMap::new();
    let mut groups: Vec<(Vec<Camp>, u32)> = Vec::new();
    let membership: Vec<usize> = votes
        .iter()
        .map(|vote| {
            let id = *group_of.entry(&vote.signature).or_insert_with(|| {
                groups.push((Vec::new(), u32::MAX));
                groups.len() - 1
            });
            enlist(&mut groups[id], vote.index, vote.feature);
            id
        })
        .collect();

    let mut found = Vec::new();
    let mut group_of_dissent = Vec::new();
    for (vote, &group) in votes.iter().zip(&membership) {
        let camps = &groups[group].0;
        if camps.len() < 2 {
            continue;
        }
        let Some(majority) = camps.iter().max_by_key(|c| (c.runs.min(2), c.entries)) else { continue };
        let Some(own) = camps.iter().find(|c| c.feature == vote.feature) else { continue };
        if own.feature == majority.feature {
            continue;
        }
        found.push(Dissent {
            index: vote.index,
            feature: vote.feature,
            majority: majority.feature,
            support: majority.entries,
            dissenters: own.entries,
            example: majority.first,
            run: (vote.index, vote.index),
            run_signatures: 1,
            verdict: verdict(own, majority, generic(&vote.signature)),
        });
        group_of_dissent.push(group);
    }
    join_runs(votes, &membership, &groups, &mut found, &group_of_dissent);
    turn_sides(votes, &membership, &groups, &mut found, &group_of_dissent);
    found
}

/// A stale object may hold most entries of a signature, and would win the vote. Where that majority is one
/// stretch of the table beside a proven run that is off by the very distance between the two sides, it is
/// that object's: the others are right.
fn turn_sides<K>(
    votes: &[Vote<K>],
    membership: &[usize],
    groups: &[(Vec<Camp>, u32)],
    found: &mut Vec<Dissent>,
    group_of_dissent: &[usize],
) {
    let camp = |group: usize, feature| groups[group].0.iter().find(|c: &&Camp| c.feature == feature);
    // Runs against a majority that is spread over the table: no single object is that.
    let mut runs: Vec<(u64, u64, i64)> = found
        .iter()
        .zip(group_of_dissent)
        .filter(|(d, _)| d.run_signatures > 1 && d.verdict == Verdict::Wrong)
        .filter(|(d, group)| camp(**group, d.majority).is_some_and(|c| c.runs > 1))
        .map(|(d, _)| (d.run.0, d.run.1, delta(d)))
        .collect();
    runs.dedup();
    if runs.is_empty() {
        return;
    }
    // Groups whose majority is the stale side, with the right feature and how many entries name it.
    let mut turned: HashMap<usize, &Camp> = HashMap::new();
    for (dissent, &group) in found.iter().zip(group_of_dissent) {
        let (Some(majority), Some(own)) = (camp(group, dissent.majority), camp(group, dissent.feature))
        else {
            continue;
        };
        let off = -delta(dissent);
        if majority.runs == 1 && stands_beside(&runs, majority, off) {
            turned.insert(group, own);
        }
    }
    let mut index = 0;
    found.retain(|_| {
        index += 1;
        !turned.contains_key(&group_of_dissent[index - 1])
    });
    for (vote, group) in votes.iter().zip(membership) {
        let Some(right) = turned.get(group).filter(|right| right.feature != vote.feature) else { continue };
        found.push(Dissent {
            index: vote.index,
            feature: vote.feature,
            majority: right.feature,
            support: right.entries,
            dissenters: 1,
            example: right.first,
            run: (vote.index, vote.index),
            run_signatures: 1,
            verdict: Verdict::Wrong,
        });
    }
    found.sort_by_key(|d| d.index);
}

/// Whether a camp stands in or next to a proven run that is off by `distance`.
fn stands_beside(runs: &[(u64, u64, i64)], camp: &Camp, distance: i64) -> bool {
    /// Entries between two of one object that have a signature of their own.
    const GAP: u64 = 16;
    let from = runs.partition_point(|(_, last, _)| last.saturating_add(GAP) < camp.first);
    let near =
        runs.iter().skip(from).take(4).take_while(|(first, ..)| *first <= camp.last.saturating_add(GAP));
    near.into_iter().any(|(.., delta)| *delta == distance)
}

/// What a camp proves against the majority. A stale object is one stretch of the table, so a feature that
/// comes back in several stretches is a use of its own.
fn verdict(own: &Camp, majority: &Camp, generic: bool) -> Verdict {
    let off_by_little = is_stale_distance(i64::from(own.feature) - i64::from(majority.feature));
    if own.runs > 1 {
        Verdict::Ambiguous
    } else if generic {
        // Kernels do use a plain instruction for a second feature, at two places or more and for a feature of
        // quite another number (7.3: stac for SMAP 142 times, for LASS twice).
        let lone = own.entries == 1 && majority.entries >= 32;
        let shifted = off_by_little && majority.entries >= 16 && own.entries * 8 <= majority.entries;
        if lone || shifted { Verdict::Wrong } else { Verdict::Ambiguous }
    } else if own.entries * 3 <= majority.entries {
        // Two against one is no majority: 6.1's kvm-amd calls entry_ibpb twice for ENTRY_IBPB, once for
        // IBPB_ON_VMEXIT.
        Verdict::Wrong
    } else {
        Verdict::Undecided
    }
}

/// Whether a header's change moves numbers by this distance: a few features were added before, or a word or
/// two.
fn is_stale_distance(distance: i64) -> bool {
    let distance = distance.abs();
    distance <= 16 || distance == 32 || distance == 64
}

/// A hostile table may name 65,536 features for one signature: the search among them must stay short.
const MAX_CAMPS: usize = 64;

fn enlist((camps, last): &mut (Vec<Camp>, u32), index: u64, feature: u32) {
    let switched = camps.is_empty() || *last != feature;
    *last = feature;
    if let Some(camp) = camps.iter_mut().find(|c| c.feature == feature) {
        camp.entries += 1;
        camp.last = index;
        camp.runs += usize::from(switched);
    } else if camps.len() < MAX_CAMPS {
        camps.push(Camp { feature, entries: 1, runs: 1, first: index, last: index });
    }
}

/// Marks runs: dissenters with nothing but entries of a single-use signature between them, all off by one
/// distance. Two different signatures off by the same small distance side by side are no coincidence: every
/// dissenter of such a run is wrong.
fn join_runs<K>(
    votes: &[Vote<K>],
    membership: &[usize],
    groups: &[(Vec<Camp>, u32)],
    found: &mut [Dissent],
    group_of_dissent: &[usize],
) {
    let mut next = 0;
    let mut run: Vec<usize> = Vec::new();
    for (vote, &group) in votes.iter().zip(membership) {
        let (camps, _) = &groups[group];
        let lone = camps.len() == 1 && camps[0].entries == 1;
        if next < found.len() && found[next].index == vote.index {
            if run.first().is_some_and(|&r| delta(&found[r]) != delta(&found[next])) {
                close_run(&mut run, found, group_of_dissent);
            }
            run.push(next);
            next += 1;
        } else if !lone {
            close_run(&mut run, found, group_of_dissent);
        }
    }
    close_run(&mut run, found, group_of_dissent);
}

fn delta(dissent: &Dissent) -> i64 {
    i64::from(dissent.feature) - i64::from(dissent.majority)
}

fn close_run(run: &mut Vec<usize>, found: &mut [Dissent], group_of_dissent: &[usize]) {
    let mut signatures: Vec<usize> = run.iter().map(|&i| group_of_dissent[i]).collect();
    signatures.sort_unstable();
    signatures.dedup();
    if let (Some(&first), Some(&last)) = (run.first(), run.last()) {
        let ends = (found[first].index, found[last].index);
        for &i in run.iter() {
            found[i].run = ends;
            found[i].run_signatures = signatures.len();
            if signatures.len() > 1 && is_stale_distance(delta(&found[i])) {
                found[i].verdict = Verdict::Wrong;
            }
        }
    }
    run.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn votes(list: &[(char, u32)]) -> Vec<Vote<char>> {
        (0..).zip(list).map(|(index, &(signature, feature))| Vote { index, signature, feature }).collect()
    }

    #[test]
    fn one_feature_a_signature_is_agreement() {
        assert_eq!(dissents(&votes(&[('a', 1), ('b', 2), ('a', 1), ('c', 2)]), |_| false), []);
    }

    #[test]
    fn a_lone_dissenter_is_wrong_wherever_it_stands() {
        for wrong in 0..5 {
            let mut list = [('a', 7); 5];
            list[wrong].1 = 8;
            let found = dissents(&votes(&list), |_| false);
            assert_eq!(found.len(), 1);
            assert_eq!((found[0].index, found[0].majority), (wrong as u64, 7));
            assert_eq!((found[0].support, found[0].verdict), (4, Verdict::Wrong));
        }
    }

    #[test]
    fn a_tie_is_undecided_and_a_generic_signature_ambiguous() {
        let tie = dissents(&votes(&[('a', 1), ('a', 2)]), |_| false);
        assert_eq!(tie.len(), 1);
        assert_eq!(tie[0].verdict, Verdict::Undecided);
        let generic = dissents(&votes(&[('a', 1), ('a', 1), ('a', 2)]), |_| true);
        assert_eq!(generic[0].verdict, Verdict::Ambiguous);
    }

    #[test]
    fn a_plain_instruction_may_serve_two_features_but_one_stray_among_many_is_wrong() {
        let mut list = vec![('s', 308); 40];
        list[7].1 = 390;
        assert_eq!(dissents(&votes(&list), |_| true)[0].verdict, Verdict::Wrong);
        list[8].1 = 390;
        assert!(dissents(&votes(&list), |_| true).iter().all(|d| d.verdict == Verdict::Ambiguous));
        list[7].1 = 309;
        list[8].1 = 309;
        assert!(dissents(&votes(&list), |_| true).iter().all(|d| d.verdict == Verdict::Wrong));
    }

    #[test]
    fn two_plain_instructions_off_by_much_are_a_feature_of_their_own() {
        let list = [('s', 308), ('c', 308), ('s', 390), ('c', 390), ('s', 308), ('c', 308)];
        assert!(dissents(&votes(&list), |_| true).iter().all(|d| d.verdict == Verdict::Ambiguous));
    }

    #[test]
    fn features_that_alternate_through_the_table_are_ambiguous() {
        let list = votes(&[('a', 1), ('a', 2), ('a', 1), ('a', 1), ('a', 2), ('a', 1), ('a', 1)]);
        assert!(dissents(&list, |_| false).iter().all(|d| d.verdict == Verdict::Ambiguous));
    }

    #[test]
    fn a_shifted_object_is_one_run_and_proves_even_its_generic_entries() {
        let list = [
            ('a', 1),
            ('b', 5),
            ('g', 9),
            ('b', 5),
            ('a', 2),
            ('x', 4),
            ('g', 10),
            ('b', 6),
            ('a', 1),
            ('g', 9),
        ];
        let found = dissents(&votes(&list), |&s| s == 'g');
        assert_eq!(found.iter().map(|d| d.index).collect::<Vec<_>>(), [4, 6, 7]);
        assert!(
            found.iter().all(|d| d.verdict == Verdict::Wrong && d.run == (4, 7) && d.run_signatures == 3)
        );
    }

    #[test]
    fn a_stale_object_loses_the_vote_that_it_would_win() {
        #[rustfmt::skip]
        let list = [
            ('a', 1), ('b', 5), ('m', 3), ('b', 5), // a clean object
            ('a', 2), ('b', 6), ('m', 4), ('m', 4), ('m', 4), // the stale one
            ('a', 1), ('b', 5),
        ];
        let found = dissents(&votes(&list), |_| false);
        assert_eq!(found.iter().map(|d| d.index).collect::<Vec<_>>(), [4, 5, 6, 7, 8]);
        assert!(found.iter().all(|d| d.verdict == Verdict::Wrong && d.feature == d.majority + 1));
    }

    #[test]
    fn a_clean_object_is_not_blamed_by_a_stale_one() {
        #[rustfmt::skip]
        let list = [
            ('p', 10), ('q', 11), ('a', 1), ('a', 1), ('b', 5), // clean
            ('a', 2), ('b', 6), ('p', 11), ('p', 11), ('q', 12), ('q', 12), // stale
            ('b', 5), ('a', 1), ('b', 5), // clean
        ];
        let found = dissents(&votes(&list), |_| false);
        let wrong: Vec<_> = found.iter().filter(|d| d.verdict == Verdict::Wrong).map(|d| d.index).collect();
        assert_eq!(wrong, [5, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn an_object_with_most_of_the_entries_does_not_outvote_the_objects_around_it() {
        let list = votes(&[('a', 1), ('a', 2), ('a', 2), ('a', 2), ('a', 1)]);
        let found = dissents(&list, |_| false);
        assert_eq!(found.iter().map(|d| d.index).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(found.iter().all(|d| d.verdict == Verdict::Undecided));
    }
}
