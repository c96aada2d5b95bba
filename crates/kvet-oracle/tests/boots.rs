//! A small, seeded share of the oracle's work: damaged real kernels are booted, and do what kvet said.
//!
//! Needs real kernels (`KVET_KERNELS`) and QEMU; says so when it has not got them.

use std::path::PathBuf;
use std::time::Duration;

use kvet_image::{Arch, Image};
use kvet_oracle::random::Random;
use kvet_oracle::verdict::{self, Agreement};
use kvet_oracle::{boot, damage};
use kvet_tables::Context;

/// The smallest kernel of an architecture: the cloud flavour.
fn kernel(arch: Arch, suffix: &str) -> Option<PathBuf> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: no boots of damaged kernels, because KVET_KERNELS names no directory of kernels");
        return None;
    };
    if !boot::available(arch) {
        eprintln!(
            "skipped: no boots of damaged {} kernels, because there is no {}",
            arch.as_str(),
            boot::emulator(arch)
        );
        return None;
    }
    let files = std::fs::read_dir(dir).expect("KVET_KERNELS is a readable directory");
    let mut kernels: Vec<PathBuf> = files
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == suffix))
        .collect();
    // The shortest file of the distribution's own release boots soonest.
    kernels.sort_by_key(|path| std::fs::metadata(path).map_or(u64::MAX, |m| m.len()));
    if kernels.is_empty() {
        eprintln!("skipped: no boots of damaged {} kernels, because none was fetched", arch.as_str());
    }
    kernels.into_iter().next()
}

/// Boots one damage of each kind and wants the predicted lines, each at least as strong as stated.
fn boots(arch: Arch, suffix: &str, kinds: &[(&str, &[Agreement])]) {
    let Some(path) = kernel(arch, suffix) else { return };
    let image = Image::open(&path).expect("a kernel");
    let context = Context::new(&image, None);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = directory.path().join("kernel");
    let mut random = Random::new(20_261_121);
    for (kind, allowed) in kinds {
        let damage = (0..100).find_map(|_| damage::draw(&context, kind, &mut random)).expect("an entry");
        let bytes = damage::apply(&image, &damage).expect("inside the image");
        std::fs::write(&copy, &bytes).expect("a copy");
        let damaged = Image::from_bytes(&copy, bytes).expect("still an image");
        let prediction = verdict::predict(&Context::new(&damaged, None), &damage);
        let boot = boot::boot(arch, &copy, "", Duration::from_secs(120)).expect("QEMU starts");
        let agreement = verdict::compare(&prediction, &boot);
        assert!(
            allowed.contains(&agreement),
            "{kind}, entry {} of {}: {agreement:?}; said {:?}; the boot ended {:?} with {:?}; last lines {:#?}",
            damage.index,
            damage.table,
            prediction.finding.map(|f| (f.message, f.at_boot)),
            boot.end,
            boot.first_failure(),
            &boot.lines[boot.lines.len().saturating_sub(5)..],
        );
    }
}

#[test]
fn damaged_x86_kernels_die_as_predicted() {
    boots(
        Arch::X86_64,
        "vmlinuz",
        &[
            ("capability out of range", &[Agreement::Line]),
            ("patched length too long", &[Agreement::Line]),
            ("jump label state of a switched key", &[Agreement::Line]),
            ("static call opcode", &[Agreement::Line]),
        ],
    );
}

#[test]
fn damaged_arm64_kernels_do_as_predicted() {
    boots(
        Arch::Arm64,
        "Image",
        &[
            ("capability out of range", &[Agreement::Silent]),
            ("replacement length", &[Agreement::Line, Agreement::Conditional]),
            ("jump label state", &[Agreement::Silent]),
        ],
    );
}
