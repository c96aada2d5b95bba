//! What the checks of plain tables share: pointers in, findings out.

use kvet_finding::{Finding, Severity};
use kvet_image::{Image, Kind, VirtAddr};

use crate::lists::{limit, place};
use crate::{Bounds, TableReport};

/// Finds a table, or makes the report that says why it is not there; `Err(None)` for a module without one.
#[expect(clippy::result_large_err, reason = "what is not Ok is the table's whole answer, moved once")]
pub(crate) fn locate(
    image: &Image,
    name: &'static str,
    section: &str,
    symbols: (&str, &str),
) -> Result<Bounds, Option<TableReport>> {
    let module = image.kind() == Kind::Module;
    // In a module the kernel looks for the section alone.
    let found = if module {
        image.section(section).and_then(|_| Bounds::locate(image, section, symbols.0, symbols.1))
    } else {
        Bounds::locate(image, section, symbols.0, symbols.1)
    };
    let absent = |why: String| (!module).then(|| TableReport::absent(name, why));
    match found {
        Some(bounds) if bounds.is_empty() => {
            Err(absent(format!("the table ({}) is empty", bounds.located_by)))
        }
        Some(bounds) if bounds.bytes(image).is_none() => {
            Err(absent(format!("the table ({}) has no bytes in this file", bounds.located_by)))
        }
        Some(bounds) => Ok(bounds),
        None => {
            let why = format!("no section {section} and no symbol {}: the table cannot be found", symbols.0);
            Err(absent(why))
        }
    }
}

/// A report in the making.
pub(crate) struct Examination<'a> {
    pub(crate) image: &'a Image,
    pub(crate) report: TableReport,
}

impl<'a> Examination<'a> {
    /// A report of a table with entries of `size` bytes; one that is cut is a finding of `rule`.
    pub(crate) fn new(
        image: &'a Image,
        name: &'static str,
        bounds: &Bounds,
        size: u64,
        rule: &'static str,
    ) -> Examination<'a> {
        let mut report = TableReport::new(name, Some(bounds.located_by.clone()));
        report.entries = bounds.len() / size;
        let mut examination = Examination { image, report };
        if !bounds.len().is_multiple_of(size) {
            let message = format!(
                "the table has {} bytes, which is not a whole number of entries of {size}",
                bounds.len()
            );
            let finding = Finding::new(rule, Severity::Error, message).at(image, bounds.start);
            examination.report.findings.push(finding);
        }
        examination
    }

    /// An error about an entry and the place that it is about.
    pub(crate) fn error(&mut self, rule: &'static str, index: u64, at: VirtAddr, message: String) {
        let finding = self.finding(rule, Severity::Error, index, at, message);
        self.report.findings.push(finding);
    }

    /// A finding, not yet in the report.
    pub(crate) fn finding(
        &self,
        rule: &'static str,
        severity: Severity,
        index: u64,
        at: VirtAddr,
        message: String,
    ) -> Finding {
        Finding::new(rule, severity, message).index(index).at(self.image, at)
    }

    /// An error for every entry but the first of those that lead to one place.
    pub(crate) fn duplicates(&mut self, rule: &'static str, what: &str, places: &[(VirtAddr, u64)]) {
        let mut order = places.to_vec();
        order.sort();
        for pair in order.windows(2) {
            if let [(first, earlier), (second, index)] = pair
                && first == second
            {
                let name = place(self.image, *first);
                let message = format!("a second entry for {what} {name}: entry {earlier} has it already");
                self.error(rule, *index, *first, message);
            }
        }
    }

    /// Says what holds.
    pub(crate) fn proved(&mut self, phrases: &[&str]) {
        self.report.proved.extend(phrases.iter().map(|p| (*p).to_owned()));
    }

    /// The report.
    pub(crate) fn finish(mut self) -> TableReport {
        limit(&mut self.report);
        self.report
    }
}

/// Whether a text may be the name of a C identifier, with what compilers and Rust's mangling add.
pub(crate) fn is_identifier(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'.' || b == b'$')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$'))
}

/// Whether an address is in the image, or just behind one of its sections, or another's symbol in a module.
pub(crate) fn is_in_image(image: &Image, addr: VirtAddr) -> bool {
    let before = addr.0.checked_sub(1).map(VirtAddr);
    image.section_at(addr).is_some()
        || before.is_some_and(|before| image.section_at(before).is_some())
        || image.extern_around(addr).is_some()
}
