//! Flat arm64 images against the debug vmlinux of the same build, from the directory that KVET_KERNELS names.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use kvet_image::{Image, VirtAddr};

fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let images = kvet_testkernels::kernels(&["Image"]).into_iter();
    images.filter_map(|image| Some((image.clone(), kvet_testkernels::beside(&image, "debug")?))).collect()
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

#[test]
fn executable_memory_is_that_of_the_debug_vmlinux() {
    for (image, debug) in pairs() {
        let (flat, elf) = (open(&image), open(&debug));
        let mut wrong = Vec::new();
        // In 6.1 the linker leaves an empty .got.plt between .text and _etext, which the kernel maps as text.
        for section in elf.sections().iter().filter(|s| s.name != ".got.plt") {
            let step = 64.min(section.size.max(1));
            for into in (0..section.size).step_by(step as usize) {
                let addr = VirtAddr(section.addr.0 + into);
                // Padding at a section's edge belongs to either side.
                if elf.bytes_up_to(addr, 64).iter().all(|b| *b == 0) && section.access.execute {
                    continue;
                }
                let (got, want) = (flat.section_at(addr), section.access.execute);
                if got.is_none_or(|s| s.access.execute != want) {
                    wrong.push(format!("{addr} of {}: {:?}", section.name, got.map(|s| &s.name)));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{}: {} {:#?}",
            image.display(),
            wrong.len(),
            &wrong[..wrong.len().min(20)]
        );
    }
}

#[test]
fn writable_memory_includes_that_of_the_debug_vmlinux() {
    for (image, debug) in pairs() {
        let (flat, elf) = (open(&image), open(&debug));
        for section in elf.sections().iter().filter(|s| s.access.write && s.name != ".got.plt") {
            for addr in [section.addr, VirtAddr(section.end().0 - 1)] {
                assert!(flat.is_writable(addr), "{}: {addr} of {}", image.display(), section.name);
            }
        }
    }
}
