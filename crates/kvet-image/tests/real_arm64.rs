//! Flat arm64 images against the debug vmlinux of the same build, from the directory that KVET_KERNELS names.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use kvet_image::{Image, VirtAddr};

fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS names no directory with kernels");
        return Vec::new();
    };
    let mut out = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let image = entry.unwrap().path();
        let debug = image.with_extension("debug");
        if image.extension().is_some_and(|e| e == "Image") && debug.exists() {
            out.push((image, debug));
        }
    }
    assert!(!out.is_empty(), "KVET_KERNELS has no NAME.Image with NAME.debug");
    out
}

fn open(path: &Path) -> Image {
    Image::open(path).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn every_word_equals_the_debug_vmlinux() {
    for (image, debug) in pairs() {
        let (flat, elf) = (open(&image), open(&debug));
        let text = elf.symbol_addr("_text").unwrap();
        assert_eq!(flat.sections()[0].addr, text, "{}: {:?}", image.display(), flat.base_evidence());
        let mut words = 0u64;
        for section in elf.sections() {
            for (i, want) in elf.section_bytes(section).chunks_exact(8).enumerate() {
                let addr = VirtAddr(section.addr.0 + 8 * i as u64);
                // The one who signs the image writes the PE header's checksum and certificate directory.
                if addr.0 - text.0 < 0x200 {
                    continue;
                }
                let got = flat.bytes(addr, 8);
                assert_eq!(got, Some(want), "{}: {addr} in {}", image.display(), section.name);
                words += 1;
            }
        }
        eprintln!("{}: {words} words equal, base from {}", image.display(), flat.base_evidence().unwrap());
    }
}
