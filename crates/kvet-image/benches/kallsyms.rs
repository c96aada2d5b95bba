//! What it costs to open a kernel, to find its kallsyms and to decode all names: the kernels in the directory that
//! KVET_KERNELS names. `KVET_KERNELS=... cargo bench -p kvet-image --bench kallsyms`
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::PathBuf;

use divan::{Bencher, black_box};
use kvet_image::{Image, VirtAddr};

fn main() {
    if kernels().is_empty() {
        eprintln!("skipped: KVET_KERNELS names no directory with NAME.vmlinux or NAME.Image");
        return;
    }
    divan::main();
}

fn kernels() -> Vec<String> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else { return Vec::new() };
    let names =
        std::fs::read_dir(dir).into_iter().flatten().filter_map(|e| e.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|n| n.ends_with(".vmlinux") || n.ends_with(".Image")).collect();
    names.sort();
    names
}

fn open(name: &str) -> Image {
    Image::open(&PathBuf::from(std::env::var_os("KVET_KERNELS").unwrap()).join(name)).unwrap()
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn opens(name: &str) -> Image {
    open(black_box(name))
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn locate(bencher: Bencher<'_, '_>, name: &str) {
    bencher.with_inputs(|| open(name)).bench_values(|image| image.kallsyms().unwrap().len());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    let image = open(name);
    let kallsyms = image.kallsyms().unwrap();
    bencher.bench(|| kallsyms.decode());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn symbols(bencher: Bencher<'_, '_>, name: &str) {
    bencher.with_inputs(|| open(name)).bench_values(|image| image.symbols().len());
}

#[divan::bench(args = kernels(), sample_count = 20)]
fn symbolize(bencher: Bencher<'_, '_>, name: &str) {
    let image = open(name);
    let kallsyms = image.kallsyms().unwrap();
    let middle = kallsyms.address(kallsyms.lookup("start_kernel").unwrap()).unwrap();
    bencher.bench(|| image.symbolize(black_box(VirtAddr(middle.0 + 4))));
}
