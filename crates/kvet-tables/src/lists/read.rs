//! Reading a list of places, and what holds for each such list.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image, Kind, VirtAddr};

use crate::{Bounds, Context, TableReport, disasm};

/// Findings past this many say nothing new: the table as a whole is not what it was taken for.
const ENOUGH: usize = 200;

/// Where a table of sites stands and what its entries lead to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteTable {
    /// Where.
    pub bounds: Bounds,
    /// What each entry leads to, in the table's order.
    pub sites: Vec<VirtAddr>,
    /// The bytes after the last whole entry.
    pub rest: u64,
}

impl SiteTable {
    /// Reads a table; `None` when it has no bytes in the file.
    fn read(image: &Image, bounds: Bounds) -> Option<SiteTable> {
        let (sites, rest) = distances(bounds.bytes(image)?, bounds.start);
        Some(SiteTable { bounds, sites, rest })
    }
}

/// What each of a run of signed 32-bit distances leads to, each relative to itself, and how many bytes are left.
pub(crate) fn distances(bytes: &[u8], start: VirtAddr) -> (Vec<VirtAddr>, u64) {
    let (entries, rest) = bytes.as_chunks::<4>();
    let lead = |(i, entry): (u64, &[u8; 4])| {
        let field = VirtAddr(start.0.wrapping_add(i * 4));
        field.wrapping_offset(i64::from(i32::from_le_bytes(*entry)))
    };
    ((0..).zip(entries).map(lead).collect(), rest.len() as u64)
}

/// Which list it is.
pub(super) struct Kinds {
    /// The table's name.
    pub(super) name: &'static str,
    /// Its section.
    pub(super) section: &'static str,
    /// Its boundary symbols.
    pub(super) symbols: (&'static str, &'static str),
    /// What makes a kernel have it.
    pub(super) made_by: &'static str,
    /// The rules for what every such list may have wrong.
    pub(super) rules: Rules,
}

pub(super) struct Rules {
    pub(super) size: &'static str,
    pub(super) site: &'static str,
    pub(super) duplicate: &'static str,
}

/// Finds a list, or makes the report that says why there is none; `Err(None)` when this image cannot have it.
#[expect(clippy::result_large_err, reason = "what is not Ok is the table's whole answer, moved once")]
pub(super) fn find(context: &Context<'_>, kinds: &Kinds) -> Result<SiteTable, Option<TableReport>> {
    let image = context.image;
    if image.arch() != Arch::X86_64 {
        return Err(None);
    }
    let absent = |why: String| Some(TableReport::absent(kinds.name, why));
    let Some(bounds) = Bounds::locate(image, kinds.section, kinds.symbols.0, kinds.symbols.1) else {
        if image.kind() == Kind::Module {
            return Err(None);
        }
        let why = if image.sections().len() > 1 {
            format!("this kernel has no {}, which {} makes", kinds.section, kinds.made_by)
        } else {
            format!("no section {}, no boundary symbols", kinds.section)
        };
        return Err(absent(why));
    };
    let at = bounds.start;
    SiteTable::read(image, bounds)
        .ok_or_else(|| absent(format!("the table {} at {at} has no bytes in this file", kinds.section)))
}

/// The bytes of an image that may be executed, quick to look up.
pub(crate) struct Text<'a> {
    /// By address.
    parts: Vec<(VirtAddr, &'a [u8])>,
}

impl<'a> Text<'a> {
    /// The executable sections of an image.
    pub(crate) fn of(image: &'a Image) -> Text<'a> {
        let executable = image.sections().iter().filter(|s| s.access.execute);
        Text { parts: executable.map(|s| (s.addr, image.section_bytes(s))).collect() }
    }

    /// The bytes from an address to the end of its section.
    pub(crate) fn at(&self, addr: VirtAddr) -> Option<&'a [u8]> {
        let after = self.parts.partition_point(|(start, _)| *start <= addr);
        let (start, bytes) = self.parts.get(after.checked_sub(1)?)?;
        let at = usize::try_from(addr.0 - start.0).ok()?;
        bytes.get(at..).filter(|rest| !rest.is_empty())
    }

    /// The sections: where each starts, and its bytes.
    pub(crate) fn parts(&self) -> &[(VirtAddr, &'a [u8])] {
        &self.parts
    }
}

/// What a boot finds that decodes a site outside the text (`apply_retpolines` and `apply_returns` decode every one): the
/// bytes there, or the line with which it dies.
pub(super) fn decoded(image: &Image, site: VirtAddr) -> Result<&[u8], String> {
    // .bss and gaps have no bytes in the file.
    const ZEROS: &[u8] = &[0; 15];
    match crate::mapped::page_fault(image, site) {
        Some(line) => Err(line),
        None => Ok(Some(image.bytes_up_to(site, 15)).filter(|bytes| !bytes.is_empty()).unwrap_or(ZEROS)),
    }
}

/// One list under examination.
pub(super) struct Checker<'c> {
    pub(super) context: &'c Context<'c>,
    pub(super) image: &'c Image,
    pub(super) text: Text<'c>,
    pub(super) table: SiteTable,
    kinds: &'c Kinds,
    pub(super) report: TableReport,
}

impl<'c> Checker<'c> {
    pub(super) fn new(context: &'c Context<'c>, table: SiteTable, kinds: &'c Kinds) -> Checker<'c> {
        let mut report = TableReport::new(kinds.name, Some(table.bounds.located_by.clone()));
        report.entries = table.sites.len() as u64;
        let image = context.image;
        let mut checker = Checker { context, image, text: Text::of(image), table, kinds, report };
        checker.size();
        checker
    }

    fn size(&mut self) {
        if self.table.rest != 0 {
            let message = format!(
                "the table has {} bytes, which is not a whole number of entries of 4",
                self.table.bounds.len()
            );
            let finding = Finding::new(self.kinds.rules.size, Severity::Error, message);
            self.report.findings.push(finding.at(self.image, self.table.bounds.start));
        }
    }

    /// An error about one entry, with the code at its site.
    pub(super) fn error(&self, rule: &'static str, index: usize, message: String) -> Finding {
        let site = self.table.sites.get(index).copied().unwrap_or_default();
        let entry = self.table.bounds.start.wrapping_offset((index as i64).wrapping_mul(4));
        let code = disasm::code(self.image, site, self.image.bytes_up_to(site, 8));
        Finding::new(rule, Severity::Error, message)
            .index(index as u64)
            .at(self.image, site)
            .with("entry", entry)
            .with("code", code)
    }

    /// The site of an entry is where no instruction can be.
    pub(super) fn not_executable(&self, index: usize) -> Finding {
        let site = self.table.sites.get(index).copied().unwrap_or_default();
        let message = format!("the site is at {site}, which is not executable");
        self.error(self.kinds.rules.site, index, message)
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    /// Entries of one site; `again` may add what the kernel says when it comes to the second. Returns the sites
    /// by address, each with its index.
    pub(super) fn duplicates(&mut self, again: impl Fn(Finding, usize) -> Finding) -> Vec<(VirtAddr, u32)> {
        let mut order: Vec<(VirtAddr, u32)> = self.table.sites.iter().copied().zip(0..).collect();
        // Stable: it takes runs that are in order as they are, and a table has few that are not.
        order.sort();
        let twice: Vec<_> = order.windows(2).filter(|w| w[0].0 == w[1].0).map(|w| (w[0].1, w[1].1)).collect();
        for (first, second) in twice.into_iter().take(ENOUGH) {
            let message = format!("a second entry for one site: entry {first} has it already");
            let finding = self.error(self.kinds.rules.duplicate, second as usize, message);
            self.push(again(finding, second as usize));
        }
        order
    }

    pub(super) fn proved(&mut self, phrases: &[&str]) {
        self.report.proved.extend(phrases.iter().map(|p| (*p).to_owned()));
    }

    /// The report, with a table that is not what it was taken for kept from flooding the output.
    pub(super) fn finish(self) -> TableReport {
        let mut report = self.report;
        limit(&mut report);
        report
    }
}

/// Keeps a table that is not what it was taken for from flooding the output.
pub(crate) fn limit(report: &mut TableReport) {
    report.findings.sort_by_key(|f| f.index);
    let all = report.findings.len();
    if all > ENOUGH {
        report.findings.truncate(ENOUGH);
        report.skipped.push(format!("{} more findings of this table are left out", all - ENOUGH));
    }
}
