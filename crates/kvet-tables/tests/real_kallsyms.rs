//! The table `kallsyms` of the kernels in the directory that KVET_KERNELS names: nothing is wrong with any.
#![allow(missing_docs, clippy::unwrap_used)]

use kvet_image::Image;
use kvet_tables::{Context, Table, kallsyms::Kallsyms};

#[test]
fn no_distribution_kernel_has_a_finding() {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS names no directory with kernels");
        return;
    };
    let mut checked = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let wanted = |e: &std::ffi::OsStr| e == "Image" || e == "vmlinux" || e == "debug";
        if !path.extension().is_some_and(wanted) {
            continue;
        }
        let image = Image::open(&path).unwrap();
        let report = Kallsyms.check(&Context::new(&image, None)).unwrap();
        assert_eq!(report.findings, [], "{}", path.display());
        assert!(report.entries > 40_000, "{}: {}", path.display(), report.entries);
        eprintln!(
            "{}: {} by {}, {}; not checked: {:?}",
            path.display(),
            report.entries,
            report.located_by.unwrap(),
            report.layout.unwrap(),
            report.skipped
        );
        checked += 1;
    }
    assert!(checked > 0, "KVET_KERNELS has no kernels");
}
