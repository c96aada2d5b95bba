//! From a path to an [`Image`]: recognises the form, unwraps it, hands the result to the ELF or flat reader.

use std::fs::File;
use std::path::Path;

use crate::backing::Backing;
use crate::symbol::SymbolTable;
use crate::{Error, ErrorKind, Image};

pub(crate) fn open(path: &Path) -> Result<Image, Error> {
    let backing = File::open(path)
        .and_then(|file| Backing::map(&file))
        .map_err(|e| Error { path: path.into(), kind: ErrorKind::Io(e) })?;
    from_backing(path, backing)
}

pub(crate) fn from_backing(path: &Path, backing: Backing) -> Result<Image, Error> {
    let magic = backing.bytes().get(..4).unwrap_or(backing.bytes());
    let result = if magic == b"\x7fELF" {
        crate::elf::read(path, backing)
    } else if backing.bytes().get(0x38..0x3c) == Some(b"ARM\x64") {
        crate::flat::read(path, backing)
    } else {
        Err(ErrorKind::NotAKernel { expected: "an ELF file", found: format!("the bytes {magic:02x?}") })
    };
    result.map_err(|kind| Error { path: path.into(), kind })
}

pub(crate) fn read_symbols(image: &Image) -> SymbolTable {
    match &image.symtab {
        Some(place) => crate::elf::read_symtab(image, place),
        None => SymbolTable::empty(),
    }
}
