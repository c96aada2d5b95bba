//! Real kernels for tests: a directory of them that the environment variable `KVET_KERNELS` names, holding
//! `RELEASE.debug` (with symbols), `RELEASE.vmlinux` (stripped) and `RELEASE.Image` (flat arm64).

use std::path::PathBuf;

/// The kernels with a suffix; none, and a word on stderr, when there is no such directory.
pub(crate) fn kernels(suffix: &str) -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("KVET_KERNELS") else {
        eprintln!("skipped: KVET_KERNELS names no directory of real kernels");
        return Vec::new();
    };
    let entries = std::fs::read_dir(&dir).expect("KVET_KERNELS is a readable directory");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == suffix))
        .collect();
    found.sort();
    found
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
