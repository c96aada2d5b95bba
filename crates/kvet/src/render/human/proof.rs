//! The table of what was proved: one row a table, aligned, then what could not be checked.

use std::io::{self, Write};

use kvet_tables::TableReport;
use textwrap::core::display_width;

use super::Paint;
use crate::check::Checked;
use crate::text::{self, Safe, number};

/// Writes the tables of one artefact.
pub fn write(checked: &Checked, width: usize, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let found: Vec<&TableReport> =
        checked.tables.iter().filter(|t| t.located_by.is_some() || t.entries > 0).collect();
    if !found.is_empty() {
        writeln!(out)?;
        let rows: Vec<[String; 3]> = found.iter().map(|table| row(table)).collect();
        let head = ["TABLE".to_owned(), "ENTRIES".to_owned(), "FOUND BY".to_owned()];
        for line in aligned(&[head], &rows) {
            writeln!(out, "  {}", paint.dim(&line))?;
        }
        for (table, line) in found.iter().zip(aligned(&rows, &rows)) {
            writeln!(out, "  {line}{}", flaws(table, paint))?;
            details(table, width, paint, out)?;
        }
    }
    let skipped: Vec<(&str, &String)> =
        checked.tables.iter().flat_map(|t| t.skipped.iter().map(|why| (t.name, why))).collect();
    if !skipped.is_empty() {
        writeln!(out, "\n  not checked:")?;
    }
    for (table, why) in skipped {
        paragraph(&format!("{table}: {}", Safe(why)), "    ", "      ", width, paint, out)?;
    }
    writeln!(out)
}

fn row(table: &TableReport) -> [String; 3] {
    let located_by = table.located_by.as_ref().map(|l| text::safe(&l.to_string())).unwrap_or_default();
    [table.name.to_owned(), number(table.entries), located_by]
}

/// Rows as lines: names to the left, numbers to the right. The widths are those of `all`, with room for the
/// heading.
fn aligned(rows: &[[String; 3]], all: &[[String; 3]]) -> Vec<String> {
    let width = |column: usize, least: usize| {
        all.iter().map(|row| display_width(&row[column])).max().unwrap_or(0).max(least)
    };
    let (name, entries) = (width(0, "TABLE".len()), width(1, "ENTRIES".len()));
    rows.iter().map(|[n, e, by]| format!("{n:name$}  {e:>entries$}  {by}").trim_end().to_owned()).collect()
}

/// What is wrong with a table, after its row.
fn flaws(table: &TableReport, paint: Paint) -> String {
    let worst = table.findings.iter().map(|f| f.severity).max();
    match worst {
        Some(severity) => {
            let n = table.findings.iter().filter(|f| f.severity == severity).count() as u64;
            format!("  {}", paint.severity(severity, &text::count(n, severity.as_str())))
        }
        None => String::new(),
    }
}

/// The layout and what was proved, below the row.
fn details(table: &TableReport, width: usize, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    if let Some(layout) = &table.layout {
        paragraph(&format!("layout: {}", Safe(layout)), "      ", "        ", width, paint, out)?;
    }
    if !table.proved.is_empty() {
        let proved: Vec<String> = table.proved.iter().map(|phrase| text::safe(phrase)).collect();
        paragraph(&format!("proved: {}", proved.join("; ")), "      ", "        ", width, paint, out)?;
    }
    Ok(())
}

/// Text of several lines, with an indent for the first and one for the rest.
pub fn paragraph(
    text: &str,
    first: &str,
    rest: &str,
    width: usize,
    paint: Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let options = textwrap::Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options).iter().try_for_each(|line| writeln!(out, "{}", paint.dim(line)))
}
