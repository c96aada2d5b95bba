//! Where sites and replacements lie: in code, whole, and each on its own.

use kvet_finding::Severity;

use super::{Checker, Pairs};

/// What a range of code is to its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Site,
    Replacement,
}

#[derive(Clone, Copy)]
struct Place {
    start: u64,
    end: u64,
    role: Role,
    index: usize,
}

impl Checker<'_> {
    /// Ranges, callbacks and overlaps of all entries.
    pub(super) fn layout(&mut self) {
        for index in 0..self.entries.len() {
            if !self.wrong[index] {
                self.place(index);
            }
        }
        self.overlaps();
        self.moved_replacements();
        self.strangers();
    }

    /// One entry's two ends.
    fn place(&mut self, index: usize) {
        let entry = self.entries[index];
        let bad = |addr: u64, len: u8| !addr.is_multiple_of(4) || !len.is_multiple_of(4);
        if bad(entry.orig.0, entry.orig_len)
            || self.text.bytes(entry.orig, u64::from(entry.orig_len).max(4)).is_none()
        {
            let message = format!(
                "the site {} of {} bytes is not whole instructions within one executable section",
                entry.orig, entry.orig_len
            );
            let mut finding = self.finding("alternatives/site", Severity::Error, index, message);
            // The kernel compares the lengths before it looks at the site.
            if let Some(capability) = self.marker.capability(&entry)
                && !self.marker.marks(&entry)
                && entry.orig_len != entry.alt_len
            {
                finding = self.at_boot(finding, &self.lines().length, self.applied(capability));
            }
            self.error(finding);
        } else if self.marker.marks(&entry) || entry.looks_like_callback() {
            self.callback(index);
        } else if entry.alt_len != 0
            && (bad(entry.alt.0, entry.alt_len) || self.text.bytes(entry.alt, entry.alt_len.into()).is_none())
        {
            let message = format!(
                "the replacement {} of {} bytes is not whole instructions within one executable section",
                entry.alt, entry.alt_len
            );
            let finding = self.finding("alternatives/replacement", Severity::Error, index, message);
            self.error(finding);
        }
    }

    fn callback(&mut self, index: usize) {
        let entry = self.entries[index];
        // A module's callback may be the kernel's: then it lies in none of the module's sections.
        let elsewhere = self.is_module && self.image.section_at(entry.alt).is_none();
        if elsewhere && self.image.symbol_at(entry.alt).is_none() {
            return;
        }
        let code = elsewhere || (entry.alt.0.is_multiple_of(4) && self.text.contains(entry.alt));
        let known = self.functions.get(&entry.alt).copied();
        let is_function = known.unwrap_or_else(|| self.is_function(entry.alt));
        self.functions.insert(entry.alt, is_function);
        if code && is_function != Some(false) {
            return;
        }
        let message = format!(
            "the callback {} is not the start of a function; the kernel calls it all the same",
            self.name(entry.alt)
        );
        let finding = self.finding("alternatives/callback", Severity::Error, index, message);
        self.error(finding);
    }

    /// Sites and replacements that share bytes.
    fn overlaps(&mut self) {
        let mut places: Vec<Place> = Vec::with_capacity(self.entries.len() * 2);
        for (index, entry) in self.entries.iter().enumerate().filter(|(i, _)| !self.wrong[*i]) {
            let mut add = |start: u64, len: u8, role| {
                if len != 0 {
                    places.push(Place { start, end: start.saturating_add(len.into()), role, index });
                }
            };
            add(entry.orig.0, entry.orig_len, Role::Site);
            if !self.marker.marks(entry) {
                add(entry.alt.0, entry.alt_len, Role::Replacement);
            }
        }
        places.sort_unstable_by_key(|p| (p.start, p.end, p.index));
        // The range that reaches furthest so far: whatever starts before its end overlaps it.
        let mut reach: Option<Place> = None;
        for place in places {
            if let Some(before) = reach.filter(|b| place.start < b.end) {
                self.overlap(before, place);
            }
            if reach.is_none_or(|b| place.end > b.end) {
                reach = Some(place);
            }
        }
    }

    fn overlap(&mut self, a: Place, b: Place) {
        let same_range = (a.start, a.end) == (b.start, b.end);
        let both_sites = a.role == Role::Site && b.role == Role::Site;
        let capability = |p: Place| self.marker.capability(&self.entries[p.index]);
        if both_sites && same_range && a.index.abs_diff(b.index) == 1 && capability(a) != capability(b) {
            // Legitimate: several capabilities for one site, applied in the order of the table.
            return;
        }
        // Of two that are equally suspicious the lower one reaches too far.
        let (suspect, other) = if self.suspicion(a) >= self.suspicion(b) { (a, b) } else { (b, a) };
        if self.wrong[suspect.index] {
            return;
        }
        let what = |role| match role {
            Role::Site => "site",
            Role::Replacement => "replacement",
        };
        let (rule, message) = if both_sites && same_range && capability(a) == capability(b) {
            let message = format!("entry {} patches the same site for the same capability", other.index);
            ("alternatives/duplicate", message)
        } else {
            let message = format!(
                "the {} [{:#x}, {:#x}) overlaps the {} [{:#x}, {:#x}) of entry {}",
                what(suspect.role),
                suspect.start,
                suspect.end,
                what(other.role),
                other.start,
                other.end,
                other.index
            );
            ("alternatives/overlap", message)
        };
        let finding = self
            .finding(rule, Severity::Error, suspect.index, message)
            .with("other entry", other.index as u64)
            .with("other site", self.name(self.entries[other.index].orig));
        self.error(finding);
    }

    /// How much speaks against a range: the assembler writes sites and replacements in the order of the table,
    /// and replacements without gaps (`.subsection 1`).
    fn suspicion(&self, place: Place) -> usize {
        let index = place.index;
        let before = index.checked_sub(1).and_then(|i| self.entries.get(i));
        let (entry, after) = (&self.entries[index], self.entries.get(index + 1));
        let order = |get: fn(&super::Alternative) -> u64| {
            usize::from(before.is_some_and(|b| get(b) >= get(entry)))
                + usize::from(after.is_some_and(|a| get(a) <= get(entry)))
        };
        let mut score = order(|e| e.orig.0);
        if place.role == Role::Replacement {
            score += usize::from(!self.linked(index, true)) + usize::from(!self.linked(index, false));
        }
        score + usize::from(self.is_lonely(index))
    }

    /// Whether an entry's replacement starts where that of the entry before ends, or ends where the next starts.
    fn linked(&self, index: usize, before: bool) -> bool {
        let entry = &self.entries[index];
        match self.neighbour(index, before) {
            Some(n) if before => n.alt_end() == entry.alt,
            Some(n) => n.alt == entry.alt_end(),
            None => true,
        }
    }

    /// Whether no other entry replaces such instructions by such instructions.
    fn is_lonely(&self, index: usize) -> bool {
        let shapes = self.shapes();
        let pairs = self.pairs.get_or_init(|| Pairs::of(shapes));
        shapes.get(index).is_none_or(|shape| pairs.entries(shape) == 1)
    }

    /// Entries that fit in nowhere: a site out of the order of its neighbours, a replacement that touches none
    /// of theirs, and instructions that no other entry exchanges. Each alone is common, all three together stand
    /// in no sound kernel that was seen (ten of Debian's, 6.1 to 7.3).
    fn strangers(&mut self) {
        // A module has too few entries for any of the three to be unusual.
        if self.kernel.is_some() || self.image.kind() == kvet_image::Kind::Module {
            return;
        }
        for index in 1..self.entries.len().saturating_sub(1) {
            let (before, entry, after) =
                (self.entries[index - 1], self.entries[index], self.entries[index + 1]);
            let in_order = before.orig >= after.orig || (before.orig < entry.orig && entry.orig < after.orig);
            if in_order || self.wrong[index] || self.marker.marks(&entry) || entry.alt_len == 0 {
                continue;
            }
            if !self.linked(index, true) && !self.linked(index, false) && self.is_lonely(index) {
                let message = format!(
                    "the site is far from those of the entries around it, {} and {}, no replacement touches this \
                     one's, and no other entry replaces such instructions by such: the entry does not belong here",
                    self.name(before.orig),
                    self.name(after.orig)
                );
                let finding = self.finding("alternatives/site", Severity::Error, index, message);
                self.error(finding);
            }
        }
    }

    /// The nearest entry before or after with a replacement of its own.
    fn neighbour(&self, index: usize, before: bool) -> Option<&super::Alternative> {
        const NEAR: usize = 64;
        let own = |e: &&super::Alternative| !self.marker.marks(e) && e.alt_len != 0;
        if before {
            self.entries[..index].iter().rev().take(NEAR).find(own)
        } else {
            self.entries[index + 1..].iter().take(NEAR).find(own)
        }
    }

    /// Replacements that left a hole of just their length between their neighbours'.
    fn moved_replacements(&mut self) {
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            if self.wrong[index] || self.marker.marks(&entry) || entry.alt_len == 0 {
                continue;
            }
            let (Some(before), Some(after)) = (self.neighbour(index, true), self.neighbour(index, false))
            else {
                continue;
            };
            let hole = before.alt_end();
            let fits = hole.checked_add(entry.alt_len.into()) == Some(after.alt);
            let linked = entry.alt == hole || entry.alt_end() == after.alt;
            if fits && !linked {
                let message = format!(
                    "the replacement {} is out of place: those of the entries around it leave just its {} bytes \
                     free at {hole}",
                    entry.alt, entry.alt_len
                );
                let expected = self.code(hole, entry.alt_len.into());
                let finding = self
                    .finding("alternatives/replacement", Severity::Error, index, message)
                    .with("expected replacement", expected);
                self.error(finding);
            }
        }
    }
}
