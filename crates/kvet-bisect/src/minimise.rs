//! Which of many differences matter, when the failure shows only sometimes.
//!
//! Two phases. First the least prefix that still fails is searched by halving, its last element kept, and so on
//! with what stands before it: about log2 n tests for each element that matters, if more elements never hide the
//! failure. What comes out is then made minimal by ddmin (A. Zeller and R. Hildebrandt, Simplifying and Isolating
//! Failure-Inducing Input, 2002), which presumes nothing of the kind; when the first phase went astray, ddmin starts
//! from everything.
//!
//! A set is taken for failing only if its rate has not dropped, by Wald's test of the estimated rate against a
//! quarter of it: the caller's `ask` decides that, and both phases only see its answer.

use std::collections::BTreeSet;

/// What is known of a set of differences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tested {
    /// It fails as often as all of them together.
    Fails,
    /// It fails less, or not.
    Passes,
    /// It cannot be tested: it does not build, or is not a configuration of its own.
    Unresolved,
}

/// A set of elements.
pub type Set = BTreeSet<usize>;

/// The least set found that still fails, and whether each of its elements was shown to be necessary.
///
/// `ask` is called with sets of `0..n`, the empty and the full one excluded; the full set is taken to fail, the
/// empty one not to.
///
/// # Errors
/// What `ask` returns.
pub fn minimise<E>(n: usize, mut ask: impl FnMut(&Set) -> Result<Tested, E>) -> Result<(Set, bool), E> {
    let all: Set = (0..n).collect();
    let mut ask = |set: &Set| match set.len() {
        0 => Ok(Tested::Passes),
        len if len == n => Ok(Tested::Fails),
        _ => ask(set),
    };
    let found = by_halves(n, &mut ask)?;
    let start = if ask(&found)? == Tested::Fails { found } else { all };
    ddmin(start, &mut ask)
}

/// The elements at which prefixes begin to fail.
fn by_halves<E>(n: usize, ask: &mut impl FnMut(&Set) -> Result<Tested, E>) -> Result<Set, E> {
    let mut kept = Set::new();
    let mut end = n;
    // `kept` and the elements below `end` fail together; the least `end` is looked for.
    while end > 0 && (kept.is_empty() || ask(&kept)? != Tested::Fails) {
        let (mut good, mut bad) = (0, end);
        while bad - good > 1 {
            let middle = good + (bad - good) / 2;
            match resolved(&kept, (good, middle, bad), ask)? {
                Some((at, Tested::Fails)) => bad = at,
                Some((at, _)) => good = at,
                None => break,
            }
        }
        // Where nothing between can be tested, all of them are kept for ddmin to look at.
        kept.extend(good..bad);
        end = good;
    }
    Ok(kept)
}

/// The first of the prefixes around the middle that can be tested.
fn resolved<E>(
    kept: &Set,
    (good, middle, bad): (usize, usize, usize),
    ask: &mut impl FnMut(&Set) -> Result<Tested, E>,
) -> Result<Option<(usize, Tested)>, E> {
    for away in 0..bad - good {
        for at in [Some(middle + away), middle.checked_sub(away)].into_iter().flatten() {
            if at <= good || at >= bad || (away == 0 && at != middle) {
                continue;
            }
            let set: Set = kept.iter().copied().chain(0..at).collect();
            let tested = ask(&set)?;
            if tested != Tested::Unresolved {
                return Ok(Some((at, tested)));
            }
        }
    }
    Ok(None)
}

/// ddmin; the flag says whether the result is 1-minimal with every test resolved.
fn ddmin<E>(mut set: Set, ask: &mut impl FnMut(&Set) -> Result<Tested, E>) -> Result<(Set, bool), E> {
    let mut parts = 2;
    let mut resolved = true;
    while set.len() > 1 {
        let chunks = split(&set, parts);
        let mut next = None;
        resolved = true;
        // Subsets tell nothing beside complements when there are two parts, and what the first phase found is
        // mostly minimal: complements first.
        let complements = chunks.iter().map(|c| set.difference(c).copied().collect::<Set>());
        let candidates: Vec<(Set, bool)> = complements
            .map(|c| (c, true))
            .chain(chunks.iter().filter(|_| parts > 2 && parts < set.len()).map(|c| (c.clone(), false)))
            .collect();
        for (candidate, is_complement) in candidates {
            match ask(&candidate)? {
                Tested::Fails => {
                    next = Some((candidate, is_complement));
                    break;
                }
                Tested::Passes => {}
                Tested::Unresolved => resolved = false,
            }
        }
        match next {
            Some((smaller, is_complement)) => {
                set = smaller;
                parts = if is_complement { (parts - 1).max(2) } else { 2 };
            }
            None if parts >= set.len() => break,
            None => parts = (parts * 2).min(set.len()),
        }
    }
    Ok((set, resolved))
}

/// In `parts` parts of about the same size.
fn split(set: &Set, parts: usize) -> Vec<Set> {
    let list: Vec<usize> = set.iter().copied().collect();
    let parts = parts.clamp(1, list.len().max(1));
    (0..parts)
        .map(|i| list[i * list.len() / parts..(i + 1) * list.len() / parts].iter().copied().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::convert::Infallible;

    use super::*;

    fn run(n: usize, mut fails: impl FnMut(&Set) -> Tested) -> (Set, bool, usize) {
        let mut asked = 0;
        let (set, minimal) = minimise(n, |set| {
            assert!(!set.is_empty() && set.len() < n && set.iter().all(|&e| e < n));
            asked += 1;
            Ok::<_, Infallible>(fails(set))
        })
        .unwrap();
        (set, minimal, asked)
    }

    #[test]
    fn two_of_forty_that_fail_together() {
        for (a, b) in [(0, 39), (3, 4), (17, 30), (38, 39), (0, 1)] {
            let (set, minimal, asked) =
                run(
                    40,
                    |set| {
                        if set.contains(&a) && set.contains(&b) { Tested::Fails } else { Tested::Passes }
                    },
                );
            assert_eq!((set, minimal), (Set::from([a, b]), true));
            assert!(asked <= 17, "{asked} tests for {a}, {b}");
        }
    }

    #[test]
    fn one_all_and_three() {
        let of = |wanted: &[usize], n| {
            let wanted: Set = wanted.iter().copied().collect();
            run(n, |set| if set.is_superset(&wanted) { Tested::Fails } else { Tested::Passes }).0
        };
        assert_eq!(of(&[5], 40), Set::from([5]));
        assert_eq!(of(&[0], 1), Set::from([0]));
        assert_eq!(of(&[0, 1, 2], 3), Set::from([0, 1, 2]));
        assert_eq!(of(&[1, 20, 39], 40), Set::from([1, 20, 39]));
    }

    #[test]
    fn elements_that_hide_the_failure_do_not_lead_astray() {
        // 7 causes it, 3 hides it unless 9 is there: prefixes are not monotone.
        let fails = |set: &Set| {
            let shown = set.contains(&7) && (!set.contains(&3) || set.contains(&9));
            if shown { Tested::Fails } else { Tested::Passes }
        };
        let (set, minimal, _) = run(12, fails);
        assert!(minimal && fails(&set) == Tested::Fails, "{set:?}");
        for one in &set {
            let mut less = set.clone();
            less.remove(one);
            assert!(less.is_empty() || fails(&less) == Tested::Passes, "{one} of {set:?} is not needed");
        }
    }

    #[test]
    fn what_cannot_be_tested_is_said() {
        // 4 and 5 are one: a set with one of them does not build.
        let (set, minimal, _) = run(10, |set| match (set.contains(&4), set.contains(&5)) {
            (true, true) => Tested::Fails,
            (false, false) => Tested::Passes,
            _ => Tested::Unresolved,
        });
        assert_eq!((set, minimal), (Set::from([4, 5]), false));
    }

    proptest::proptest! {
        #[test]
        fn any_conjunction_is_found(n in 1usize..60, wanted in proptest::collection::btree_set(0usize..60, 1..5)) {
            let wanted: Set = wanted.into_iter().map(|e| e % n).collect();
            let (set, _, asked) =
                run(n, |set| if set.is_superset(&wanted) { Tested::Fails } else { Tested::Passes });
            proptest::prop_assert_eq!(&set, &wanted);
            let bound = (wanted.len() + 1) * 8 + wanted.len() * wanted.len() * 2;
            proptest::prop_assert!(asked <= bound, "{} tests for {}", asked, wanted.len());
        }
    }
}
