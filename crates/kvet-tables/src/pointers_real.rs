//! The plain tables of real kernels.

use std::time::Instant;

use kvet_finding::Severity;
use kvet_image::{Arch, Image};

use crate::realkernels::kernels;
use crate::{Context, Table};

/// Entries that the reference states, and that the debug files have.
const KNOWN: &[(&str, &str, u64)] = &[
    ("6.1.0-56-amd64", "mcount", 40_521),
    ("6.1.0-56-arm64", "mcount", 44_279),
    ("6.1.0-56-amd64", "paravirt", 3_848),
    ("6.1.0-56-amd64", "initcalls", 670),
    ("6.1.0-56-amd64", "exports", 10_503),
    ("6.1.0-56-amd64", "tracepoints", 639),
    ("6.1.0-56-amd64", "parameters", 251),
];

#[test]
fn distribution_kernels_have_no_findings() {
    let tables: [&dyn Table; 7] = [
        &crate::mcount::Mcount,
        &crate::paravirt::Paravirt,
        &crate::runtime_constants::RuntimeConstants,
        &crate::initcalls::Initcalls,
        &crate::exports::Exports,
        &crate::parameters::Parameters,
        &crate::tracepoints::Tracepoints,
    ];
    for path in ["debug", "vmlinux", "Image"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        let context = Context::new(&image, None);
        let _ = image.symbols();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        eprintln!("{}", path.display());
        for table in tables {
            let start = Instant::now();
            let Some(report) = table.check(&context) else { continue };
            eprintln!("  {}: {} entries, {:?}", report.name, report.entries, start.elapsed());
            eprintln!("    {:?} {:?} {:?}", report.layout, report.located_by, report.skipped);
            for f in report.findings.iter().take(20) {
                eprintln!("    {} {} {:?} {:?} {}", f.severity, f.rule, f.index, f.symbol, f.message);
            }
            let wrong = report.findings.iter().filter(|f| f.severity > Severity::Note);
            if std::env::var_os("LOOSE").is_none() {
                assert_eq!(wrong.count(), 0, "{}", path.display());
            }
            let flat = image.arch() == Arch::Arm64 && path.extension().is_some_and(|e| e == "Image");
            let known = KNOWN.iter().find(|(release, name, _)| *release == stem && *name == report.name);
            if let (true, Some((.., entries))) = (!flat || report.located_by.is_some(), known) {
                assert_eq!(report.entries, *entries, "{stem} {}", report.name);
            }
        }
    }
}
