//! cfi: the kCFI preambles in front of functions, of kernels that clang builds.
//!
//! # What the kernel does
//!
//! With FineIBT and `cfi_rand`, `cfi_rand_preamble` (arch/x86/kernel/alternative.c, 6.2 and later) mixes a seed into
//! the hash of each preamble: `mov $hash, %eax` (from 6.16 or so, of any of the eight first registers). Where there
//! is none, or the hash is 0, it says so and switches CFI off.

use kvet_image::VirtAddr;

use super::read::{Checker, Kinds, Rules, SiteTable, find};
use super::words::{hex, place};
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "cfi",
    section: ".cfi_sites",
    symbols: ("__cfi_sites", "__cfi_sites_end"),
    made_by: "objtool with CONFIG_FINEIBT, which needs clang",
    rules: Rules { size: "cfi/size", site: "cfi/site", duplicate: "cfi/duplicate" },
};

/// The table `cfi`.
pub struct CfiSites;

impl Table for CfiSites {
    fn name(&self) -> &'static str {
        KINDS.name
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        match find(context, &KINDS) {
            Ok(table) => Some(check(context, table)),
            // Only what clang builds can have it: without it there is nothing to say.
            Err(_) => None,
        }
    }
}

fn check(context: &Context<'_>, table: SiteTable) -> TableReport {
    let mut checker = Checker::new(context, table, &KINDS);
    let mut said = false;
    for index in 0..checker.table.sites.len() {
        let site = checker.table.sites[index];
        entry(&mut checker, index, site, &mut said);
    }
    checker.duplicates(|finding, _| finding);
    checker.proved(&["whole entries", "a preamble with a hash at every site", "one entry a site"]);
    checker.finish()
}

fn entry(checker: &mut Checker<'_>, index: usize, site: VirtAddr, said: &mut bool) {
    let Some(bytes) = checker.text.at(site) else {
        let finding = checker.not_executable(index);
        return checker.push(finding);
    };
    let preamble = matches!(bytes, [0xb8..=0xbf, a, b, c, d, ..] if [*a, *b, *c, *d] != [0; 4]);
    if preamble {
        return;
    }
    let code = hex(bytes.get(..5).unwrap_or(bytes));
    let message = format!("the site holds no mov of a hash that is not 0: found {code}");
    let mut finding = checker.error("cfi/preamble", index, message);
    // The first ends the pass.
    if !std::mem::replace(said, true) {
        let place = place(checker.image, site);
        let line = format!("no CFI hash found at: {place} {:016x} {code}", site.0);
        finding = finding.at_boot_when(line, false, "FineIBT or kCFI is on and cfi=norand is not given");
    }
    checker.push(finding);
}
