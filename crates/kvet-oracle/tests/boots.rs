//! A small, seeded share of the oracle's work: damaged real kernels are booted, and do what kvet said.
//!
//! Needs real kernels (`KVET_KERNELS`) and QEMU; says so when it has not got them.

use std::path::PathBuf;

use kvet_image::{Arch, Image};
use kvet_oracle::boot;
use kvet_oracle::campaign::{self, Oracle};
use kvet_oracle::damage::{self, How};
use kvet_oracle::random::Random;
use kvet_oracle::reference::{self, Reference};
use kvet_oracle::shape;
use kvet_oracle::verdict::{Agreement, Outcome};
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
    kernels.sort_by_key(|path| std::fs::metadata(path).map_or(u64::MAX, |m| m.len()));
    kernels.into_iter().next()
}

/// A table, a field, the damage, and the outcome that kvet must have foretold; `None` is any.
type Case = (&'static str, &'static str, How, Option<&'static str>);

/// Boots one damage for each case; each must be foretold rightly.
fn boots(arch: Arch, suffix: &str, cases: &[Case]) {
    let Some(path) = kernel(arch, suffix) else { return };
    let image = Image::open(&path).expect("a kernel");
    let context = Context::new(&image, None);
    let first = campaign::undamaged(&image).expect("QEMU starts");
    let guest = reference::guest(&first, &image).expect("its memory");
    let reference = Reference::new(&first, &guest, &context).expect("the undamaged kernel boots");
    let oracle = Oracle::new(&context, reference).expect("an oracle");
    let shapes = shape::shapes(&context);
    let mut random = Random::new(20_261_128);
    for (table, field, how, outcome) in cases {
        let shape = shapes.iter().find(|s| s.table == *table).expect("the table");
        let field = *shape.fields.iter().find(|f| f.name == *field).expect("the field");
        let drawn = (0..100)
            .find_map(|_| {
                let index = random.below(shape.count as usize) as u64;
                damage::damage(&context, shape, index, field, *how, &mut random)
            })
            .expect("an entry");
        let trial = oracle.try_one(drawn, &mut std::io::sink()).expect("booted");
        let lines = &trial.boot.lines[trial.boot.lines.len().saturating_sub(5)..];
        assert_eq!(
            trial.agreement,
            Agreement::Right,
            "{}: {:#?}; the boot ended {:?} with {:?}; last lines {lines:#?}",
            trial.damage,
            trial.prediction,
            trial.boot.end,
            trial.boot.first_failure(),
        );
        if let Some(outcome) = outcome {
            assert_eq!(trial.prediction.outcome.name(), *outcome, "{}", trial.damage);
        }
        assert!(!matches!(trial.prediction.outcome, Outcome::Open { .. }));
    }
}

#[test]
fn damaged_x86_kernels_do_as_predicted() {
    boots(
        Arch::X86_64,
        "vmlinux",
        &[
            ("alternatives", "feature", How::Ones, Some("dies")),
            ("alternatives", "site length", How::Ones, Some("dies")),
            ("jump-labels", "site", How::Code, None),
            ("static-calls", "site", How::Code, Some("dies")),
            ("returns", "site", How::Code, Some("warns")),
        ],
    );
}

#[test]
fn damaged_arm64_kernels_do_as_predicted() {
    boots(
        Arch::Arm64,
        "Image",
        &[
            ("alternatives", "capability", How::Ones, Some("dies")),
            ("alternatives", "replacement length", How::PlusOne, None),
            ("jump-labels", "site", How::Code, None),
        ],
    );
}
