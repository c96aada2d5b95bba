//! A file's bytes, mapped or read.

use std::fs::File;
use std::io;

/// Bytes of a file or a stream.
pub enum Bytes {
    /// A mapping of the file.
    Mapped(memmap2::Mmap),
    /// In memory.
    Owned(Vec<u8>),
}

impl Bytes {
    /// Maps a whole file.
    ///
    /// # Errors
    /// What mmap(2) says; also for an empty file.
    #[allow(unsafe_code)]
    pub fn map(file: &File) -> io::Result<Bytes> {
        // SAFETY: the mapping is read only. Another process that truncates the file while we read raises SIGBUS and
        // ends kvet: the price of not copying gigabytes, and no memory unsafety. Bytes that change under us are only
        // ever parsed with checks, as any hostile input.
        unsafe { memmap2::Mmap::map(file) }.map(Bytes::Mapped)
    }

    /// The bytes in memory of our own.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Bytes::Mapped(map) => map.to_vec(),
            Bytes::Owned(bytes) => bytes,
        }
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
