//! `--format sarif`: SARIF 2.1.0, for code scanning.
//!
//! A link-time address is a name here (`address.fullyQualifiedName`, `properties.address`), not SARIF's
//! `absoluteAddress`: a kernel lies in the upper half of the address space, and readers take that number as
//! a signed 64-bit integer.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use kvet_finding::{Finding, Severity};
use serde_sarif::sarif::{
    Address, ArtifactLocation, Invocation, Location, LogicalLocation, Message, MultiformatMessageString,
    Notification, PhysicalLocation, PropertyBag, Region, ReportingDescriptor, Result as SarifResult,
    ResultLevel, Run, SCHEMA_URL, Sarif, Tool, ToolComponent,
};

use super::contract::{evidence, write_json};
use super::{NAME, Renderer};
use crate::check::{ArtefactReport, Place, Summary};
use crate::text;

/// Collects results; SARIF wants the rules and the invocation's success with them.
#[derive(Default)]
pub struct SarifRenderer {
    results: Vec<SarifResult>,
    rules: Vec<ReportingDescriptor>,
    rule_index: BTreeMap<&'static str, i64>,
    notifications: Vec<Notification>,
}

impl Renderer for SarifRenderer {
    fn artefact(&mut self, report: &ArtefactReport, _out: &mut dyn Write) -> io::Result<()> {
        match &report.outcome {
            Ok(checked) => {
                for (finding, place) in checked.findings() {
                    let result = self.result(&report.path, finding, place);
                    self.results.push(result);
                }
            }
            Err(why) => self.notifications.push(
                Notification::builder()
                    .message(message(why.to_string()))
                    .level("error")
                    .locations(vec![
                        Location::builder().physical_location(physical(&report.path, None)).build(),
                    ])
                    .build(),
            ),
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let driver = ToolComponent::builder()
            .name(NAME)
            .version(env!("KVET_VERSION"))
            .semantic_version(env!("CARGO_PKG_VERSION"))
            .rules(std::mem::take(&mut self.rules))
            .build();
        let invocation = Invocation::builder()
            .execution_successful(summary.unreadable == 0)
            .tool_execution_notifications(std::mem::take(&mut self.notifications))
            .build();
        let run = Run::builder()
            .tool(Tool::builder().driver(driver).build())
            .invocations(vec![invocation])
            .results(std::mem::take(&mut self.results))
            .build();
        let document = Sarif::builder().schema(SCHEMA_URL).version("2.1.0").runs(vec![run]).build();
        write_json(&document, out)?;
        out.write_all(b"\n")
    }
}

impl SarifRenderer {
    fn result(&mut self, path: &Path, finding: &Finding, place: &Place) -> SarifResult {
        let rule = self.rule(finding);
        let mut result = SarifResult::builder()
            .rule_id(finding.rule)
            .rule_index(rule)
            .level(level(finding.severity))
            .message(message(sentence(finding)))
            .locations(vec![location(path, finding)])
            .partial_fingerprints(fingerprint(finding))
            .properties(properties(finding, place))
            .build();
        if let Some(source) = &place.source {
            let region = Region::builder().start_line(i64::from(source.line)).build();
            let file = ArtifactLocation::builder().uri(uri(Path::new(&source.file))).build();
            let physical = PhysicalLocation::builder().artifact_location(file).region(region).build();
            result.related_locations = Some(vec![Location::builder().physical_location(physical).build()]);
        }
        result
    }

    /// The rule's place in the list of rules, added at its first finding.
    fn rule(&mut self, finding: &Finding) -> i64 {
        let rules = &mut self.rules;
        *self.rule_index.entry(finding.rule).or_insert_with(|| {
            let what = finding.rule.rsplit('/').next().unwrap_or(finding.rule).replace('-', " ");
            let short = format!("{}: {what}", finding.table);
            rules.push(
                ReportingDescriptor::builder()
                    .id(finding.rule)
                    .short_description(MultiformatMessageString::builder().text(short).build())
                    .build(),
            );
            rules.len() as i64 - 1
        })
    }
}

fn level(severity: Severity) -> ResultLevel {
    match severity {
        Severity::Error => ResultLevel::Error,
        Severity::Warning => ResultLevel::Warning,
        Severity::Note => ResultLevel::Note,
    }
}

/// A message's text; braces stand for placeholders in SARIF (3.11.5) unless they are doubled.
fn message(text: String) -> Message {
    Message::builder().text(text.replace('{', "{{").replace('}', "}}")).build()
}

/// What, what the kernel does, what to do.
fn sentence(finding: &Finding) -> String {
    let mut text = text::safe(&finding.message);
    if let Some(at_boot) = &finding.at_boot {
        let lines: Vec<String> = at_boot.line.lines().map(text::printed).collect();
        // Lines of their own where there are several: a newline in the text, as the viewers expect.
        let blank = if lines.len() > 1 { "\n" } else { " " };
        text.push_str(&format!(". The kernel will print:{blank}{}", lines.join("\n").trim_start()));
        match &at_boot.ends {
            Some(ends) => text.push_str(&format!("{blank}({})", text::Safe(ends))),
            None if at_boot.fatal => text.push_str(" (the boot ends there)"),
            None => {}
        }
    }
    if let Some(advice) = &finding.advice {
        text.push_str(&format!(". To do: {}", text::Safe(advice)));
    }
    text
}

fn location(path: &Path, finding: &Finding) -> Location {
    let mut logical = Vec::new();
    if let Some(symbol) = &finding.symbol {
        let name = symbol.split('+').next().unwrap_or(symbol);
        logical.push(
            LogicalLocation::builder()
                .name(text::safe(name))
                .fully_qualified_name(text::safe(symbol))
                .kind("function")
                .build(),
        );
    }
    if let Some(index) = finding.index {
        logical.push(
            LogicalLocation::builder().name(format!("{}[{index}]", finding.table)).kind("element").build(),
        );
    }
    Location::builder().physical_location(physical(path, Some(finding))).logical_locations(logical).build()
}

fn physical(path: &Path, finding: Option<&Finding>) -> PhysicalLocation {
    let mut physical = PhysicalLocation::builder()
        .artifact_location(ArtifactLocation::builder().uri(uri(path)).build())
        .build();
    if let Some(address) = finding.and_then(|f| f.address) {
        physical.address =
            Some(Address::builder().fully_qualified_name(address.to_string()).kind("instruction").build());
    }
    physical
}

/// What stays the same about a finding from one build to the next, when addresses do not.
fn fingerprint(finding: &Finding) -> BTreeMap<String, String> {
    let name = finding.symbol.as_deref().and_then(|s| s.split('+').next()).unwrap_or("");
    BTreeMap::from([("ruleAndFunction/v1".to_owned(), format!("{}:{}", finding.rule, text::Safe(name)))])
}

fn properties(finding: &Finding, place: &Place) -> PropertyBag {
    let mut more: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    let mut add = |key: &str, value: Option<serde_json::Value>| {
        value.into_iter().for_each(|value| drop(more.insert(key.to_owned(), value)));
    };
    add("table", Some(finding.table.into()));
    add("index", finding.index.map(Into::into));
    add("address", finding.address.map(|a| a.to_string().into()));
    add("section", place.section.clone().map(Into::into));
    let at_boot = finding.at_boot.as_ref();
    add("atBoot", at_boot.map(|a| a.line.clone().into()));
    add("atBootWhen", at_boot.and_then(|a| a.when.clone()).map(Into::into));
    add("fatal", Some(at_boot.is_some_and(|a| a.fatal).into()));
    add("evidence", Some(evidence(&finding.evidence).into()));
    PropertyBag::builder().additional_properties(more).build()
}

/// A path as a URI reference (RFC 3986): absolute ones with a scheme, everything unusual percent-encoded.
fn uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from(if path.is_absolute() { "file://" } else { "" });
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'+' => {
                uri.push(byte.into());
            }
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn a_run_is_one_document() {
        let text = samples::render(SarifRenderer::default());
        assert!(!text.trim_end().chars().any(text::is_unsafe), "a control character got through");
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["runs"][0]["tool"]["driver"]["version"] = "VERSION".into();
        document["runs"][0]["tool"]["driver"]["semanticVersion"] = "VERSION".into();
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).expect("JSON"));
    }

    #[test]
    fn a_rule_stands_once_and_its_results_point_at_it() {
        let report = samples::many_findings(3);
        let text = samples::render_reports(SarifRenderer::default(), &[report]);
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let run = &document["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().map(Vec::len), Some(1));
        assert_eq!(run["results"].as_array().map(Vec::len), Some(3));
        assert_eq!(run["results"][2]["ruleIndex"], 0);
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri(Path::new("/lib/modules/6.1 x/a.ko")), "file:///lib/modules/6.1%20x/a.ko");
        assert_eq!(uri(Path::new("a:b%é")), "a%3Ab%25%C3%A9");
    }
}
