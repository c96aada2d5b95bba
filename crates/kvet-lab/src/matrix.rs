//! Several machines in one campaign: which factor explains that some fail more often?

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::plan::{Tally, label};
use crate::stats::{Comparison, compare, holm};
use crate::store::{Store, StoreError, Stored};

/// One machine's outcomes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// What tells it from the others.
    pub factors: Vec<(String, String)>,
    /// Its outcomes.
    pub tally: Tally,
}

/// One level of a factor against all other levels, or a combination of two against all the rest.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Effect {
    /// The factors with their levels: `smp` is `4`; two of them when it takes both.
    pub levels: Vec<(String, String)>,
    /// Boots with these levels against the others.
    pub comparison: Comparison,
    /// Probability of such a difference by chance, corrected (Holm) for all that was tried.
    pub corrected: f64,
}

impl Effect {
    /// In words: `qemu 7.2.22 with smp 4`.
    pub fn label(&self) -> String {
        label(&self.levels, " with ")
    }
}

/// The machines of a campaign with their outcomes, in the order in which they first came.
///
/// # Errors
/// The store cannot be read.
pub fn rows(store: &Store, campaign: &Stored) -> Result<Vec<Row>, StoreError> {
    let plan = &campaign.record.plan;
    let mut rows: Vec<Row> = Vec::new();
    let mut place: HashMap<Vec<(String, String)>, usize> = HashMap::new();
    for (number, outcome) in store.done(campaign.id)? {
        let factors = plan.factors(number);
        let at = *place.entry(factors).or_insert_with_key(|factors| {
            rows.push(Row { factors: factors.clone(), tally: Tally::default() });
            rows.len() - 1
        });
        rows[at].tally.add(outcome);
    }
    Ok(rows)
}

/// Rows by one factor alone: what is left to look at when machines were drawn and no two are alike.
pub fn by_factor(rows: &[Row]) -> Vec<Row> {
    let mut out: Vec<Row> = Vec::new();
    for row in rows {
        for factor in &row.factors {
            let at = out.iter().position(|r| r.factors[0] == *factor).unwrap_or_else(|| {
                out.push(Row { factors: vec![factor.clone()], tally: Tally::default() });
                out.len() - 1
            });
            out[at].tally += row.tally;
        }
    }
    out.sort_by(|a, b| a.factors.cmp(&b.factors));
    out
}

/// Every level of every factor against the rest, and every combination of two, the one that explains most first. Of a
/// factor with two levels only the one that fails more is told: the other is the same test.
pub fn effects(rows: &[Row]) -> Vec<Effect> {
    let factors = levels(rows);
    let mut found: Vec<(Vec<(String, String)>, Comparison)> = Vec::new();
    for (name, levels) in &factors {
        let mut tests: Vec<_> =
            levels.iter().filter_map(|one| against_rest(rows, &[(name.clone(), one.clone())])).collect();
        if tests.len() == 2 {
            tests.retain(|(_, c)| c.a.estimate >= c.b.estimate);
            tests.truncate(1);
        }
        found.extend(tests);
    }
    found.extend(pairs(&factors).iter().filter_map(|pair| against_rest(rows, pair)));
    let corrected = holm(&found.iter().map(|(_, c)| c.p_value()).collect::<Vec<_>>());
    let mut effects: Vec<Effect> = found
        .into_iter()
        .zip(corrected)
        .map(|((levels, comparison), corrected)| Effect { levels, comparison, corrected })
        .collect();
    effects.sort_by(|a, b| {
        a.corrected.total_cmp(&b.corrected).then(a.comparison.p_value().total_cmp(&b.comparison.p_value()))
    });
    effects
}

/// The factors with their levels, in order.
fn levels(rows: &[Row]) -> Vec<(String, Vec<String>)> {
    let mut factors: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (factor, level) in rows.iter().flat_map(|row| &row.factors) {
        factors.entry(factor).or_default().insert(level);
    }
    let owned = |levels: BTreeSet<&str>| levels.into_iter().map(str::to_owned).collect();
    factors.into_iter().map(|(factor, levels)| (factor.to_owned(), owned(levels))).collect()
}

/// The combinations of two factors' levels; none when there are so many that to test them all would leave nothing
/// to be found.
fn pairs(factors: &[(String, Vec<String>)]) -> Vec<[(String, String); 2]> {
    const MANY: usize = 16;
    let mut pairs = Vec::new();
    for (i, (first, firsts)) in factors.iter().enumerate() {
        for (second, seconds) in &factors[i + 1..] {
            // A factor with one level tells nothing apart.
            if firsts.len() < 2 || seconds.len() < 2 {
                continue;
            }
            for a in firsts {
                pairs.extend(
                    seconds.iter().map(|b| [(first.clone(), a.clone()), (second.clone(), b.clone())]),
                );
            }
        }
    }
    if pairs.len() > MANY { Vec::new() } else { pairs }
}

/// The boots of machines with all these levels against the others; `None` when either side has none.
fn against_rest(rows: &[Row], levels: &[(String, String)]) -> Option<(Vec<(String, String)>, Comparison)> {
    let (mut inside, mut outside) = ((0, 0), (0, 0));
    for row in rows {
        let has = levels.iter().all(|level| row.factors.contains(level));
        let side = if has { &mut inside } else { &mut outside };
        side.0 += row.tally.failures();
        side.1 += row.tally.counted();
    }
    (inside.1 > 0 && outside.1 > 0).then(|| (levels.to_vec(), compare(inside, outside, 0.95)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(qemu: &str, smp: &str, failed: u64, passed: u64) -> Row {
        Row {
            factors: vec![("qemu".into(), qemu.into()), ("smp".into(), smp.into())],
            tally: Tally { passed, failed, ..Tally::default() },
        }
    }

    #[test]
    fn the_guilty_factor_comes_first_and_the_innocent_one_is_not_accused() {
        let rows = [
            row("7.2", "1", 9, 91),
            row("7.2", "4", 12, 88),
            row("10.0", "1", 0, 100),
            row("10.0", "4", 0, 100),
        ];
        let effects = effects(&rows);
        // Two factors of two levels, and four combinations.
        assert_eq!(effects.len(), 6);
        assert_eq!(effects[0].label(), "qemu 7.2");
        assert!(effects[0].corrected < 0.001 && effects[0].comparison.ratio_low > 2.0, "{effects:?}");
        let innocent = effects.iter().find(|e| e.levels.len() == 1 && e.levels[0].0 == "smp");
        assert!(innocent.is_some_and(|e| e.corrected > 0.3), "{effects:?}");
    }

    #[test]
    fn what_takes_both_factors_is_said_of_both() {
        let rows =
            [row("7.2", "1", 0, 10), row("7.2", "4", 5, 5), row("10.0", "1", 0, 10), row("10.0", "4", 0, 8)];
        let effects = effects(&rows);
        assert_eq!(effects[0].label(), "qemu 7.2 with smp 4");
        assert!(effects[0].corrected < 0.01, "{effects:?}");
    }

    #[test]
    fn drawn_machines_are_not_tested_by_the_hundred() {
        let rows: Vec<Row> =
            (0..8).flat_map(|a| (0..8).map(move |b| row(&a.to_string(), &b.to_string(), 1, 1))).collect();
        assert_eq!(effects(&rows).len(), 16);
    }

    #[test]
    fn three_levels_are_three_tests_and_no_boots_are_none() {
        let one = |v: &str, failed, passed| Row {
            factors: vec![("cpu".into(), v.into())],
            tally: Tally { passed, failed, ..Tally::default() },
        };
        let effects_of = effects(&[one("a", 0, 50), one("b", 20, 30), one("c", 0, 50)]);
        assert_eq!(effects_of.len(), 3);
        assert_eq!(effects_of[0].label(), "cpu b");
        assert!(effects(&[one("a", 0, 0), one("b", 0, 0)]).is_empty());
        assert!(effects(&[]).is_empty());
    }
}
