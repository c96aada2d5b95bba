//! Small kernels, each wrong in one way.

use kvet_finding::{Finding, Severity};
use kvet_image::{Arch, Image};

use crate::testimage::{A, AX, TestImage, WA, rel32};
use crate::{Context, Table};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const TABLES: u64 = 0xffff_ffff_8200_0000;
const THUNK: u64 = 0x300;
const ARRAY: u64 = 0x400;

/// Three returns, two retpolines (one with a prefix), two calls, two sealed functions and two locks in one
/// function of 0x200 bytes that unwind data covers; another function at 0x200 that it does not.
struct Kernel {
    text: Vec<u8>,
    returns: Vec<u64>,
    retpolines: Vec<u64>,
    calls: Vec<u64>,
    seals: Vec<u64>,
    preambles: Vec<u64>,
    locks: Vec<u64>,
    named: bool,
}

impl Kernel {
    fn new() -> Kernel {
        let mut kernel = Kernel {
            text: vec![0x90; 0x800],
            returns: vec![0x10, 0x20, 0x30],
            retpolines: vec![0x40, 0x50],
            calls: vec![0x60, 0x70],
            seals: vec![0x80, 0x90],
            preambles: vec![0xa0, 0xb0],
            locks: vec![0xc0, 0xd0],
            named: true,
        };
        for site in [0x10, 0x20, 0x30] {
            kernel.branch(site, &[0xe9], THUNK);
        }
        kernel.branch(0x40, &[0xe8], ARRAY);
        kernel.branch(0x50, &[0x2e, 0xe9], ARRAY + 0x40);
        kernel.branch(0x60, &[0xe8], 0x200);
        kernel.branch(0x70, &[0xe8], 0x200);
        kernel.put(0x80, &[0xf3, 0x0f, 0x1e, 0xfa]);
        kernel.put(0x90, &[0xf3, 0x0f, 0x1e, 0xfa]);
        kernel.put(0xa0, &[0xb8, 1, 2, 3, 4]);
        kernel.put(0xb0, &[0xb8, 1, 2, 3, 4]);
        kernel.put(0xc0, &[0xf0, 0xff, 0x03]); // lock incl (%rbx)
        kernel.put(0xd0, &[0x3e, 0xff, 0x03]);
        kernel
    }

    fn put(&mut self, at: u64, bytes: &[u8]) {
        self.text[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    }

    fn branch(&mut self, at: u64, opcode: &[u8], to: u64) {
        self.put(at, opcode);
        let field = at + opcode.len() as u64;
        self.put(field, &rel32(field + 4, to));
    }

    fn image(&self) -> Image {
        let mut t = TestImage::new(Arch::X86_64);
        t.section(".text", TEXT, AX, &self.text);
        let lists = [
            (".return_sites", &self.returns),
            (".retpoline_sites", &self.retpolines),
            (".call_sites", &self.calls),
            (".ibt_endbr_seal", &self.seals),
            (".cfi_sites", &self.preambles),
            (".smp_locks", &self.locks),
        ];
        for (i, (name, sites)) in (0..).zip(lists) {
            let start = TABLES + i * 0x1000;
            let entry = |(field, site): (u64, &u64)| rel32(field, TEXT.wrapping_add(*site));
            let mut bytes: Vec<u8> = (start..).step_by(4).zip(sites.iter()).flat_map(entry).collect();
            if name == ".smp_locks" {
                bytes.extend([0; 8]);
            }
            t.section(name, start, A, &bytes);
        }
        // Unwind data for the first function, none for what follows.
        let ips = TABLES + 0x8000;
        let places = [(ips, TEXT), (ips + 4, TEXT + 1), (ips + 8, TEXT + 2), (ips + 12, TEXT + 0x200)];
        let places: Vec<u8> = places.iter().flat_map(|(field, place)| rel32(*field, *place)).collect();
        t.section(".orc_unwind_ip", ips, A, &places);
        t.section(".orc_unwind", ips + 0x100, A, &[&[8, 0, 0, 0, 5, 0].repeat(3)[..], &[0; 6]].concat());
        t.section(".data", TABLES + 0x9000, WA, &[0; 64]);
        t.section(".modinfo", TABLES + 0xa000, A, UNPATCHED);
        t.function("first", TEXT, 0x200).function("second", TEXT + 0x200, 0x100);
        if self.named {
            t.function("__x86_return_thunk", TEXT + THUNK, 16);
            t.function("__x86_indirect_thunk_array", TEXT + ARRAY, 0x200);
        }
        t.build()
    }

    fn check(&self, table: &dyn Table) -> Vec<Finding> {
        let image = self.image();
        table.check(&Context::new(&image, None)).expect("a report").findings
    }
}

const UNPATCHED: &[u8] = b"Unpatched return thunk in use. This should not happen!\n\0";
const ALL: [&dyn Table; 6] =
    [&super::Returns, &super::Retpolines, &super::Calls, &super::Endbr, &super::CfiSites, &super::SmpLocks];

fn rules(findings: &[Finding]) -> Vec<(&str, Option<u64>)> {
    findings.iter().map(|finding| (finding.rule, finding.index)).collect()
}

/// What a table finds once a kernel has been changed.
fn changed(table: &dyn Table, change: impl FnOnce(&mut Kernel)) -> Vec<Finding> {
    let mut kernel = Kernel::new();
    change(&mut kernel);
    kernel.check(table)
}

#[test]
fn a_sound_kernel_has_no_findings() {
    for table in ALL {
        assert_eq!(Kernel::new().check(table), [], "{}", table.name());
    }
    let locks = Kernel::new().image();
    let report = super::SmpLocks.check(&Context::new(&locks, None)).expect("a report");
    assert_eq!(report.entries, 4, "the padding counts");
}

#[test]
fn a_return_site_holds_a_jump_to_the_thunk() {
    let findings = changed(&super::Returns, |k| k.put(0x20, &[0xc3]));
    assert_eq!(rules(&findings), [("returns/opcode", Some(1))]);
    let line = &findings[0].at_boot.as_ref().expect("the kernel warns").line;
    assert!(line.starts_with("missing return thunk: first+0x20/0x200-0x0: c3 "), "{line}");
    let findings = changed(&super::Returns, |k| k.branch(0x20, &[0xe9], 0x210));
    assert_eq!(rules(&findings), [("returns/target", Some(1))]);
    let line = &findings[0].at_boot.as_ref().expect("the kernel warns").line;
    assert_eq!(line, "missing return thunk: first+0x20/0x200-second+0x10/0x100: e9 eb 01 00 00");
    // It warns once, and never of what looks like a trampoline.
    let findings = changed(&super::Returns, |k| {
        k.put(0x20, &[0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0x0f, 0xb9, 0xcc]);
        k.put(0x10, &[0xc3]);
        k.put(0x30, &[0xc3]);
    });
    assert_eq!(rules(&findings).len(), 3);
    let said: Vec<bool> = findings.iter().map(|f| f.at_boot.is_some()).collect();
    assert_eq!(said, [true, false, false]);
}

#[test]
fn a_return_without_an_entry_is_found() {
    let findings = changed(&super::Returns, |k| k.branch(0x140, &[0xe9], THUNK));
    assert_eq!(rules(&findings), [("returns/missing", None)]);
    assert_eq!(findings[0].symbol.as_deref(), Some("first+0x140/0x200"));
    assert!(findings[0].at_boot.as_ref().is_some_and(|a| UNPATCHED.starts_with(a.line.as_bytes())));
    // Where objtool has not been, it is no contradiction.
    let findings = changed(&super::Returns, |k| k.branch(0x240, &[0xe9], THUNK));
    assert_eq!(rules(&findings), [("returns/left-out", None)]);
    assert_eq!(findings[0].severity, Severity::Note);
}

#[test]
fn without_a_name_the_thunk_is_where_most_returns_go() {
    let findings = changed(&super::Returns, |k| {
        k.named = false;
        k.branch(0x20, &[0xe9], 0x210);
    });
    assert_eq!(rules(&findings), [("returns/target", Some(1))]);
}

#[test]
fn a_retpoline_site_branches_to_a_register_s_thunk() {
    let findings = changed(&super::Retpolines, |k| k.put(0x50, &[0x90]));
    // The prefix is gone, and the branch behind it is no entry's.
    assert_eq!(rules(&findings), [("retpolines/missing", None), ("retpolines/opcode", Some(1))]);
}

#[test]
fn retpoline_damage() {
    let at = |change: fn(&mut Kernel)| changed(&super::Retpolines, change);
    assert_eq!(rules(&at(|k| k.put(0x40, &[0xff, 0xd0]))), [("retpolines/opcode", Some(0))]);
    assert_eq!(rules(&at(|k| k.branch(0x40, &[0xe8], 0x200))), [("retpolines/target", Some(0))]);
    let inside = at(|k| k.branch(0x40, &[0xe8], ARRAY + 0x11));
    assert_eq!(rules(&inside), [("retpolines/target", Some(0))]);
    assert!(inside[0].message.contains("inside the thunk __x86_indirect_thunk_rax"), "{}", inside[0].message);
    let rsp = at(|k| k.branch(0x40, &[0xe8], ARRAY + 4 * 32));
    assert_eq!(rules(&rsp), [("retpolines/register", Some(0))]);
    let missing = at(|k| k.branch(0x140, &[0x0f, 0x84], ARRAY + 0x20));
    assert_eq!(rules(&missing), [("retpolines/missing", None)]);
    assert!(missing[0].message.contains("__x86_indirect_thunk_rcx"), "{}", missing[0].message);
    let left_out = at(|k| k.branch(0x240, &[0xe8], ARRAY + 0x20));
    assert_eq!(rules(&left_out), [("retpolines/left-out", None)]);
}

#[test]
fn calls_seals_preambles_and_locks() {
    assert_eq!(rules(&changed(&super::Calls, |k| k.put(0x70, &[0x90]))), [("calls/opcode", Some(1))]);
    let elsewhere = changed(&super::Calls, |k| k.branch(0x70, &[0xe8], 0x10_0000));
    assert_eq!(rules(&elsewhere), [("calls/opcode", Some(1))]);
    assert_eq!(rules(&changed(&super::Endbr, |k| k.put(0x90, &[0x66]))), [("endbr/opcode", Some(1))]);
    let hash = changed(&super::CfiSites, |k| k.put(0xb1, &[0; 4]));
    assert_eq!(rules(&hash), [("cfi/preamble", Some(1))]);
    let line = &hash[0].at_boot.as_ref().expect("the kernel warns").line;
    assert_eq!(line, "no CFI hash found at: first+0xb0/0x200 ffffffff810000b0 b8 00 00 00 00");
    assert_eq!(rules(&changed(&super::SmpLocks, |k| k.put(0xd0, &[0x90]))), [("smp-locks/opcode", Some(1))]);
    // A byte that only happens to be f0: nothing that can be locked follows.
    let chance = changed(&super::SmpLocks, |k| k.put(0xd0, &[0xf0, 0x90]));
    assert_eq!(rules(&chance), [("smp-locks/opcode", Some(1))]);
}

#[test]
fn every_list_wants_text_once_and_whole_entries() {
    type Sites = fn(&mut Kernel) -> &mut Vec<u64>;
    let lists: [(&dyn Table, Sites); 6] = [
        (&super::Returns, |k| &mut k.returns),
        (&super::Retpolines, |k| &mut k.retpolines),
        (&super::Calls, |k| &mut k.calls),
        (&super::Endbr, |k| &mut k.seals),
        (&super::CfiSites, |k| &mut k.preambles),
        (&super::SmpLocks, |k| &mut k.locks),
    ];
    for (table, sites) in lists {
        let name = table.name();
        let is = |finding: &Finding, what: &str, index: u64| {
            finding.rule == format!("{name}/{what}") && finding.index == Some(index)
        };
        let twice = changed(table, |k| {
            let list = sites(k);
            list.push(list[0]);
        });
        assert!(
            matches!(&twice[..], [f] if is(f, "duplicate", sites(&mut Kernel::new()).len() as u64)),
            "{twice:?}"
        );
        let data = changed(table, |k| sites(k).push(TABLES + 0x9000 - TEXT));
        assert!(
            matches!(&data[..], [f] if is(f, "site", sites(&mut Kernel::new()).len() as u64)),
            "{data:?}"
        );
        let nowhere = changed(table, |k| sites(k).push(0x7000_0000));
        assert!(nowhere.iter().any(|f| f.rule == format!("{name}/site")), "{nowhere:?}");
    }
}

#[test]
fn a_site_that_no_page_maps_ends_the_boot_where_each_boot_decodes_it() {
    // As far below the text as a damaged distance may lead; the line was seen on Debian's 6.1 and 6.12.
    let lost = |table: &dyn Table, sites: fn(&mut Kernel) -> &mut Vec<u64>| {
        let findings = changed(table, |k| sites(k)[1] = 0x0000_1000_u64.wrapping_sub(0x1000_0000));
        let site = findings.into_iter().find(|f| f.rule.ends_with("/site")).expect("the site");
        site.at_boot.filter(|a| a.fatal && a.when.is_none()).map(|a| a.line)
    };
    let line = "BUG: unable to handle page fault for address: ffffffff71001000";
    assert_eq!(lost(&super::Returns, |k| &mut k.returns).as_deref(), Some(line));
    assert_eq!(lost(&super::Retpolines, |k| &mut k.retpolines).as_deref(), Some(line));
    assert_eq!(lost(&super::SmpLocks, |k| &mut k.locks), None, "a place outside the text is passed over");
}

#[test]
fn a_table_that_is_cut_is_found() {
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &[0x90; 64]).section(".ibt_endbr_seal", TABLES, A, &[0; 6]);
    let image = t.build();
    let findings = super::Endbr.check(&Context::new(&image, None)).expect("a report").findings;
    assert!(findings.iter().any(|f| f.rule == "endbr/size"), "{findings:?}");
}

#[test]
fn hostile_tables_end_in_findings() {
    let mut seeded = crate::realkernels::Seeded(8);
    for _ in 0..100 {
        let mut kernel = Kernel::new();
        for byte in &mut kernel.text {
            *byte = seeded.next() as u8;
        }
        kernel.returns = (0..40).map(|_| seeded.next()).collect();
        kernel.locks.clone_from(&kernel.returns);
        kernel.retpolines.clone_from(&kernel.returns);
        for table in [&super::Returns as &dyn Table, &super::Retpolines, &super::SmpLocks] {
            assert!(!kernel.check(table).is_empty());
        }
    }
}

#[test]
fn absence_is_said_of_kernels_only() {
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &[0x90; 64]).section(".data", TABLES, WA, &[0; 64]);
    let image = t.build();
    let report = super::Returns.check(&Context::new(&image, None)).expect("a report");
    assert!(report.located_by.is_none() && report.skipped.len() == 1, "{report:?}");
    let mut arm = TestImage::new(Arch::Arm64);
    arm.section(".text", TEXT, AX, &[0; 64]);
    assert!(super::Returns.check(&Context::new(&arm.build(), None)).is_none());
}
