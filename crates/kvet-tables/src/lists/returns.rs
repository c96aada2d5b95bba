//! returns: every `jmp __x86_return_thunk`, which is a `ret` where the CPU needs no thunk.
//!
//! # What the kernel does
//!
//! `apply_returns` (arch/x86/kernel/alternative.c of 5.10.223, 6.1.192, 6.12.107 and 7.3, alike) decodes the
//! instruction at each site. A `jmp` to `__x86_return_thunk` becomes `ret` and int3, or a `jmp` to the thunk that
//! the CPU needs. Anything else is left as it is, after one WARN a boot, unless the signature of a static call's
//! trampoline follows (`__static_call_fixup`, silent).
//!
//! A `jmp` to the thunk that has no entry keeps the default thunk: not the mitigation that was chosen. From 6.9 on
//! that thunk warns when it is reached (`__warn_thunk`).

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Kind, VirtAddr};

use super::branches::{Op, Thunk, branch};
use super::read::{Checker, Kinds, Rules, SiteTable, decoded, find};
use super::words::{hex, place, warning_line, warnings};
use crate::disasm::x86::kernel_decodes;
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "returns",
    section: ".return_sites",
    symbols: ("__return_sites", "__return_sites_end"),
    made_by: "objtool with CONFIG_MITIGATION_RETHUNK (CONFIG_RETHUNK before 6.9)",
    rules: Rules { size: "returns/size", site: "returns/site", duplicate: "returns/duplicate" },
};

/// What stands behind the branch of a static call's trampoline (arch/x86/kernel/static_call.c, `tramp_ud`).
const TRAMPOLINE: [u8; 3] = [0x0f, 0xb9, 0xcc];

/// The table `returns`.
pub struct Returns;

impl Table for Returns {
    fn name(&self) -> &'static str {
        KINDS.name
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        match find(context, &KINDS) {
            Ok(table) => Some(check(context, table)),
            Err(report) => report.or_else(|| without(context)),
        }
    }
}

fn check(context: &Context<'_>, table: SiteTable) -> TableReport {
    let checker = Checker::new(context, table, &KINDS);
    let thunk = thunk(&checker);
    let mut returns = ReturnSites { checker, thunk, warned: false };
    returns.entries();
    let order = returns.checker.duplicates(|finding, second| again(context, finding, second));
    if returns.complete(&order) {
        returns.checker.proved(&["a jmp to the return thunk at every site, and an entry for every such jmp"]);
    }
    returns.checker.proved(&["whole entries", "one entry a site"]);
    returns.checker.finish()
}

fn without(context: &Context<'_>) -> Option<TableReport> {
    without_table(context, &KINDS, "returns/missing", "returns/left-out", |thunk| thunk == Thunk::Return)
}

/// A module without the table may still have such branches: wrong where objtool has processed them.
pub(super) fn without_table(
    context: &Context<'_>,
    kinds: &Kinds,
    missing: &'static str,
    left_out: &'static str,
    wanted: impl Fn(Thunk) -> bool,
) -> Option<TableReport> {
    let image = context.image;
    if image.kind() != Kind::Module || image.arch() != Arch::X86_64 {
        return None;
    }
    let found = context.branches().found.iter().filter(|(_, thunk)| wanted(*thunk)).map(|(at, _)| *at);
    let (processed, rest): (Vec<VirtAddr>, Vec<VirtAddr>) = found.partition(|at| is_processed(context, *at));
    let first = *processed.first().or(rest.first())?;
    let mut report = TableReport::absent(kinds.name, format!("the module has no {}", kinds.section));
    let finding = if processed.is_empty() {
        let message = format!(
            "{} branches to thunks and no {}, in a module without unwind data, which objtool has not processed",
            rest.len(),
            kinds.section
        );
        Finding::new(left_out, Severity::Note, message)
    } else {
        let message =
            format!("{} branches to thunks and no {}: they are not patched", processed.len(), kinds.section);
        Finding::new(missing, Severity::Error, message)
            .advice("build the module with the objtool of its kernel's tree")
    };
    report.findings.push(finding.at(image, first));
    Some(report)
}

/// Whether objtool has processed the code at an address: it writes unwind data for all that it does.
fn is_processed(context: &Context<'_>, at: VirtAddr) -> bool {
    context.orc().ok().and_then(|orc| orc.covers(context.image, at)) == Some(true)
}

/// Where the thunk is: by its symbol, else where most sites jump to.
fn thunk(checker: &Checker<'_>) -> Option<VirtAddr> {
    if checker.context.branches().knows_return() {
        return None;
    }
    let target = |site: &VirtAddr| Some(branch(checker.text.at(*site)?, *site)?.target);
    let mut targets: Vec<VirtAddr> = checker.table.sites.iter().filter_map(target).collect();
    targets.sort_unstable();
    targets.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).and_then(|same| same.first().copied())
}

/// The second entry of a site comes when the first has patched it.
fn again(context: &Context<'_>, finding: Finding, _: usize) -> Finding {
    let Some(site) = finding.address else { return finding };
    let line = format!("missing return thunk: {}-0x0: c3 cc cc cc cc", place(context.image, site));
    finding.at_boot_when(line, false, "the CPU needs no return thunk")
}

struct ReturnSites<'c> {
    checker: Checker<'c>,
    /// The thunk's address, where the image does not name it.
    thunk: Option<VirtAddr>,
    /// `WARN_ONCE` has been spent.
    warned: bool,
}

impl ReturnSites<'_> {
    fn is_thunk(&self, addr: VirtAddr) -> bool {
        self.thunk == Some(addr) || self.checker.context.branches().thunk_at(addr) == Some(Thunk::Return)
    }

    fn entries(&mut self) {
        for index in 0..self.checker.table.sites.len() {
            let site = self.checker.table.sites[index];
            match self.checker.text.at(site) {
                None => {
                    let finding = self.checker.not_executable(index);
                    let finding = match decoded(self.checker.image, site) {
                        Ok(bytes) => self.says(finding, site, bytes),
                        Err(line) => finding.at_boot(line, true),
                    };
                    self.checker.push(finding);
                }
                Some(bytes) => self.entry(index, site, bytes),
            }
        }
    }

    fn entry(&mut self, index: usize, site: VirtAddr, bytes: &[u8]) {
        let found = branch(bytes, site);
        let message = match found {
            Some(b) if b.op == Op::Jump && self.is_thunk(b.target) => return,
            Some(b) if b.op == Op::Jump => {
                let target = place(self.checker.image, b.target);
                format!("the site's jmp goes to {target}, not to the return thunk")
            }
            _ => "the site holds no jmp to the return thunk".to_owned(),
        };
        let rule = if found.is_some_and(|b| b.op == Op::Jump) { "returns/target" } else { "returns/opcode" };
        let finding = self.checker.error(rule, index, message);
        let finding = self.says(finding, site, bytes);
        self.checker.push(finding);
    }

    fn says(&mut self, finding: Finding, site: VirtAddr, bytes: &[u8]) -> Finding {
        let context = self.checker.context;
        if !kernel_decodes(site, bytes) {
            let line = warnings(context, "apply_returns").first().and_then(|b| warning_line(context, b));
            return match line {
                Some(line) => finding.at_boot(line, false),
                None => finding,
            };
        }
        if bytes.get(5..8) == Some(&TRAMPOLINE) || self.warned {
            return finding;
        }
        self.warned = true;
        let dest = branch(bytes, site).filter(|b| b.op == Op::Jump).map(|b| b.target);
        let dest = dest.map_or_else(|| "0x0".into(), |dest| place(self.checker.image, dest));
        let code = hex(bytes.get(..5).unwrap_or(bytes));
        let line = format!("missing return thunk: {}-{dest}: {code}", place(self.checker.image, site));
        finding.at_boot(line, false)
    }

    /// Every jump to the thunk has an entry. Whether that could be asked.
    fn complete(&mut self, order: &[(VirtAddr, u32)]) -> bool {
        let branches = self.checker.context.branches();
        if !branches.knows_return() {
            let why = "nothing names the return thunk: jumps to it that have no entry are not looked for";
            self.checker.report.skipped.push(why.into());
            return false;
        }
        let missing = missing(&self.checker, order, |thunk| thunk == Thunk::Return);
        for at in missing.processed {
            let finding = self.missing(at);
            self.checker.push(finding);
        }
        if let Some(finding) = left_out(&self.checker, "returns/left-out", &missing.left_out) {
            self.checker.push(finding);
        }
        true
    }

    fn missing(&self, at: VirtAddr) -> Finding {
        const UNPATCHED: &str = "Unpatched return thunk in use. This should not happen!";
        let image = self.checker.image;
        let message = format!("the jmp to the return thunk at {at} has no entry: it keeps the default thunk");
        let code = crate::disasm::code(image, at, image.bytes_up_to(at, 5));
        let finding =
            Finding::new("returns/missing", Severity::Error, message).at(image, at).with("code", code);
        let kernel = self.checker.context.kernel.unwrap_or(image);
        if memchr::memmem::find(kernel.raw(), UNPATCHED.as_bytes()).is_none() {
            return finding;
        }
        finding.at_boot_when(UNPATCHED, false, "this function returns, on a CPU that needs a return thunk")
    }
}

/// Branches without an entry.
pub(super) struct Missing {
    /// In code that objtool has processed: it has left them out.
    pub(super) processed: Vec<VirtAddr>,
    /// In code that it has not seen (OBJECT_FILES_NON_STANDARD in a Makefile), or nobody can tell.
    pub(super) left_out: Vec<VirtAddr>,
}

/// The branches to some thunks that have no entry. objtool writes unwind data for all code that it processes, so
/// those tell the two kinds apart. A replacement's branches are its alternative's concern.
pub(super) fn missing(
    checker: &Checker<'_>,
    order: &[(VirtAddr, u32)],
    wanted: impl Fn(Thunk) -> bool,
) -> Missing {
    let image = checker.image;
    let replacements = image.section(".altinstr_replacement");
    let found = checker.context.branches().found.iter().filter(|(_, thunk)| wanted(*thunk));
    let (processed, left_out) = found
        .map(|(at, _)| *at)
        .filter(|at| !is_listed(checker, order, *at))
        .filter(|at| !replacements.is_some_and(|section| section.contains(*at)))
        .partition(|at| is_processed(checker.context, *at));
    Missing { processed, left_out }
}

/// One note about all branches in objects that objtool has not processed.
pub(super) fn left_out(checker: &Checker<'_>, rule: &'static str, at: &[VirtAddr]) -> Option<Finding> {
    let first = *at.first()?;
    let mut names: Vec<&str> =
        at.iter().filter_map(|at| Some(checker.image.symbol_at(*at)?.0.name)).collect();
    names.dedup();
    let more = if names.len() > 8 { ", ..." } else { "" };
    let message = format!(
        "{} branches to thunks have no entry, in code without unwind data, which objtool has not processed: {}{more}",
        at.len(),
        names.get(..8).unwrap_or(&names).join(", ")
    );
    Some(Finding::new(rule, Severity::Note, message).at(checker.image, first))
}

/// Whether an entry names a branch, which may have a prefix in front of its opcode.
pub(super) fn is_listed(checker: &Checker<'_>, order: &[(VirtAddr, u32)], opcode: VirtAddr) -> bool {
    let listed = |at: VirtAddr| order.binary_search_by_key(&at, |(site, _)| *site).is_ok();
    let before = VirtAddr(opcode.0.wrapping_sub(1));
    listed(opcode) || (listed(before) && checker.image.u8(before) == Some(0x2e))
}
