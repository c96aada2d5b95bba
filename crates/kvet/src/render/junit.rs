//! `--format junit`: a test suite an artefact, a test case a table, for continuous integration.
//!
//! A table passes when it has no error and no warning, is skipped when the image has none, and fails with the
//! first finding as its message and all of them as its text. JUnit knows no severity between these two, so a
//! table with warnings only passes and carries them as its output.

use std::io::{self, Write};

use kvet_finding::{Finding, Severity};
use kvet_tables::TableReport;
use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::{NAME, Renderer};
use crate::check::{ArtefactReport, Checked, Summary, Unreadable};
use crate::text;

/// Collects suites; JUnit's totals stand before them, so nothing can be written earlier.
#[derive(Default)]
pub struct Junit {
    suites: Vec<TestSuite>,
}

impl Renderer for Junit {
    fn artefact(&mut self, report: &ArtefactReport, _out: &mut dyn Write) -> io::Result<()> {
        let mut suite = TestSuite::new(text::path(&report.path));
        match &report.outcome {
            Ok(checked) => fill(&mut suite, checked),
            Err(why) => {
                suite.add_test_case(unreadable(why));
            }
        }
        self.suites.push(suite);
        Ok(())
    }

    fn finish(&mut self, _summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let mut report = Report::new(format!("{NAME} check"));
        report.add_test_suites(std::mem::take(&mut self.suites));
        report.serialize(out).map_err(io::Error::other)
    }
}

fn fill(suite: &mut TestSuite, checked: &Checked) {
    suite.set_time(checked.took);
    suite.add_property(Property::new("kind", checked.kind.as_str()));
    if let Some(arch) = checked.arch {
        suite.add_property(Property::new("arch", arch));
    }
    if let Some(release) = &checked.release {
        suite.add_property(Property::new("release", text::safe(release)));
    }
    suite.add_test_cases(checked.tables.iter().map(case));
}

fn case(table: &TableReport) -> TestCase {
    let mut case = TestCase::new(table.name, status(table));
    case.set_classname(NAME);
    let quiet: Vec<String> =
        table.findings.iter().filter(|f| f.severity != Severity::Error).map(describe).collect();
    if !quiet.is_empty() {
        case.set_system_out(quiet.join("\n\n"));
    }
    case
}

fn status(table: &TableReport) -> TestCaseStatus {
    let errors: Vec<&Finding> = table.findings.iter().filter(|f| f.severity == Severity::Error).collect();
    if let Some(first) = errors.first() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_type(first.rule);
        status.set_message(match errors.len() {
            1 => text::safe(&first.message),
            n => format!("{} (and {} more)", text::Safe(&first.message), n - 1),
        });
        status.set_description(errors.iter().map(|f| describe(f)).collect::<Vec<_>>().join("\n\n"));
        return status;
    }
    if table.located_by.is_none() && table.entries == 0 {
        let mut status = TestCaseStatus::skipped();
        status.set_message(text::safe(&table.skipped.join("; ")));
        return status;
    }
    TestCaseStatus::success()
}

fn unreadable(why: &Unreadable) -> TestCase {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("unreadable");
    status.set_message(why.to_string());
    let mut case = TestCase::new("open", status);
    case.set_classname(NAME);
    case
}

fn describe(finding: &Finding) -> String {
    let mut lines = vec![format!("{}[{}]: {}", finding.severity, finding.rule, text::Safe(&finding.message))];
    if let Some(place) = super::place(finding) {
        lines.push(format!("  at {place}"));
    }
    if let Some(at_boot) = &finding.at_boot {
        lines.extend(at_boot.line.lines().map(|line| format!("  at boot: {}", text::printed(line))));
        if let Some(ends) = &at_boot.ends {
            lines.push(format!("  so that {}", text::Safe(ends)));
        }
    }
    if let Some(advice) = &finding.advice {
        lines.push(format!("  help: {}", text::Safe(advice)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_run_is_one_document() {
        let document = samples::render(Junit::default());
        assert!(
            !document.chars().any(|c| c != '\n' && text::is_unsafe(c)),
            "a control character got through"
        );
        insta::assert_snapshot!(document);
    }
}
