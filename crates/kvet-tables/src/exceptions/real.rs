//! The table of real kernels, where `KVET_KERNELS` names a directory of them.

use std::time::Instant;

use kvet_image::Image;

use super::{Exception, ExceptionTable, Exceptions, scan};
use crate::realkernels::kernels;
use crate::{Context, LocatedBy, Table};

/// Entries that the reference states.
const KNOWN: &[(&str, u64)] = &[("6.1.0-56-amd64.debug", 600), ("6.1.0-56-arm64.debug", 789)];

#[test]
fn distribution_kernels_have_no_findings() {
    let mut wrong = 0;
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let _ = image.symbols();
        let start = Instant::now();
        let report = Exceptions.check(&Context::new(&image, None)).expect("a report");
        let took = start.elapsed();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        eprintln!(
            "{name}: {} entries, {:?}, {:?}, {took:?} {:?}",
            report.entries,
            report.layout,
            report.located_by.as_ref().map(ToString::to_string),
            report.skipped
        );
        for f in report.findings.iter().take(10) {
            eprintln!("  {} {:?} {:?} {} {:?}", f.rule, f.index, f.symbol, f.message, f.evidence);
        }
        wrong += report.findings.len();
        assert!(report.entries > 400, "{name}");
        if let Some((_, entries)) = KNOWN.iter().find(|(known, _)| *known == name) {
            assert_eq!(report.entries, *entries, "{name}");
        }
    }
    assert_eq!(wrong, 0);
}

#[test]
fn the_scan_finds_what_the_debug_file_has() {
    for path in kernels("debug") {
        let flat = path.with_extension("Image");
        if !flat.exists() {
            continue;
        }
        let (elf, flat) = (Image::open(&path).expect("opens"), Image::open(&flat).expect("opens"));
        let truth = ExceptionTable::find(&elf).expect("a table");
        let found = scan::find(&flat).expect("a table");
        assert_eq!((found.located_by(), found.layout), (&LocatedBy::Scan, truth.layout));
        let truth: Vec<Exception> = truth.entries(&elf).collect();
        let found: Vec<Exception> = found.entries(&flat).collect();
        assert!(truth == found, "{}: {} against {}", path.display(), truth.len(), found.len());
    }
}
