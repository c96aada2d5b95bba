//! Findings of agreement: wrong capabilities, stale objects, odd pairs.

use kvet_finding::{Severity, Value};
use kvet_image::Kind;

use super::kernel::{MAX_LISTED, STALE};
use super::{Arm64Alternatives, Checker, agreement};
use agreement::{OddPair, StaleRun, WrongCapability};

impl Checker<'_> {
    /// Compares every entry with those that do the same.
    pub(super) fn agreement(&mut self, table: &Arm64Alternatives) {
        let shapes = table.shapes(self.image, self.text);
        // A module has too few entries to know which pairs are usual: Debian's 6.1 has 95 lone but right ones.
        if self.image.kind() != Kind::Module {
            for odd in agreement::odd_pairs(shapes) {
                self.odd_pair(&odd);
            }
        }
        let found = agreement::wrong_capabilities(self.entries, shapes, self.marker, |i| !self.wrong[i]);
        let (stale, single) = agreement::stale_runs(found);
        for run in stale {
            self.stale_object(&run);
        }
        for wrong in single {
            self.wrong_capability(&wrong);
        }
    }

    fn odd_pair(&mut self, odd: &agreement::Odd) {
        if self.wrong[odd.index] {
            return;
        }
        let (entry, usual) = (&self.entries[odd.index], &self.entries[odd.example]);
        let is_callback = self.marker.marks(entry);
        let (rule, message) = match odd.what {
            OddPair::Original => (
                "alternatives/inconsistent-original",
                format!(
                    "{} is written over other instructions than in the {} other entries that use it",
                    if is_callback { self.name(entry.alt) } else { "the replacement".into() },
                    odd.support
                ),
            ),
            OddPair::Replacement if is_callback => (
                "alternatives/inconsistent-callback",
                format!(
                    "callback {}, where {} entries with the same instructions call {}",
                    self.name(entry.alt),
                    odd.support,
                    self.name(usual.alt)
                ),
            ),
            OddPair::Replacement => (
                "alternatives/inconsistent-replacement",
                format!("{} other entries replace the same instructions by something else", odd.support),
            ),
        };
        let usual_code = self.code(usual.orig, usual.orig_len.into());
        let finding = self
            .finding(rule, Severity::Error, odd.index, message)
            .with("usual entry", odd.example as u64)
            .with("usual original", usual_code);
        let finding = if self.marker.marks(usual) {
            finding.with("usual callback", self.name(usual.alt))
        } else {
            let code = self.code(usual.alt, usual.alt_len.into());
            finding.with("usual replacement", code)
        };
        self.error(finding.advice("The entry's offsets are damaged: rebuild the object and relink."));
    }

    fn wrong_capability(&mut self, wrong: &WrongCapability) {
        if self.wrong[wrong.index] {
            return;
        }
        let (found, expected) =
            (self.capabilities.describe(wrong.found), self.capabilities.describe(wrong.expected));
        let same =
            if wrong.by_kind { "the same operation on other registers" } else { "the same replacement" };
        let message = if wrong.undecided {
            format!(
                "capability {found}, but {} entries with {same} name {expected}: one side is wrong",
                wrong.support
            )
        } else {
            format!("capability {found}, but {same} belongs to {expected} in {} other entries", wrong.support)
        };
        let severity = if wrong.undecided { Severity::Warning } else { Severity::Error };
        let finding = self
            .finding("alternatives/inconsistent-capability", severity, wrong.index, message)
            .with("expected capability", expected)
            .with("agreeing entries", wrong.support as u64)
            .with("example entry", wrong.example as u64)
            .with("example site", self.name(self.entries[wrong.example].orig))
            .advice(STALE);
        self.error(finding);
    }

    fn stale_object(&mut self, run: &StaleRun) {
        let (Some(first), Some(last)) = (run.wrong.first(), run.wrong.last()) else { return };
        let compared = last.index - first.index + 1;
        let (found, expected) =
            (self.capabilities.describe(first.found), self.capabilities.describe(first.expected));
        let sites = run.wrong.iter().map(|w| self.entries[w.index].orig);
        let (low, high) = (sites.clone().min(), sites.max());
        let message = format!(
            "stale object: {} of the {compared} entries from {} to {} name capabilities that belong to other \
             replacements everywhere else; the first names {found}, where {} other entries say {expected}",
            run.wrong.len(),
            first.index,
            last.index,
            first.support
        );
        let indices =
            run.wrong.iter().take(MAX_LISTED).map(|w| Value::Number(w.index as u64)).collect::<Vec<_>>();
        let finding = self
            .finding("alternatives/stale-object", Severity::Error, first.index, message)
            .with("expected capability", expected)
            .with("example entry", first.example as u64)
            .with("example site", self.name(self.entries[first.example].orig))
            .with("lowest site", low.map_or_else(String::new, |a| self.name(a)))
            .with("highest site", high.map_or_else(String::new, |a| self.name(a)))
            .with("renamed", self.renamed(run))
            .with("entries", indices)
            .advice(STALE);
        self.error(finding);
        for wrong in &run.wrong {
            self.wrong[wrong.index] = true;
        }
    }

    /// `37 for 36, 51 for 50`: which numbers the object uses for which.
    fn renamed(&self, run: &StaleRun) -> String {
        let mut pairs: Vec<(u16, u16)> = run.wrong.iter().map(|w| (w.found, w.expected)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let shown: Vec<String> = pairs.iter().take(16).map(|(f, e)| format!("{f} for {e}")).collect();
        shown.join(", ")
    }
}
