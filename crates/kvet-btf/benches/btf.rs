//! What it costs to verify and to dump the BTF of the kernels in the directory that KVET_KERNELS names:
//! `KVET_KERNELS=... cargo bench -p kvet-btf`. Targets: `strict` of Debian's amd64 vmlinux (100,750 types)
//! under 25 ms on one core; for dumps compare `bpftool btf dump file F format raw|c`.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::{Bencher, black_box};
use kvet_btf::check::{Facts, Strength, Subject, check};
use kvet_btf::kernel::{self, Options, Rules};
use kvet_btf::{Btf, dump};

fn main() {
    if kernels().is_empty() {
        return;
    }
    divan::main();
}

fn kernels() -> Vec<String> {
    let all = kvet_testkernels::kernels(&["vmlinux"]).into_iter();
    all.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn btf(name: &str) -> Vec<u8> {
    let path = kvet_testkernels::directory().unwrap().join(name);
    kvet_btf::elf::section(&std::fs::read(path).unwrap(), ".BTF").unwrap().to_vec()
}

fn options(name: &str) -> Options<'static> {
    Options::new(Rules::for_release(name).unwrap())
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn parse(bencher: Bencher<'_, '_>, name: &str) {
    let data = btf(name);
    bencher.bench_local(|| Btf::parse(black_box(&data)).unwrap().own_count());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn as_the_kernel(bencher: Bencher<'_, '_>, name: &str) {
    let data = btf(name);
    bencher.bench_local(|| kernel::vmlinux(black_box(&data), &options(name)).accepted());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn strict(bencher: Bencher<'_, '_>, name: &str) {
    let data = btf(name);
    bencher.bench_local(|| {
        let facts = Facts::default();
        check(black_box(&data), Subject::Kernel, &facts, &options(name), Strength::Strict).findings.len()
    });
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn dump_raw(bencher: Bencher<'_, '_>, name: &str) {
    let data = btf(name);
    bencher.bench_local(|| dump::raw(&Btf::parse(black_box(&data)).unwrap(), &mut std::io::sink()).unwrap());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn dump_c(bencher: Bencher<'_, '_>, name: &str) {
    let data = btf(name);
    bencher.bench_local(|| dump::c(&Btf::parse(black_box(&data)).unwrap(), &mut std::io::sink()).unwrap());
}
