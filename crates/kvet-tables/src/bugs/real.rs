//! The table of real kernels, where `KVET_KERNELS` names a directory of them.

use std::time::Instant;

use kvet_image::{Arch, Image};

use super::{Bug, Bugs, bugs_in_function, scan};
use crate::realkernels::kernels;
use crate::{Context, LocatedBy, Table};

/// Entries that the reference states.
const KNOWN: &[(&str, u64)] = &[("6.1.0-56-amd64.debug", 7743), ("6.1.0-56-arm64.debug", 7270)];

#[test]
fn distribution_kernels_have_no_findings() {
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let _ = image.symbols();
        let start = Instant::now();
        let report = Bugs.check(&Context::new(&image, None)).expect("a report");
        let took = start.elapsed();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        eprintln!(
            "{name}: {} entries, {:?}, {:?}, {took:?} {:?}",
            report.entries,
            report.layout,
            report.located_by.as_ref().map(ToString::to_string),
            report.skipped
        );
        for finding in report.findings.iter().take(10) {
            eprintln!("  {} {:?} {:?} {}", finding.rule, finding.index, finding.symbol, finding.message);
        }
        assert_eq!(report.findings.len(), 0, "{name}");
        assert!(report.entries > 4000, "{name}");
        if let Some((_, entries)) = KNOWN.iter().find(|(known, _)| *known == name) {
            assert_eq!(report.entries, *entries, "{name}");
        }
    }
}

#[test]
fn the_scan_finds_what_the_debug_file_has() {
    for path in kernels("debug") {
        let flat = path.with_extension("Image");
        if !flat.exists() {
            continue;
        }
        let (elf, flat) = (Image::open(&path).expect("opens"), Image::open(&flat).expect("opens"));
        let of_elf = Context::new(&elf, None);
        let truth = of_elf.bugs().expect("a table");
        // Called directly: kernels with KALLSYMS_ALL have the boundary symbols too.
        let found = scan::find(&flat).expect("a table");
        assert_eq!((found.located_by(), &found.bounds.start), (&LocatedBy::Scan, &truth.bounds.start));
        let truth: Vec<Bug<'_>> = truth.entries(&elf).collect();
        let found: Vec<Bug<'_>> = found.entries(&flat).collect();
        assert!(truth == found, "{}: {} against {}", path.display(), truth.len(), found.len());
    }
}

#[test]
fn functions_have_their_bugs() {
    for path in kernels("debug") {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let file = match image.arch() {
            Arch::X86_64 => "arch/x86/mm/extable.c",
            Arch::Arm64 => "arch/arm64/mm/extable.c",
        };
        let bugs = bugs_in_function(&context, "fixup_exception");
        let bug = bugs.iter().find(|bug| !bug.is_warning()).expect("a BUG");
        let line = bug.kernel_bug_line(&image);
        assert_eq!(line, format!("kernel BUG at {file}:{}!", bug.line), "{}", path.display());
        eprintln!("{}: {line}", path.display());
    }
}
