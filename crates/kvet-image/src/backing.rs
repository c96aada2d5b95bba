//! Where an image's bytes live: a private mapping of the file, or memory of our own.

use std::fs::File;
use std::io::Read;

use memmap2::MmapMut;

/// Files up to this length are read, not mapped. Most are modules, whose relocations touch nearly every page:
/// 4,023 of them (397 MB) take a quarter less processor time than mapped, where each page is copied by a fault.
const READ_MAX: u64 = 4 << 20;

/// The bytes of an image.
pub(crate) enum Backing {
    /// A copy-on-write mapping: pages that relocation does not touch stay the page cache's.
    Mapped(MmapMut),
    /// Decompressed: the first `len` bytes of anonymous memory, committed as far as it was written.
    Anonymous {
        /// The memory; what follows the payload was never touched.
        map: MmapMut,
        /// The payload's length.
        len: usize,
    },
    /// Given by the caller.
    Owned(Vec<u8>),
}

impl Backing {
    /// Maps a whole file, or reads it when it is small.
    #[allow(unsafe_code)]
    pub(crate) fn map(file: &File) -> std::io::Result<Backing> {
        let len = file.metadata()?.len();
        if len <= READ_MAX {
            let mut bytes = Vec::with_capacity(len as usize);
            file.take(len).read_to_end(&mut bytes)?;
            return Ok(Backing::Owned(bytes));
        }
        // SAFETY: the mapping is private, so nothing we write reaches the file. Another process that
        // truncates the file while we read raises SIGBUS and ends kvet; that is the price of not copying
        // hundreds of megabytes, and no memory unsafety. Bytes that change under us are only ever parsed
        // with checks, as any hostile input.
        let map = unsafe { memmap2::MmapOptions::new().map_copy(file)? };
        Ok(Backing::Mapped(map))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Backing::Mapped(map) => map,
            Backing::Anonymous { map, len } => &map[..*len],
            Backing::Owned(vec) => vec,
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Backing::Mapped(map) => map,
            Backing::Anonymous { map, len } => &mut map[..*len],
            Backing::Owned(vec) => vec,
        }
    }
}
