//! What thousands of modules come to, and what to do next.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Paint, kernel_in_words, proof};
use crate::check::{Checked, Summary};
use crate::text::{Safe, count, number};

/// So many different reasons for skipping are listed; a reason that names a value differs in each module.
const MAX_REASONS: usize = 12;

/// Sums over the artefacts whose own tables were not shown, and what the last line needs to know.
#[derive(Default)]
pub struct Totals {
    tables: BTreeMap<&'static str, TableTotal>,
    /// The reasons for skipping a check of a table, alike but for their numbers.
    skipped: BTreeMap<(&'static str, String), Reason>,
    more_reasons: u64,
    modules: u64,
    /// The modules' kernels, each with how many modules were checked against it.
    kernels: BTreeMap<String, u64>,
    without_kernel: u64,
    /// The release of the last kernel seen.
    release: Option<String>,
}

/// Why a check was skipped, in so many modules.
struct Reason {
    modules: u64,
    /// The reason's words, while all modules use the same.
    text: Option<String>,
}

/// A sentence with an ellipsis for each number, so that those of many modules fall together.
fn without_numbers(why: &str) -> String {
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit() || b == b',') && !word.is_empty();
    let words: Vec<&str> = why.split(' ').map(|word| if is_number(word) { "..." } else { word }).collect();
    words.join(" ")
}

#[derive(Default)]
struct TableTotal {
    modules: u64,
    entries: u64,
}

impl Totals {
    /// Adds one artefact; `shown` when its tables stand in the output already.
    pub fn add(&mut self, checked: &Checked, shown: bool) {
        if !checked.kind.is_module() {
            self.release.clone_from(&checked.release);
            return;
        }
        if checked.kernel.is_none() {
            self.without_kernel += 1;
        }
        if shown {
            return;
        }
        self.modules += 1;
        if let Some(kernel) = &checked.kernel {
            *self.kernels.entry(kernel_in_words(kernel)).or_default() += 1;
        }
        for table in &checked.tables {
            if table.located_by.is_some() {
                let total = self.tables.entry(table.name).or_default();
                total.modules += 1;
                total.entries += table.entries;
            }
            for why in &table.skipped {
                self.skip(table.name, why, table.located_by.is_some());
            }
        }
    }

    /// Counts a reason. That a module has no such table at all is no gap: most have few.
    fn skip(&mut self, table: &'static str, why: &str, has_table: bool) {
        if !has_table {
            return;
        }
        let key = (table, without_numbers(why));
        if self.skipped.len() >= MAX_REASONS && !self.skipped.contains_key(&key) {
            self.more_reasons += 1;
            return;
        }
        let reason =
            self.skipped.entry(key).or_insert_with(|| Reason { modules: 0, text: Some(why.to_owned()) });
        reason.modules += 1;
        if reason.text.as_deref() != Some(why) {
            reason.text = None;
        }
    }

    /// Writes the sums, when anything was summed up.
    pub fn write(&self, width: usize, paint: Paint, out: &mut dyn Write) -> io::Result<()> {
        if self.modules == 0 {
            return Ok(());
        }
        let name = self.tables.keys().map(|n| n.len()).max().unwrap_or(0).max("TABLE".len());
        let head = format!("  {:name$}  {:>9}  {:>9}", "TABLE", "MODULES", "ENTRIES");
        writeln!(out, "{}", paint.dim(&head))?;
        for (table, total) in &self.tables {
            writeln!(out, "  {table:name$}  {:>9}  {:>9}", number(total.modules), number(total.entries))?;
        }
        for (kernel, modules) in &self.kernels {
            writeln!(out, "\n  {} checked against the kernel {kernel}", count(*modules, "module"))?;
        }
        if !self.skipped.is_empty() {
            writeln!(out, "\n  not checked:")?;
        }
        for ((table, template), reason) in &self.skipped {
            let why = reason.text.as_ref().unwrap_or(template);
            let line = format!("{table}: {} ({})", Safe(why), count(reason.modules, "module"));
            proof::paragraph(&line, "    ", "      ", width, paint, out)?;
        }
        if self.more_reasons > 0 {
            writeln!(out, "    ... and {} more (-v shows)", number(self.more_reasons))?;
        }
        writeln!(out)
    }

    /// The last line: what the reader should do now.
    pub fn next_step(&self, summary: &Summary) -> Option<String> {
        if summary.errors > 0 {
            let boot = match (summary.fatal, summary.kernels, summary.ends_boot) {
                (0, ..) => "",
                (_, 0, _) => "do not load this: ",
                (_, _, 0) => "do not ship this: ",
                _ => "do not boot this: ",
            };
            return Some(format!(
                "{boot}rebuild what the errors name from clean, then run `kvet check` again; \
                 `--format json` has every detail"
            ));
        }
        if summary.unreadable > 0 {
            return Some(
                "see on stderr what could not be checked and why; the rest has no errors".to_owned(),
            );
        }
        if summary.warnings > 0 {
            return Some("read the warnings; --deny-warnings lets them fail a build".to_owned());
        }
        if self.without_kernel > 0 {
            return Some(
                "--kernel FILE checks modules against their kernel as well (its capabilities, its keys)"
                    .to_owned(),
            );
        }
        match &self.release {
            _ if summary.kernels + summary.modules == 0 => {
                Some("nothing to do: the kernel takes this BTF".to_owned())
            }
            _ if summary.kernels == 0 => {
                Some("nothing to do: these modules' tables agree with their kernel".to_owned())
            }
            Some(release) if summary.kernels == 1 && summary.modules == 0 => Some(format!(
                "these tables will not stop the boot; --modules /lib/modules/{} checks its modules too, \
                 -v says what was proved",
                Safe(release)
            )),
            _ => Some("these tables will not stop the boot".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_differ_in_numbers_fall_together() {
        let mut totals = Totals::default();
        for n in [1, 17, 1234] {
            totals.skip("jump-labels", &format!("{n} entries have their key in another file"), true);
        }
        totals.skip("jump-labels", "x86_64 has none", true);
        totals.skip("jump-labels", "there is no such section", false);
        totals.modules = 3;
        let mut out = Vec::new();
        totals.write(100, Paint::new(false), &mut out).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(
            text.contains("jump-labels: ... entries have their key in another file (3 modules)"),
            "{text}"
        );
        assert!(text.contains("jump-labels: x86_64 has none (1 module)"), "{text}");
        assert!(!text.contains("no such section"), "that most modules lack most tables is no gap");
    }
}
