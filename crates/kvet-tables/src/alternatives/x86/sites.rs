//! The checks of all entries together: sites against sites, replacements against replacements, sites against
//! the instructions around them.

use std::cmp::Reverse;

use kvet_finding::Severity;
use kvet_image::{Image, VirtAddr};

use super::checker::{Checker, rule};
use super::{Alternative, REPLACEMENTS, Span};
use crate::disasm::x86::{Mode, decode_each_in};

impl Checker<'_> {
    /// One site's entries stand side by side and patch the same bytes; no two sites overlap in part.
    pub(super) fn check_sites(&mut self) {
        self.prove("sites do not overlap, and one site's entries stand side by side", Self::compare_sites);
    }

    fn compare_sites(&mut self) {
        let table = self.table;
        let mut order: Vec<&Alternative> = table.entries.iter().filter(|e| e.site_len > 0).collect();
        order.sort_by_key(|e| (e.site, e.index));
        // Sites are few and short: what can overlap stands within 255 bytes.
        let mut reach: Option<&Alternative> = None;
        for group in order.chunk_by(|a, b| a.site == b.site) {
            self.check_group(group);
            let Some(&longest) = group.iter().max_by_key(|e| (e.site_len, Reverse(e.index))) else {
                continue;
            };
            if let Some(earlier) = reach.filter(|r| r.site_end() > longest.site) {
                self.report_overlap(earlier, longest);
            }
            if reach.is_none_or(|r| r.site_end() < longest.site_end()) {
                reach = Some(longest);
            }
        }
    }

    /// Nothing says which of the two is wrong, so each is named.
    fn report_overlap(&mut self, a: &Alternative, b: &Alternative) {
        for (this, other) in [(a, b), (b, a)] {
            let message = format!(
                "entry {} patches {} bytes at {}, in part the same as entry {} ({} bytes at {})",
                this.index, this.site_len, this.site, other.index, other.site_len, other.site
            );
            let finding = self
                .finding(rule!(self, "overlap"), Severity::Error, this, message)
                .with("other entry", other.index)
                .with("other site", other.site);
            self.report.findings.push(finding);
        }
    }

    fn check_group(&mut self, group: &[&Alternative]) {
        for pair in group.windows(2) {
            let [a, b] = pair else { continue };
            if b.index != a.index + 1 {
                let message = format!(
                    "entries {} and {} patch one site, {}, but do not stand side by side",
                    a.index, b.index, b.site
                );
                let finding = self.finding(rule!(self, "order"), Severity::Error, b, message);
                self.report.findings.push(finding.with("other entry", a.index));
            }
            if same_patch(a, b) {
                let message = format!("entry {} is entry {} again", b.index, a.index);
                let finding = self
                    .finding(rule!(self, "duplicate"), Severity::Error, b, message)
                    .advice("an entry was written over: the site that it should patch stays as it is");
                self.report.findings.push(finding);
            } else if a.site_len != b.site_len && !self.is_nested(a, b) {
                for (this, other) in [(a, b), (b, a)] {
                    let message = format!(
                        "entry {} patches {} bytes of a site of which entry {} patches {}",
                        this.index, this.site_len, other.index, other.site_len
                    );
                    let mut finding =
                        self.finding(rule!(self, "site-length"), Severity::Error, this, message);
                    finding.at_boot = self.boot_of_unequal_lengths(a, b);
                    self.report.findings.push(finding.with("other entry", other.index));
                }
            }
        }
    }

    /// Nested `ALTERNATIVE`s (6.11 and later): the outer one follows, and is longer only where its replacement
    /// needs padding, which the kernel evens out.
    fn is_nested(&self, inner: &Alternative, outer: &Alternative) -> bool {
        let grown = inner.site_len < outer.site_len && outer.site_len == outer.replacement_len;
        let padding = outer.site_bytes(self.image).and_then(|b| b.get(inner.site_len.into()..));
        grown && padding.is_some_and(|p| p.iter().all(|&byte| byte == 0x90))
    }

    /// The assembler emits replacements in the order of the entries, the linker keeps it: each begins where the
    /// one before it ends, from the section's start to its end. A length or a pointer that was changed breaks
    /// that at its entry.
    pub(super) fn check_tiling(&mut self) {
        let Some(span) = self.scope.replacements else {
            self.report.skipped.push(format!(
                "no section {REPLACEMENTS} is named, so its replacements were not compared with its bounds"
            ));
            return;
        };
        let table = self.table;
        let suspects = tiling_suspects(&table.entries, span.start, span.end);
        // Another assembler or linker may order them otherwise: then nothing is proved by the order.
        if suspects.len() > 4.max(table.entries.len() / 16) {
            self.report.skipped.push(format!(
                "replacements do not follow each other in the order of the entries ({} breaks), so lengths were not proved by it",
                suspects.len()
            ));
            return;
        }
        self.prove(format!("replacements fill {REPLACEMENTS} one after the other"), |c| {
            c.report_suspects(&suspects)
        });
    }

    fn report_suspects(&mut self, suspects: &[(u64, Suspect)]) {
        let table = self.table;
        for &(index, expected) in suspects {
            let Some(entry) = usize::try_from(index).ok().and_then(|i| table.entries.get(i)) else {
                continue;
            };
            let message = match expected {
                Suspect::Start(at) => format!(
                    "the replacement of entry {index} stands at {}; the one before it ends at {at}, and all others follow each other without a gap",
                    entry.replacement
                ),
                Suspect::End(at) => format!(
                    "the replacement of entry {index} ends at {} ({} bytes); the next one begins at {at}, and all others follow each other without a gap",
                    entry.replacement_end(),
                    entry.replacement_len
                ),
            };
            let finding = self.finding(rule!(self, "replacement-place"), Severity::Error, entry, message);
            self.report.findings.push(finding);
        }
    }

    /// Sites begin on an instruction's boundary: decoding from the nearest address that is known to be one
    /// comes by each of them.
    pub(super) fn check_boundaries(&mut self) {
        let anchors = match self.scope.text {
            Some(text) => Anchors::of_text(self.image, self.scope.mode, text),
            None => Anchors::read(self.image),
        };
        let Some(anchors) = anchors else {
            self.report.skipped.push("no ORC table and no symbols: whether sites begin on an instruction's boundary was not checked".into());
            return;
        };
        self.prove("sites begin on an instruction's boundary", |c| c.compare_with_anchors(&anchors));
    }

    fn compare_with_anchors(&mut self, anchors: &Anchors<'_>) {
        let table = self.table;
        let mut unknown = 0u64;
        let mut last = None;
        for entry in &table.entries {
            let is_code = self.scope.text.is_some() || self.image.is_executable(entry.site);
            if last == Some(entry.site) || !is_code {
                continue;
            }
            last = Some(entry.site);
            match anchors.is_boundary(self.image, self.scope.mode, entry.site) {
                None => unknown += 1,
                Some(true) => {}
                Some(false) => {
                    let message = format!(
                        "the site of entry {} begins inside an instruction of the code around it",
                        entry.index
                    );
                    let finding = self.finding(rule!(self, "site-boundary"), Severity::Error, entry, message);
                    self.report.findings.push(finding);
                }
            }
        }
        if unknown != 0 {
            self.report.skipped.push(format!(
                "{unknown} sites are too far from a known instruction boundary to check that they begin on one"
            ));
        }
    }
}

fn same_patch(a: &Alternative, b: &Alternative) -> bool {
    Alternative { index: 0, ..*a } == Alternative { index: 0, ..*b }
}

/// What is wrong with a replacement's place, and where it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Suspect {
    Start(VirtAddr),
    End(VirtAddr),
}

/// Entries at which the order of replacements breaks. A wrong length breaks it behind the entry, a wrong
/// pointer on both sides.
fn tiling_suspects(entries: &[Alternative], start: VirtAddr, end: VirtAddr) -> Vec<(u64, Suspect)> {
    let mut suspects = Vec::new();
    let mut expected = start;
    let mut i = 0;
    while let Some(entry) = entries.get(i) {
        let next = entries.get(i + 1).map_or(end, |e| e.replacement);
        if entry.replacement != expected {
            suspects.push((entry.index, Suspect::Start(expected)));
            // The next entry says where this one should have ended.
            expected = next;
        } else if entry.replacement_end() == next {
            expected = next;
        } else if entries.get(i + 1).is_some_and(|e| same_patch(e, entry))
            || is_moved(entries, i + 1, entry.replacement_end(), end)
        {
            expected = entry.replacement_end();
        } else {
            suspects.push((entry.index, Suspect::End(next)));
            expected = next;
        }
        i += 1;
    }
    suspects
}

/// Whether it is the entry at `i` whose pointer is off: with it at `expected`, or left out, what follows fits.
fn is_moved(entries: &[Alternative], i: usize, expected: VirtAddr, end: VirtAddr) -> bool {
    let Some(entry) = entries.get(i) else { return false };
    let after = entries.get(i + 1).map_or(end, |e| e.replacement);
    let fits = expected.0.saturating_add(entry.replacement_len.into()) == after.0;
    fits || entry.replacement_end() != after
}

/// Addresses known to begin an instruction, sorted.
enum Anchors<'a> {
    /// The ORC table's own addresses (`.orc_unwind_ip`), each relative to its field.
    Orc { bytes: &'a [u8], start: u64 },
    /// Functions, or a text decoded as a whole, or an ORC table that the build has not sorted.
    List(Vec<u64>),
}

impl<'a> Anchors<'a> {
    /// How far from an anchor a site may be; ORC entries stand 35 bytes apart on average, so few are further.
    const REACH: u64 = 4096;

    fn read(image: &'a Image) -> Option<Anchors<'a>> {
        let Some(section) = image.section(".orc_unwind_ip") else {
            let functions = image.symbols().iter().filter(|s| s.kind == kvet_image::SymbolKind::Function);
            return Some(Anchors::List(functions.map(|s| s.addr.0).collect())).filter(|a| a.len() > 0);
        };
        let orc = Anchors::Orc { bytes: image.section_bytes(section), start: section.addr.0 };
        let addresses = || (0..orc.len()).map(|i| orc.get(i));
        if addresses().is_sorted() {
            return (orc.len() > 0).then_some(orc);
        }
        let mut sorted: Vec<u64> = addresses().collect();
        sorted.sort_unstable();
        Some(Anchors::List(sorted))
    }

    fn len(&self) -> usize {
        match self {
            Anchors::Orc { bytes, .. } => bytes.len() / 4,
            Anchors::List(list) => list.len(),
        }
    }

    /// The anchor at a position below [`Anchors::len`].
    fn get(&self, i: usize) -> u64 {
        match self {
            Anchors::Orc { bytes, start } => {
                let field: [u8; 4] =
                    bytes.get(i * 4..i * 4 + 4).and_then(|b| b.try_into().ok()).unwrap_or_default();
                start.wrapping_add(i as u64 * 4).wrapping_add_signed(i32::from_le_bytes(field).into())
            }
            Anchors::List(list) => list.get(i).copied().unwrap_or(u64::MAX),
        }
    }

    /// How many anchors stand at or before an address.
    fn up_to(&self, address: u64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle) <= address { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Every instruction of a small text, decoded from its start.
    fn of_text(image: &Image, mode: Mode, text: Span) -> Option<Anchors<'a>> {
        let len = usize::try_from(text.end.0.checked_sub(text.start.0)?).ok()?;
        let mut sorted = Vec::new();
        // What does not decode ends the list: sites behind it are far from an anchor.
        let _ = decode_each_in(mode, text.start, image.bytes_up_to(text.start, len), |i| sorted.push(i.ip()));
        (!sorted.is_empty()).then_some(Anchors::List(sorted))
    }

    /// Whether decoding from the nearest anchors comes by `site`; `None` when none is near. An ORC entry may
    /// describe a replacement's instruction at the place where it will stand, which is no boundary of the
    /// original, so one that misses is no proof before its neighbours have missed too.
    fn is_boundary(&self, image: &Image, mode: Mode, site: VirtAddr) -> Option<bool> {
        let mut seen = None;
        for anchor in (0..self.up_to(site.0)).rev().take(3).map(|i| self.get(i)) {
            if site.0 - anchor > Self::REACH {
                break;
            }
            if image.section_at(VirtAddr(anchor)).is_none_or(|s| !s.contains(site)) {
                break;
            }
            if passes(image, mode, anchor, site.0) {
                return Some(true);
            }
            seen = Some(false);
        }
        seen
    }
}

/// Whether decoding from one address comes by another one behind it.
fn passes(image: &Image, mode: Mode, from: u64, site: u64) -> bool {
    let Ok(len) = usize::try_from(site - from) else { return false };
    let bytes = image.bytes(VirtAddr(from), len);
    bytes.is_some_and(|bytes| decode_each_in(mode, VirtAddr(from), bytes, |_| {}).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(u64, u8)]) -> Vec<Alternative> {
        (0u64..)
            .zip(list)
            .map(|(index, &(at, len))| Alternative {
                index,
                site: VirtAddr(0x1000 + index * 16),
                replacement: VirtAddr(at),
                feature: 1,
                not: false,
                direct_call: false,
                unknown_flags: 0,
                site_len: 8,
                replacement_len: len,
                padlen: None,
            })
            .collect()
    }

    fn suspects(list: &[(u64, u8)]) -> Vec<u64> {
        tiling_suspects(&entries(list), VirtAddr(100), VirtAddr(113)).into_iter().map(|(i, _)| i).collect()
    }

    #[test]
    fn replacements_side_by_side_are_in_order() {
        assert_eq!(suspects(&[(100, 5), (105, 0), (105, 3), (108, 5)]), []);
    }

    #[test]
    fn a_changed_length_is_found_at_its_entry() {
        for wrong in 0..4 {
            let mut list = [(100, 5), (105, 0), (105, 3), (108, 5)];
            list[wrong].1 += 1;
            assert_eq!(suspects(&list), [wrong as u64]);
        }
    }

    #[test]
    fn a_moved_pointer_is_found_at_its_entry() {
        for wrong in 0..4 {
            let mut list = [(100, 5), (105, 0), (105, 3), (108, 5)];
            list[wrong].0 += 1;
            assert_eq!(suspects(&list), [wrong as u64]);
        }
    }

    #[test]
    fn an_overwritten_entry_is_found_at_its_place() {
        assert_eq!(suspects(&[(100, 5), (100, 5), (107, 1), (108, 5)]), [1]);
        assert_eq!(suspects(&[(100, 5), (105, 2), (0, 0), (108, 5)]), [2]);
    }
}
