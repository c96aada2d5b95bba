//! The long run of `make oracle-btf`: `oracle [MUTANTS [SEED]]`.
//!
//! Ends with status 1 when the kernel and kvet disagree on one mutant, 2 when the kernel cannot be asked.

#[path = "../oracle/mod.rs"]
#[allow(missing_docs, dead_code)]
mod oracle;

use std::path::Path;
use std::process::ExitCode;

use oracle::blob::Blob;
use oracle::{Judge, Random, mutate, seeds};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let mutants: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(1_000_000);
    let seed: u64 = args
        .next()
        .and_then(|a| a.parse().ok())
        .unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |d| d.as_nanos() as u64 & 0xffff_ffff));
    let mut judge = match Judge::new(Path::new("target/oracle-btf")) {
        Ok(judge) => judge,
        Err(why) => {
            eprintln!("cannot ask the kernel: {why}");
            return ExitCode::from(2);
        }
    };
    println!("kernel rules {}, seed {seed}", judge.rules());
    let now = std::time::Instant::now();
    mutate::systematic(&seeds::every_kind(), |b| judge.judge(b));
    println!("systematic: {} mutants", judge.tally.mutants);
    let real = std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default();
    let real = kvet_btf::Btf::parse(&real).ok();
    let whole = real.as_ref().map(|btf| Blob::from_btf(btf, 1..btf.type_count()));
    let mut random = Random(seed);
    while judge.tally.mutants < mutants && judge.tally.disagreements.len() < 20 {
        let mut blob = match (random.below(8), &real) {
            _ if random.one_in(5000) && whole.is_some() => whole.clone().unwrap_or_else(seeds::every_kind),
            (0..=2, Some(real)) => {
                let room = 4 + random.below(90);
                seeds::piece(real, &mut random, room)
            }
            (3, _) => seeds::chains(&mut random),
            (4 | 5, _) => seeds::special(&mut random),
            _ => seeds::every_kind(),
        };
        let rounds = if random.one_in(20) { 0 } else { random.pick(&[1, 1, 1, 2, 3, 5]) };
        for _ in 0..rounds {
            mutate::random(&mut blob, &mut random);
        }
        judge.judge(&blob);
    }
    for (reason, count) in &judge.tally.reasons {
        println!("{count:8} {reason}");
    }
    for disagreement in &judge.tally.disagreements {
        println!("DISAGREEMENT {disagreement}");
    }
    println!(
        "{} mutants, {} disagreements, seed {seed}, {:.1?}",
        judge.tally.mutants,
        judge.tally.disagreements.len(),
        now.elapsed()
    );
    if judge.tally.disagreements.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
