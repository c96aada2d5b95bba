//! `--format human`: for people, in the way of a good compiler.
//!
//! Whatever was not said in full is counted where it is missing: findings past the limit, notes, tables that
//! were not checked.

mod finding;
pub(crate) mod paint;
mod proof;
mod totals;

use std::collections::HashMap;
use std::io::{self, Write};

use kvet_finding::Severity;
use kvet_image::SymbolSource;

use super::Renderer;
use crate::check::{ArtefactReport, Checked, Chosen, KernelUsed, Summary};
use crate::text::{self, Safe, count};
pub use paint::Paint;
use totals::Totals;

/// Up to so many modules each get a table of their own; more are summed up in one.
const FEW_MODULES: usize = 3;

/// How the output shall look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// So many findings of one rule are shown in full; 0 is all.
    pub max_findings: u64,
    /// Show notes and every table.
    pub verbose: bool,
    /// How many artefacts will come.
    pub artefacts: usize,
}

/// Writes as the reports come.
pub struct Human {
    style: Style,
    paint: Paint,
    /// So many findings of each rule were shown already.
    shown: HashMap<&'static str, u64>,
    totals: Totals,
}

impl Human {
    /// A renderer of a style.
    pub fn new(style: Style) -> Human {
        Human { style, paint: Paint::new(style.color), shown: HashMap::new(), totals: Totals::default() }
    }

    /// Whether this artefact's tables are shown.
    fn shows_tables(&self, checked: &Checked) -> bool {
        self.style.verbose || !checked.kind.is_module() || self.style.artefacts <= FEW_MODULES
    }
}

impl Renderer for Human {
    fn artefact(&mut self, report: &ArtefactReport, out: &mut dyn Write) -> io::Result<()> {
        let Ok(checked) = &report.outcome else { return Ok(()) };
        let shows_tables = self.shows_tables(checked);
        self.totals.add(checked, shows_tables);
        let counts = Counts::of(checked);
        if !shows_tables && counts.errors == 0 && counts.warnings == 0 {
            return Ok(());
        }
        if shows_tables {
            self.heading(report, checked, out)?;
        }
        let held_back = self.findings(report, checked, out)?;
        if shows_tables {
            proof::write(checked, self.style, self.paint, out)?;
        }
        self.verdict(report, checked, &counts, held_back, out)
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.totals.write(self.style.width, self.paint, out)?;
        if summary.artefacts > 1 {
            writeln!(out, "{}", self.summary(summary))?;
        }
        if let Some(next) = self.totals.next_step(summary) {
            writeln!(out, "{} {next}", self.paint.help("next:"))?;
        }
        Ok(())
    }
}

/// One artefact's findings by severity.
#[derive(Default, Clone, Copy)]
struct Counts {
    errors: u64,
    warnings: u64,
    notes: u64,
    fatal: u64,
    entries: u64,
    tables: u64,
}

impl Counts {
    fn of(checked: &Checked) -> Counts {
        let mut counts = Counts::default();
        for (finding, _) in checked.findings() {
            match finding.severity {
                Severity::Error => counts.errors += 1,
                Severity::Warning => counts.warnings += 1,
                Severity::Note => counts.notes += 1,
            }
            counts.fatal += u64::from(finding.at_boot.as_ref().is_some_and(|a| a.fatal && a.when.is_none()));
        }
        for table in checked.tables.iter().filter(|t| t.located_by.is_some()) {
            counts.tables += 1;
            counts.entries += table.entries;
        }
        counts
    }
}

impl Human {
    /// What kind of file this is and who it says it is.
    fn heading(&self, report: &ArtefactReport, checked: &Checked, out: &mut dyn Write) -> io::Result<()> {
        let mut facts = vec![checked.kind.as_str().to_owned()];
        facts.extend(checked.arch.map(str::to_owned));
        facts.extend(checked.release.as_deref().map(text::safe));
        facts.extend(checked.build_id.as_deref().map(|id| format!("build id {}", text::hex_id(id))));
        match checked.symbols_from {
            SymbolSource::None if checked.kind.is_btf() => {}
            SymbolSource::None => facts.push("no symbols".to_owned()),
            source => facts.push(format!("{} from {}", count(checked.symbols, "symbol"), source.as_str())),
        }
        writeln!(
            out,
            "{}{} {}",
            self.paint.strong(&text::path(&report.path)),
            self.paint.strong(":"),
            facts.join(", ")
        )?;
        if let Some(kernel) = &checked.kernel {
            writeln!(out, "  checked against the kernel {}", kernel_in_words(kernel))?;
        }
        Ok(())
    }

    /// The findings, worst first, up to the limit of each rule; returns how many were held back by rule.
    fn findings(
        &mut self,
        report: &ArtefactReport,
        checked: &Checked,
        out: &mut dyn Write,
    ) -> io::Result<Vec<(&'static str, u64)>> {
        let mut findings: Vec<_> =
            checked.findings().filter(|(f, _)| self.style.verbose || f.severity > Severity::Note).collect();
        findings.sort_by_key(|(f, _)| std::cmp::Reverse(f.severity));
        let mut held_back: Vec<(&'static str, u64)> = Vec::new();
        for (finding, place) in findings {
            let shown = self.shown.entry(finding.rule).or_default();
            if self.style.max_findings == 0 || *shown < self.style.max_findings {
                *shown += 1;
                writeln!(out)?;
                let around = finding::Around { path: &report.path, place, kind: checked.kind };
                finding::write(finding, &around, self.style.width, self.paint, out)?;
                continue;
            }
            match held_back.iter_mut().find(|(rule, _)| *rule == finding.rule) {
                Some((_, n)) => *n += 1,
                None => held_back.push((finding.rule, 1)),
            }
        }
        Ok(held_back)
    }

    /// The last lines of an artefact: how it stands.
    fn verdict(
        &self,
        report: &ArtefactReport,
        checked: &Checked,
        counts: &Counts,
        held_back: Vec<(&'static str, u64)>,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        for (rule, n) in held_back {
            writeln!(
                out,
                "{} and {} more of {rule}; --max-findings 0 shows all",
                self.paint.dim("..."),
                text::number(n)
            )?;
        }
        let notes = match counts.notes {
            0 => String::new(),
            n if self.style.verbose => format!(", {}", count(n, "note")),
            n => format!(", {} (-v shows)", count(n, "note")),
        };
        let path = text::path(&report.path);
        let proved = format!(
            "{} in {}, {}",
            count(counts.entries, "entry"),
            count(counts.tables, "table"),
            text::duration(checked.took)
        );
        if counts.errors == 0 && counts.warnings == 0 {
            return writeln!(out, "{} {path}: nothing wrong in {proved}{notes}\n", self.paint.good("ok:"));
        }
        let found = found(counts.errors, counts.warnings);
        let fatal = match (counts.fatal, checked.kind) {
            (0, _) => "",
            (_, kind) if kind.is_module() => "; loading this module ends in a kernel BUG",
            _ => "; this kernel will not finish booting",
        };
        let head = match counts.errors {
            0 => self.paint.severity(Severity::Warning, "warning:"),
            _ => self.paint.severity(Severity::Error, "error:"),
        };
        writeln!(out, "{head} {path}: {found}{notes} in {proved}{fatal}\n")
    }

    /// The run in one line: `4,023 modules and 1 kernel checked: no errors`.
    fn summary(&self, summary: &Summary) -> String {
        let kinds = [(summary.kernels, "kernel"), (summary.modules, "module"), (summary.btf, "BTF file")];
        let kinds: Vec<String> =
            kinds.iter().filter(|(n, _)| *n > 0).map(|(n, word)| count(*n, word)).collect();
        let what = if kinds.is_empty() { "nothing".to_owned() } else { kinds.join(" and ") };
        let mut line = format!("{what} checked: {}", found(summary.errors, summary.warnings));
        if summary.notes > 0 && !self.style.verbose {
            line.push_str(&format!(", {} (-v shows)", count(summary.notes, "note")));
        }
        if summary.unreadable > 0 {
            line.push_str(&format!("; {} could not be checked", count(summary.unreadable, "artefact")));
        }
        match (summary.errors, summary.warnings + summary.unreadable) {
            (0, 0) => self.paint.good(&line),
            (0, _) => self.paint.severity(Severity::Warning, &line),
            _ => self.paint.severity(Severity::Error, &line),
        }
    }
}

fn found(errors: u64, warnings: u64) -> String {
    match (errors, warnings) {
        (0, 0) => "no errors".to_owned(),
        (errors, 0) => count(errors, "error"),
        (0, warnings) => format!("no errors, {}", count(warnings, "warning")),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}

fn kernel_in_words(kernel: &KernelUsed) -> String {
    let why = match kernel.chosen {
        Chosen::Given => "as --kernel says",
        Chosen::SameRelease => "found among the artefacts, same release",
        Chosen::Running => "the running system's",
    };
    match &kernel.release {
        Some(release) => format!("{} ({}; {why})", text::path(&kernel.path), Safe(release)),
        None => format!("{} ({why})", text::path(&kernel.path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    const STYLE: Style = Style { color: false, width: 100, max_findings: 20, verbose: false, artefacts: 3 };

    #[test]
    fn a_broken_kernel_a_clean_module_and_an_unreadable_one() {
        let text = samples::render(Human::new(STYLE));
        assert!(!text.chars().any(|c| c != '\n' && text::is_unsafe(c)), "a control character got through");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_clean_kernel_shows_what_was_proved() {
        let style = Style { artefacts: 1, ..STYLE };
        let kernel = [samples::clean_kernel()];
        insta::assert_snapshot!("clean", samples::render_reports(Human::new(style), &kernel));
        let verbose = Style { verbose: true, ..style };
        insta::assert_snapshot!("clean_verbose", samples::render_reports(Human::new(verbose), &kernel));
    }

    #[test]
    fn many_modules_are_summed_up() {
        let modules: Vec<_> = (0..1200).map(|i| samples::clean_module(&format!("m{i}.ko"))).collect();
        let style = Style { artefacts: modules.len(), ..STYLE };
        insta::assert_snapshot!(samples::render_reports(Human::new(style), &modules));
        let verbose = samples::render_reports(Human::new(Style { verbose: true, ..style }), &modules);
        assert_eq!(verbose.matches("ok: m").count(), 1200);
    }

    #[test]
    fn findings_past_the_limit_are_counted() {
        let report = [samples::many_findings(138)];
        let text = samples::render_reports(Human::new(STYLE), &report);
        assert_eq!(text.matches("error[jump-labels/initial-state]").count(), 20);
        assert!(
            text.contains("... and 118 more of jump-labels/initial-state; --max-findings 0 shows all"),
            "{text}"
        );
        assert!(text.contains("138 errors"));
        let all = samples::render_reports(Human::new(Style { max_findings: 0, ..STYLE }), &report);
        assert_eq!(all.matches("error[jump-labels/initial-state]").count(), 138);
        assert!(!all.contains("more of"));
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let plain = samples::render(Human::new(STYLE));
        let coloured = samples::render(Human::new(Style { color: true, ..STYLE }));
        assert!(coloured.contains("\x1b["));
        assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
    }

    #[test]
    fn a_narrow_terminal_gets_code_below_each_other() {
        let report = [samples::many_findings(1)];
        let wide = samples::render_reports(Human::new(STYLE), &report);
        let narrow = samples::render_reports(Human::new(Style { width: 60, ..STYLE }), &report);
        assert!(wide.lines().any(|l| l.contains("eb 1c") && l.contains("66 90")), "{wide}");
        assert!(
            !narrow.lines().any(|l| l.contains("eb 1c ") && l.contains("66 90") && !l.contains("!=")),
            "{narrow}"
        );
    }
}
