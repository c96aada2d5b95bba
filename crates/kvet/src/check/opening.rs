//! From a path to an open image, wherever the bytes come from, with its debug file where it has one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use kvet_image::{Error, Image, Kind};

/// Endless input ends at a size that no kernel has.
const MAX_STREAM: u64 = 4 << 30;

/// Opens a file, a pipe, or stdin (`-`).
///
/// # Errors
/// As [`Image::open`].
pub fn open(path: &Path, debug: Option<&Debug>) -> Result<Image, Error> {
    let is_pipe = |path| std::fs::metadata(path).is_ok_and(|m| m.file_type().is_fifo());
    let mut image = match path {
        stdin if stdin == Path::new("-") => from_stream(path, io::stdin().lock()),
        pipe if is_pipe(pipe) => match File::open(pipe) {
            Ok(file) => from_stream(path, file),
            Err(error) => Err(Error { path: path.into(), kind: error.into() }),
        },
        file => Image::open(file),
    }?;
    if let Some(debug) = debug {
        debug.attach(&mut image)?;
    }
    Ok(image)
}

/// Reads what cannot be mapped.
fn from_stream(path: &Path, stream: impl Read) -> Result<Image, Error> {
    let fail = |error: io::Error| Error { path: path.into(), kind: error.into() };
    let mut bytes = Vec::new();
    stream.take(MAX_STREAM).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 == MAX_STREAM {
        return Err(fail(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "more than 4 GiB came through the pipe",
        )));
    }
    Image::from_bytes(path, bytes)
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
