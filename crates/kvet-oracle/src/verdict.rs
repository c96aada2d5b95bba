//! kvet's prediction for a damaged kernel against what the kernel did.

use kvet_finding::{AtBoot, Finding, Severity};
use kvet_tables::{Context, TableReport};

use crate::boot::{Boot, End};
use crate::damage::Damage;

/// What kvet says of a damaged kernel.
pub struct Prediction {
    /// The finding at the damaged entry, the gravest first.
    pub finding: Option<Finding>,
    /// The first line, among those that every boot will print, that ends it; tables are patched in this order.
    pub certain: Option<AtBoot>,
}

/// Checks a damaged kernel.
pub fn predict(context: &Context<'_>, damage: &Damage) -> Prediction {
    let reports = kvet_tables::check(context);
    let all: Vec<&Finding> = reports.iter().flat_map(|r: &TableReport| &r.findings).collect();
    let here = all.iter().filter(|f| f.table == damage.table && near(f, damage)).max_by_key(|f| f.severity);
    let certain =
        all.iter().filter_map(|f| f.at_boot.as_ref()).find(|a| a.fatal && a.when.is_none()).cloned();
    Prediction { finding: here.map(|f| (*f).clone()), certain }
}

/// A duplicated or overlapping entry is reported at either of the two.
fn near(finding: &Finding, damage: &Damage) -> bool {
    finding.index.is_some_and(|i| i.abs_diff(damage.index) <= 1)
}

/// How prediction and boot agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Agreement {
    /// The kernel printed the predicted line and died, as said.
    Line,
    /// It may die later, when something is switched; it did not, or did with the predicted line.
    Conditional,
    /// kvet found the entry and said that the kernel would not notice; it did not print a line of its own.
    Silent,
    /// kvet found nothing and the kernel booted: the damage does no harm that shows.
    Harmless,
    /// kvet said that every boot dies, and this one did not, or with another line.
    WrongFatal,
    /// The kernel died, and kvet had said nothing about the entry.
    Missed,
}

/// Compares a prediction with a boot.
pub fn compare(prediction: &Prediction, boot: &Boot) -> Agreement {
    let died = boot.end != End::Booted;
    if let Some(certain) = &prediction.certain {
        return if died && boot.said(&certain.line) { Agreement::Line } else { Agreement::WrongFatal };
    }
    match &prediction.finding {
        Some(finding) => match &finding.at_boot {
            Some(at_boot) if boot.said(&at_boot.line) => Agreement::Line,
            Some(_) => Agreement::Conditional,
            None => Agreement::Silent,
        },
        None if died => Agreement::Missed,
        None => Agreement::Harmless,
    }
}

/// Whether the finding at the damaged entry is an error or warning.
pub fn found(prediction: &Prediction) -> bool {
    prediction.finding.as_ref().is_some_and(|f| f.severity >= Severity::Warning)
}
