//! The guest's memory: a file without a name that QEMU shares, and a copy with one when it is worth keeping.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file in memory, without a name: it is gone when the last user is.
///
/// # Errors
/// The system has no more memory or descriptors.
pub fn anonymous(name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?)
}

/// The same, with contents.
///
/// # Errors
/// As `anonymous`.
pub fn anonymous_with(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(anonymous(name)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

/// Copies to a file with a name; what the guest never wrote stays a hole. The file appears whole or not at all.
///
/// # Errors
/// The directory cannot be written, or the disk is full.
pub fn keep(memory: File, target: &Path) -> io::Result<()> {
    let directory = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let length = memory.metadata()?.len();
    if length == 0 {
        return Err(io::Error::other("the guest had no memory yet"));
    }
    let mut copy = tempfile::NamedTempFile::new_in(directory)?;
    let mut chunk = vec![0; 1 << 16];
    let mut at = 0;
    while at < length {
        let n = memory.read_at(&mut chunk, at)?;
        if n == 0 {
            break;
        }
        if chunk[..n].iter().any(|&b| b != 0) {
            copy.seek(SeekFrom::Start(at))?;
            copy.write_all(&chunk[..n])?;
        }
        at += n as u64;
    }
    copy.as_file().set_len(length)?;
    copy.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_copy_has_the_bytes_and_the_holes() {
        let mut memory = File::from(anonymous("test").expect("a file in memory"));
        memory.set_len(64 << 20).expect("a length");
        memory.seek(SeekFrom::Start(5 << 20)).expect("seek");
        memory.write_all(b"kernel").expect("write");
        let directory = tempfile::tempdir().expect("a directory");
        let target = directory.path().join("deep/guest.memory");
        keep(memory, &target).expect("kept");
        let bytes = std::fs::read(&target).expect("read");
        assert_eq!(bytes.len(), 64 << 20);
        assert_eq!(&bytes[5 << 20..(5 << 20) + 6], b"kernel");
        let blocks = std::fs::metadata(&target).expect("metadata").blocks();
        assert!(blocks * 512 < 4 << 20, "{blocks} blocks");
    }
}
