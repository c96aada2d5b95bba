//! The table `kallsyms` of the kernels in the directory that KVET_KERNELS names: nothing is wrong with any.
#![allow(missing_docs, clippy::unwrap_used)]

use kvet_image::{Image, VirtAddr};
use kvet_tables::{Context, Table, kallsyms::Kallsyms};

#[test]
fn no_distribution_kernel_has_a_finding() {
    for path in kvet_testkernels::kernels(&["Image", "vmlinux", "debug"]) {
        let image = Image::open(&path).unwrap();
        let report = Kallsyms.check(&Context::new(&image, None)).unwrap();
        assert_eq!(report.findings, [], "{}", path.display());
        assert!(report.entries > 40_000, "{}: {}", path.display(), report.entries);
        eprintln!(
            "{}: {} by {}, {}; not checked: {:?}",
            path.display(),
            report.entries,
            report.located_by.unwrap(),
            report.layout.unwrap(),
            report.skipped
        );
    }
}

/// Changes one byte of a real kernel at a time: each change is found, under its rule and at its entry.
#[test]
fn damage_to_a_real_kernel_is_found_at_its_entry() {
    for path in kvet_testkernels::kernels(&["Image", "vmlinux"]) {
        let bytes = std::fs::read(&path).unwrap();
        let image = Image::from_bytes(&path, bytes.clone()).unwrap();
        let kallsyms = image.kallsyms().unwrap();
        let place = |addr: VirtAddr| image.file_range(addr).unwrap().start;
        let after = |addr: VirtAddr, n: usize| place(addr) + n;
        let symbol = kallsyms.len() / 3;
        let length = after(kallsyms.names().start, kallsyms.name_offset(symbol).unwrap());
        let mut damages = vec![
            ("kallsyms/count", None, after(kallsyms.names().start, 0) - count_distance(&image)),
            ("kallsyms/marker", Some(77), after(kallsyms.markers().start, 4 * 77)),
            ("kallsyms/token-index", Some(200), after(kallsyms.token_index().start, 2 * 200)),
            ("kallsyms/name-length", Some(symbol as u64), length),
            // The third byte: a step of 64 KiB, past many neighbours.
            ("kallsyms/order", Some(symbol as u64), place(kallsyms.address_field(symbol)) + 2),
        ];
        if let Some(seqs) = kallsyms.seqs_of_names() {
            damages.push(("kallsyms/seqs-of-names", Some(5000), after(seqs.start, 3 * 5000 + 1)));
        }
        for (rule, index, at) in damages {
            let mut copy = bytes.clone();
            copy[at] ^= 1;
            let damaged = Image::from_bytes(&path, copy).unwrap();
            let report = Kallsyms.check(&Context::new(&damaged, None)).unwrap();
            let found = report.findings.iter().find(|f| f.rule == rule);
            let found = found
                .unwrap_or_else(|| panic!("{}: {rule} not among {:#?}", path.display(), report.findings));
            // A wrong length shows where the stream stops to make sense, at most a few symbols later.
            let slack = if rule == "kallsyms/name-length" { 255 } else { 0 };
            let near =
                found.index.zip(index).map_or(found.index == index, |(f, i)| (i..=i + slack).contains(&f));
            assert!(near, "{}: {rule} at {:?}, damaged {index:?}", path.display(), found.index);
        }
    }
}

/// How far before `kallsyms_names` the count stands: as the tables are aligned.
fn count_distance(image: &Image) -> usize {
    let names = image.kallsyms().unwrap().names().start;
    if image.u32(VirtAddr(names.0 - 4)) == Some(0) { 8 } else { 4 }
}
