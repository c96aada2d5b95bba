//! From a path to an [`Image`]: recognises the form, unwraps it, hands the result to the ELF or flat reader.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::backing::Backing;
use crate::container::compress::{self, Format};
use crate::container::{self, EXPECTED, Form, HARD_LIMIT, Limit, bzimage, ident, zboot};
use crate::symbol::{SymbolSource, SymbolTable};
use crate::{Error, ErrorKind, Image, Kind};

/// A bzImage in a gzip file has three layers; more is someone's game.
const MAX_LAYERS: usize = 4;

pub(crate) fn open(path: &Path) -> Result<Image, Error> {
    let backing = map(path).map_err(|kind| Error { path: path.into(), kind })?;
    from_backing(path, backing)
}

pub(crate) fn from_backing(path: &Path, backing: Backing) -> Result<Image, Error> {
    unwrap(path, backing).map_err(|kind| Error { path: path.into(), kind })
}

/// Maps a file; reads a pipe.
fn map(path: &Path) -> Result<Backing, ErrorKind> {
    // Opening a pipe or a device may wait, or do something: look first.
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_dir() {
        return Err(not_a_kernel("a directory".into()));
    }
    if kind.is_file() {
        return Ok(Backing::map(&File::open(path)?)?);
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&kind) {
        let mut bytes = Vec::new();
        File::open(path)?.take(HARD_LIMIT).read_to_end(&mut bytes)?;
        return Ok(Backing::Owned(bytes));
    }
    Err(not_a_kernel("a device or a socket".into()))
}

fn unwrap(path: &Path, mut backing: Backing) -> Result<Image, ErrorKind> {
    let mut kind = None;
    for _ in 0..MAX_LAYERS {
        let bytes = backing.bytes();
        backing = match container::recognise(bytes) {
            Form::Elf => {
                ident::check(bytes)?;
                return crate::elf::read(path, backing).map(|image| with_kind(image, kind));
            }
            Form::Arm64Flat => return crate::flat::read(path, backing).map(|image| with_kind(image, kind)),
            Form::BzImage => {
                kind = Some(Kind::BzImage);
                let payload = bzimage::payload(bytes)?;
                let start = payload.range.start;
                let payload_bytes = bytes.get(payload.range).unwrap_or(&[]);
                unpack(payload_bytes, payload.limit, || format!("bzImage payload at {start:#x}"))?
            }
            Form::Zboot => {
                kind = Some(Kind::Zboot);
                let payload = bytes.get(zboot::payload(bytes)?).unwrap_or(&[]);
                unpack(payload, Limit::HARD, || {
                    format!("EFI zboot payload (compression {:?})", zboot::compression(bytes))
                })?
            }
            Form::Compressed(format) => compress::decompress(bytes, format, Limit::HARD)?,
            Form::Other => return Err(not_a_kernel(container::describe(bytes))),
        };
    }
    Err(not_a_kernel(format!("more than {MAX_LAYERS} layers of boot images and compression")))
}

/// The decompressed payload of a boot image.
fn unpack(payload: &[u8], limit: Limit, what: impl Fn() -> String) -> Result<Backing, ErrorKind> {
    match Format::of(payload) {
        Some(format) => compress::decompress(payload, format, limit),
        // No kernel's build leaves it so, but tools that take images apart do.
        None if matches!(container::recognise(payload), Form::Elf | Form::Arm64Flat) => {
            Ok(Backing::Owned(payload.to_vec()))
        }
        None => Err(ErrorKind::Damaged {
            what: what(),
            expected: "gzip, bzip2, lzma, xz, lzo, lz4 or zstd data".into(),
            found: container::describe(payload),
        }),
    }
}

fn with_kind(mut image: Image, kind: Option<Kind>) -> Image {
    if let Some(kind) = kind {
        image.kind = kind;
    }
    image
}

fn not_a_kernel(found: String) -> ErrorKind {
    ErrorKind::NotAKernel { expected: EXPECTED, found }
}

pub(crate) fn read_symbols(image: &Image) -> SymbolTable {
    if let Some(place) = &image.symtab {
        return crate::elf::read_symtab(image, place, SymbolSource::Elf);
    }
    if let Some(symbols) = crate::debug::symbols(image) {
        return symbols;
    }
    match image.kallsyms() {
        Ok(kallsyms) => kallsyms.symbol_table(),
        Err(_) => SymbolTable::empty(),
    }
}
