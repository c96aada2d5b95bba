//! `--format json`: one document, one artefact a line, written as the reports come.

use std::io::{self, Write};

use serde::Serialize;

use super::contract::{Artefact, SCHEMA, Totals, write_json};
use super::{NAME, Renderer};
use crate::check::{ArtefactReport, Summary};

/// Writes the contract of [`super::contract`].
#[derive(Default)]
pub struct Json {
    written: u64,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

impl Renderer for Json {
    fn start(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{{\"schema\":\"{SCHEMA}\",\"tool\":")?;
        write_json(&Tool { name: NAME, version: env!("KVET_VERSION") }, out)?;
        out.write_all(b",\"artefacts\":[\n")
    }

    fn artefact(&mut self, report: &ArtefactReport, out: &mut dyn Write) -> io::Result<()> {
        if self.written > 0 {
            out.write_all(b",\n")?;
        }
        self.written += 1;
        write_json(&Artefact::from(report), out)
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(b"\n],\"summary\":")?;
        write_json(&Totals::from(summary), out)?;
        out.write_all(b"}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn document() -> serde_json::Value {
        serde_json::from_str(&samples::render(Json::default())).expect("a JSON document")
    }

    #[test]
    fn a_run_is_one_document() {
        let mut document = document();
        document["tool"]["version"] = "VERSION".into();
        insta::assert_snapshot!(serde_json::to_string_pretty(&document).expect("JSON"));
    }

    /// The keys that design and documentation promise, whatever else comes along.
    #[test]
    fn the_contract_is_kept() {
        let document = document();
        assert_eq!(document["schema"], "kvet-check/1");
        let artefact = &document["artefacts"][0];
        for key in ["path", "kind", "arch", "release", "located_by", "tables", "findings"] {
            assert!(!artefact[key].is_null(), "{key}");
        }
        for key in ["name", "entries", "located_by", "findings"] {
            assert!(!artefact["tables"][0][key].is_null(), "tables: {key}");
        }
        let finding = &artefact["findings"][0];
        let keys = ["rule", "severity", "table", "index", "address", "symbol", "message", "at_boot", "fatal"];
        for key in keys.iter().chain(&["evidence"]) {
            assert!(!finding[key].is_null(), "findings: {key}");
        }
        assert_eq!(finding["address"], "0xffffffff8128f02c");
        let unreadable = &document["artefacts"][2];
        assert!(unreadable["error"].is_string() && unreadable["kind"].is_null());
    }

    #[test]
    fn the_example_in_the_documentation_is_this_output() {
        let page = include_str!("../../../../docs/json.md");
        let example = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next());
        let example: serde_json::Value =
            serde_json::from_str(example.expect("an example in docs/json.md")).expect("JSON");
        let text = samples::render_reports(Json::default(), &samples::documented());
        let mut document: serde_json::Value = serde_json::from_str(&text).expect("a JSON document");
        document["tool"]["version"] = example["tool"]["version"].clone();
        assert!(
            document == example,
            "docs/json.md does not show what kvet writes; it should be\n{}",
            serde_json::to_string_pretty(&document).expect("JSON")
        );
    }

    #[test]
    fn no_artefact_is_a_document_too() {
        let mut out = Vec::new();
        let mut json = Json::default();
        json.start(&mut out).and_then(|()| json.finish(&Summary::default(), &mut out)).expect("memory");
        let document: serde_json::Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(document["artefacts"], serde_json::json!([]));
    }
}
