//! `--format kcidb`: issues and incidents of KernelCI's common database, schema 5.3 (kcidb-io,
//! kcidb_io/schema/v05_03.py): an issue a signature, an incident each time it was seen. No property may be null.

use std::io::{self, Write};

use kvet_explain::{Confidence, Explained};
use serde_json::{Map, Value, json};

use super::super::contract::write_json;
use super::{Group, groups};
use crate::explain::Outcome;

/// How the objects are named.
pub struct Ids {
    /// The CI system that submits.
    pub origin: String,
    /// The build that the logs are of.
    pub build: Option<String>,
    /// The test that the logs are of.
    pub test: Option<String>,
}

/// An origin as the schema wants it: `[a-z0-9_]+`.
///
/// # Errors
/// Why it is none.
pub fn origin(text: &str) -> Result<String, String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !text.is_empty() && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err("an origin has lower-case letters, digits and underscores only".to_owned())
}

/// An object's id as the schema wants it: `origin:anything`.
///
/// # Errors
/// Why it is none.
pub fn id(text: &str) -> Result<String, String> {
    let (start, rest) = text.split_once(':').ok_or("an id begins with its origin and a colon")?;
    origin(start)?;
    if rest.is_empty() || rest.chars().any(char::is_control) {
        return Err("an id has something printable after its colon".to_owned());
    }
    Ok(text.to_owned())
}

/// Writes the document.
pub fn write(outcomes: &[Outcome], ids: &Ids, out: &mut dyn Write) -> io::Result<()> {
    let groups = groups(outcomes);
    let issues: Vec<Value> = groups.iter().map(|group| issue(group, ids)).collect();
    let incidents: Vec<Value> = groups.iter().flat_map(|group| incidents(group, outcomes, ids)).collect();
    let document = json!({ "version": { "major": 5, "minor": 3 }, "issues": issues, "incidents": incidents });
    write_json(&document, out)?;
    out.write_all(b"\n")
}

fn issue_id(group: &Group<'_>, ids: &Ids) -> String {
    format!("{}:kvet:{}", ids.origin, plain(group.signature))
}

/// No NUL, no control character: the schema refuses them.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn issue(group: &Group<'_>, ids: &Ids) -> Value {
    let explained = group.example;
    let summary =
        explained.diagnosis.as_ref().map_or(explained.title.as_str(), |diagnosis| diagnosis.summary.as_str());
    json!({
        "id": issue_id(group, ids),
        "version": 1,
        "origin": ids.origin,
        "report_subject": plain(&explained.title),
        "comment": plain(summary),
        "culprit": culprit(explained),
        "categories": [format!("runtime.{}", explained.report.kind.as_str().replace('-', "_"))],
        "misc": { "kvet": misc(explained) },
    })
}

/// Which layer is responsible: the code, the tool that built it, the harness that ran it.
fn culprit(explained: &Explained) -> Value {
    const TOOL: &[&str] = &[
        "stale-alternatives-object",
        "btf-vmlinux-refused",
        "jump-label-mismatch",
        "missing-return-thunk",
        "static-call-opcode",
    ];
    const HARNESS: &[&str] = &["stale-int3", "starved-timer"];
    let cause =
        explained.diagnosis.as_ref().filter(|d| d.confidence >= Confidence::Likely).map_or("", |d| d.cause);
    let (tool, harness) = (TOOL.contains(&cause), HARNESS.contains(&cause));
    json!({ "code": !tool && !harness, "tool": tool, "harness": harness })
}

fn misc(explained: &Explained) -> Value {
    let mut misc = Map::new();
    misc.insert("signature".into(), plain(&explained.signature).into());
    misc.insert("kind".into(), explained.report.kind.as_str().into());
    if let Some(function) = &explained.function {
        misc.insert("function".into(), plain(function).into());
    }
    if let Some(diagnosis) = &explained.diagnosis {
        misc.insert("cause".into(), diagnosis.cause.into());
        misc.insert("confidence".into(), diagnosis.confidence.as_str().into());
    }
    misc.into()
}

fn incidents<'a>(
    group: &'a Group<'_>,
    outcomes: &'a [Outcome],
    ids: &'a Ids,
) -> impl Iterator<Item = Value> + 'a {
    group.found.iter().filter_map(move |(log, index)| {
        let explanation = outcomes.get(*log)?.as_ref().ok()?;
        let explained = explanation.reports.get(*index)?;
        let path = explanation.path.to_string_lossy();
        let place = format!("{path}:{}", explained.report.span.first_line);
        let about = [ids.build.as_deref(), ids.test.as_deref()].map(Option::unwrap_or_default).join(" ");
        let mut incident = Map::new();
        incident.insert("id".into(), format!("{}:kvet:{}:{}", ids.origin, plain(group.signature), digest(&[&place, &about])).into());
        incident.insert("origin".into(), ids.origin.clone().into());
        incident.insert("issue_id".into(), issue_id(group, ids).into());
        incident.insert("issue_version".into(), 1.into());
        incident.insert("present".into(), true.into());
        incident.insert("comment".into(), plain(&format!("{} ({place})", explained.title)).into());
        if let Some(build) = &ids.build {
            incident.insert("build_id".into(), build.clone().into());
        }
        if let Some(test) = &ids.test {
            incident.insert("test_id".into(), test.clone().into());
        }
        let misc = json!({ "kvet": { "log": plain(&path), "line": explained.report.span.first_line, "headline": plain(&explained.report.headline) } });
        incident.insert("misc".into(), misc);
        Some(incident.into())
    })
}

/// FNV-1a over parts: the same place in the same log is the same incident.
fn digest(parts: &[&str]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
