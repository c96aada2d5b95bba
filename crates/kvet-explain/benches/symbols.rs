//! Frames to lines against a debug kernel. KVET_KERNELS names a directory with `RELEASE.debug` files; without it
//! nothing is measured.
#![allow(missing_docs)]

use std::path::{Path, PathBuf};

use kvet_console::Frame;
use kvet_explain::symbols::{Role, Symbolizer};
use kvet_image::{Image, SymbolKind, VirtAddr};

const RELEASES: [&str; 3] = ["6.1.0-56-cloud-amd64", "6.1.0-56-cloud-arm64", "7.3.4+deb13-cloud-amd64"];

fn main() {
    divan::main();
}

fn kernel(release: &str) -> Option<PathBuf> {
    let path = Path::new(&std::env::var_os("KVET_KERNELS")?).join(format!("{release}.debug"));
    path.exists().then_some(path)
}

/// Frames in the middle of functions spread over the text.
fn frames(path: &Path, count: usize) -> Vec<Frame> {
    let image = Image::open(path).expect("opens");
    let text = |addr: VirtAddr| image.is_executable(addr);
    let all =
        image.symbols().iter().filter(|s| s.kind == SymbolKind::Function && s.size > 64 && text(s.addr));
    let functions: Vec<_> = all.collect();
    let picked = (0..count).map(|i| &functions[i * functions.len() / count]);
    let frame = |name: &str, offset: u64, printed: String| Frame {
        symbol: name.into(),
        offset,
        size: printed.rsplit_once("/0x").and_then(|(_, size)| u64::from_str_radix(size, 16).ok()),
        reliable: true,
        ..Frame::default()
    };
    picked.filter_map(|s| Some(frame(s.name, s.size / 2, image.symbolize(s.addr)?))).collect()
}

/// From the path to the last line: what a person waits for.
fn cold(bencher: divan::Bencher<'_, '_>, release: &str, count: usize) {
    let Some(path) = kernel(release) else { return };
    let frames = frames(&path, count);
    bencher.bench(|| {
        let image = Image::open(&path).expect("opens");
        let symbolizer = Symbolizer::new(&image);
        frames.iter().filter(|f| symbolizer.frame(f, Role::Unknown).place().is_some()).count()
    });
}

#[divan::bench(args = RELEASES, sample_count = 10)]
fn twenty_frames(bencher: divan::Bencher<'_, '_>, release: &str) {
    cold(bencher, release, 20);
}

#[divan::bench(args = RELEASES, sample_count = 3)]
fn five_thousand_frames(bencher: divan::Bencher<'_, '_>, release: &str) {
    cold(bencher, release, 5000);
}

/// An address that no unit claims: every unit's ranges are collected.
#[divan::bench(args = RELEASES, sample_count = 3)]
fn an_address_without_a_unit(bencher: divan::Bencher<'_, '_>, release: &str) {
    let Some(path) = kernel(release) else { return };
    bencher.bench(|| Image::open(&path).expect("opens").source_line(VirtAddr(0xffff_ffff_ffff_0000)));
}
