//! calls: every direct call, for the CPUs whose call depth is tracked.
//!
//! # What the kernel does
//!
//! Where the mitigation is on (`retbleed=stuff`), `callthunks_patch_builtin_calls` (arch/x86/kernel/callthunks.c,
//! 6.2 and later) redirects each call to the padding in front of its target, into which it writes the accounting.
//! A site that holds no call is passed over (it may be patched out), one that does not decode WARNs; a target
//! without nops in front of it is left alone after one line.

use kvet_image::VirtAddr;

use super::branches::{Op, branch};
use super::read::{Checker, Kinds, Rules, SiteTable, find};
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "calls",
    section: ".call_sites",
    symbols: ("__call_sites", "__call_sites_end"),
    made_by: "objtool with CONFIG_MITIGATION_CALL_DEPTH_TRACKING (CONFIG_CALL_DEPTH_TRACKING before 6.9)",
    rules: Rules { size: "calls/size", site: "calls/site", duplicate: "calls/duplicate" },
};

/// The table `calls`.
pub struct Calls;

impl Table for Calls {
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
    for index in 0..checker.table.sites.len() {
        let site = checker.table.sites[index];
        entry(&mut checker, index, site);
    }
    // The kernel redirects a call twice in vain: the second finds the padding of padding.
    checker.duplicates(|finding, _| finding);
    checker.proved(&["whole entries", "a direct call at every site, to text", "one entry a site"]);
    let why =
        "whether every call has an entry is not checked: it would need every instruction of the text decoded";
    checker.report.skipped.push(why.into());
    checker.finish()
}

fn entry(checker: &mut Checker<'_>, index: usize, site: VirtAddr) {
    let Some(bytes) = checker.text.at(site) else {
        let finding = checker.not_executable(index);
        return checker.push(finding);
    };
    let message = match branch(bytes, site) {
        Some(b) if b.op == Op::Call && is_text(checker, b.target) => return,
        Some(b) if b.op == Op::Call => format!("the call goes to {}, which is not executable", b.target),
        _ => "the site holds no direct call".to_owned(),
    };
    let finding = checker.error("calls/opcode", index, message);
    checker.push(finding);
}

/// Text of this image, or another's function.
fn is_text(checker: &Checker<'_>, target: VirtAddr) -> bool {
    checker.text.at(target).is_some() || checker.image.extern_around(target).is_some()
}
