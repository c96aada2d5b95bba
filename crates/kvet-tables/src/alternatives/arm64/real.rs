//! Real kernels, sound and damaged, where `KVET_KERNELS` names a directory of them.

use std::path::PathBuf;

use kvet_finding::Severity;
use kvet_image::{Arch, Image, SymbolKind, VirtAddr};

use super::text::Text;
use super::{Alternative, Arm64Alternatives, CALLBACK_BIT, ENTRY_SIZE, check, locate};
use crate::{Context, Table, TableReport};

/// The arm64 kernels of the directory, by file name; says so when there are none to test.
fn kernels(suffixes: &[&str]) -> Vec<(String, PathBuf)> {
    let all = kvet_testkernels::kernels(suffixes).into_iter();
    all.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
        .filter(|(name, _)| suffixes.iter().any(|s| name.ends_with(&format!("arm64.{s}"))))
        .collect()
}

/// Entries that the reference states.
const KNOWN: &[(&str, usize, usize)] =
    &[("6.1.0-56-arm64.debug", 30_362, 14_285), ("6.1.0-56-arm64.Image", 30_362, 14_285)];

#[test]
fn distribution_kernels_have_no_findings() {
    for (name, path) in kernels(&["debug", "Image"]) {
        let image = Image::open(&path).expect("opens");
        assert_eq!(image.arch(), Arch::Arm64);
        let context = Context::new(&image, None);
        let table = context.arm64_alternatives();
        let callbacks = table.entries.iter().filter(|e| e.cpucap & CALLBACK_BIT != 0).count();
        if let Some((_, entries, expected)) = KNOWN.iter().find(|k| k.0 == name) {
            assert_eq!((table.entries.len(), callbacks), (*entries, *expected), "{name}");
        }
        let capabilities = &table.capabilities;
        assert!(capabilities.complete && capabilities.count.is_some(), "{name}");
        assert!(capabilities.is_always(1), "{name}");
        for table in
            [&crate::alternatives::Alternatives as &dyn Table, &crate::alternatives::VdsoAlternatives]
        {
            let report = table.check(&context).expect("a report");
            assert_eq!(report.findings, [], "{name}");
            assert_eq!(report.skipped, Vec::<String>::new(), "{name}");
            assert!(report.entries >= 4, "{name}");
        }
    }
}

#[test]
fn a_scan_finds_what_the_section_holds() {
    for (name, path) in kernels(&["debug"]) {
        let image = Image::open(&path).expect("opens");
        let text = Text::of(&image);
        let regions: Vec<_> = image.sections().iter().map(|s| (s.addr, image.section_bytes(s))).collect();
        let found = locate::scan(&regions, &text).expect("found");
        let section = image.section(".altinstructions").expect("a section");
        // The section's alignment may pad it behind the last entry.
        assert_eq!((found.start, found.end), (section.addr, section.end()), "{name}");
        // Without any address known beforehand but that of executable memory: as one region, all executable.
        let lowest = image.sections().first().map_or(0, |s| s.addr.0);
        let end =
            image.sections().iter().filter(|s| !s.file.is_empty()).map(|s| s.end().0).max().unwrap_or(0);
        let mut flat = vec![0; usize::try_from(end - lowest).expect("fits")];
        for s in image.sections().iter().filter(|s| !s.file.is_empty()) {
            let bytes = image.section_bytes(s);
            let at = usize::try_from(s.addr.0 - lowest).expect("fits");
            flat[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let text = Text::new(vec![(VirtAddr(lowest), &flat)]);
        let found = locate::scan(&[(VirtAddr(lowest), &flat)], &text).expect("found");
        assert_eq!((found.start, found.end), (section.addr, section.end()), "{name}, flat");
    }
}

/// A generator with a fixed seed: the same damage on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// One table and everything needed to check damaged copies of it.
struct Subject<'a> {
    context: &'a Context<'a>,
    text: Text<'a>,
    start: VirtAddr,
    functions: Vec<VirtAddr>,
}

impl Subject<'_> {
    fn entries(&self) -> &[Alternative] {
        &self.context.arm64_alternatives().entries
    }

    fn check(&self, entries: Vec<Alternative>) -> TableReport {
        let original = self.context.arm64_alternatives();
        let table = Arm64Alternatives {
            bounds: original.bounds.clone(),
            entries,
            marker: original.marker,
            trailing: 0,
            capabilities: original.capabilities.clone(),
            shapes: Default::default(),
            learned: Default::default(),
        };
        let mut report = TableReport::new("alternatives", None);
        check::run(self.context, &table, None, &self.text, &mut report);
        report
    }

    fn place(&self, index: usize) -> VirtAddr {
        VirtAddr(self.start.0 + (index * ENTRY_SIZE) as u64)
    }
}

/// Damages a copy of the table; says which entries must be named, any of them.
type Damage = fn(&Subject<'_>, &mut Random, &mut [Alternative]) -> std::ops::Range<usize>;

/// The classes of damage, and of 100 how many must be found.
const CLASSES: &[(&str, Damage, usize)] = &[
    ("capability out of range", out_of_range, 100),
    ("capabilities of one object shifted", shifted, 95),
    ("one capability changed in range", in_range, 65),
    ("one length changed", one_length, 100),
    ("both lengths changed", both_lengths, 85),
    ("replacement moved by 4", replacement_moved, 85),
    ("site moved by 4", site_moved, 85),
    ("entry overwritten by another's bytes", duplicated_bytes, 75),
    ("entry repeated", duplicated, 100),
    ("callback pointed to another function", callback_elsewhere, 90),
    ("marker changed", marker, 100),
];

fn pick(random: &mut Random, entries: &[Alternative], wanted: impl Fn(&Alternative) -> bool) -> usize {
    loop {
        let index = random.below(entries.len());
        if entries[index].orig_len != 0 && wanted(&entries[index]) {
            return index;
        }
    }
}

fn one(index: usize) -> std::ops::Range<usize> {
    index..index + 1
}

fn count(s: &Subject<'_>) -> u16 {
    s.context.arm64_alternatives().capabilities.count.expect("known")
}

fn out_of_range(s: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    e[i].cpucap = (e[i].cpucap & CALLBACK_BIT) | (count(s) + r.below(100) as u16);
    one(i)
}

fn shifted(s: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let start = r.below(e.len() - 200);
    let run = start..start + 20 + r.below(180);
    for entry in &mut e[run.clone()] {
        if (entry.cpucap & !CALLBACK_BIT) + 1 < count(s) {
            entry.cpucap += 1;
        }
    }
    run
}

fn in_range(s: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    let (bit, old) = (e[i].cpucap & CALLBACK_BIT, e[i].cpucap & !CALLBACK_BIT);
    let new = (old + 1 + r.below(usize::from(count(s)) - 1) as u16) % count(s);
    e[i].cpucap = bit | new;
    one(i)
}

fn one_length(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    e[i].alt_len += 4;
    one(i)
}

fn both_lengths(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    e[i].orig_len += 4;
    if e[i].alt_len != 0 {
        e[i].alt_len += 4;
    }
    one(i)
}

fn replacement_moved(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |e| e.alt_len != 0);
    e[i].alt = e[i].alt.wrapping_offset(if r.below(2) == 0 { 4 } else { -4 });
    one(i)
}

fn site_moved(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    e[i].orig = e[i].orig.wrapping_offset(if r.below(2) == 0 { 4 } else { -4 });
    one(i)
}

fn duplicated_bytes(s: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let (i, j) = (pick(r, e, |_| true), pick(r, e, |_| true));
    let by = s.place(j).wrapping_distance(s.place(i)) + i64::from(i == j);
    e[j] = Alternative { orig: e[i].orig.wrapping_offset(by), alt: e[i].alt.wrapping_offset(by), ..e[i] };
    one(j)
}

fn duplicated(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true).min(e.len() - 2);
    e[i + 1] = e[i];
    i..i + 2
}

fn callback_elsewhere(s: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |e| e.alt_len == 0);
    e[i].alt = s.functions[r.below(s.functions.len())];
    one(i)
}

fn marker(_: &Subject<'_>, r: &mut Random, e: &mut [Alternative]) -> std::ops::Range<usize> {
    let i = pick(r, e, |_| true);
    e[i].cpucap ^= CALLBACK_BIT;
    one(i)
}

#[test]
fn damage_is_found_where_it_is() {
    const TRIES: usize = 24;
    let mut missed = Vec::new();
    for (name, path) in kernels(&["debug"]) {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let symbols = image.symbols().iter().filter(|s| s.kind == SymbolKind::Function);
        let subject = Subject {
            context: &context,
            text: Text::of(&image),
            start: context.arm64_alternatives().bounds.as_ref().expect("a table").start,
            functions: symbols.map(|s| s.addr).collect(),
        };
        let mut random = Random(0x6b76_6574);
        for (class, damage, least) in CLASSES {
            let (mut found, mut elsewhere) = (0, 0);
            for _ in 0..TRIES {
                let mut entries = subject.entries().to_vec();
                let expected = damage(&subject, &mut random, &mut entries);
                let report = subject.check(entries);
                let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
                let indices: Vec<usize> = errors.filter_map(|f| usize::try_from(f.index?).ok()).collect();
                found += usize::from(indices.iter().any(|i| expected.contains(i)));
                elsewhere += usize::from(indices.iter().any(|i| !expected.contains(i)));
            }
            eprintln!(
                "{name}: {class}: {found} of {TRIES} found, {elsewhere} with another entry blamed as well"
            );
            if found * 100 < least * TRIES {
                missed.push(format!("{name}: {class}: {found} of {TRIES}"));
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
}
