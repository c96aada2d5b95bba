//! Every kind of damage, at the entry where it is, with what the kernel says to it.

use kvet_finding::{Finding, Severity, Value};
use kvet_image::VirtAddr;

use super::testing::Build;
use super::{CALLBACK_BIT, CallbackMarker};
use crate::disasm::arm64::NOP;
use crate::{Context, LocatedBy, TableReport};

const MRS_EL1: u32 = 0xd538_d080; // mrs x0, tpidr_el1
const MRS_EL2: u32 = 0xd53c_d040; // mrs x0, tpidr_el2
const LDAR: u32 = 0x88df_fc00; // ldar w0, [x0]
const LDR: u32 = 0xb940_0000; // ldr w0, [x0]
const LDXR: [u32; 4] = [0xc85f_7c04, 0x8b02_0084, 0xc803_7c04, 0x3500_0003];
const LDADD: [u32; 4] = [0xf822_0004, NOP, NOP, NOP];
const B: u32 = 0x1400_0002;
const VA_MASK: [u32; 5] = [0x9240_0000, 0x93c0_0400, 0x9100_0000, 0x9140_0000, 0x93c0_fc00];

/// 20 objects of one function each: entries `8 * object` to `8 * object + 7`.
fn kernel() -> Build {
    let mut k = Build::new();
    let nops = k.function("alt_cb_patch_nops");
    let mask = k.function("kvm_update_va_mask");
    for object in 0..20 {
        k.function(&format!("object{object}"));
        k.alternative(2, &[MRS_EL1], &[MRS_EL2]);
        k.alternative(2, &[MRS_EL1 + 1 + object % 4], &[MRS_EL2 + 1 + object % 4]);
        k.alternative(3, &LDXR, &LDADD);
        k.callback(CALLBACK_BIT | 3, nops, &[B]);
        k.callback(CALLBACK_BIT, mask, &VA_MASK);
        k.alternative(4, &[LDR], &[LDAR]);
        k.alternative(1, &[NOP], &[B]);
        k.alternative((object % 3) as u16, &[NOP], &[0xd503_3fdf]);
    }
    k
}

fn only(report: &TableReport) -> &Finding {
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    &report.findings[0]
}

fn damaged(change: impl FnOnce(&mut Build)) -> Finding {
    let mut k = kernel();
    change(&mut k);
    only(&k.report()).clone()
}

fn line(finding: &Finding) -> Option<&str> {
    finding.at_boot.as_ref().map(|b| b.line.as_str())
}

fn when(finding: &Finding) -> Option<&str> {
    finding.at_boot.as_ref().and_then(|b| b.when.as_deref())
}

#[test]
fn a_sound_kernel_has_no_findings_and_everything_was_checked() {
    let report = kernel().report();
    assert_eq!(report.findings, []);
    assert_eq!(report.entries, 160);
    assert_eq!(report.skipped, Vec::<String>::new());
    assert_eq!(report.located_by, Some(LocatedBy::Section(".altinstructions".into())));
}

#[test]
fn capabilities_have_names_and_a_limit() {
    let image = kernel().image();
    let context = Context::new(&image, None);
    let c = &context.arm64_alternatives().capabilities;
    assert_eq!((c.count, c.complete), (Some(85), true));
    assert_eq!(c.count_from.as_deref(), Some("the size of cpucap_ptrs"));
    assert_eq!(c.describe(2), "2 \"Virtualization Host Extensions\"");
    assert!(c.is_always(0) && !c.is_always(1));
    assert_eq!(c.describe(77), "77 (in neither arm64_features nor arm64_errata)");
}

#[test]
fn a_capability_out_of_range_is_found_and_the_kernel_is_silent() {
    let f = damaged(|k| k.entries[45].cpucap = 85);
    assert_eq!((f.rule, f.index), ("alternatives/unknown-capability", Some(45)));
    assert_eq!(f.at_boot, None);
    assert!(f.message.contains("capability 85") && f.message.contains("ARM64_NCAPS is 85"));
}

#[test]
fn a_capability_far_out_of_range_is_looked_up_behind_the_stack() {
    let fault = |cpucap: u16| damaged(|k| k.entries[45].cpucap = cpucap).at_boot;
    assert_eq!(fault(2_000), None);
    let perhaps = fault(6_000).expect("a fault, depending on the stack");
    assert!(perhaps.fatal && perhaps.when.is_some_and(|when| when.contains("744 bytes")));
    let always = fault(0x7fff).expect("a fault");
    assert!(
        always.fatal
            && always.when.is_none()
            && always.line.starts_with("Unable to handle kernel paging request")
    );
    // A callback's wrong length as well: the kernel does not come to look at it.
    assert_eq!(fault(0xffff), Some(always));
}

#[test]
fn a_single_capability_in_range_is_found_by_those_that_agree() {
    for (index, found, expected) in [(16, 3, 2), (42, 2, 3), (44, 1, 0), (69, 2, 4)] {
        let f = damaged(|k| k.entries[index].cpucap = found | (k.entries[index].cpucap & CALLBACK_BIT));
        assert_eq!((f.rule, f.index), ("alternatives/inconsistent-capability", Some(index as u64)));
        assert_eq!(f.severity, Severity::Error);
        assert!(f.message.contains(&format!("capability {found} ")), "{}", f.message);
        assert!(f.message.contains(&format!("belongs to {expected} ")), "{}", f.message);
        assert_eq!(f.at_boot, None);
    }
}

#[test]
fn registers_do_not_hide_a_wrong_capability() {
    let f = damaged(|k| {
        k.function("lone");
        k.alternative(3, &[MRS_EL1 + 9], &[MRS_EL2 + 9]);
    });
    assert_eq!((f.rule, f.index), ("alternatives/inconsistent-capability", Some(160)));
    assert!(f.message.contains("on other registers") && f.message.contains("belongs to 2 "));
}

#[test]
fn a_choice_of_atomics_belongs_to_one_capability() {
    let nops = 16 + super::testing::TEXT;
    let f = damaged(|k| {
        for n in 0..6 {
            // b to a load-exclusive loop, else an LSE instruction; capability 1 asks for other things.
            k.callback(CALLBACK_BIT | if n == 4 { 1 } else { 3 }, nops, &[0x1400_0003]);
            k.code(&[LDADD[0], 0xd65f_03c0, LDXR[0]]);
            k.callback(CALLBACK_BIT | 1, nops, &[B]);
        }
    });
    assert_eq!((f.rule, f.index), ("alternatives/inconsistent-capability", Some(168)));
}

#[test]
fn a_shifted_object_is_one_finding_that_lists_its_entries() {
    let f = damaged(|k| {
        for e in &mut k.entries[80..88] {
            e.cpucap += u16::from(e.cpucap & 0xff != 0);
        }
    });
    assert_eq!((f.rule, f.index), ("alternatives/stale-object", Some(80)));
    assert!(f.message.contains("names 3 \"LSE atomics\""), "{}", f.message);
    let entries = f.evidence.iter().find(|(name, _)| *name == "entries").map(|(_, v)| v);
    let listed = |i| Value::Number(i);
    assert_eq!(entries, Some(&Value::List([80, 81, 82, 85].map(listed).to_vec())));
    assert!(f.evidence.contains(&("renamed", "3 for 2, 4 for 3, 5 for 4".into())));
    assert!(f.advice.as_deref().is_some_and(|a| a.contains("generated/asm/cpucaps.h")));
}

#[test]
fn unequal_lengths_are_the_kernels_second_bug() {
    let f = damaged(|k| k.entries[18].alt_len = 12);
    assert_eq!((f.rule, f.index), ("alternatives/length", Some(18)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:157!"));
    assert_eq!(when(&f), Some("a CPU has capability 3 \"LSE atomics\""));
    assert!(f.at_boot.is_some_and(|b| b.fatal));
}

#[test]
fn a_callback_with_a_length_is_the_kernels_first_bug_on_every_boot() {
    let f = damaged(|k| k.entries[4].alt_len = 20);
    assert_eq!((f.rule, f.index), ("alternatives/length", Some(4)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:155!"));
    assert_eq!(when(&f), None);
}

#[test]
fn a_marker_that_is_missing_or_too_much_is_found() {
    let f = damaged(|k| k.entries[4].cpucap = 0);
    assert_eq!((f.rule, f.index), ("alternatives/callback-marker", Some(4)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:157!"));
    let f = damaged(|k| k.entries[8].cpucap |= CALLBACK_BIT);
    assert_eq!((f.rule, f.index), ("alternatives/length", Some(8)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:155!"));
}

#[test]
fn a_moved_site_is_found_by_what_it_replaces() {
    for index in [16, 18, 19, 20, 29, 30] {
        let f = damaged(|k| k.entries[index].orig += 4);
        assert_eq!(f.index, Some(index as u64));
        assert_eq!(f.rule, "alternatives/inconsistent-original");
        let f = damaged(|k| k.entries[index].orig += 2);
        assert_eq!((f.rule, f.index), ("alternatives/site", Some(index as u64)));
        let f = damaged(|k| k.entries[index].orig = VirtAddr(0x1000).0 + super::testing::TEXT + 0x33_0000);
        assert_eq!((f.rule, f.index), ("alternatives/site", Some(index as u64)));
    }
}

#[test]
fn a_moved_replacement_overlaps_another_or_leaves_a_hole() {
    for index in [16, 17, 18, 21, 22, 23] {
        for delta in [4, -4_i64] {
            let f = damaged(|k| k.entries[index].alt = k.entries[index].alt.wrapping_add_signed(delta));
            assert_eq!(f.index, Some(index as u64), "{index} {delta} {}", f.message);
            assert_eq!(f.rule, "alternatives/overlap");
        }
    }
    let f = damaged(|k| k.entries[21].alt = super::testing::TEXT + 12);
    assert_eq!((f.rule, f.index), ("alternatives/replacement", Some(21)));
}

#[test]
fn a_duplicated_entry_is_found() {
    let f = damaged(|k| k.entries[40] = k.entries[32]);
    assert_eq!((f.rule, f.index), ("alternatives/duplicate", Some(40)));
}

#[test]
fn a_callback_pointed_elsewhere_is_found() {
    let f = damaged(|k| k.entries[19].alt += 4);
    assert_eq!((f.rule, f.index), ("alternatives/callback", Some(19)));
    let f = damaged(|k| {
        let object = k.entries[0].orig - 8;
        k.entries[19].alt = object;
    });
    assert_eq!((f.rule, f.index), ("alternatives/inconsistent-callback", Some(19)));
    assert!(f.message.contains("object0") && f.message.contains("alt_cb_patch_nops"), "{}", f.message);
    let f = damaged(|k| k.entries[19].alt = k.entries[20].alt);
    assert_eq!((f.rule, f.index), ("alternatives/inconsistent-original", Some(19)));
}

#[test]
fn a_literal_in_a_replacement_is_the_kernels_third_bug() {
    let f = damaged(|k| {
        k.alternative(2, &[NOP], &[0x5800_0041]);
    });
    assert_eq!((f.rule, f.index), ("alternatives/literal-address", Some(160)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:90!"));
}

#[test]
fn branches_are_relocated_and_must_reach() {
    // tbz reaches 32 KiB: far less than from the replacements to the site.
    let f = damaged(|k| {
        k.alternative(2, &[NOP, NOP], &[0x3600_0040 + 0x40, NOP]);
    });
    assert_eq!((f.rule, f.index), ("alternatives/branch-range", Some(160)));
    // To its own end: stays as it is.
    let mut k = kernel();
    k.alternative(2, &[NOP, NOP], &[0x3600_0040, NOP]);
    assert_eq!(k.report().findings, []);
    let f = damaged(|k| {
        k.alternative(2, &[NOP], &[0x1401_0000]);
    });
    assert_eq!((f.rule, f.index), ("alternatives/branch-target", Some(160)));
}

#[test]
fn sites_that_overlap_in_part_are_found() {
    let f = damaged(|k| {
        let orig = k.entries[2].orig + 8;
        let e = k.alternative(1, &[0xc803_7c04, 0x3500_0003], &[NOP, NOP]);
        e.orig = orig;
    });
    assert_eq!((f.rule, f.index), ("alternatives/overlap", Some(160)));
}

#[test]
fn several_capabilities_may_share_one_site() {
    let mut k = kernel();
    let orig = k.alternative(1, &[NOP], &[0xd500_419f]).orig;
    k.alternative(2, &[NOP], &[0xd500_409f]).orig = orig;
    assert_eq!(k.report().findings, []);
}

#[test]
fn a_table_that_ends_within_an_entry_is_found() {
    let f = damaged(|k| k.trailing = 5);
    assert_eq!((f.rule, f.severity), ("alternatives/table-size", Severity::Error));
    assert!(f.message.contains("5 bytes"));
}

/// A kernel of the older style: callbacks carry ARM64_NCAPS, here 61, in the place of a capability.
fn old_kernel() -> Build {
    let mut k = kernel();
    k.ncaps = 61;
    for e in &mut k.entries {
        if e.alt_len == 0 {
            e.cpucap = 61;
        }
    }
    k
}

fn old_damaged(change: impl FnOnce(&mut Build)) -> Finding {
    let mut k = old_kernel();
    change(&mut k);
    only(&k.report()).clone()
}

#[test]
fn the_older_marker_is_recognised() {
    let mut k = old_kernel();
    assert_eq!(k.report().findings, []);
    let image = k.image();
    let context = Context::new(&image, None);
    assert_eq!(context.arm64_alternatives().marker, CallbackMarker::Number(61));
}

/// The failure of v5.13-rc2: entry.S was not rebuilt when ARM64_NCAPS went from 63 to 61.
#[test]
fn a_stale_marker_is_the_bug_of_5_13() {
    let f = old_damaged(|k| {
        for e in &mut k.entries[40..56] {
            if e.alt_len == 0 {
                e.cpucap = 63;
            }
        }
    });
    assert_eq!((f.rule, f.index), ("alternatives/callback-marker", Some(43)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:157!"));
    assert_eq!(when(&f), None);
    assert!(f.message.contains("ARM64_NCAPS was 63, not 61"), "{}", f.message);
    assert!(f.message.contains("4 of 4 callbacks from entry 43 to 52"), "{}", f.message);
    assert_eq!(f.symbol.as_deref().and_then(|s| s.split('+').next()), Some("object5"));
}

#[test]
fn a_stale_marker_below_the_limit_needs_the_cpu_to_have_that_capability() {
    let f = old_damaged(|k| k.entries[43].cpucap = 4);
    assert_eq!((f.rule, f.index), ("alternatives/callback-marker", Some(43)));
    assert_eq!(when(&f), Some("a CPU has capability 4 \"SSBS\""));
    let f = old_damaged(|k| k.entries[43].cpucap = 64);
    assert!(when(&f).is_some_and(|w| w.contains("bit 64")));
}

#[test]
fn a_stale_majority_does_not_pass_for_the_kernels_marker() {
    let mut k = old_kernel();
    for e in &mut k.entries {
        if e.alt_len == 0 {
            e.cpucap = 63;
        }
    }
    let report = k.report();
    let f = only(&report);
    assert!(f.message.contains("40 of 40 callbacks"), "{}", f.message);
}

#[test]
fn an_older_kernel_calls_a_replacement_with_a_number_too_high() {
    let f = old_damaged(|k| k.entries[40].cpucap = 62);
    assert_eq!((f.rule, f.index), ("alternatives/unknown-capability", Some(40)));
    assert!(f.message.contains("calls the replacement instructions"));
    let f = old_damaged(|k| k.entries[40].cpucap = 61);
    assert_eq!((f.rule, f.index), ("alternatives/length", Some(40)));
    assert_eq!(line(&f), Some("kernel BUG at arch/arm64/kernel/alternative.c:155!"));
    assert_eq!(when(&f), None);
}

#[test]
fn a_table_without_a_name_is_found_by_its_entries_even_damaged_ones() {
    for damage in [None, Some(0), Some(1), Some(77), Some(159)] {
        let mut k = kernel();
        k.stripped = true;
        if let Some(index) = damage {
            k.entries[index].orig_len = 3;
        }
        let image = k.image();
        let context = Context::new(&image, None);
        let table = context.arm64_alternatives();
        let bounds = table.bounds.as_ref().expect("found");
        assert_eq!((table.entries.len(), &bounds.located_by), (160, &LocatedBy::Scan), "{damage:?}");
        assert_eq!(bounds.start, VirtAddr(super::testing::TEXT + 0x20_0000));
        assert_eq!(image.symbols().len(), 0);
        let report = super::check::table(&context);
        assert_eq!(report.findings.len(), usize::from(damage.is_some()), "{:#?}", report.findings);
        assert_eq!(report.findings.first().and_then(|f| f.index), damage.map(|i| i as u64));
        assert!(!report.skipped.is_empty());
    }
}

#[test]
fn an_image_without_a_table_says_so() {
    let mut k = Build::new();
    k.stripped = true;
    let report = k.report();
    assert_eq!((report.entries, report.located_by.clone()), (0, None));
    assert_eq!(report.skipped.len(), 1);
}
