//! endbr: functions whose address nobody takes, whose ENDBR the kernel removes.
//!
//! # What the kernel does
//!
//! `apply_ibt_endbr` (6.1) and `apply_seal_endbr` (6.6 and later, arch/x86/kernel/alternative.c) overwrite the
//! ENDBR at each site with a nop of four bytes, whether or not the CPU has IBT; one WARN where there is none. An
//! entry too many makes an indirect call to its function a fatal #CP on a CPU with IBT.

use kvet_finding::Finding;
use kvet_image::VirtAddr;

use super::read::{Checker, Kinds, Rules, SiteTable, find};
use super::words::{hex, warning_line, warnings};
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "endbr",
    section: ".ibt_endbr_seal",
    symbols: ("__ibt_endbr_seal", "__ibt_endbr_seal_end"),
    made_by: "objtool with CONFIG_X86_KERNEL_IBT",
    rules: Rules { size: "endbr/size", site: "endbr/site", duplicate: "endbr/duplicate" },
};

/// endbr64.
const ENDBR: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];

/// The table `endbr`.
pub struct Endbr;

impl Table for Endbr {
    fn name(&self) -> &'static str {
        KINDS.name
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        match find(context, &KINDS) {
            Ok(table) => Some(check(context, table)),
            Err(report) => report,
        }
    }
}

fn check(context: &Context<'_>, table: SiteTable) -> TableReport {
    let mut checker = Checker::new(context, table, &KINDS);
    let mut warned = false;
    for index in 0..checker.table.sites.len() {
        let site = checker.table.sites[index];
        entry(&mut checker, index, site, &mut warned);
    }
    checker.duplicates(|finding, _| match says(context, false) {
        Some(line) => finding.at_boot(line, false),
        None => finding,
    });
    checker.proved(&["whole entries", "an endbr64 at every site", "one entry a site"]);
    checker.finish()
}

/// A WARN_ON_ONCE of the kernel's: the last one of either function is for a site without ENDBR, the first for memory
/// that cannot be read.
fn says(context: &Context<'_>, unreadable: bool) -> Option<String> {
    ["poison_endbr", "apply_seal_endbr", "apply_ibt_endbr"].iter().find_map(|function| {
        let all = warnings(context, function);
        warning_line(context, if unreadable { all.first() } else { all.last() }?)
    })
}

/// Outside the text: what is mapped holds no ENDBR, what is not cannot be read.
fn elsewhere(checker: &Checker<'_>, index: usize, site: VirtAddr) -> Finding {
    let finding = checker.not_executable(index);
    let unreadable = crate::mapped::page_fault(checker.image, site).is_some();
    match says(checker.context, unreadable) {
        Some(line) => finding.at_boot(line, false),
        None => finding,
    }
}

fn entry(checker: &mut Checker<'_>, index: usize, site: VirtAddr, warned: &mut bool) {
    let Some(bytes) = checker.text.at(site) else {
        let finding = elsewhere(checker, index, site);
        return checker.push(finding);
    };
    if bytes.starts_with(&ENDBR) {
        return;
    }
    let found = hex(bytes.get(..4).unwrap_or(bytes));
    let message = format!("the site holds no endbr64 (f3 0f 1e fa): found {found}");
    let mut finding = checker.error("endbr/opcode", index, message);
    if !std::mem::replace(warned, true)
        && let Some(line) = says(checker.context, false)
    {
        finding = finding.at_boot(line, false);
    }
    checker.push(finding);
}
