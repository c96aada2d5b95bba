//! Real kernels for tests and benchmarks: the directory that the environment variable `KVET_KERNELS` names.
//!
//! It is flat, as `scripts/fetch-kernels` lays it out: `RELEASE.debug` (with symbols and DWARF), `RELEASE.vmlinux`
//! (stripped, decompressed), `RELEASE.vmlinuz`, `RELEASE.Image` (flat arm64), `modules-RELEASE/`.
//!
//! The one crate that reads the environment on behalf of others. Nothing that kvet ships depends on it.

use std::path::PathBuf;

/// The directory; a word on stderr, and `None`, when there is none.
pub fn directory() -> Option<PathBuf> {
    let directory = std::env::var_os("KVET_KERNELS").map(PathBuf::from);
    if directory.is_none() {
        eprintln!("skipped: KVET_KERNELS names no directory of kernels");
    }
    directory
}

/// The directory's files with one of these extensions, in order of their names; none, and a word on stderr, when
/// there is no such directory or file.
///
/// # Panics
/// The directory cannot be read.
pub fn kernels(extensions: &[&str]) -> Vec<PathBuf> {
    let Some(directory) = directory() else { return Vec::new() };
    let entries = std::fs::read_dir(&directory).expect("KVET_KERNELS is a readable directory");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)))
        .collect();
    found.sort();
    if found.is_empty() {
        eprintln!("skipped: {} has no *.{}", directory.display(), extensions.join(", *."));
    }
    found
}

/// A kernel's file of another extension, where it is there: the `.debug` of an `.Image`.
pub fn beside(kernel: &std::path::Path, extension: &str) -> Option<PathBuf> {
    // Not `with_extension` of the file's stem: a release has dots.
    Some(kernel.with_extension(extension)).filter(|path| path.exists())
}
