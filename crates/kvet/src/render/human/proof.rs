//! The table of what was proved: one row a table, aligned, then what could not be checked. With `-v`, each row
//! is followed by the table's layout and by what was proved of every entry.

use std::io::{self, Write};

use kvet_tables::TableReport;
use textwrap::core::display_width;

use super::{Paint, Style};
use crate::check::Checked;
use crate::text::{self, Safe, number};

/// Writes the tables of one artefact.
pub fn write(checked: &Checked, style: Style, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
    let found: Vec<&TableReport> =
        checked.tables.iter().filter(|t| t.located_by.is_some() || t.entries > 0).collect();
    if !found.is_empty() {
        writeln!(out)?;
        let rows: Vec<Row> = found.iter().map(|table| row(table)).collect();
        let head = ["TABLE", "ENTRIES", "PROVED", "FOUND BY"].map(str::to_owned);
        let widths = widths(rows.iter().chain([&head]));
        writeln!(out, "  {}", paint.dim(&aligned(&head, widths)))?;
        for (table, row) in found.iter().zip(&rows) {
            writeln!(out, "  {}{}", aligned(row, widths), flaws(table, paint))?;
            if style.verbose {
                details(table, style.width, paint, out)?;
            }
        }
    }
    let skipped: Vec<(&str, &String)> =
        checked.tables.iter().flat_map(|t| t.skipped.iter().map(|why| (t.name, why))).collect();
    if !skipped.is_empty() {
        writeln!(out, "\n  not checked:")?;
    }
    for (table, why) in skipped {
        paragraph(&format!("{table}: {}", Safe(why)), "    ", "      ", style.width, paint, out)?;
    }
    writeln!(out)
}

type Row = [String; 4];

fn row(table: &TableReport) -> Row {
    let located_by = table.located_by.as_ref().map(|l| text::safe(&l.to_string())).unwrap_or_default();
    let proved = match table.proved.len() as u64 {
        0 => "-".to_owned(),
        n => text::count(n, "property"),
    };
    [table.name.to_owned(), number(table.entries), proved, located_by]
}

/// The width of each column but the last, which may be as long as it likes.
fn widths<'a>(rows: impl Iterator<Item = &'a Row>) -> [usize; 3] {
    rows.fold([0; 3], |widths, row| std::array::from_fn(|i| widths[i].max(display_width(&row[i]))))
}

/// A row as a line: names to the left, numbers to the right.
fn aligned([table, entries, proved, located_by]: &Row, widths: [usize; 3]) -> String {
    let [a, b, c] = widths;
    format!("{table:a$}  {entries:>b$}  {proved:>c$}  {located_by}").trim_end().to_owned()
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
