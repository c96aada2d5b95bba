//! Any bytes as BTF: every door of the kernel, strict strength, dumps and a comparison with itself. Nothing
//! may panic, hang or eat memory; what the kernel refuses of its own BTF, strict strength must find.
#![no_main]

use std::sync::Arc;

use kvet_btf::kernel::{self, Options};
use kvet_btf::strict::{Base, Facts, Solved, Subject, check};
use kvet_btf::{Btf, diff, dump};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for rules in kernel::ALL {
        let mut options = Options::new(rules);
        options.trace = data.len() < 4096;
        let _ = kernel::load(data, &options);
        let report = check(data, Subject::Kernel, &Facts::default(), &options);
        if !kernel::vmlinux(data, &options).accepted() {
            assert!(report.findings.iter().any(|f| f.at_boot.is_some()), "strict missed a refusal");
        }
        if let Some(solved) = Solved::new(data, &options) {
            let base = Base::new(data, Arc::new(solved));
            for distilled in [None, Some(data)] {
                let subject = Subject::Module { name: "fuzz", distilled, kernel: Some(&base) };
                let _ = check(data, subject, &Facts::default(), &options);
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
