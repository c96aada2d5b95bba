//! A share of the oracle's mutants in every test run: the running kernel and kvet must agree on errno and
//! log. The long run is `make oracle-btf`.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../oracle/mod.rs"]
#[allow(dead_code)]
mod oracle;

use oracle::blob::Blob;
use oracle::{Judge, Random, mutate, seeds};

/// Where disagreements are kept: under the build's own target directory.
fn keep() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle-btf")
}

#[test]
fn the_running_kernel_agrees() {
    let mut judge = match Judge::new(&keep()) {
        Ok(judge) => judge,
        Err(why) => return eprintln!("SKIPPED: the running kernel was not asked: {why}"),
    };
    let seed = 20_210_527;
    eprintln!("rules {}, seed {seed}", judge.rules());
    let mut systematic = Vec::new();
    mutate::systematic(&seeds::every_kind(), |b| systematic.push(b.clone()));
    for blob in systematic.iter().step_by(17) {
        judge.judge(blob);
    }
    let mut random = Random(seed);
    for _ in 0..4000 {
        let mut blob = match random.below(4) {
            0 => seeds::chains(&mut random),
            1 => seeds::special(&mut random),
            _ => seeds::every_kind(),
        };
        for _ in 0..random.pick(&[0, 1, 1, 2, 4]) {
            mutate::random(&mut blob, &mut random);
        }
        judge.judge(&blob);
    }
    let real = std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    if let Ok(real) = kvet_btf::Btf::parse(&real) {
        let whole = Blob::from_btf(&real, 1..real.type_count());
        for _ in 0..3 {
            let mut blob = whole.clone();
            mutate::random(&mut blob, &mut random);
            judge.judge(&blob);
        }
    }
    eprintln!("{} mutants, {} kinds of verdict", judge.tally.mutants, judge.tally.reasons.len());
    assert_eq!(judge.tally.disagreements, Vec::<String>::new());
    assert!(judge.tally.reasons.len() > 60, "the mutants reach most checks: {:?}", judge.tally.reasons);
}
