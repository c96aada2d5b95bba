//! What goes wrong before anything can be said of a memory.

use std::path::PathBuf;

/// Why a memory file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {kind}", path = path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: ErrorKind,
}

/// What is wrong with a memory file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It is no memory that is known here.
    #[error(
        "this is {found}, not a memory image: expected a guest's RAM, an ELF core or vmcore, or /proc/kcore"
    )]
    NotMemory {
        /// What it is.
        found: String,
    },
    /// Its headers contradict each other or the file's length.
    #[error("{what}: expected {expected}, found {found}")]
    Damaged {
        /// Which part.
        what: String,
        /// What should be there.
        expected: String,
        /// What is.
        found: String,
    },
    /// It is from a machine of another architecture than the kernel.
    #[error("the memory is of {memory}, the kernel is for {kernel}")]
    Architecture {
        /// Of the memory.
        memory: &'static str,
        /// Of the kernel.
        kernel: &'static str,
    },
    /// The kernel is not in it.
    #[error("the kernel {release} is not in this memory: {why}")]
    NoKernel {
        /// The kernel's release.
        release: String,
        /// What was looked for, where, and what was found.
        why: String,
    },
}
