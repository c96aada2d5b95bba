//! `cargo run -p kvet-btf --example check -- VERSION FILE...`: strict findings in strict strength on files of raw base BTF.
use kvet_btf::check::{Facts, Strength, Subject, check};
use kvet_btf::kernel::{Options, Rules};

fn main() {
    let mut args = std::env::args().skip(1);
    let rules = Rules::for_release(&args.next().unwrap_or_default()).unwrap_or(Rules::newest());
    for file in args {
        let data = match std::fs::read(&file) {
            Ok(data) => data,
            Err(error) => {
                eprintln!("{file}: {error}");
                continue;
            }
        };
        let options = Options::new(rules);
        let best = (0..100)
            .map(|_| {
                let now = std::time::Instant::now();
                check(&data, Subject::Kernel, &Facts::default(), &options, Strength::Strict);
                now.elapsed()
            })
            .min();
        let report = check(&data, Subject::Kernel, &Facts::default(), &options, Strength::Strict);
        println!(
            "{file}: {} types, best of 100 {best:.1?}\n  {:?}\n  {:?}",
            report.types, report.proved, report.skipped
        );
        for finding in &report.findings {
            println!(
                "  {} {} {}\n    {:?} {:?}",
                finding.severity, finding.rule, finding.message, finding.at_boot, finding.evidence
            );
        }
    }
}
