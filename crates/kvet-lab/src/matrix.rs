//! Several machines in one campaign: which factor explains that some fail more often?

use std::collections::HashMap;

use serde::Serialize;

use crate::plan::Tally;
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

/// One level of a factor against all other levels.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Effect {
    /// The factor: `smp`.
    pub factor: String,
    /// The level: `4`.
    pub level: String,
    /// This level against the others.
    pub comparison: Comparison,
    /// Probability of such a difference by chance, corrected (Holm) for all levels of all factors that were tried.
    pub corrected: f64,
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

/// Every level of every factor against the rest, the one that explains most first. Of a factor with two levels
/// only the one that fails more is told: the other is the same test.
pub fn effects(rows: &[Row]) -> Vec<Effect> {
    let mut found: Vec<(String, String, Comparison)> = Vec::new();
    let mut names: Vec<&str> = rows.iter().flat_map(|r| r.factors.iter().map(|(n, _)| n.as_str())).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let level = |row: &Row| row.factors.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        let mut levels: Vec<String> = rows.iter().filter_map(level).collect();
        levels.sort_unstable();
        levels.dedup();
        let mut tests: Vec<(String, Comparison)> = Vec::new();
        for one in &levels {
            let (mut inside, mut outside) = ((0, 0), (0, 0));
            for row in rows {
                let side = if level(row).as_ref() == Some(one) { &mut inside } else { &mut outside };
                side.0 += row.tally.failures();
                side.1 += row.tally.counted();
            }
            if inside.1 > 0 && outside.1 > 0 {
                tests.push((one.clone(), compare(inside, outside, 0.95)));
            }
        }
        if tests.len() == 2 {
            tests.retain(|(_, c)| c.a.estimate >= c.b.estimate);
            tests.truncate(1);
        }
        found.extend(tests.into_iter().map(|(level, c)| (name.to_owned(), level, c)));
    }
    let corrected = holm(&found.iter().map(|(.., c)| c.p_value()).collect::<Vec<_>>());
    let mut effects: Vec<Effect> = found
        .into_iter()
        .zip(corrected)
        .map(|((factor, level, comparison), corrected)| Effect { factor, level, comparison, corrected })
        .collect();
    effects.sort_by(|a, b| {
        a.corrected.total_cmp(&b.corrected).then(a.comparison.p_value().total_cmp(&b.comparison.p_value()))
    });
    effects
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
        assert_eq!(effects.len(), 2);
        assert_eq!((effects[0].factor.as_str(), effects[0].level.as_str()), ("qemu", "7.2"));
        assert!(effects[0].corrected < 0.001 && effects[0].comparison.ratio_low > 2.0, "{effects:?}");
        assert!(effects[1].corrected > 0.3, "{effects:?}");
    }

    #[test]
    fn three_levels_are_three_tests_and_no_boots_are_none() {
        let one = |v: &str, failed, passed| Row {
            factors: vec![("cpu".into(), v.into())],
            tally: Tally { passed, failed, ..Tally::default() },
        };
        let effects_of = effects(&[one("a", 0, 50), one("b", 20, 30), one("c", 0, 50)]);
        assert_eq!(effects_of.len(), 3);
        assert_eq!(effects_of[0].level, "b");
        assert!(effects(&[one("a", 0, 0), one("b", 0, 0)]).is_empty());
        assert!(effects(&[]).is_empty());
    }
}
