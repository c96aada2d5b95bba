//! The search whatever it is told: its posterior stays a probability, skips do not poison it, it ends, and who
//! repeats the verdicts stands where it stood.
#![allow(missing_docs, clippy::unwrap_used)]

use kvet_bisect::simulate::{Searcher, Setting, run};
use kvet_bisect::{Problem, Search, Step, Verdict};
use proptest::prelude::*;

fn problem(candidates: u64) -> Problem {
    Problem { candidates, build_cost: 10.0, confidence: 0.95, give_up: 500 }
}

fn is_a_probability(search: &Search, candidates: u64) {
    let posterior = search.posterior();
    let sum: f64 = posterior.iter().map(|s| s.mass).sum();
    assert!((sum - 1.0).abs() < 1e-9, "sums to {sum}");
    let mut next = 1;
    for s in &posterior {
        assert_eq!(s.first, next);
        assert!(s.mass.is_finite() && s.mass >= 0.0);
        assert!((0.0..=1.0).contains(&s.bad_rate) && (0.0..=1.0).contains(&s.good_rate), "{s:?}");
        next = s.last + 1;
    }
    assert_eq!(next, candidates + 1);
}

/// The culprit range, every step with its verdicts, and the search.
type Driven = (Option<(u64, u64)>, Vec<(Step, Vec<Verdict>)>, Search);

/// Drives a search against a world; the culprit range, and every step with its verdicts.
fn drive(candidates: u64, mut fails: impl FnMut(u64) -> bool, broken: impl Fn(u64) -> bool) -> Driven {
    let mut search = Search::new(problem(candidates)).unwrap();
    let mut steps = Vec::new();
    for _ in 0..20_000 {
        let step = search.next_step();
        assert_eq!(search.next_step(), step, "asked twice");
        let mut verdicts = Vec::new();
        match step {
            Step::Done(ref answer) => {
                let culprit = answer.culprit;
                steps.push((step, verdicts));
                return (Some(culprit), steps, search);
            }
            Step::NotReproduced { .. } | Step::GoodEndFails(_) => return (None, steps, search),
            Step::Test { candidate, boots, .. } => {
                assert!(candidate <= candidates && boots > 0);
                assert!(!search.is_skipped(candidate), "{candidate} cannot be tested and is asked for");
                if !search.is_built(candidate) && broken(candidate) {
                    verdicts.push(Verdict::Skip);
                } else {
                    for _ in 0..boots {
                        let failed = fails(candidate);
                        verdicts.push(if failed { Verdict::Fail } else { Verdict::Pass });
                        if failed {
                            break;
                        }
                    }
                }
                for &verdict in &verdicts {
                    search.record(candidate, verdict);
                }
            }
        }
        is_a_probability(&search, candidates);
        steps.push((step, verdicts));
    }
    panic!("it does not end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_verdicts_leave_a_probability(
        n in 1u64..2_000,
        seen in proptest::collection::vec((0u64..2_000, 0u8..4, 1u32..200), 0..60),
    ) {
        let mut search = Search::new(problem(n)).unwrap();
        for (candidate, verdict, times) in seen {
            let verdict = [Verdict::Fail, Verdict::Pass, Verdict::Built, Verdict::Skip][usize::from(verdict)];
            for _ in 0..times {
                search.record(candidate.min(n), verdict);
            }
            is_a_probability(&search, n);
            search.next_step();
        }
    }

    #[test]
    fn skips_do_not_poison(
        n in 2u64..400, culprit in 1u64..400, holes in proptest::collection::btree_set(1u64..400, 0..40)
    ) {
        let culprit = culprit.min(n);
        let broken = |c: u64| c != n && holes.contains(&c);
        // Fails in every second run, in turn: nothing is left to chance.
        let mut turn = 0u64;
        let (found, ..) = drive(n, |c| { turn += 1; c >= culprit && turn.is_multiple_of(2) }, broken);
        let (first, last) = found.expect("it fails often enough");
        prop_assert!((first..=last).contains(&culprit), "{first}..{last} for {culprit}");
        // Only what cannot be tested keeps others from being told apart.
        prop_assert!((first..last).all(broken), "{first}..{last} with {holes:?}");
    }

    #[test]
    fn who_repeats_the_verdicts_stands_where_it_stood(n in 1u64..300, culprit in 1u64..300, seed in 0u64..1000) {
        let mut random = fastrand::Rng::with_seed(seed);
        let culprit = culprit.min(n);
        let (_, steps, search) = drive(n, |c| c >= culprit && random.f64() < 0.3, |c| c % 7 == 3 && c != n);
        let mut again = Search::new(problem(n)).unwrap();
        for (step, verdicts) in &steps {
            prop_assert_eq!(&again.next_step(), step);
            if let Step::Test { candidate, .. } = step {
                verdicts.iter().for_each(|&v| again.record(*candidate, v));
            }
        }
        prop_assert_eq!(again.posterior(), search.posterior());
    }
}

#[test]
fn two_ends_of_which_one_cannot_be_tested_come_to_an_end() {
    // The good end does not build: nothing can be confirmed, and that is said.
    let mut turn = 0;
    let (found, steps, _) = drive(
        1,
        |c| {
            turn += 1;
            c == 1 && u64::is_multiple_of(turn, 2)
        },
        |c| c == 0,
    );
    assert_eq!(found, Some((1, 1)));
    let Some((Step::Done(answer), _)) = steps.last() else { panic!("no answer") };
    assert!(!answer.confirmed);
}

#[test]
fn a_good_end_that_fails_as_well_ends_it() {
    for period in [1, 2, 5] {
        let mut turn = 0u64;
        let (found, _, mut search) = drive(
            100,
            |_| {
                turn += 1;
                turn.is_multiple_of(period)
            },
            |_| false,
        );
        assert_eq!(found, None);
        assert!(matches!(search.next_step(), Step::GoodEndFails(t) if t.fails > 1), "1 of {period}");
        assert!(search.spent().0 < 2_000, "{:?}", search.spent());
    }
}

#[test]
fn what_never_fails_is_not_reproduced() {
    let (found, ..) = drive(100, |_| false, |_| false);
    assert_eq!(found, None);
}

#[test]
fn simulated_searches_are_right_as_often_as_they_say() {
    for (p_bad, p_good) in [(0.5, 0.0), (0.2, 0.0), (0.5, 0.05)] {
        let setting = Setting {
            candidates: 256,
            p_bad,
            p_good,
            broken: 0.1,
            build_cost: 20.0,
            confidence: 0.95,
            seed: 5,
        };
        let engine = run(&setting, Searcher::Engine, 120, || ()).unwrap();
        // Of 120 at 95 %, fewer than 107 are as unlikely as one in a thousand.
        assert!(engine.accuracy > 0.89, "{p_bad} {p_good}: {}", engine.accuracy);
        let plain = run(&setting, Searcher::GitBisect, 120, || ()).unwrap();
        assert!(p_good == 0.0 || plain.accuracy < 0.5, "20 boots a commit: {}", plain.accuracy);
        assert_eq!(run(&setting, Searcher::Engine, 120, || ()).unwrap(), engine, "the same seed");
    }
}
