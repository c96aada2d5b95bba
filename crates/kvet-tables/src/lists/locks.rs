//! smp-locks: every lock prefix, which a kernel on one CPU turns into a harmless one.
//!
//! # What the kernel does
//!
//! On a machine with one possible CPU, `alternatives_smp_unlock` (arch/x86/kernel/alternative.c of 5.10.223 to
//! 6.12.107) turns each f0 in the range of the core text into 3e, and back when a second CPU comes. A byte that is
//! neither is left alone in silence. 7.x has no such table any more.
//!
//! An entry that leads to a byte which happens to be f0 inside another instruction corrupts that instruction on
//! such a machine; so what follows must decode as an instruction that may be locked.

use std::collections::HashMap;

use kvet_image::VirtAddr;

use super::read::{Checker, Kinds, Rules, SiteTable, find};
use super::words::hex;
use crate::disasm::x86::decode_one;
use crate::{Context, Table, TableReport};

const KINDS: Kinds = Kinds {
    name: "smp-locks",
    section: ".smp_locks",
    symbols: ("__smp_locks", "__smp_locks_end"),
    made_by: "CONFIG_SMP of kernels up to 6.12",
    rules: Rules { size: "smp-locks/size", site: "smp-locks/site", duplicate: "smp-locks/duplicate" },
};

/// The table `smp-locks`.
pub struct SmpLocks;

impl Table for SmpLocks {
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

fn check(context: &Context<'_>, mut table: SiteTable) -> TableReport {
    // Zeroes fill the table to a page; such an entry leads to itself.
    let start = table.bounds.start;
    let all = std::mem::take(&mut table.sites);
    let is_entry = |(i, site): &(u64, VirtAddr)| site.0 != start.0.wrapping_add(i * 4);
    let (indices, sites): (Vec<u64>, Vec<VirtAddr>) = (0..).zip(all).filter(is_entry).unzip();
    table.sites = sites;
    let padding = (table.bounds.len() / 4).saturating_sub(table.sites.len() as u64);
    let mut checker = Checker::new(context, table, &KINDS);
    checker.report.entries += padding;
    checker.report.layout =
        Some(format!("4 bytes each, {padding} entries of zeroes that fill the last page"));
    let mut known = HashMap::new();
    for index in 0..checker.table.sites.len() {
        let site = checker.table.sites[index];
        entry(&mut checker, index, site, &mut known);
    }
    checker.duplicates(|finding, _| finding);
    for finding in &mut checker.report.findings {
        let real = finding.index.and_then(|i| indices.get(usize::try_from(i).ok()?));
        finding.index = real.copied().or(finding.index);
    }
    checker.proved(&[
        "whole entries",
        "a lock prefix of a whole instruction at every site",
        "one entry a site",
    ]);
    checker.finish()
}

fn entry<'a>(checker: &mut Checker<'a>, index: usize, site: VirtAddr, known: &mut HashMap<[u8; 8], bool>) {
    let Some(bytes) = checker.text.at(site) else {
        let finding = checker.not_executable(index);
        return checker.push(finding);
    };
    let message = match bytes.first() {
        // The assembler puts an operand size prefix in front of the lock; the kernel leaves such a site alone.
        Some(0xf0 | 0x3e | 0x66) => {
            // A kernel repeats few instructions: what the first bytes decode to is worked out once.
            let lockable = || is_lockable(site, bytes);
            let yes = match bytes.first_chunk::<8>() {
                Some(first) => *known.entry(*first).or_insert_with(lockable),
                None => lockable(),
            };
            if yes {
                return;
            }
            let found = hex(bytes.get(..8).unwrap_or(bytes));
            format!("the prefix at the site is none of an instruction that may be locked: found {found}")
        }
        _ => format!("the site holds no lock prefix (f0): found {}", hex(bytes.get(..1).unwrap_or(bytes))),
    };
    let finding = checker.error("smp-locks/opcode", index, message);
    checker.push(finding);
}

/// Whether a lock prefix begins an instruction that may have one. The decoder refuses it in front of any other.
fn is_lockable(site: VirtAddr, bytes: &[u8]) -> bool {
    let mut code = [0x90; 15];
    let len = bytes.len().min(15);
    let (Some(to), Some(from)) = (code.get_mut(..len), bytes.get(..len)) else { return false };
    to.copy_from_slice(from);
    if code[0] == 0x3e {
        code[0] = 0xf0;
    }
    decode_one(site, &code).is_some_and(|i| i.has_lock_prefix())
}
