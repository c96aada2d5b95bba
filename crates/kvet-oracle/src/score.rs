//! The score of a campaign, by table.

use std::collections::BTreeMap;
use std::fmt;

use crate::verdict::Agreement;

/// Counts of one table.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Boots.
    pub boots: u32,
    /// Predictions that the boot has borne out.
    pub right: u32,
    /// Damage of which kvet says what is wrong, but not what comes of it.
    pub no_claim: u32,
    /// Predictions of a certain death that did not come.
    pub wrong_fatal: u32,
}

/// Counts by table.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Score(BTreeMap<&'static str, Count>);

impl Score {
    /// Counts a boot.
    pub fn add(&mut self, table: &'static str, agreement: Agreement) {
        let count = self.0.entry(table).or_default();
        count.boots += 1;
        count.right += u32::from(agreement == Agreement::Right);
        count.no_claim += u32::from(agreement == Agreement::NoClaim);
        count.wrong_fatal += u32::from(agreement == Agreement::WrongFatal);
    }

    /// All of it.
    pub fn total(&self) -> Count {
        self.0.values().fold(Count::default(), |sum, c| Count {
            boots: sum.boots + c.boots,
            right: sum.right + c.right,
            no_claim: sum.no_claim + c.no_claim,
            wrong_fatal: sum.wrong_fatal + c.wrong_fatal,
        })
    }
}

impl Count {
    /// Predictions that were wrong.
    pub fn wrong(&self) -> u32 {
        self.boots - self.right - self.no_claim
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<20} {:>6} {:>6} {:>6} {:>9} {:>12}",
            "table", "boots", "right", "wrong", "no claim", "wrong fatal"
        )?;
        let total = self.total();
        for (table, c) in self.0.iter().map(|(t, c)| (*t, c)).chain([("all", &total)]) {
            writeln!(
                f,
                "{table:<20} {:>6} {:>6} {:>6} {:>9} {:>12}",
                c.boots,
                c.right,
                c.wrong(),
                c.no_claim,
                c.wrong_fatal
            )?;
        }
        let claims = total.boots - total.no_claim;
        let percent = if claims == 0 { 0.0 } else { 100.0 * f64::from(total.right) / f64::from(claims) };
        write!(
            f,
            "{} of {claims} predictions right ({percent:.1} %), {} without a claim",
            total.right, total.no_claim
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_not_made_is_neither_right_nor_wrong() {
        let mut score = Score::default();
        score.add("orc", Agreement::Right);
        score.add("orc", Agreement::NoClaim);
        score.add("returns", Agreement::WrongFatal);
        let total = score.total();
        assert_eq!((total.boots, total.right, total.wrong(), total.wrong_fatal), (3, 1, 1, 1));
        assert!(score.to_string().ends_with("1 of 2 predictions right (50.0 %), 1 without a claim"));
    }
}
