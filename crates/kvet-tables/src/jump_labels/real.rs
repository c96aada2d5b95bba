//! The table of real kernels, where `KVET_KERNELS` names a directory of them.

use std::path::{Path, PathBuf};

use kvet_finding::Severity;
use kvet_image::Image;

use super::scan;
use crate::{Context, Table, TableReport};

/// The kernels of a suffix, `debug`; says so when there are none to test.
pub(super) fn kernels(suffix: &str) -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS names no directory of kernels");
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(Path::new(&dir))
        .expect("KVET_KERNELS is a readable directory")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == suffix))
        .collect();
    found.sort();
    found
}

fn check(image: &Image) -> TableReport {
    super::JumpLabels.check(&Context::new(image, None)).expect("a report")
}

/// Entries and keys that the reference states.
const KNOWN: &[(&str, u64, usize)] =
    &[("6.1.0-56-amd64.debug", 6299, 2821), ("6.1.0-56-arm64.debug", 7530, 3381)];

#[test]
fn distribution_kernels_have_no_findings() {
    for path in kernels("debug") {
        let image = Image::open(&path).expect("opens");
        let _ = image.symbols().by_name("");
        let start = cpu();
        let report = check(&image);
        let took = cpu() - start;
        let start = cpu();
        for _ in 0..20 {
            check(&image);
        }
        let again = (cpu() - start) / 20;
        eprintln!(
            "{}: {} entries, {:?}, {}us {}us {:?}",
            path.display(),
            report.entries,
            report.layout,
            took,
            again,
            report.skipped
        );
        for finding in report.findings.iter().take(20) {
            eprintln!("  {finding:?}");
        }
        assert!(report.findings.iter().all(|f| f.severity < Severity::Warning), "{}", path.display());
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Some((_, entries, keys)) = KNOWN.iter().find(|(known, ..)| *known == name) {
            let context = Context::new(&image, None);
            let table = context.jump_labels().expect("a table");
            assert_eq!((report.entries, table.keys.len()), (*entries, *keys), "{name}");
        }
    }
}

#[test]
fn the_scan_finds_the_very_table_that_the_symbols_name() {
    for path in kernels("debug") {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let named = &context.jump_labels().expect("a table").bounds;
        let start = cpu();
        let found = scan::scan(&scan::Regions::of(&image), &image).expect("the scan finds a table");
        eprintln!("{}: scan {:?}", path.display(), cpu() - start);
        assert_eq!((found.start, found.end), (named.start, named.end), "{}", path.display());
    }
}

#[test]
fn stripped_kernels_have_no_findings() {
    for path in [kernels("vmlinux"), kernels("Image")].concat() {
        let image = Image::open(&path).expect("opens");
        let start = cpu();
        let report = check(&image);
        eprintln!(
            "{}: {} entries {:?} {:?} {:?}",
            path.display(),
            report.entries,
            report.located_by,
            cpu() - start,
            report.skipped
        );
        for finding in report.findings.iter().take(20) {
            eprintln!("  {finding:?}");
        }
        assert!(report.entries > 1000);
        assert!(report.findings.iter().all(|f| f.severity < Severity::Warning), "{}", path.display());
    }
}

fn cpu() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1000
}
