//! `kvet-check/1`: the JSON that scripts rely on, described in docs/json.md. Additions are free; whoever
//! renames, removes or retypes a key here makes a new version of the schema.
//!
//! Addresses are strings in hex, absent is null, times are seconds.

use std::collections::BTreeMap;
use std::io::{self, Write as _};

use kvet_finding::{Finding, Value};
use kvet_image::SourceLine;
use serde::Serialize;
use serde_json::ser::Formatter;

use crate::check::{ArtefactReport, Checked, Chosen, Place, Summary};
use crate::text;

/// The name of this contract.
pub const SCHEMA: &str = "kvet-check/1";

/// One artefact.
#[derive(Serialize, Debug)]
pub struct Artefact {
    path: String,
    kind: Option<&'static str>,
    arch: Option<&'static str>,
    release: Option<String>,
    banner: Option<String>,
    build_id: Option<String>,
    located_by: Option<&'static str>,
    symbols: Option<Symbols>,
    kernel: Option<Kernel>,
    /// Why it could not be checked; everything else is null or empty then.
    error: Option<String>,
    tables: Vec<Table>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize, Debug)]
struct Symbols {
    from: &'static str,
    count: u64,
}

#[derive(Serialize, Debug)]
struct Kernel {
    path: String,
    release: Option<String>,
    chosen: &'static str,
}

#[derive(Serialize, Debug)]
struct Table {
    name: &'static str,
    entries: u64,
    located_by: Option<String>,
    layout: Option<String>,
    proved: Vec<String>,
    skipped: Vec<String>,
    /// How many of the artefact's findings are this table's.
    findings: u64,
}

#[derive(Serialize, Debug)]
struct FindingJson {
    rule: &'static str,
    severity: &'static str,
    table: &'static str,
    index: Option<u64>,
    address: Option<String>,
    symbol: Option<String>,
    section: Option<String>,
    source: Option<Source>,
    message: String,
    at_boot: Option<String>,
    at_boot_when: Option<String>,
    fatal: bool,
    evidence: serde_json::Map<String, serde_json::Value>,
    advice: Option<String>,
}

#[derive(Serialize, Debug)]
struct Source {
    file: String,
    line: u32,
    function: Option<String>,
    inlined: Vec<Inlined>,
}

/// The function into which the one before was inlined, and where it calls that.
#[derive(Serialize, Debug)]
struct Inlined {
    function: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

impl From<&SourceLine> for Source {
    fn from(source: &SourceLine) -> Source {
        let inlined = source.inlined.iter().map(|call| Inlined {
            function: call.function.clone(),
            file: call.file.clone(),
            line: (call.line > 0).then_some(call.line),
        });
        Source {
            file: source.file.clone(),
            line: source.line,
            function: source.function.clone(),
            inlined: inlined.collect(),
        }
    }
}

/// The counts at the end of the document.
#[derive(Serialize, Debug)]
pub struct Totals {
    artefacts: u64,
    kernels: u64,
    modules: u64,
    btf: u64,
    unreadable: u64,
    errors: u64,
    warnings: u64,
    notes: u64,
    fatal: u64,
}

impl From<&Summary> for Totals {
    fn from(summary: &Summary) -> Totals {
        Totals {
            artefacts: summary.artefacts,
            kernels: summary.kernels,
            modules: summary.modules,
            btf: summary.btf,
            unreadable: summary.unreadable,
            errors: summary.errors,
            warnings: summary.warnings,
            notes: summary.notes,
            fatal: summary.fatal,
        }
    }
}

impl From<&ArtefactReport> for Artefact {
    fn from(report: &ArtefactReport) -> Artefact {
        let path = report.path.to_string_lossy().into_owned();
        match &report.outcome {
            Ok(checked) => Artefact::checked(path, checked),
            Err(why) => Artefact::unreadable(path, why.0.clone()),
        }
    }
}

impl Artefact {
    fn unreadable(path: String, why: String) -> Artefact {
        Artefact {
            path,
            kind: None,
            arch: None,
            release: None,
            banner: None,
            build_id: None,
            located_by: None,
            symbols: None,
            kernel: None,
            error: Some(why),
            tables: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn checked(path: String, checked: &Checked) -> Artefact {
        let tables = checked.tables.iter().map(|table| Table {
            name: table.name,
            entries: table.entries,
            located_by: table.located_by.as_ref().map(ToString::to_string),
            layout: table.layout.clone(),
            proved: table.proved.clone(),
            skipped: table.skipped.clone(),
            findings: table.findings.len() as u64,
        });
        Artefact {
            path,
            kind: Some(checked.kind.as_str()),
            arch: checked.arch,
            release: checked.release.clone(),
            banner: checked.banner.clone(),
            build_id: checked.build_id.as_deref().map(text::hex_id),
            located_by: Some(checked.located_by()),
            symbols: Some(Symbols { from: checked.symbols_from.as_str(), count: checked.symbols }),
            kernel: checked.kernel.as_ref().map(|kernel| Kernel {
                path: kernel.path.to_string_lossy().into_owned(),
                release: kernel.release.clone(),
                chosen: chosen(kernel.chosen),
            }),
            error: None,
            tables: tables.collect(),
            findings: checked.findings().map(|(finding, place)| FindingJson::new(finding, place)).collect(),
        }
    }
}

fn chosen(chosen: Chosen) -> &'static str {
    match chosen {
        Chosen::Given => "given",
        Chosen::SameRelease => "same release",
        Chosen::Running => "running system",
    }
}

impl FindingJson {
    fn new(finding: &Finding, place: &Place) -> FindingJson {
        let at_boot = finding.at_boot.as_ref();
        FindingJson {
            rule: finding.rule,
            severity: finding.severity.as_str(),
            table: finding.table,
            index: finding.index,
            address: finding.address.map(|a| a.to_string()),
            symbol: finding.symbol.clone(),
            section: place.section.clone(),
            source: place.source.as_ref().map(Source::from),
            message: finding.message.clone(),
            at_boot: at_boot.map(|a| a.line.clone()),
            at_boot_when: at_boot.and_then(|a| a.when.clone()),
            fatal: at_boot.is_some_and(|a| a.fatal),
            evidence: evidence(&finding.evidence),
            advice: finding.advice.clone(),
        }
    }
}

/// Named values as an object; a name that comes again gets a number, so that nothing is lost.
pub fn evidence(values: &[(&'static str, Value)]) -> serde_json::Map<String, serde_json::Value> {
    let mut object = serde_json::Map::new();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, value) in values {
        let times = seen.entry(name).or_default();
        *times += 1;
        let key = if *times == 1 { (*name).to_owned() } else { format!("{name} {times}") };
        object.insert(key, json_value(value));
    }
    object
}

fn json_value(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.clone().into(),
        Value::Number(number) => (*number).into(),
        Value::Address(address) => address.to_string().into(),
        Value::Bytes(bytes) => text::hex(bytes).into(),
        Value::Code(code) => serde_json::json!({
            "address": code.address.to_string(),
            "bytes": text::hex(&code.bytes),
            "lines": code.lines,
        }),
        Value::List(list) => list.iter().map(json_value).collect(),
        Value::Lines(lines) => lines.clone().into(),
    }
}

/// Compact JSON in which no character can reach a terminal that it would obey: strings come from files, and
/// JSON itself lets DEL, C1 controls and text reordering through.
#[derive(Clone, Copy)]
pub struct SafeFormatter;

impl Formatter for SafeFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // DEL is the only ASCII character that JSON lets through and a terminal obeys.
        if fragment.bytes().fold(0, u8::max) < 0x7f {
            return out.write_all(fragment.as_bytes());
        }
        let mut clean = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| text::is_unsafe(*c)) {
            out.write_all(&fragment.as_bytes()[clean..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            clean = at + c.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[clean..])
    }
}

/// Writes any value so.
pub fn write_json(value: &impl Serialize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut buffered = Buffered { bytes: Vec::with_capacity(BUFFER + BUFFER / 4), out };
    let mut serializer = serde_json::Serializer::with_formatter(&mut buffered, SafeFormatter);
    value.serialize(&mut serializer).map_err(io::Error::from)?;
    buffered.flush()
}

/// So many bytes are collected before they are written.
const BUFFER: usize = 64 << 10;

/// A writer whose small writes are inlined: JSON is made of words of a few bytes.
struct Buffered<'a> {
    bytes: Vec<u8>,
    out: &'a mut dyn io::Write,
}

impl io::Write for Buffered<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kvet_image::VirtAddr;

    use super::*;

    #[test]
    fn evidence_keeps_a_name_that_comes_twice() {
        let object = evidence(&[
            ("site", Value::Address(VirtAddr(0x1000))),
            ("site", Value::Bytes(vec![0x66, 0x90])),
            ("all", Value::List(vec![Value::Number(7), Value::Text("x".into())])),
        ]);
        let text = serde_json::to_string(&object).expect("an object");
        assert_eq!(text, r#"{"site":"0x0000000000001000","site 2":"66 90","all":[7,"x"]}"#);
    }

    #[test]
    fn json_never_carries_a_control_character() {
        let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\u{7f}\u{e0041}é\"";
        let mut out = Vec::new();
        write_json(&hostile, &mut out).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(!text.chars().any(text::is_unsafe), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), hostile);
    }
}
