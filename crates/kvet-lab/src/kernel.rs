//! The kernel of a campaign: what identifies it for ever.

use std::path::{Path, PathBuf};

use kvet_image::{Image, Kind};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::machine::Arch;
use crate::qemu::{hex, sha256_file};

/// A kernel file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// Where it is.
    pub path: PathBuf,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Its form, as `kvet check` names it.
    pub kind: String,
    /// The architecture.
    pub arch: Arch,
    /// `uname -r` of it.
    pub release: Option<String>,
    /// Its build id, in hex.
    pub build_id: Option<String>,
}

impl Kernel {
    /// Reads a kernel file.
    ///
    /// # Errors
    /// It is not a kernel that `kvet_image` knows, or is a module.
    pub fn open(path: &Path) -> Result<Kernel, Error> {
        let shown = path.display().to_string();
        let path = std::fs::canonicalize(path).map_err(Error::io(shown.clone()))?;
        let image = Image::open(&path)?;
        if image.kind() == Kind::Module {
            return Err(Error::Usage(format!("{shown}: is a module; give the kernel that loads it")));
        }
        Ok(Kernel {
            sha256: sha256_file(&path).map_err(Error::io(shown))?,
            kind: image.kind().as_str().to_owned(),
            arch: image.arch().into(),
            release: image.release().map(str::to_owned),
            build_id: image.build_id().map(hex),
            path,
        })
    }

    /// Whether the file is still the recorded one.
    ///
    /// # Errors
    /// It is another, or cannot be read.
    pub fn verify(&self) -> Result<(), Error> {
        let found = sha256_file(&self.path).map_err(Error::io(self.path.display().to_string()))?;
        match found == self.sha256 {
            true => Ok(()),
            false => {
                Err(Error::OtherKernel { path: self.path.clone(), found, recorded: self.sha256.clone() })
            }
        }
    }
}
