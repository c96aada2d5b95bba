//! Real kernels for this crate's own tests (`kvet_testkernels`), and damage to them.

use std::path::PathBuf;

/// The kernels with an extension, in order of their names.
pub(crate) fn kernels(extension: &str) -> Vec<PathBuf> {
    kvet_testkernels::kernels(&[extension])
}

/// A stream of numbers, the same on every run (SplitMix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    /// The next one.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next one below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A file's bytes with edits by virtual address.
pub(crate) struct Edited {
    bytes: Vec<u8>,
    image: kvet_image::Image,
}

impl Edited {
    /// The file as it is. Not for compressed files: offsets are those of the file.
    pub(crate) fn open(path: &std::path::Path) -> Edited {
        let bytes = std::fs::read(path).expect("reads");
        Edited { image: kvet_image::Image::open(path).expect("opens"), bytes }
    }

    /// The image before any edit.
    pub(crate) fn original(&self) -> &kvet_image::Image {
        &self.image
    }

    /// Overwrites bytes at an address.
    pub(crate) fn write(&mut self, addr: kvet_image::VirtAddr, bytes: &[u8]) {
        let at = self.image.file_range(addr).expect("an address in the file").start;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The image with the edits, which are undone here.
    pub(crate) fn take(&mut self) -> kvet_image::Image {
        let original = std::fs::read(self.image.path()).expect("reads");
        let edited = std::mem::replace(&mut self.bytes, original);
        kvet_image::Image::from_bytes(self.image.path(), edited).expect("opens")
    }
}

/// The modules of the directories that `KVET_MODULES` names (`.../lib/modules/RELEASE`, separated by colons), each
/// with its kernel's file; none, and a word on stderr, when it is not set.
fn modules() -> Vec<(PathBuf, Vec<PathBuf>)> {
    let Some(dirs) = std::env::var_os("KVET_MODULES") else {
        eprintln!("skipped: KVET_MODULES names no directories of modules");
        return Vec::new();
    };
    let all: Vec<PathBuf> = ["vmlinux", "Image"].into_iter().flat_map(kernels).collect();
    std::env::split_paths(&dirs)
        .filter_map(|dir| {
            let kernel = all.iter().find(|path| path.file_stem() == dir.file_name())?;
            Some((kernel.clone(), modules_below(&dir)))
        })
        .collect()
}

fn modules_below(dir: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).expect("a readable directory") {
            let entry = entry.expect("a directory entry");
            if entry.file_type().expect("a type").is_dir() {
                left.push(entry.path());
            } else if entry.file_name().to_string_lossy().contains(".ko") {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn modules_of_distribution_kernels_have_no_findings() {
    use crate::Table;
    use rayon::prelude::*;
    for (kernel, modules) in modules() {
        let kernel = kvet_image::Image::open(&kernel).expect("opens");
        let entries: u64 = modules
            .par_iter()
            .map(|path| {
                let image = kvet_image::Image::open(path).expect("opens");
                let context = crate::Context::new(&image, Some(&kernel));
                let tables: [&dyn Table; 2] =
                    [&crate::jump_labels::JumpLabels, &crate::static_calls::StaticCalls];
                let mut entries = 0;
                for report in tables.into_iter().filter_map(|table| table.check(&context)) {
                    entries += report.entries;
                    assert_eq!(report.findings, [], "{}", path.display());
                }
                entries
            })
            .sum();
        eprintln!("{}: {} modules, {entries} entries", kernel.path().display(), modules.len());
    }
}
