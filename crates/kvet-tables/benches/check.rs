//! How long the tables of real kernels take: all of them as `kvet check` runs them, and each on its own.
//!
//! `KVET_KERNELS=DIR cargo bench -p kvet-tables`, where DIR holds `*.vmlinux` (ELF, decompressed), `*.vmlinuz`
//! and `*.Image`, as scripts/fetch-kernels lays them out. A filter is an argument: `-- 'check.*6.1'`.

use std::fmt;
use std::path::PathBuf;

use divan::Bencher;
use kvet_image::Image;
use kvet_tables::{Context, TABLES};

fn main() {
    divan::main();
}

/// One file of the directory.
struct Kernel(PathBuf);

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.file_name().unwrap_or_default().to_string_lossy())
    }
}

fn kernels() -> Vec<Kernel> {
    kvet_testkernels::kernels(&["vmlinux", "vmlinuz", "Image"]).into_iter().map(Kernel).collect()
}

fn open(kernel: &Kernel) -> Image {
    Image::open(&kernel.0).expect("a kernel")
}

/// One kernel and one table's place in the list.
struct One(Kernel, usize);

impl fmt::Display for One {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, TABLES[self.1].name())
    }
}

fn tables() -> impl Iterator<Item = One> {
    kernels().into_iter().flat_map(|kernel| (0..TABLES.len()).map(move |i| One(Kernel(kernel.0.clone()), i)))
}

/// Opening: mapping or decompressing, headers, relocation.
#[divan::bench(args = kernels(), sample_count = 20, sample_size = 1)]
fn opening(kernel: &Kernel) -> Image {
    open(kernel)
}

/// Opening and all tables: what `kvet check` does with one kernel.
#[divan::bench(args = kernels(), sample_count = 20, sample_size = 1)]
fn check(kernel: &Kernel) -> usize {
    let image = open(kernel);
    kvet_tables::check(&Context::new(&image, None)).len()
}

/// Reading the symbols, which most tables need.
#[divan::bench(args = kernels(), sample_count = 20, sample_size = 1)]
fn symbols(bencher: Bencher, kernel: &Kernel) {
    bencher.with_inputs(|| open(kernel)).bench_refs(|image| image.symbols().len());
}

/// One table alone, symbols read beforehand; what tables share is read within.
#[divan::bench(args = tables(), sample_count = 10, sample_size = 1)]
fn table(bencher: Bencher, one: &One) {
    let image = open(&one.0);
    image.symbol_addr("start_kernel");
    bencher.bench(|| TABLES[one.1].check(&Context::new(&image, None)).map(|report| report.entries));
}
