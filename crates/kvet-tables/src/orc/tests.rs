//! Small tables, each wrong in one way.

use kvet_finding::Finding;
use kvet_image::Arch;

use super::Layout;
use crate::testimage::{A, AX, TestImage, rel32};
use crate::{Context, Table, TableReport};

const TEXT: u64 = 0xffff_ffff_8100_0000;
const IPS: u64 = 0xffff_ffff_8200_0000;
const ENTRIES: u64 = 0xffff_ffff_8200_1000;

/// Places, and for each the two offsets and the fields.
type Rows = Vec<(u64, i16, i16, u16)>;

fn sound(layout: Layout) -> Rows {
    let (call, sp, prev, end) = match layout {
        Layout::End => (0, 5, 1, 1 << 10),
        Layout::SignalEnd => (0, 5, 1, 1 << 11),
        Layout::Typed => (2 << 8, 5, 1, 1 << 8),
        Layout::Renumbered => (2 << 8, 3, 8, 1 << 8),
    };
    let plain = call | sp;
    let saved = plain | prev << 4;
    vec![
        (0, 8, 0, plain),
        (1, 16, -16, saved),
        (0x20, 8, 0, plain),
        (0x40, 8, 0, plain),
        (0x44, 24, -16, saved),
        (0x50, 8, 0, plain),
        (0x60, 0, 0, end),
        (0x70, 0, 0, 0),
        (0x70, 8, 0, plain),
        (0x80, 8, 0, plain),
        (0x90, 16, 0, plain),
        // Just behind the section.
        (0x100, 0, 0, 0),
    ]
}

fn report(rows: &Rows, edit: impl FnOnce(&mut TestImage)) -> TableReport {
    report_cut(rows, [0, 0], edit)
}

/// With so many bytes cut off the end of each table.
fn report_cut(rows: &Rows, cut: [usize; 2], edit: impl FnOnce(&mut TestImage)) -> TableReport {
    let places = (IPS..).step_by(4).zip(rows).flat_map(|(field, row)| rel32(field, TEXT.wrapping_add(row.0)));
    let entries = rows
        .iter()
        .flat_map(|(_, sp, bp, fields)| [sp.to_le_bytes(), bp.to_le_bytes(), fields.to_le_bytes()].concat());
    let (mut places, mut entries): (Vec<u8>, Vec<u8>) = (places.collect(), entries.collect());
    places.truncate(places.len() - cut[0]);
    entries.truncate(entries.len() - cut[1]);
    let returns = IPS + 0x2000;
    let mut t = TestImage::new(Arch::X86_64);
    t.section(".text", TEXT, AX, &[0x90; 0x100])
        .section(".orc_unwind_ip", IPS, A, &places)
        .section(".orc_unwind", ENTRIES, A, &entries)
        .section(
            ".return_sites",
            returns,
            A,
            &[rel32(returns, TEXT + 0x24), rel32(returns + 4, TEXT + 0x55)].concat(),
        )
        .function("_stext", TEXT, 0x20);
    edit(&mut t);
    let image = t.build();
    super::Orc.check(&Context::new(&image, None)).expect("a report")
}

fn changed(change: impl FnOnce(&mut Rows)) -> Vec<Finding> {
    let mut rows = sound(Layout::Typed);
    change(&mut rows);
    report(&rows, |_| {}).findings
}

fn rules(findings: &[Finding]) -> Vec<(&str, Option<u64>)> {
    findings.iter().map(|finding| (finding.rule, finding.index)).collect()
}

#[test]
fn the_entries_tell_their_layout() {
    for layout in [Layout::End, Layout::SignalEnd, Layout::Typed, Layout::Renumbered] {
        let mut rows = sound(layout);
        if layout == Layout::SignalEnd {
            rows[1].3 |= 1 << 10;
        }
        let report = report(&rows, |_| {});
        assert_eq!((report.findings, report.layout.as_deref()), (Vec::new(), Some(layout.words())));
    }
}

#[test]
fn a_known_hash_decides_before_the_entries() {
    let hash = [
        0x13, 0x7c, 0x36, 0xad, 0x76, 0x27, 0xc4, 0xdd, 0x55, 0x93, 0x21, 0x76, 0xbb, 0x0e, 0xcd, 0xbd, 0x50,
        0x41, 0xfc, 0x82,
    ];
    let with = |hash: &[u8]| {
        report(&sound(Layout::Typed), |t| {
            t.section(".orc_header", IPS + 0x3000, A, hash);
        })
    };
    let report = with(&hash);
    assert_eq!(report.layout.as_deref(), Some(Layout::Renumbered.words()));
    assert!(!report.findings.is_empty(), "the stack pointer's number is di's there");
    let report = with(&[7; 20]);
    assert_eq!((report.findings.len(), report.layout.as_deref()), (0, Some(Layout::Typed.words())));
    assert!(report.skipped[0].contains("not known here"), "{:?}", report.skipped);
}

#[test]
fn order_is_what_the_search_needs() {
    assert_eq!(
        rules(&changed(|rows| rows.swap(2, 3))),
        [("orc/order", Some(3)), ("orc/return", Some(1))][..1]
    );
    // The weak entry behind the real one hides it.
    assert_eq!(rules(&changed(|rows| rows.swap(7, 8))), [("orc/order", Some(8))]);
    assert_eq!(rules(&changed(|rows| rows[0].0 = 1)), [("orc/coverage", Some(0)), ("orc/order", Some(1))]);
}

#[test]
fn places_are_in_text() {
    assert_eq!(rules(&changed(|rows| rows[11].0 = 0x101)), [("orc/place", Some(11))]);
}

#[test]
fn fields_have_a_meaning() {
    let one = |index: usize, change: fn(&mut (u64, i16, i16, u16))| changed(|rows| change(&mut rows[index]));
    let type_5 = one(4, |row| row.3 = row.3 & !0x700 | 5 << 8);
    assert_eq!(rules(&type_5), [("orc/type", Some(4))]);
    assert_eq!(
        type_5[0].at_boot.as_ref().map(|a| a.line.as_str()),
        Some("WARNING: unknown .orc_unwind entry type 5 at ")
    );
    let sp_15 = one(4, |row| row.3 |= 15);
    assert_eq!(rules(&sp_15), [("orc/register", Some(4))]);
    assert_eq!(
        sp_15[0].at_boot.as_ref().map(|a| a.line.as_str()),
        Some("WARNING: unknown SP base reg 15 at ")
    );
    assert_eq!(rules(&one(4, |row| row.3 |= 15 << 4)), [("orc/register", Some(4))]);
    assert_eq!(rules(&one(4, |row| row.3 |= 1 << 13)), [("orc/fields", Some(4))]);
    assert_eq!(rules(&one(6, |row| row.1 = 8)), [("orc/fields", Some(6))]);
    assert_eq!(rules(&one(4, |row| row.1 += 1)), [("orc/offset", Some(4))]);
    assert_eq!(rules(&one(10, |row| row.2 = 8)), [("orc/offset", Some(10))]);
}

#[test]
fn nothing_is_left_of_a_frame_at_a_return() {
    assert_eq!(rules(&changed(|rows| rows[2].1 = 16)), [("orc/return", Some(2))]);
    assert_eq!(rules(&changed(|rows| rows[5].3 = rows[5].3 & !15 | 4)), [("orc/return", Some(5))]);
    assert_eq!(rules(&changed(|rows| rows[5] = (0x50, 0, 0, 0))), [], "code without data");
}

#[test]
fn tables_of_two_lengths_are_refused() {
    for cut in [[1, 0], [0, 1], [4, 0], [0, 6]] {
        let report = report_cut(&sound(Layout::Typed), cut, |_| {});
        assert_eq!(rules(&report.findings), [("orc/size", None)]);
        let line = &report.findings[0].at_boot.as_ref().expect("the kernel says so").line;
        assert!(line.ends_with("Bad or missing .orc_unwind table.  Disabling unwinder."));
    }
}

#[test]
fn hostile_tables_end_in_findings() {
    let mut seeded = crate::realkernels::Seeded(5);
    for _ in 0..100 {
        let rows: Rows = (0..50)
            .map(|_| (seeded.next(), seeded.next() as i16, seeded.next() as i16, seeded.next() as u16))
            .collect();
        assert!(!report(&rows, |_| {}).findings.is_empty());
    }
}
