//! What it costs to open a kernel, to find its kallsyms and to decode all names: the kernels in the directory that
//! KVET_KERNELS names. `KVET_KERNELS=... cargo bench -p kvet-image --bench kallsyms`
#![allow(missing_docs, clippy::unwrap_used)]

use divan::{Bencher, black_box};
use kvet_image::{Image, VirtAddr};

fn main() {
    if kernels().is_empty() {
        return;
    }
    divan::main();
}

fn kernels() -> Vec<String> {
    let all = kvet_testkernels::kernels(&["vmlinux", "Image"]).into_iter();
    all.map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
}

fn open(name: &str) -> Image {
    Image::open(&kvet_testkernels::directory().unwrap().join(name)).unwrap()
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
