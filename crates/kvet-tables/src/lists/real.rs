//! Real kernels.

use std::time::Instant;

use kvet_finding::Severity;
use kvet_image::{Arch, Image};

use crate::realkernels::kernels;
use crate::{Context, Table};

/// Entries that the reference states of 6.1.0-56-amd64.
const KNOWN: &[(&str, u64)] = &[("returns", 50_858), ("retpolines", 8_823), ("smp-locks", 9_216)];

#[test]
fn distribution_kernels_have_no_findings() {
    let tables: [&dyn Table; 6] = [
        &super::Returns,
        &super::Retpolines,
        &super::Calls,
        &super::Endbr,
        &super::CfiSites,
        &super::SmpLocks,
    ];
    for path in ["debug", "vmlinux"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        if image.arch() != Arch::X86_64 {
            continue;
        }
        let context = Context::new(&image, None);
        let _ = image.symbols();
        let start = Instant::now();
        context.branches();
        eprintln!("{}: branches {:?}", path.display(), start.elapsed());
        for table in tables {
            let start = Instant::now();
            let Some(report) = table.check(&context) else { continue };
            eprintln!("  {}: {} entries, {:?}", report.name, report.entries, start.elapsed());
            eprintln!("    {:?} {:?}", report.located_by, report.skipped);
            for f in report.findings.iter().take(20) {
                eprintln!("    {} {:?} {:?} {}", f.rule, f.index, f.symbol, f.message);
            }
            let known = KNOWN.iter().find(|(name, _)| *name == report.name);
            if let (true, Some((_, entries))) = (path.ends_with("6.1.0-56-amd64.vmlinux"), known) {
                assert_eq!(report.entries, *entries);
            }
            let wrong = report.findings.iter().filter(|f| f.severity > Severity::Note);
            assert_eq!(wrong.count(), 0, "{}", path.display());
        }
    }
}
