//! `--format junit`: a test suite a machine, a test case a boot.
//!
//! A failed or hung boot fails; one that the host or the emulator spoilt is an error: it says nothing about the
//! kernel, and must not be taken for a pass.

use std::io::{self, Write};
use std::time::Duration;

use kvet_lab::store::StoredBoot;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use kvet_lab::Outcome;

use super::Result_;
use crate::text::safe;

/// Writes the document.
pub fn write(result: &Result_<'_>, out: &mut dyn Write) -> io::Result<()> {
    let stored = result.stored;
    let mut suites: Vec<TestSuite> = stored
        .record
        .plan
        .variants
        .iter()
        .map(|variant| {
            let label = variant.label();
            let name = if label.is_empty() { "boot".to_owned() } else { safe(&label) };
            let mut suite = TestSuite::new(name);
            suite.add_property(Property::new("kernel", safe(&stored.record.kernel.path.to_string_lossy())));
            suite.add_property(Property::new("command_line", safe(&variant.command_line)));
            suite
        })
        .collect();
    let each = result.store.each_boot(stored.id, |boot| {
        if let Some(suite) = suites.get_mut(boot.variant) {
            suite.add_test_case(case(stored.id, &boot));
        }
    });
    each.map_err(io::Error::other)?;
    let mut report = Report::new("kvet boot");
    report.add_test_suites(suites);
    report.serialize(out).map_err(io::Error::other)
}

fn case(campaign: i64, stored: &StoredBoot) -> TestCase {
    let boot = &stored.boot;
    let kind = match boot.outcome {
        Outcome::Passed => None,
        Outcome::Failed | Outcome::Hung => Some(NonSuccessKind::Failure),
        Outcome::Starved | Outcome::Emulator => Some(NonSuccessKind::Error),
    };
    let status = match kind {
        None => TestCaseStatus::success(),
        Some(kind) => {
            let mut status = TestCaseStatus::non_success(kind);
            status.set_type(format!(
                "{}/{}",
                boot.outcome.as_str(),
                boot.kind.as_deref().unwrap_or_default()
            ));
            status.set_message(safe(boot.title.as_deref().unwrap_or_default()));
            if let Some(diagnosis) = &boot.diagnosis {
                status.set_description(safe(&diagnosis.summary));
            }
            status
        }
    };
    let mut case = TestCase::new(format!("{campaign}.{}", stored.number), status);
    case.set_classname("boot");
    case.set_time(Duration::from_secs_f64(boot.wall_s.max(0.0)));
    case
}
