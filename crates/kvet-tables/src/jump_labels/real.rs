//! The table of real kernels, whole and damaged.

use std::collections::BTreeSet;

use kvet_finding::{Severity, Value};
use kvet_image::{Arch, Image, VirtAddr};

use super::{JumpLabel, JumpTable, scan};
use crate::realkernels::{Edited, Seeded, kernels};
use crate::{Context, LocatedBy, Table, TableReport};

fn check(image: &Image) -> TableReport {
    super::JumpLabels.check(&Context::new(image, None)).expect("a report")
}

/// Entries and keys on Debian's 6.1 kernels, counted with other tools.
const KNOWN: &[(&str, u64, usize)] = &[("6.1.0-56-amd64", 6299, 2821), ("6.1.0-56-arm64", 7530, 3381)];

#[test]
fn distribution_kernels_have_no_findings() {
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let report = check(&image);
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        eprintln!(
            "{}: {} entries by {:?}, {:?}",
            path.display(),
            report.entries,
            report.located_by,
            report.layout
        );
        assert!(report.entries > 1000, "{}", path.display());
        assert_eq!(report.findings, [], "{}", path.display());
        if let Some((_, entries, keys)) = KNOWN.iter().find(|(known, ..)| *known == name) {
            let context = Context::new(&image, None);
            let table = context.jump_labels().expect("a table");
            assert_eq!((report.entries, table.keys.len()), (*entries, *keys), "{}", path.display());
        }
    }
}

#[test]
fn the_scan_finds_the_very_table_that_the_symbols_name() {
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let named = &context.jump_labels().expect("a table").bounds;
        let found = scan::scan(&image).expect("the scan finds a table");
        assert_eq!((found.start, found.end), (named.start, named.end), "{}", path.display());
        if named.located_by == LocatedBy::Scan {
            eprintln!("{}: no symbols to compare the scan with", path.display());
        }
    }
}

/// One kind of damage: what it does to an entry, and which share of it must be found at that entry.
struct Damage {
    name: &'static str,
    /// In hundredths.
    at_least: usize,
    apply: fn(&mut Edited, &JumpTable, &JumpLabel, &mut Seeded) -> bool,
}

fn entry_of(table: &JumpTable, label: &JumpLabel) -> VirtAddr {
    table.entry_addr(label)
}

fn write_fields(edited: &mut Edited, at: VirtAddr, code: VirtAddr, target: VirtAddr, key: u64) {
    edited.write(at, &(code.wrapping_distance(at) as i32).to_le_bytes());
    let field = at.wrapping_offset(4);
    edited.write(field, &(target.wrapping_distance(field) as i32).to_le_bytes());
    let field = at.wrapping_offset(8);
    edited.write(field, &key.wrapping_sub(field.0).to_le_bytes());
}

fn key_field(label: &JumpLabel) -> u64 {
    label.key.0 | u64::from(label.branch) | u64::from(label.init) << 1
}

/// Rewrites an entry with a change.
fn rewrite(
    edited: &mut Edited,
    table: &JumpTable,
    label: &JumpLabel,
    change: impl FnOnce(&mut (u64, u64, u64)),
) -> bool {
    let mut fields = (label.code.0, label.target.0, key_field(label));
    change(&mut fields);
    write_fields(edited, entry_of(table, label), VirtAddr(fields.0), VirtAddr(fields.1), fields.2);
    true
}

fn swap_instruction(edited: &mut Edited, label: &JumpLabel) -> bool {
    let image = edited.original();
    let arm = image.arch() == Arch::Arm64;
    let bytes = image.bytes(label.code, 5).expect("a site").to_vec();
    let distance = |size: i64| label.target.wrapping_distance(label.code.wrapping_offset(size));
    let new: Vec<u8> = match bytes[..] {
        _ if arm && bytes[..4] == [0x1f, 0x20, 0x03, 0xd5] => {
            (0x1400_0000 | (distance(0) >> 2) as u32 & 0x03ff_ffff).to_le_bytes().to_vec()
        }
        _ if arm => vec![0x1f, 0x20, 0x03, 0xd5],
        [0x66, 0x90, ..] => vec![0xeb, distance(2) as u8],
        [0xeb, ..] => vec![0x66, 0x90],
        [0xe9, ..] => vec![0x0f, 0x1f, 0x44, 0, 0],
        _ => [&[0xe9][..], &(distance(5) as i32).to_le_bytes()].concat(),
    };
    edited.write(label.code, &new);
    true
}

fn other<'t>(table: &'t JumpTable, seeded: &mut Seeded) -> &'t JumpLabel {
    &table.labels[seeded.below(table.labels.len())]
}

const DAMAGES: &[Damage] = &[
    Damage { name: "nop to jmp, jmp to nop", at_least: 100, apply: |e, _, l, _| swap_instruction(e, l) },
    Damage { name: "branch bit flipped", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.2 ^= 1) },
    Damage { name: "bit 1 flipped", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.2 ^= 2) },
    Damage { name: "code moved by 1", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.0 += 1) },
    Damage { name: "code moved by -1", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.0 -= 1) },
    Damage { name: "code moved by 2", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.0 += 2) },
    Damage { name: "code moved by -2", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.0 -= 2) },
    Damage { name: "code moved by 4", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.0 += 4) },
    Damage { name: "target moved by 1", at_least: 98, apply: |e, t, l, _| rewrite(e, t, l, |f| f.1 += 1) },
    Damage { name: "target moved by 4", at_least: 80, apply: |e, t, l, _| rewrite(e, t, l, |f| f.1 += 4) },
    Damage { name: "target moved by 16", at_least: 75, apply: |e, t, l, _| rewrite(e, t, l, |f| f.1 += 16) },
    Damage {
        name: "target moved by 4096",
        at_least: 90,
        apply: |e, t, l, _| rewrite(e, t, l, |f| f.1 += 4096),
    },
    Damage {
        name: "target of another entry",
        at_least: 95,
        apply: |e, t, l, s| {
            let to = other(t, s).target.0;
            rewrite(e, t, l, |f| f.1 = to)
        },
    },
    Damage { name: "key 8 bytes on", at_least: 90, apply: |e, t, l, _| rewrite(e, t, l, |f| f.2 += 8) },
    Damage { name: "key 4 bytes on", at_least: 100, apply: |e, t, l, _| rewrite(e, t, l, |f| f.2 += 4) },
    Damage {
        name: "key into text",
        at_least: 95,
        apply: |e, t, l, _| rewrite(e, t, l, |f| f.2 = l.code.0 & !7),
    },
    Damage {
        name: "key of another entry, other state",
        at_least: 100,
        apply: |e, t, l, _| {
            let state = |label: &JumpLabel| t.key(label.key).and_then(|key| key.initially_enabled());
            let Some(to) = t.labels.iter().find(|x| state(x) != state(l)) else { return false };
            rewrite(e, t, l, |f| f.2 = to.key.0 | f.2 & 3)
        },
    },
    // Nothing in the file says which of two keys in the same state a site was compiled with.
    Damage {
        name: "key of another entry, same state",
        at_least: 0,
        apply: |e, t, l, s| {
            let state = |label: &JumpLabel| t.key(label.key).and_then(|key| key.initially_enabled());
            let to = other(t, s);
            state(to) == state(l) && to.key != l.key && rewrite(e, t, l, |f| f.2 = to.key.0 | f.2 & 3)
        },
    },
    Damage {
        name: "entry copied over",
        at_least: 90,
        apply: |e, t, l, s| {
            let from = *other(t, s);
            from.index.abs_diff(l.index) > 1 && {
                write_fields(e, entry_of(t, l), from.code, from.target, key_field(&from));
                true
            }
        },
    },
    Damage {
        name: "code and target swapped",
        at_least: 95,
        apply: |e, t, l, _| rewrite(e, t, l, |f| (f.0, f.1) = (f.1, f.0)),
    },
    Damage {
        name: "entry of zeros",
        at_least: 100,
        apply: |e, t, l, _| {
            e.write(entry_of(t, l), &[0; 16]);
            true
        },
    },
];

/// Damages every 97th entry at once and counts where a finding of that entry follows.
fn measure(edited: &mut Edited, table: &JumpTable, damage: &Damage) -> (usize, usize) {
    let mut seeded = Seeded(table.labels.len() as u64);
    let mut damaged = BTreeSet::new();
    for label in table.labels.iter().skip(5).step_by(97) {
        if (damage.apply)(edited, table, label, &mut seeded) {
            damaged.insert(u64::from(label.index));
        }
    }
    let image = edited.take();
    let report = check(&image);
    assert_eq!(report.entries, table.labels.len() as u64, "{}: the table is found whole", damage.name);
    let found: BTreeSet<u64> =
        report.findings.iter().filter(|f| f.severity >= Severity::Warning).filter_map(|f| f.index).collect();
    let stray = found.difference(&damaged).count();
    if stray > 0 {
        eprintln!("  {}: {stray} findings at entries that were not damaged", damage.name);
    }
    (damaged.intersection(&found).count(), damaged.len())
}

#[test]
fn damage_to_real_kernels_is_found() {
    let some = [
        "6.1.0-56-amd64.vmlinux",
        "5.10.0-46-cloud-amd64.vmlinux",
        "6.1.0-56-arm64.Image",
        "7.3.4+deb13-cloud-amd64.debug",
    ];
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        if !some.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let mut edited = Edited::open(&path);
        let table = Context::new(edited.original(), None).jump_labels().expect("a table").clone();
        eprintln!("{}", path.display());
        for damage in DAMAGES {
            let (found, damaged) = measure(&mut edited, &table, damage);
            eprintln!("  {:36} {found}/{damaged}", damage.name);
            if edited.original().arch() == Arch::X86_64 {
                assert!(found * 100 >= damaged * damage.at_least, "{}: {found}/{damaged}", damage.name);
            }
        }
    }
}

/// What copies of this kernel printed when they were booted in QEMU, each damaged as below at entry 905: a site of
/// `sched_clock_running`, which every boot enables.
#[test]
fn what_damaged_kernels_printed_when_booted() {
    const LINE: &str = "jump_label: Fatal kernel bug, unexpected op at sched_clock_cpu+0x1d/0xb0 [(____ptrval____)] \
                        (66 90 65 ff 05 != eb 65 00 00 00)) size:2 type:0";
    let Some(path) =
        kernels("vmlinux").into_iter().find(|path| path.ends_with("6.1.0-56-cloud-amd64.vmlinux"))
    else {
        return;
    };
    let mut edited = Edited::open(&path);
    let table = Context::new(edited.original(), None).jump_labels().expect("a table").clone();
    let label = table.labels[905];
    let line = |image: &Image, index: u64| {
        let report = check(image);
        assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
        let finding = &report.findings[0];
        assert_eq!(finding.index, Some(index));
        let then = finding.evidence.iter().find(|(name, _)| *name == "then").map(|(_, value)| value.clone());
        (finding.at_boot.clone().expect("the kernel notices").line, then)
    };
    let then = Some(Value::Text("kernel BUG at arch/x86/kernel/jump_label.c:73!".to_owned()));
    edited.write(label.code, &[0x66, 0x90]);
    assert_eq!(line(&edited.take(), 905), (LINE.to_owned(), then.clone()));
    let other = table.labels[1000];
    write_fields(&mut edited, entry_of(&table, &other), label.code, label.target, key_field(&label));
    assert_eq!(line(&edited.take(), 1000), (LINE.to_owned(), then));
    edited.write(label.code, &[0x90]);
    assert_eq!(
        line(&edited.take(), 905),
        ("kernel BUG at arch/x86/kernel/jump_label.c:25!".to_owned(), None)
    );
}
