//! Real kernels, whole and damaged.

use std::collections::BTreeSet;

use kvet_finding::Severity;
use kvet_image::{Arch, Image, VirtAddr};

use super::{StaticCall, StaticCallTable, read};
use crate::realkernels::{Edited, Seeded, kernels};
use crate::{Context, Table, TableReport};

fn check(image: &Image) -> Option<TableReport> {
    super::StaticCalls.check(&Context::new(image, None))
}

#[test]
fn distribution_kernels_have_no_findings() {
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let Some(report) = check(&image) else {
            assert_eq!(image.arch(), Arch::Arm64, "{}", path.display());
            continue;
        };
        eprintln!(
            "{}: {} entries by {:?}, {:?} {:?}",
            path.display(),
            report.entries,
            report.located_by,
            report.layout,
            report.skipped
        );
        assert_eq!(report.findings, [], "{}", path.display());
        assert!(report.entries > 500 || image.arch() == Arch::Arm64, "{}", path.display());
        if path.file_stem().is_some_and(|name| name == "6.1.0-56-amd64") {
            assert_eq!(report.entries, 4085, "{}", path.display());
        }
    }
}

#[test]
fn the_scan_finds_the_very_table_that_the_symbols_name() {
    for path in ["debug", "vmlinux"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let Ok(table) = context.static_calls() else { continue };
        let found = read::scan(&image).expect("the scan finds a table");
        assert_eq!((found.start, found.end), (table.bounds.start, table.bounds.end), "{}", path.display());
    }
}

type Apply = fn(&mut Edited, &StaticCallTable, &StaticCall, &mut Seeded) -> bool;

fn rewrite(
    edited: &mut Edited,
    table: &StaticCallTable,
    call: &StaticCall,
    site: VirtAddr,
    key: u64,
) -> bool {
    let at = table.entry_addr(call);
    edited.write(at, &(site.wrapping_distance(at) as i32).to_le_bytes());
    let field = at.wrapping_offset(4);
    edited.write(field, &(VirtAddr(key).wrapping_distance(field) as i32).to_le_bytes());
    true
}

fn field(call: &StaticCall) -> u64 {
    call.key.0 | u64::from(call.tail)
}

/// Kinds of damage, all of which must be found at the damaged entry.
const DAMAGES: &[(&str, Apply)] = &[
    ("tail bit flipped", |e, t, c, _| rewrite(e, t, c, c.site, field(c) ^ 1)),
    ("bit 1 set", |e, t, c, _| rewrite(e, t, c, c.site, field(c) | 2)),
    ("site moved by 1", |e, t, c, _| rewrite(e, t, c, c.site.wrapping_offset(1), field(c))),
    ("site moved by -1", |e, t, c, _| rewrite(e, t, c, c.site.wrapping_offset(-1), field(c))),
    ("site moved by 5", |e, t, c, _| rewrite(e, t, c, c.site.wrapping_offset(5), field(c))),
    ("key moved by 8", |e, t, c, _| rewrite(e, t, c, c.site, field(c) + 8)),
    ("key of another", |e, t, c, s| {
        let to = t.calls[s.below(t.calls.len())].key.0;
        to != c.key.0 && rewrite(e, t, c, c.site, to | u64::from(c.tail))
    }),
    ("key into text", |e, t, c, _| rewrite(e, t, c, c.site, c.site.0 & !7)),
    ("opcode to nop", |e, _, c, _| {
        e.write(c.site, &[0x0f, 0x1f, 0x44, 0, 0]);
        true
    }),
    ("opcode changed", |e, _, c, _| {
        e.write(c.site, &[0xb8]);
        true
    }),
    ("call redirected", |e, _, c, _| {
        let bytes = e.original().bytes(c.site, 5).expect("a site");
        let low = bytes[1] ^ 0x40;
        e.write(c.site.wrapping_offset(1), &[low]);
        true
    }),
    ("entry copied over", |e, t, c, s| {
        let from = t.calls[s.below(t.calls.len())];
        from.index.abs_diff(c.index) > 1 && rewrite(e, t, c, from.site, field(&from))
    }),
];

#[test]
fn damage_to_real_kernels_is_found() {
    let some = ["6.1.0-56-amd64.vmlinux", "5.10.0-46-cloud-amd64.vmlinux", "7.3.4+deb13-cloud-amd64.debug"];
    for path in ["debug", "vmlinux"].into_iter().flat_map(kernels) {
        if !some.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let mut edited = Edited::open(&path);
        let table = Context::new(edited.original(), None).static_calls().expect("a table").clone();
        eprintln!("{}", path.display());
        for (name, apply) in DAMAGES {
            let mut seeded = Seeded(table.calls.len() as u64);
            let mut damaged = BTreeSet::new();
            for call in table.calls.iter().skip(3).step_by(61) {
                if apply(&mut edited, &table, call, &mut seeded) {
                    damaged.insert(u64::from(call.index));
                }
            }
            let report = check(&edited.take()).expect("a report");
            let found: BTreeSet<u64> = report
                .findings
                .iter()
                .filter(|f| f.severity >= Severity::Warning)
                .filter_map(|f| f.index)
                .collect();
            let hits = damaged.intersection(&found).count();
            eprintln!(
                "  {name:24} {hits}/{} ({} elsewhere)",
                damaged.len(),
                found.difference(&damaged).count()
            );
            assert!(hits * 100 >= damaged.len() * 84, "{name}");
        }
    }
}
