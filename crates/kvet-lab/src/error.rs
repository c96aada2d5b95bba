//! What can go wrong that is not the guest's doing.

use std::path::PathBuf;

/// Why the lab cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such QEMU.
    #[error("{}: not found; install QEMU for this architecture (Debian: qemu-system-x86 or qemu-system-arm), or name a binary with --qemu", .0.display())]
    NoEmulator(PathBuf),
    /// Not a QEMU.
    #[error("{}: does not answer as QEMU does: {why}", .path.display())]
    StrangeEmulator {
        /// The binary.
        path: PathBuf,
        /// What it did.
        why: String,
    },
    /// QEMU refused the machine before the guest ran its first instruction.
    #[error("QEMU refuses this machine: {why}")]
    Refused {
        /// QEMU's words.
        why: String,
    },
    /// The kernel file cannot be used.
    #[error("{0}")]
    Kernel(#[from] kvet_image::Error),
    /// A kernel that is not the recorded one.
    #[error("{}: is not the recorded kernel: its SHA-256 is {found}, recorded is {recorded}", .path.display())]
    OtherKernel {
        /// The file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// The hash in the record.
        recorded: String,
    },
    /// A file or system call.
    #[error("{what}: {why}")]
    Io {
        /// What was tried.
        what: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// The store.
    #[error("{0}")]
    Store(#[from] crate::store::StoreError),
    /// A request that makes no sense.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// For `map_err`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
        let what = what.into();
        move |why| Error::Io { what, why }
    }
}
