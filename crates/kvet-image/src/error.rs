//! Why a file could not be opened as an image.

use std::path::PathBuf;

/// A file that could not be read as a kernel image: what was expected and what was found, without the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The operating system refused.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// Nothing that kvet knows begins like this.
    #[error("is not a kernel image: expected {expected}, found {found}")]
    NotAKernel {
        /// The forms that would have been accepted here.
        expected: &'static str,
        /// What stands there instead, in words.
        found: String,
    },
    /// The file ends before what its own headers promise.
    #[error("is truncated: {what} needs {needed} bytes, {available} are there")]
    Truncated {
        /// The part that is cut off.
        what: String,
        /// How many bytes that part has by the file's own headers.
        needed: u64,
        /// How many bytes there are.
        available: u64,
    },
    /// A structure contradicts itself.
    #[error("is damaged: {what}: expected {expected}, found {found}")]
    Damaged {
        /// The structure.
        what: String,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
    },
    /// A machine that kvet does not know.
    #[error("is for another architecture: expected x86-64 or arm64, found {found}")]
    Architecture {
        /// The machine that the header names.
        found: String,
    },
    /// A compressed payload did not decompress.
    #[error("has a {format} payload that does not decompress: {reason}")]
    Decompress {
        /// The compression's name as the kernel's configuration spells it.
        format: &'static str,
        /// The decompressor's own words.
        reason: String,
    },
    /// The debug file belongs to another build.
    #[error("has build id {found}, but the kernel has {expected}: not the same build")]
    BuildIdMismatch {
        /// The kernel's build id in hex.
        expected: String,
        /// The debug file's build id in hex, or a word for "none".
        found: String,
    },
}

/// An [`ErrorKind`] and the file that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ErrorKind,
}
