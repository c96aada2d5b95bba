//! retpolines: every direct branch to a thunk that branches indirectly through a register.
//!
//! # What the kernel does
//!
//! `apply_retpolines` (arch/x86/kernel/alternative.c of 5.10.223, 6.1.192, 6.12.107 and 7.3) decodes the
//! instruction at each site, which must be call, jmp or a conditional jump with a 32-bit distance, works the
//! register out of the target's place in `__x86_indirect_thunk_array`, and where the CPU needs no retpoline writes
//! the indirect branch itself. It WARNs once at each kind of nonsense and leaves the site; a branch to the stack
//! pointer's thunk is a BUG.
//!
//! It divides the distance into the array by 32 without looking at the rest: a target inside a thunk is patched as
//! if it were its start.

use kvet_finding::{Finding, Severity};
use kvet_image::VirtAddr;

use super::branches::{Branch, RSP, Thunk, branch};
use super::read::{Checker, Kinds, Rules, SiteTable, decoded, find};
use super::returns::{left_out, missing, without_table};
use super::words::{bugs, place, warning_line, warnings};
use crate::bugs::Bug;
use crate::disasm::x86::kernel_decodes;
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "retpolines",
    section: ".retpoline_sites",
    symbols: ("__retpoline_sites", "__retpoline_sites_end"),
    made_by: "objtool with CONFIG_MITIGATION_RETPOLINE (CONFIG_RETPOLINE before 6.9)",
    rules: Rules { size: "retpolines/size", site: "retpolines/site", duplicate: "retpolines/duplicate" },
};

/// The table `retpolines`.
pub struct Retpolines;

impl Table for Retpolines {
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

fn is_indirect(thunk: Thunk) -> bool {
    matches!(thunk, Thunk::Indirect(_))
}

fn without(context: &Context<'_>) -> Option<TableReport> {
    without_table(context, &KINDS, "retpolines/missing", "retpolines/left-out", is_indirect)
}

fn check(context: &Context<'_>, table: SiteTable) -> TableReport {
    let mut sites = RetpolineSites { checker: Checker::new(context, table, &KINDS) };
    let known = context.branches().knows_indirect();
    for index in 0..sites.checker.table.sites.len() {
        sites.entry(index, known);
    }
    let order = sites.checker.duplicates(|finding, _| again(context, finding));
    if known {
        sites.complete(&order);
        let all =
            "a call, jmp or jcc to the thunk of a register at every site, and an entry for every such branch";
        sites.checker.proved(&[all]);
    } else {
        let why = "nothing names the retpoline thunks: where the branches at the sites go, and whether all of them \
                   have entries, is not checked";
        sites.checker.report.skipped.push(why.into());
        sites.checker.proved(&["a call, jmp or jcc at every site"]);
    }
    sites.checker.proved(&["whole entries", "one entry a site"]);
    sites.checker.finish()
}

/// The second entry of a site comes when the first has made it an indirect branch: no branch that is known.
fn again(context: &Context<'_>, finding: Finding) -> Finding {
    match own_warnings(context).last().and_then(|bug| warning_line(context, bug)) {
        Some(line) => finding.at_boot_when(line, false, "the CPU needs no retpolines"),
        None => finding,
    }
}

/// The BUG of `patch_retpoline`, inlined or not.
fn patch_bugs<'a>(context: &Context<'a>) -> Vec<Bug<'a>> {
    let inlined = bugs(context, "apply_retpolines");
    if inlined.is_empty() { bugs(context, "patch_retpoline") } else { inlined }
}

/// The WARNs of `apply_retpolines` itself, which stand after those of what is inlined there: the first says that
/// nothing decodes, the last that it is no branch; 7.x has two of cfi_paranoid between them.
fn own_warnings<'a>(context: &Context<'a>) -> Vec<Bug<'a>> {
    let after = patch_bugs(context).last().map_or(0, |bug| bug.line);
    warnings(context, "apply_retpolines").into_iter().filter(|bug| bug.line > after).collect()
}

struct RetpolineSites<'c> {
    checker: Checker<'c>,
}

impl RetpolineSites<'_> {
    fn entry(&mut self, index: usize, known: bool) {
        let site = self.checker.table.sites[index];
        let Some(bytes) = self.checker.text.at(site) else {
            let finding = self.checker.not_executable(index);
            let finding = match decoded(self.checker.image, site) {
                Ok(bytes) => self.warns(finding, kernel_decodes(site, bytes)),
                Err(line) => finding.at_boot(line, true),
            };
            return self.checker.push(finding);
        };
        let finding = match branch(bytes, site) {
            None => Some(self.opcode(index, site, bytes)),
            Some(branch) if known => self.target(index, branch),
            Some(_) => None,
        };
        self.checker.report.findings.extend(finding);
    }

    /// No branch that the kernel would patch. It prints each of its WARNs once.
    fn opcode(&self, index: usize, site: VirtAddr, bytes: &[u8]) -> Finding {
        let message = "the site holds no call, jmp or jcc with a 32-bit distance".to_owned();
        let finding = self.checker.error("retpolines/opcode", index, message);
        self.warns(finding, kernel_decodes(site, bytes))
    }

    fn target(&self, index: usize, branch: Branch) -> Option<Finding> {
        let context = self.checker.context;
        let branches = context.branches();
        match branches.thunk_at(branch.target) {
            Some(Thunk::Indirect(RSP)) => {
                let message = "the site branches to the stack pointer's thunk, which nothing may".to_owned();
                let finding = self.checker.error("retpolines/register", index, message);
                let bugs = patch_bugs(context);
                let kernel = context.kernel.unwrap_or(context.image);
                Some(match bugs.first() {
                    Some(bug) => finding.at_boot(bug.kernel_bug_line(kernel), true),
                    None => finding,
                })
            }
            Some(Thunk::Indirect(_)) => None,
            _ => {
                let target = place(self.checker.image, branch.target);
                let inside = branches.inside_array(branch.target);
                let message = match inside {
                    Some(thunk) => format!(
                        "the site branches to {target}, inside the thunk {}: it will be patched as if to its start",
                        thunk.name()
                    ),
                    None => format!("the site branches to {target}, which is no retpoline thunk"),
                };
                let finding = self.checker.error("retpolines/target", index, message);
                // `WARN_ON_ONCE(reg & ~0xf)` stands in patch_retpoline, before all others.
                Some(if inside.is_some() { finding } else { self.warns_target(finding) })
            }
        }
    }

    fn warns_target(&self, finding: Finding) -> Finding {
        let context = self.checker.context;
        let mut all = warnings(context, "apply_retpolines");
        all.extend(warnings(context, "patch_retpoline"));
        // By line, it is the last before the BUG_ON.
        let limit = patch_bugs(context).first().map(|bug| bug.line);
        let bug = all.iter().filter(|bug| limit.is_some_and(|l| bug.line < l)).max_by_key(|bug| bug.line);
        match bug.and_then(|bug| warning_line(context, bug)) {
            Some(line) => finding.at_boot(line, false),
            None => finding,
        }
    }

    /// The first of the function's own WARNs, or the last.
    fn warns(&self, finding: Finding, whole: bool) -> Finding {
        let own = own_warnings(self.checker.context);
        let bug = if whole { own.last() } else { own.first() };
        match bug.and_then(|bug| warning_line(self.checker.context, bug)) {
            Some(line) => finding.at_boot(line, false),
            None => finding,
        }
    }

    fn complete(&mut self, order: &[(VirtAddr, u32)]) {
        let image = self.checker.image;
        let branches = self.checker.context.branches();
        let missing = missing(&self.checker, order, is_indirect);
        for at in missing.processed {
            let thunk = branches.found.iter().find(|(found, _)| *found == at).map(|(_, thunk)| thunk.name());
            let message = format!(
                "the branch to {} at {at} has no entry: it stays a retpoline on every CPU",
                thunk.unwrap_or_default()
            );
            let code = crate::disasm::code(image, at, image.bytes_up_to(at, 6));
            let finding = Finding::new("retpolines/missing", Severity::Error, message);
            self.checker.push(finding.at(image, at).with("code", code));
        }
        if let Some(finding) = left_out(&self.checker, "retpolines/left-out", &missing.left_out) {
            self.checker.push(finding);
        }
    }
}
