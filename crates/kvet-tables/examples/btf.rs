//! `cargo run -p kvet-tables --example btf -- KERNEL [MODULE...]`: the table `btf` of a kernel and of modules.

use std::path::Path;
use std::time::Instant;

use kvet_image::Image;
use kvet_tables::{Context, Table, TableReport, btf::Btf};

fn main() {
    let mut args = std::env::args().skip(1);
    let Some(kernel) = args.next() else { return eprintln!("usage: btf KERNEL [MODULE...]") };
    let kernel = match Image::open(Path::new(&kernel)) {
        Ok(kernel) => kernel,
        Err(error) => return eprintln!("{error}"),
    };
    // Symbols are shared with the other tables, so they are not part of what is measured.
    kernel.symbols();
    let now = Instant::now();
    let report = Btf.check(&Context::new(&kernel, None));
    println!("{} {:.1?}", kernel.path().display(), now.elapsed());
    if let Some(report) = report {
        show(&report);
    }
    let (mut modules, mut types, mut spent) = (0, 0, std::time::Duration::ZERO);
    for path in args {
        let module = match Image::open(Path::new(&path)) {
            Ok(module) => module,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        let now = Instant::now();
        let Some(report) = Btf.check(&Context::new(&module, Some(&kernel))) else { continue };
        spent += now.elapsed();
        modules += 1;
        types += report.entries;
        if !report.findings.is_empty() {
            println!("{path}");
            show(&report);
        }
    }
    println!("{modules} modules, {types} types, {spent:.1?}");
}

fn show(report: &TableReport) {
    println!("  {} types, {:?}, {:?}", report.entries, report.located_by, report.layout);
    println!("  proved {:?}\n  skipped {:?}", report.proved, report.skipped);
    for f in &report.findings {
        println!(
            "  {} {}: {}\n    {:?}\n    {:?}\n    {:?}",
            f.severity, f.rule, f.message, f.at_boot, f.evidence, f.advice
        );
    }
}
