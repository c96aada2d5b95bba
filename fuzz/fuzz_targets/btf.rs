//! Any bytes as BTF: every door of the kernel, strict strength, dumps and a comparison with itself. Nothing
//! may panic, hang or eat memory; what the kernel refuses, both strengths must find, and kernel strength nothing
//! else.
#![no_main]

use std::sync::Arc;

use kvet_btf::check::{Base, Facts, Solved, Strength, Subject, check};
use kvet_btf::kernel::{self, Options};
use kvet_btf::{Btf, diff, dump};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // All versions whose source was read, and one of those between them.
    let between = kernel::ALL[data.len() % kernel::ALL.len()];
    for rules in kernel::ALL.into_iter().filter(|rules| rules.was_read() || *rules == between) {
        let mut options = Options::new(rules);
        options.trace = data.len() < 4096;
        let facts = Facts::default();
        for (subject, verdict) in [
            (Subject::Loaded, kernel::load(data, &options)),
            (Subject::Kernel, kernel::vmlinux(data, &options)),
        ] {
            let strict = check(data, subject, &facts, &options, Strength::Strict);
            let refused = strict.findings.iter().any(|f| f.at_boot.is_some());
            assert_eq!(refused, !verdict.accepted(), "strict strength and the kernel disagree");
            let alone = check(data, subject, &facts, &options, Strength::Kernel);
            assert_eq!(alone.findings.len(), usize::from(!verdict.accepted()), "{:?}", alone.findings);
        }
        let base = Base::new(data, Arc::new(Solved::new(data, &options)));
        for strength in [Strength::Kernel, Strength::Strict] {
            for distilled in [None, Some(data)] {
                let subject = Subject::Module { name: "fuzz", distilled, kernel: Some(&base) };
                let _ = check(data, subject, &facts, &options, strength);
            }
        }
    }
    if let Ok(btf) = Btf::parse(data) {
        let mut out = std::io::sink();
        dump::raw(&btf, &mut out).expect("a sink takes everything");
        dump::json(&btf, &mut out).expect("a sink takes everything");
        let _ = dump::c(&btf, &mut out);
        assert!(diff::diff(&btf, &btf).is_empty(), "BTF differs from itself");
    }
    let _ = kvet_btf::find_kernel_btf(data);
    let _ = kvet_btf::elf::section(data, ".BTF");
});
