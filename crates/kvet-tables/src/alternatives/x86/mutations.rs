//! Damage done to the tables of real kernels, entry by entry: what share of each kind is found, and at the
//! right entry.
//!
//! Reads the directory that KVET_KERNELS names; without it these tests say that they did nothing.

use std::path::PathBuf;

use kvet_finding::Severity;
use kvet_image::{Arch, Image, VirtAddr};

use super::checker::{Checker, Scope};
use super::{Alternative, Alternatives, Kernel, Layout, check, check_vdso, entries};
use crate::Context;
use crate::realkernels::{self, Seeded};

/// The x86-64 kernels with symbols.
fn kernels() -> Vec<(PathBuf, Image)> {
    let open = |path: PathBuf| (path.clone(), Image::open(&path).expect("a kernel opens"));
    let all = realkernels::kernels("debug").into_iter().filter(|p| p.to_string_lossy().contains("amd64"));
    all.map(open).filter(|(_, image)| image.arch() == Arch::X86_64).collect()
}

/// Lines of the kernel's checks as they stand in the sources (arch/x86/kernel/alternative.c): length, feature, a
/// direct call that is none, one of another shape, a short branch, what does not decode; and the limit.
type Lines = (u16, u16, Option<u16>, Option<u16>, Option<u16>, Option<u16>, u32);

/// By release: entries of vmlinux and of its vDSOs, and the lines.
const EXPECTED: &[(&str, u64, u64, Lines)] = &[
    ("5.10.0-46-cloud-amd64", 1006, 15, (456, 457, None, None, None, None, 800)),
    ("6.1.0-56-amd64", 4667, 34, (304, 305, None, None, None, None, 768)),
    ("6.1.0-56-cloud-amd64", 4468, 27, (304, 305, None, None, None, None, 768)),
    ("6.12.117+deb12-amd64", 9460, 49, (627, 628, Some(535), Some(542), Some(433), Some(456), 768)),
    ("6.12.117+deb12-cloud-amd64", 9282, 34, (627, 628, Some(535), Some(542), Some(433), Some(456), 768)),
    ("7.3.4+deb13-cloud-amd64", 9882, 37, (619, 608, Some(545), Some(552), Some(443), Some(466), 768)),
];

#[test]
fn distribution_kernels_are_clean_and_their_checks_stand_where_the_source_has_them() {
    for suffix in ["vmlinux", "debug"] {
        for path in realkernels::kernels(suffix) {
            let release = path.file_stem().and_then(|s| s.to_str()).unwrap_or("");
            let Some((_, count, vdso, lines)) = EXPECTED.iter().find(|(r, ..)| *r == release) else {
                continue;
            };
            let image = Image::open(&path).expect("a kernel opens");
            let context = Context::new(&image, None);
            let report = check(&context).expect("a report");
            assert_eq!((report.entries, report.findings.as_slice()), (*count, &[][..]), "{}", path.display());
            let report = check_vdso(&context).expect("a report");
            assert_eq!((report.entries, report.findings.as_slice()), (*vdso, &[][..]), "{}", path.display());
            let traps = Kernel::of(&context).and_then(Kernel::traps).expect("the kernel's own checks");
            let line = |bug: &Option<super::traps::Bug>| bug.as_ref().map(|b| b.line);
            let found = (
                line(&traps.length).unwrap_or(0),
                line(&traps.feature).unwrap_or(0),
                line(&traps.not_a_call),
                line(&traps.no_indirect_call),
                line(&traps.reach),
                line(&traps.undecodable),
                traps.feature_limit.unwrap_or(0),
            );
            assert_eq!(found, *lines, "{}", path.display());
            assert_eq!(traps.feature_limit, Kernel::of(&context).and_then(|k| k.features().limit()));
        }
    }
}

/// A number from 1 to `n`, of either sign.
fn step(random: &mut Seeded, n: usize) -> i64 {
    let step = 1 + random.below(n) as i64;
    if random.below(2) == 0 { step } else { -step }
}

type Damage = fn(&mut Seeded, &mut Vec<Alternative>, usize, Layout);

/// Each kind of damage, and the least share in percent that must be found at the very entry.
const DAMAGES: &[(&str, u64, Damage)] = &[
    ("feature out of range", 100, |r, list, i, _| list[i].feature = 768 + r.below(4000) as u16),
    ("feature off by one", 85, |_, list, i, _| list[i].feature += 1),
    ("another feature in range", 85, |r, list, i, _| {
        let old = list[i].feature;
        while list[i].feature == old {
            list[i].feature = r.below(768) as u16;
        }
    }),
    ("site length off by one", 90, |r, list, i, _| {
        list[i].site_len = list[i].site_len.wrapping_add_signed(step(r, 1) as i8);
    }),
    ("another site length", 90, |r, list, i, _| {
        list[i].site_len = list[i].site_len.wrapping_add(1 + r.below(255) as u8)
    }),
    ("site length above the buffer", 100, |_, list, i, _| list[i].site_len = 255),
    ("replacement length off by one", 99, |r, list, i, _| {
        list[i].replacement_len = list[i].replacement_len.wrapping_add_signed(step(r, 1) as i8);
    }),
    ("site moved by one", 99, |r, list, i, _| list[i].site = list[i].site.wrapping_offset(step(r, 1))),
    ("site moved by up to eight", 90, |r, list, i, _| {
        list[i].site = list[i].site.wrapping_offset(step(r, 8))
    }),
    ("site anywhere near", 90, |r, list, i, _| list[i].site = list[i].site.wrapping_offset(step(r, 1 << 22))),
    ("site unmapped", 100, |_, list, i, _| list[i].site = list[i].site.wrapping_offset(-(1 << 30))),
    ("replacement moved by one", 90, |r, list, i, _| {
        list[i].replacement = list[i].replacement.wrapping_offset(step(r, 1));
    }),
    ("replacement anywhere near", 99, |r, list, i, _| {
        list[i].replacement = list[i].replacement.wrapping_offset(step(r, 1 << 20));
    }),
    ("replacement of another entry", 99, |r, list, i, _| {
        let from = r.below(list.len());
        list[i].replacement = list[from].replacement;
        list[i].replacement_len = list[from].replacement_len;
    }),
    ("overwritten by the entry before", 99, |_, list, i, _| {
        let from = if i == 0 { 1 } else { i - 1 };
        list[i] = Alternative { index: i as u64, ..list[from] };
    }),
    ("overwritten by another entry", 99, |r, list, i, _| {
        let from = r.below(list.len());
        list[i] = Alternative { index: i as u64, ..list[from] };
    }),
    ("zeroed", 100, |_, list, i, layout| {
        let at = VirtAddr(list[i].site.0 & !0xfff_ffff | 0x3_0000);
        let padlen = (layout == Layout::Padlen).then_some(0);
        list[i] = Alternative {
            site: at,
            replacement: at,
            feature: 0,
            not: false,
            direct_call: false,
            unknown_flags: 0,
            site_len: 0,
            replacement_len: 0,
            padlen,
            ..list[i]
        };
    }),
    ("NOT flipped", 85, |_, list, i, _| list[i].not = !list[i].not),
    ("DIRECT_CALL flipped", 99, |_, list, i, layout| {
        if layout == Layout::Flags {
            list[i].direct_call = !list[i].direct_call;
        } else {
            list[i].site_len = 0;
        }
    }),
    ("an unknown flag set", 100, |r, list, i, layout| {
        if layout == Layout::Flags {
            list[i].unknown_flags = 4 << r.below(14);
        } else {
            list[i].site_len = 0;
        }
    }),
];

/// What checking a changed table finds: the indices of its errors.
fn errors(context: &Context<'_>, original: &Alternatives, list: Vec<Alternative>) -> Vec<u64> {
    let table = Alternatives { entries: list, ..original.clone() };
    let scope = Scope::kernel(context.image);
    let report = Checker::new(context, &table, scope, "alternatives").report();
    let errors = report.findings.iter().filter(|f| f.severity == Severity::Error);
    errors.filter_map(|f| f.index).collect()
}

#[test]
fn damage_to_real_tables_is_found_at_its_entry() {
    const ROUNDS: u64 = 20;
    for (path, image) in kernels() {
        let context = Context::new(&image, None);
        let table = entries(&context).expect("a kernel has alternatives");
        assert_eq!(errors(&context, table, table.entries.clone()), [], "{}", path.display());
        let mut random = Seeded(0x5eed_0000_0000_0001);
        let mut weak = Vec::new();
        eprintln!("{}: {} entries", path.display(), table.entries.len());
        for (name, least, damage) in DAMAGES {
            let (mut exact, mut near, mut missed) = (0, 0, Vec::new());
            for _ in 0..ROUNDS {
                let i = random.below(table.entries.len());
                let mut list = table.entries.clone();
                damage(&mut random, &mut list, i, table.layout);
                if list == table.entries {
                    exact += 1;
                    near += 1;
                    continue;
                }
                let changed = list[i];
                let found = errors(&context, table, list);
                exact += u64::from(found.contains(&(i as u64)));
                near += u64::from(!found.is_empty());
                if !found.contains(&(i as u64)) {
                    missed.push((i, found, changed));
                }
            }
            eprintln!("  {name}: {exact} of {ROUNDS} at the entry, {near} at all");
            for (i, found, changed) in missed.iter().take(6) {
                eprintln!(
                    "    entry {i}: {:?}\n      became {changed:?}, found at {found:?}",
                    table.entries[*i]
                );
            }
            if exact * 100 < least * ROUNDS {
                weak.push(format!("{name}: {exact} of {ROUNDS}, {least} % expected"));
            }
        }
        assert_eq!(weak, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn an_object_with_shifted_features_is_found() {
    for (path, image) in kernels() {
        let context = Context::new(&image, None);
        let table = entries(&context).expect("a kernel has alternatives");
        let mut random = Seeded(0x5eed_0000_0000_0002);
        let (mut changed, mut found_at, mut rounds_found, mut wrong) = (0, 0, 0, 0);
        const ROUNDS: u64 = 25;
        for _ in 0..ROUNDS {
            let len = 3 + random.below(60);
            let from = random.below(table.entries.len() - len);
            let mut list = table.entries.clone();
            list[from..from + len].iter_mut().for_each(|e| e.feature += 1);
            let found = errors(&context, table, list);
            let inside = |i: &&u64| (from as u64..(from + len) as u64).contains(*i);
            let mut at: Vec<u64> = found.iter().filter(inside).copied().collect();
            at.dedup();
            changed += len;
            found_at += at.len();
            rounds_found += u64::from(!at.is_empty());
            if at.is_empty() {
                eprintln!("  nothing found in {len} entries from {from}: {:?}", table.entries.get(from));
            }
            for i in found.iter().filter(|i| !inside(i)) {
                eprintln!("  {from}+{len}: error elsewhere at {i}: {:?}", table.entries.get(*i as usize));
            }
            wrong += found.iter().filter(|i| !inside(i)).count();
        }
        eprintln!(
            "{}: {found_at} of {changed} shifted entries found, in {rounds_found} of {ROUNDS} objects; {wrong} errors elsewhere",
            path.display()
        );
        // An object of few entries may have none whose replacement another object has too.
        assert!(rounds_found * 10 >= ROUNDS * 9, "{rounds_found} of {ROUNDS}");
        assert_eq!(wrong, 0);
    }
}
