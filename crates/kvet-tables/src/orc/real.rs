//! Real kernels.

use std::time::Instant;

use kvet_image::{Arch, Image};

use crate::realkernels::kernels;
use crate::{Context, Table};

#[test]
fn distribution_kernels_have_no_findings() {
    for path in ["debug", "vmlinux"].into_iter().flat_map(kernels) {
        let image = Image::open(&path).expect("opens");
        if image.arch() != Arch::X86_64 {
            continue;
        }
        let context = Context::new(&image, None);
        let _ = image.symbols();
        let start = Instant::now();
        let report = super::Orc.check(&context).expect("a table");
        let took = start.elapsed();
        let name = path.display();
        eprintln!("{name}: {} entries, {took:?} {:?} {:?}", report.entries, report.layout, report.skipped);
        for f in report.findings.iter().take(20) {
            eprintln!("    {} {:?} {:?} {}", f.rule, f.index, f.symbol, f.message);
        }
        assert_eq!(report.findings, [], "{name}");
        assert!(report.entries > 300_000, "{name}");
        if path.file_stem().is_some_and(|stem| stem == "6.1.0-56-amd64") {
            assert_eq!(report.entries, 384_849);
        }
    }
}
