//! One finding: what, where, the evidence, what the kernel will do, what to do.

use std::io::{self, Write};
use std::path::Path;

use kvet_finding::{AtBoot, Code, Finding, Value};
use kvet_image::SourceLine;
use textwrap::core::display_width;

use super::Paint;
use crate::check::{Kind, Place};
use crate::text::{self, Safe, hex};

/// Values stand in one column, but a longer label than this does not push it to the right.
const MAX_LABEL: usize = 12;

/// What a finding does not know about itself.
pub struct Around<'a> {
    /// The artefact's path.
    pub path: &'a Path,
    /// Where its address lies.
    pub place: &'a Place,
    /// What it is in: a module, and BTF, is loaded and not booted.
    pub kind: Kind,
}

/// Writes a finding as a compiler would.
pub fn write(
    finding: &Finding,
    around: &Around<'_>,
    width: usize,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = format!("{}[{}]", finding.severity, finding.rule);
    let message = format!(": {}", Safe(&finding.message));
    writeln!(out, "{}{}", paint.severity(finding.severity, &head), paint.strong(&message))?;
    writeln!(out, "  {} {}", paint.frame("-->"), whereabouts(finding, around))?;
    if let Some(source) = &around.place.source {
        source_lines(source, out)?;
    }
    let bar = paint.frame("   |");
    let mut fields = Fields { paint, out, label_width: label_width(finding, around.kind) };
    let mut evidence = finding.evidence.as_slice();
    while let Some((first, rest)) = evidence.split_first() {
        evidence = rest;
        let left = match &first.1 {
            Value::Code(left) => left,
            Value::Lines(lines) => {
                fields.lines(first.0, lines)?;
                continue;
            }
            other => {
                fields.field(first.0, &value(other))?;
                continue;
            }
        };
        let right = match rest.split_first() {
            Some(((name, Value::Code(code)), after)) => {
                evidence = after;
                Some((*name, code))
            }
            _ => None,
        };
        writeln!(fields.out, "{bar}")?;
        for line in code_columns((first.0, left), right, width.saturating_sub(5)) {
            writeln!(fields.out, "{bar} {line}")?;
        }
        writeln!(fields.out, "{bar}")?;
    }
    if let Some(at_boot) = &finding.at_boot {
        boot(at_boot, around.kind, &mut fields)?;
    }
    if let Some(advice) = &finding.advice {
        fields.field("help", &text::safe(advice))?;
    }
    Ok(())
}

/// `vmlinux: swap_writepage+0x1c/0x60 (.text, 0xffffffff8128f02c), entry 41 of jump-labels`.
fn whereabouts(finding: &Finding, around: &Around<'_>) -> String {
    let address = finding.address.map(|address| address.to_string());
    let section = around.place.section.as_deref().map(text::safe);
    let inside: Vec<String> = [section, address].into_iter().flatten().collect();
    let mut at = text::path(around.path);
    match (&finding.symbol, inside.is_empty()) {
        (Some(symbol), true) => at.push_str(&format!(": {}", Safe(symbol))),
        (Some(symbol), false) => at.push_str(&format!(": {} ({})", Safe(symbol), inside.join(", "))),
        (None, false) => at.push_str(&format!(": {}", inside.join(", "))),
        (None, true) => {}
    }
    if let Some(index) = finding.index {
        at.push_str(&format!(", entry {} of {}", text::number(index), finding.table));
    }
    at
}

/// The source line, and the calls that were inlined there, innermost first.
fn source_lines(source: &SourceLine, out: &mut dyn Write) -> io::Result<()> {
    let within = |function: &Option<String>| {
        function.as_deref().map(|name| format!(" ({})", Safe(name))).unwrap_or_default()
    };
    writeln!(out, "      {}:{}{}", Safe(&source.file), source.line, within(&source.function))?;
    for call in &source.inlined {
        let file = call.file.as_deref().unwrap_or("?");
        writeln!(out, "      inlined at {}:{}{}", Safe(file), call.line, within(&call.function))?;
    }
    Ok(())
}

/// Named lines with their values in one column.
struct Fields<'a> {
    paint: Paint,
    out: &'a mut dyn Write,
    label_width: usize,
}

impl Fields<'_> {
    fn field(&mut self, label: &str, value: &str) -> io::Result<()> {
        let pad = self.label_width.saturating_sub(display_width(label));
        writeln!(
            self.out,
            "   {} {}{:pad$} {value}",
            self.paint.frame("="),
            self.paint.strong(&format!("{label}:")),
            ""
        )
    }

    /// Lines that the kernel prints; the first stands beside the label.
    fn lines<'l>(
        &mut self,
        label: &str,
        lines: impl IntoIterator<Item = &'l (impl AsRef<str> + ?Sized + 'l)>,
    ) -> io::Result<()> {
        let mut lines = lines.into_iter().map(|line| text::printed(line.as_ref()));
        self.field(label, &lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| self.more(&line))
    }

    fn more(&mut self, value: &str) -> io::Result<()> {
        writeln!(self.out, "     {:1$} {value}", "", self.label_width + 1)
    }
}

fn boot_label(kind: Kind) -> &'static str {
    if kind.is_module() || kind.is_btf() { "at load" } else { "at boot" }
}

fn label_width(finding: &Finding, kind: Kind) -> usize {
    let evidence =
        finding.evidence.iter().filter(|(_, v)| !matches!(v, Value::Code(_))).map(|(name, _)| *name);
    let boot = finding.at_boot.iter().map(|_| boot_label(kind));
    let help = finding.advice.iter().map(|_| "help");
    let widths = evidence.chain(boot).chain(help).map(display_width);
    widths.filter(|width| *width <= MAX_LABEL).max().unwrap_or(0)
}

/// What the kernel prints, and what becomes of it.
fn boot(at_boot: &AtBoot, kind: Kind, fields: &mut Fields<'_>) -> io::Result<()> {
    fields.lines(boot_label(kind), at_boot.line.lines())?;
    let when = at_boot.when.as_deref().map(text::safe);
    let end = match (at_boot.fatal, when) {
        (_, when) if let Some(ends) = &at_boot.ends => {
            let when = when.map(|when| format!("{when}: ")).unwrap_or_default();
            format!("{when}{}", Safe(ends))
        }
        (true, None) if kind.is_module() => "loading the module ends here, in a kernel BUG".to_owned(),
        (true, None) => "the boot ends here".to_owned(),
        (false, None) => "the kernel goes on".to_owned(),
        (true, Some(when)) => format!("when {}: the kernel ends here", when.trim_start_matches("when ")),
        (false, Some(when)) => format!("when {}; the kernel goes on", when.trim_start_matches("when ")),
    };
    fields.more(&fields.paint.dim(&format!("({end})")))
}

fn value(value: &Value) -> String {
    match value {
        Value::Text(text) => text::safe(text),
        Value::Number(n) => number(*n),
        Value::Address(address) => address.to_string(),
        Value::Bytes(bytes) => hex(bytes),
        Value::Code(code) => {
            let lines: Vec<String> = code.lines.iter().map(|line| text::safe(line)).collect();
            format!("{} ({})", hex(&code.bytes), lines.join("; "))
        }
        Value::List(list) => list.iter().map(self::value).collect::<Vec<_>>().join(", "),
        Value::Lines(lines) => lines.iter().map(|line| text::printed(line)).collect::<Vec<_>>().join("; "),
    }
}

/// A number as one reads it; large ones in hex too, since they are often masks or offsets.
fn number(n: u64) -> String {
    if n < 10_000 { n.to_string() } else { format!("{} ({n:#x})", text::number(n)) }
}

/// One or two pieces of code, side by side where the terminal is wide enough.
fn code_columns(left: (&str, &Code), right: Option<(&str, &Code)>, width: usize) -> Vec<String> {
    let left = code_block(left.0, left.1);
    let Some(right) = right.map(|(name, code)| code_block(name, code)) else { return left };
    let left_width = left.iter().map(|line| display_width(line)).max().unwrap_or(0);
    let right_width = right.iter().map(|line| display_width(line)).max().unwrap_or(0);
    if left_width + 3 + right_width > width {
        return left.into_iter().chain([String::new()]).chain(right).collect();
    }
    (0..left.len().max(right.len()))
        .map(|i| {
            let (l, r) = (left.get(i).map_or("", |s| s), right.get(i).map_or("", |s| s));
            format!("{l}{:pad$}   {r}", "", pad = left_width - display_width(l)).trim_end().to_owned()
        })
        .collect()
}

fn code_block(name: &str, code: &Code) -> Vec<String> {
    let mut block = vec![format!("{name} at {}", code.address)];
    block.extend(code.bytes.chunks(16).map(|row| format!("  {}", hex(row))));
    block.extend(code.lines.iter().map(|line| format!("  {}", Safe(line))));
    block
}
