//! Findings of agreement: wrong capabilities, stale objects, odd pairs.

use kvet_finding::{Finding, Severity, Value};
use kvet_image::{Image, VirtAddr};

use super::kernel::{MAX_LISTED, STALE};
use super::{Alternative, Checker, agreement, name_in};
use agreement::{OddPair, Pairs, WrongCapability};

/// Code of either image as evidence; the address when there is none.
fn code_in(image: &Image, addr: VirtAddr, len: u8) -> Value {
    match image.bytes(addr, len.into()).filter(|b| !b.is_empty()) {
        Some(bytes) => crate::disasm::code(image, addr, bytes).into(),
        None => addr.into(),
    }
}

impl Checker<'_> {
    /// Compares every entry with those that do the same.
    pub(super) fn agreement(&mut self) {
        let shapes = self.shapes();
        let learned = self.kernel.map(|kernel| kernel.arm64_alternatives().learned(kernel.image));
        if self.is_module && learned.is_none() {
            // Too few entries to teach anything of each other.
            return;
        }
        let odd = match learned {
            Some(learned) => agreement::odd_by_kernel(learned, shapes),
            None => agreement::odd_pairs(shapes, self.pairs.get_or_init(|| Pairs::of(shapes))),
        };
        for odd in odd {
            self.odd_pair(&odd);
        }
        let usable = |i: usize| !self.wrong[i];
        let found = match learned {
            Some(learned) => agreement::wrong_by_kernel(learned, self.entries, shapes, self.marker, usable),
            None => agreement::wrong_capabilities(self.entries, shapes, self.marker, usable),
        };
        let (stale, single) = agreement::stale_runs(found);
        for run in stale {
            self.stale_object(&run);
        }
        for wrong in single {
            self.wrong_capability(&wrong);
        }
    }

    /// The entry of an example: the kernel's when this is a module.
    fn example(&self, index: usize) -> Option<Alternative> {
        let entries = self.kernel.map_or(self.entries, |k| &k.arm64_alternatives().entries);
        entries.get(index).copied()
    }

    /// Whose entries the others are, for a sentence.
    fn whose(&self) -> &'static str {
        if self.kernel.is_some() { "of the kernel's" } else { "other" }
    }

    fn odd_pair(&mut self, odd: &agreement::Odd) {
        let Some(usual) = self.example(odd.example).filter(|_| !self.wrong[odd.index]) else { return };
        let image = self.kernel.map_or(self.image, |k| k.image);
        let entry = &self.entries[odd.index];
        let is_callback = self.marker.marks(entry);
        let (support, whose) = (odd.support, self.whose());
        let (rule, message) = match odd.what {
            OddPair::Original => {
                let what = if is_callback { self.name(entry.alt) } else { "the replacement".into() };
                let message = format!(
                    "{what} is written over other instructions than in {support} {whose} entries that use it"
                );
                ("alternatives/inconsistent-original", message)
            }
            OddPair::Replacement if is_callback => {
                let message = format!(
                    "callback {}, where {support} {whose} entries with the same instructions call {}",
                    self.name(entry.alt),
                    name_in(image, usual.alt)
                );
                ("alternatives/inconsistent-callback", message)
            }
            OddPair::Replacement => {
                let message =
                    format!("{support} {whose} entries replace the same instructions by something else");
                ("alternatives/inconsistent-replacement", message)
            }
        };
        let mut finding = self
            .finding(rule, Severity::Error, odd.index, message)
            .with("usual entry", odd.example as u64)
            .with("usual original", code_in(image, usual.orig, usual.orig_len));
        finding = if self.marker.marks(&usual) {
            finding.with("usual callback", name_in(image, usual.alt))
        } else {
            finding.with("usual replacement", code_in(image, usual.alt, usual.alt_len))
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
            format!(
                "capability {found}, but {same} belongs to {expected} in {} {} entries",
                wrong.support,
                self.whose()
            )
        };
        let severity = if wrong.undecided { Severity::Warning } else { Severity::Error };
        let finding = self
            .finding("alternatives/inconsistent-capability", severity, wrong.index, message)
            .with("expected capability", expected)
            .with("agreeing entries", wrong.support as u64);
        let finding = self.with_example(finding, wrong).advice(STALE);
        self.error(finding);
    }

    fn stale_object(&mut self, run: &[WrongCapability]) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
        let compared = last.index - first.index + 1;
        let (found, expected) =
            (self.capabilities.describe(first.found), self.capabilities.describe(first.expected));
        let sites = run.iter().map(|w| self.entries[w.index].orig);
        let (low, high) = (sites.clone().min(), sites.max());
        let message = format!(
            "stale object: {} of the {compared} entries from {} to {} name capabilities that belong to other \
             replacements everywhere else; the first names {found}, where {} other entries say {expected}",
            run.len(),
            first.index,
            last.index,
            first.support
        );
        let indices = run.iter().take(MAX_LISTED).map(|w| Value::Number(w.index as u64)).collect::<Vec<_>>();
        let finding = self
            .finding("alternatives/stale-object", Severity::Error, first.index, message)
            .with("expected capability", expected)
            .with("lowest site", low.map_or_else(String::new, |a| self.name(a)))
            .with("highest site", high.map_or_else(String::new, |a| self.name(a)))
            .with("renamed", self.renamed(run))
            .with("entries", indices)
            .advice(STALE);
        let finding = self.with_example(finding, first);
        self.error(finding);
        for wrong in run {
            self.wrong[wrong.index] = true;
        }
    }

    /// Adds an entry that agrees with the others.
    fn with_example(&self, finding: Finding, wrong: &WrongCapability) -> Finding {
        match wrong.example.and_then(|index| Some((index, self.entries.get(index)?))) {
            Some((index, entry)) => {
                finding.with("example entry", index as u64).with("example site", self.name(entry.orig))
            }
            None => finding,
        }
    }

    /// `37 for 36, 51 for 50`: which numbers the object uses for which.
    fn renamed(&self, run: &[WrongCapability]) -> String {
        let mut pairs: Vec<(u16, u16)> = run.iter().map(|w| (w.found, w.expected)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        let shown: Vec<String> = pairs.iter().take(16).map(|(f, e)| format!("{f} for {e}")).collect();
        shown.join(", ")
    }
}
