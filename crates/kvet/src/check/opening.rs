//! From a path to an open image, wherever the bytes come from, with its debug file where it has one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kvet_btf::Header;
use kvet_image::{Error, Image, Kind};

use crate::bytes::Bytes;

/// Endless input ends at a size that no kernel has.
const MAX_STREAM: u64 = 4 << 30;

/// BTF in a file up to this length is read, not mapped.
const READ_MAX: u64 = 256 << 10;

/// Where the running kernel shows its BTF and its modules'.
const SYSFS: &str = "/sys/kernel/btf";

/// The running kernel's own BTF.
pub const RUNNING: &str = "/sys/kernel/btf/vmlinux";

/// Whether a file is BTF of a module of the running kernel.
pub fn is_running_module(path: &Path) -> bool {
    is_in_sysfs(path) && path != Path::new(RUNNING)
}

/// Whether a path leads into the running kernel's BTF.
pub fn is_in_sysfs(path: &Path) -> bool {
    path.starts_with(SYSFS)
}

/// What was opened.
pub enum Opened {
    /// A kernel or module.
    Image(Arc<Image>),
    /// BTF by itself.
    Btf(Bytes),
}

/// Opens a file, a pipe, or stdin (`-`).
///
/// What is named `.btf` or stands in `/sys/kernel/btf` is BTF, damaged or not; other files are when they begin
/// as BTF does.
///
/// # Errors
/// As [`Image::open`].
pub fn open(path: &Path, debug: Option<&Debug>) -> Result<Opened, Error> {
    let fail = |error: io::Error| Error { path: path.into(), kind: error.into() };
    let is_pipe = |path| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    let mut image = match path {
        stdin if stdin == Path::new("-") => match read(io::stdin().lock()).map_err(fail)? {
            bytes if is_btf(&bytes) => return Ok(Opened::Btf(Bytes::Owned(bytes))),
            bytes => Image::from_bytes(path, bytes),
        },
        pipe if is_pipe(pipe) => match File::open(pipe).and_then(read).map_err(fail)? {
            bytes if is_btf(&bytes) => return Ok(Opened::Btf(Bytes::Owned(bytes))),
            bytes => Image::from_bytes(path, bytes),
        },
        file if is_named_btf(file) || begins_as_btf(file) => {
            return read_file(file).map(Opened::Btf).map_err(fail);
        }
        file => Image::open(file),
    }?;
    if let Some(debug) = debug {
        debug.attach(&mut image)?;
    }
    Ok(Opened::Image(Arc::new(image)))
}

/// Whether a name says that the file is BTF.
pub fn is_named_btf(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "btf") || path.is_file() && is_in_sysfs(path)
}

fn is_btf(bytes: &[u8]) -> bool {
    Header::byte_order(bytes).is_some()
}

fn begins_as_btf(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok_and(|()| is_btf(&start))
}

/// A file's bytes: mapped when it is a large one on a disk. Files of sysfs can be mapped on few kernels, and some say
/// that they are empty: those are read. Of small ones each page costs a fault either way.
fn read_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file()
        && metadata.len() > READ_MAX
        && let Ok(mapped) = Bytes::map(&file)
    {
        return Ok(mapped);
    }
    let said = metadata.len().min(MAX_STREAM);
    read_into(Vec::with_capacity(usize::try_from(said).unwrap_or(0) + 1), file).map(Bytes::Owned)
}

/// Reads what cannot be mapped.
fn read(stream: impl Read) -> io::Result<Vec<u8>> {
    read_into(Vec::new(), stream)
}

fn read_into(mut bytes: Vec<u8>, stream: impl Read) -> io::Result<Vec<u8>> {
    stream.take(MAX_STREAM).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == MAX_STREAM {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 4 GiB came through the pipe"));
    }
    Ok(bytes)
}

/// `--debug`: a separate debug file, and whether anything was there that it could belong to.
pub struct Debug {
    path: PathBuf,
    of_module: bool,
    used: AtomicBool,
}

impl Debug {
    /// Opens the file once, to learn whether it is a kernel's or a module's.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn open(path: &Path) -> Result<Debug, Error> {
        let of_module = Image::open(path)?.kind() == Kind::Module;
        Ok(Debug { path: path.to_owned(), of_module, used: AtomicBool::new(false) })
    }

    /// Gives an image of the same kind the debug file, which must be of the same build then.
    fn attach(&self, image: &mut Image) -> Result<(), Error> {
        if (image.kind() == Kind::Module) != self.of_module {
            return Ok(());
        }
        self.used.store(true, Ordering::Relaxed);
        image.attach_debug(Image::open(&self.path)?)
    }

    /// Why it was no use, if so.
    pub fn complaint(&self) -> Option<String> {
        let kind = if self.of_module { "a module" } else { "a kernel" };
        (!self.used.load(Ordering::Relaxed))
            .then(|| format!("--debug {}: is {kind}'s, but no such artefact was given", self.path.display()))
    }
}
