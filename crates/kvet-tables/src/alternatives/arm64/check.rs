//! Checks one table: what the kernel checks, then what it does not.

use std::cell::OnceCell;
use std::collections::HashMap;

use kvet_finding::{Finding, Severity, Value};
use kvet_image::{Image, Kind, SymbolKind, VirtAddr};

use super::agreement::{self, Pairs};
use super::bug_lines::BugLines;
use super::capability::Capabilities;
use super::entry::{Alternative, CallbackMarker};
use super::shape::Shapes;
use super::text::Text;
use super::{Arm64Alternatives, ENTRY_SIZE};
use crate::disasm::arm64::{adrp_page, branch_target, repage, retarget, uses_literal, words};
use crate::{Context, TableReport};

mod kernel;
mod layout;
mod stale;

/// The table's name in output.
const NAME: &str = "alternatives";

/// Checks the table of a vmlinux, of a flat image, or of a module.
pub(super) fn table(context: &Context<'_>) -> TableReport {
    let image = context.image;
    let table = context.arm64_alternatives();
    let Some(bounds) = &table.bounds else {
        return TableReport::absent(NAME, absence(image));
    };
    let text = Text::of(image);
    let mut report = TableReport::new(NAME, Some(bounds.located_by.clone()));
    let teacher = context.kernel_context().filter(|_| image.kind() == Kind::Module);
    run(context, table, teacher, &text, &mut report);
    report
}

fn absence(image: &Image) -> &'static str {
    if image.kind() == Kind::Module {
        "the module has no alternatives"
    } else {
        "no section, boundary symbols or run of entries was found"
    }
}

/// Checks entries wherever they come from, and completes a report on them. `teacher` is the kernel whose entries
/// they are compared with, when not with each other: a module's and the vDSO's are too few for that.
pub(super) fn run<'a>(
    context: &'a Context<'a>,
    table: &'a Arm64Alternatives,
    teacher: Option<&'a Context<'a>>,
    text: &'a Text<'a>,
    report: &mut TableReport,
) {
    report.entries = table.entries.len() as u64;
    report.layout = Some(table.marker.describe());
    let own;
    let capabilities = match context.kernel_context() {
        Some(kernel) => &kernel.arm64_alternatives().capabilities,
        None if context.image.kind() == Kind::Module => match context.kernel {
            Some(kernel) => {
                own = Capabilities::read(kernel, &Text::of(kernel));
                &own
            }
            None => &table.capabilities,
        },
        None => &context.arm64_alternatives().capabilities,
    };
    let mut checker = Checker {
        image: context.image,
        kernel: teacher,
        functions: HashMap::new(),
        text,
        table,
        pairs: OnceCell::new(),
        entries: &table.entries,
        marker: table.marker,
        capabilities,
        context,
        lines: OnceCell::new(),
        is_module: context.image.kind() == Kind::Module,
        findings: Vec::new(),
        wrong: vec![false; table.entries.len()],
    };
    checker.whole_entries(table);
    checker.kernel_checks();
    checker.layout();
    checker.replacements();
    checker.agreement();
    checker.findings.sort_by_key(|f| f.index);
    report.findings = checker.findings;
    describe(context, capabilities, table, report);
}

/// What was proved, and what could not be.
fn describe(
    context: &Context<'_>,
    capabilities: &Capabilities,
    table: &Arm64Alternatives,
    report: &mut TableReport,
) {
    report.proved.push("lengths and markers pass the kernel's own BUG_ONs".into());
    match (capabilities.count, &capabilities.count_from) {
        (Some(count), Some(from)) => {
            report.proved.push(format!("every capability is below ARM64_NCAPS, {count} by {from}"));
        }
        _ if context.image.kind() == Kind::Module && context.kernel.is_none() => report.skipped.push(
            "Capabilities were not compared with ARM64_NCAPS, nor named: the kernel that the module is for was \
             not given."
                .into(),
        ),
        _ => report.skipped.push(
            "Capabilities were not compared with ARM64_NCAPS: neither the array of capabilities nor \
             alternative_is_applied() was found."
                .into(),
        ),
    }
    if !capabilities.complete && context.image.kind() != Kind::Module {
        report
            .skipped
            .push("arm64_features and arm64_errata were not found, so capabilities have no names.".into());
    }
    report.proved.push("sites and replacements are code and overlap nowhere".into());
    report.proved.push("branches and adrp in replacements reach their targets from the site".into());
    if context.image.symbols().is_empty() && table.entries.iter().any(|e| table.marker.marks(e)) {
        report.skipped.push("Without symbols, callbacks were not checked to be functions.".into());
    } else {
        report.proved.push("callbacks are functions".into());
    }
    if context.image.kind() == Kind::Module && context.kernel_context().is_none() {
        report.skipped.push(
            "Capabilities were not compared with those of the same replacements in the kernel, which was not given."
                .into(),
        );
    } else {
        report.proved.push("one replacement, one capability".into());
    }
    report.proved.extend(undetected(capabilities, table));
}

/// Capabilities that exist but that no array detects, so that `update_cpu_capabilities()` never sets them. That
/// is legitimate where an option compiled the detection out (CONFIG_ARM64_PSEUDO_NMI on Debian).
fn undetected(capabilities: &Capabilities, table: &Arm64Alternatives) -> Option<String> {
    if !capabilities.complete {
        return None;
    }
    let mut uses = std::collections::BTreeMap::new();
    let mut last = None;
    for capability in table.entries.iter().filter_map(|e| table.marker.capability(e)) {
        // Runs of one capability are long.
        match &mut last {
            Some((known, count)) if *known == capability => *count += 1,
            _ => {
                if let Some((known, count)) = last.replace((capability, 1_u64)) {
                    *uses.entry(known).or_insert(0) += count;
                }
            }
        }
    }
    if let Some((known, count)) = last {
        *uses.entry(known).or_insert(0) += count;
    }
    uses.retain(|capability, _| !capabilities.listed.contains_key(capability));
    let numbers: Vec<String> = uses.keys().take(16).map(u16::to_string).collect();
    (!uses.is_empty()).then(|| {
        format!(
            "{} entries are never applied, because this configuration does not detect their capabilities ({})",
            uses.values().sum::<u64>(),
            numbers.join(", ")
        )
    })
}

/// One table under examination.
struct Checker<'a> {
    image: &'a Image,
    /// The kernel whose entries this table's are compared with.
    kernel: Option<&'a Context<'a>>,
    /// What is known of callbacks: whether a function starts there.
    functions: HashMap<VirtAddr, Option<bool>>,
    text: &'a Text<'a>,
    table: &'a Arm64Alternatives,
    /// Which originals go with which replacements in this table.
    pairs: OnceCell<Pairs>,
    entries: &'a [Alternative],
    marker: CallbackMarker,
    capabilities: &'a Capabilities,
    context: &'a Context<'a>,
    lines: OnceCell<BugLines>,
    is_module: bool,
    findings: Vec<Finding>,
    /// Entries that have an error already: further checks would only repeat it in other words.
    wrong: Vec<bool>,
}

/// An address by name, without the size of what it lies in.
fn name_in(image: &Image, addr: VirtAddr) -> String {
    match image.symbol_at(addr) {
        Some((symbol, 0)) => symbol.name.to_owned(),
        Some((symbol, into)) => format!("{}+{into:#x}", symbol.name),
        None => addr.to_string(),
    }
}

/// Whether the kernel comes to apply an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Applied {
    Always,
    When(String),
    Never,
}

impl<'a> Checker<'a> {
    /// The kernel's words, read when the first finding needs them.
    fn lines(&self) -> &BugLines {
        self.lines.get_or_init(|| BugLines::read(self.context))
    }

    /// Whether a capability's number is ARM64_NCAPS or more.
    fn is_unknown(&self, capability: u16) -> bool {
        self.capabilities.count.is_some_and(|count| capability >= count)
    }

    fn shapes(&self) -> &'a Shapes {
        self.table.shapes(self.image, self.text)
    }

    /// A finding on one entry, with what the entry says.
    fn finding(&self, rule: &'static str, severity: Severity, index: usize, message: String) -> Finding {
        let entry = &self.entries[index];
        let finding = Finding::new(rule, severity, message).index(index as u64).at(self.image, entry.orig);
        let finding = match self.marker.capability(entry) {
            Some(capability) => finding.with("capability", self.capabilities.describe(capability)),
            None => finding.with("marker", u64::from(entry.cpucap)),
        };
        let finding = finding.with("original", self.code(entry.orig, entry.orig_len.into()));
        if self.marker.marks(entry) || entry.looks_like_callback() {
            return finding.with("callback", self.name(entry.alt));
        }
        finding.with("replacement", self.code(entry.alt, entry.alt_len.into()))
    }

    /// Reports an error on an entry; nothing else will be said about it.
    fn error(&mut self, finding: Finding) {
        if let Some(index) = finding.index.and_then(|i| usize::try_from(i).ok()) {
            self.wrong[index] = true;
        }
        self.findings.push(finding);
    }

    /// Code as evidence; the address when there is none.
    fn code(&self, addr: VirtAddr, len: u64) -> Value {
        match self.text.bytes(addr, len).filter(|b| !b.is_empty()) {
            Some(bytes) => crate::disasm::code(self.image, addr, bytes).into(),
            None => addr.into(),
        }
    }

    /// An address by name, without the size of what it lies in.
    fn name(&self, addr: VirtAddr) -> String {
        name_in(self.image, addr)
    }

    /// Whether the kernel comes to apply an entry of a capability.
    fn applied(&self, capability: u16) -> Applied {
        if self.is_unknown(capability) {
            return Applied::Never;
        }
        if self.capabilities.is_always(capability) {
            return Applied::Always;
        }
        Applied::When(format!("a CPU has capability {}", self.capabilities.describe(capability)))
    }

    /// Adds what the kernel prints, if it comes to that.
    fn at_boot(&self, finding: Finding, line: &str, applied: Applied) -> Finding {
        // A BUG while a module is loaded kills the process that loads it, not the system.
        let fatal = !self.is_module;
        let when = match (self.is_module, applied) {
            (_, Applied::Never) => return finding,
            (false, Applied::Always) => return finding.at_boot(line, fatal),
            (false, Applied::When(when)) => when,
            (true, Applied::Always) => "the module is loaded".into(),
            (true, Applied::When(when)) => format!("the module is loaded and {when}"),
        };
        finding.at_boot_when(line, fatal, when)
    }

    fn whole_entries(&mut self, table: &Arm64Alternatives) {
        if table.trailing != 0 {
            let message = format!(
                "the table ends with {} bytes that are no whole entry of {ENTRY_SIZE} bytes",
                table.trailing
            );
            self.findings.push(
                Finding::new("alternatives/table-size", Severity::Error, message)
                    .advice("The kernel reads whole entries past the table's end: rebuild and relink."),
            );
        }
    }

    /// Whether the address is where a function starts; `None` without symbols to tell.
    fn is_function(&self, addr: VirtAddr) -> Option<bool> {
        if self.image.symbols().is_empty() {
            return None;
        }
        let symbol = self.image.symbol_at(addr);
        Some(symbol.is_some_and(|(s, into)| into == 0 && s.kind != SymbolKind::Object))
    }

    /// Instructions of replacements that cannot be moved to the site.
    fn replacements(&mut self) {
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            if self.wrong[index] || self.marker.marks(&entry) || entry.looks_like_callback() {
                continue;
            }
            let Some(bytes) = self.text.bytes(entry.alt, entry.alt_len.into()) else { continue };
            for (word, offset) in words(bytes).zip((0..).step_by(4)) {
                if let Some(finding) = self.immovable(index, word, offset) {
                    self.error(finding);
                    break;
                }
            }
        }
    }

    /// What is wrong with moving one instruction of a replacement, as `get_alt_insn()` does it.
    fn immovable(&self, index: usize, word: u32, offset: u64) -> Option<Finding> {
        let entry = &self.entries[index];
        let (from, to) = (entry.alt.checked_add(offset)?, entry.orig.checked_add(offset)?);
        if uses_literal(word) {
            let message = "the replacement addresses memory relative to its own place with an instruction that \
                           the kernel refuses to move (adr, or a literal ldr, ldrsw or prfm)";
            let finding =
                self.finding("alternatives/literal-address", Severity::Error, index, message.into());
            let applied = self.marker.capability(entry).map_or(Applied::Always, |c| self.applied(c));
            return Some(self.at_boot(finding, &self.lines().literal, applied));
        }
        if let Some(page) = adrp_page(from, word) {
            return repage(word, to, page)
                .is_none()
                .then(|| self.out_of_reach(index, page, "an adrp", "4 GiB"));
        }
        let target = branch_target(from, word)?;
        // branch_insn_requires_update(): a target inside the replacement, its end included, stays as it is.
        if target >= entry.alt && target <= entry.alt_end() {
            return None;
        }
        if !self.text.contains(target) {
            let message =
                format!("a branch of the replacement goes to {}, which is no code", self.name(target));
            return Some(self.finding("alternatives/branch-target", Severity::Error, index, message));
        }
        retarget(word, to, target)
            .is_none()
            .then(|| self.out_of_reach(index, target, "a branch", "the width of its offset"))
    }

    fn out_of_reach(&self, index: usize, target: VirtAddr, what: &str, reach: &str) -> Finding {
        let message = format!(
            "{what} of the replacement to {} is further than {reach} from the site: the kernel cuts the offset \
             off and jumps elsewhere",
            self.name(target)
        );
        self.finding("alternatives/branch-range", Severity::Error, index, message)
    }
}
