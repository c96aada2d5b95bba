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
    if !boot::available(arch) {
        eprintln!(
            "skipped: no boots of damaged {} kernels, because there is no {}",
            arch.as_str(),
            boot::emulator(arch)
        );
        return None;
    }
    let mut kernels = kvet_testkernels::kernels(&[suffix]);
    // The shortest file of the distribution's own release boots soonest.
    kernels.sort_by_key(|path| std::fs::metadata(path).map_or(u64::MAX, |m| m.len()));
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

/// The kernel of the mail that kvet's BTF checks began with: two per-CPU variables at one place. It boots, says
/// so once, and BPF is dead.
#[test]
fn a_kernel_with_bad_btf_says_what_was_predicted() {
    let Some(path) = kernel(Arch::X86_64, "vmlinuz") else { return };
    let image = Image::open(&path).expect("a kernel");
    let data = kvet_tables::btf::bytes(&image).expect("a kernel with BTF");
    let btf = kvet_btf::Btf::parse(data).expect("sound BTF");
    let is_per_cpu = |t: &kvet_btf::Type<'_>| btf.name(t.name_off()) == b".data..percpu";
    let section = btf.types().find(is_per_cpu).expect("a DATASEC .data..percpu");
    // The third entry gets the second one's offset, the second of three words behind twelve bytes of the type.
    let place = btf.offset_of(section.id()).expect("it is this BTF's own") as usize + 12 + 2 * 12 + 4;
    let mut bytes = image.raw().to_vec();
    let start = data.as_ptr() as usize - image.raw().as_ptr() as usize;
    bytes[start + place..][..4].copy_from_slice(&section.entry(1).offset.to_le_bytes());

    let directory = tempfile::tempdir().expect("a temporary directory");
    let copy = directory.path().join("kernel");
    std::fs::write(&copy, &bytes).expect("a copy");
    let damaged = Image::from_bytes(&copy, bytes).expect("still an image");
    let reports = kvet_tables::check(&Context::new(&damaged, None));
    let findings = reports.iter().flat_map(|r| &r.findings);
    let at_boot = findings.filter_map(|f| f.at_boot.as_ref()).next().expect("the kernel refuses that");
    let boot = boot::boot(Arch::X86_64, &copy, "", Duration::from_secs(120)).expect("QEMU starts");
    // The last line is a module's, and no module is loaded.
    let lines: Vec<&str> = at_boot.line.lines().collect();
    let (_, lines) = lines.split_last().expect("lines");
    assert!(lines.len() > 1 && lines.iter().any(|l| l.ends_with("Invalid offset")), "{lines:?}");
    for line in lines {
        assert!(boot.said(line.trim_end()), "{line:?} was not said; the boot ended {:?}", boot.end);
    }
    assert_eq!(boot.end, boot::End::Booted, "the kernel itself goes on");
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
