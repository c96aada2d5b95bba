//! The kernel of a campaign: what identifies it for ever.

use std::fs::File;
use std::io::Read;
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
    /// Why nothing more is known of it, though QEMU may boot it: it is damaged, or no Linux.
    #[serde(default)]
    pub unread: Option<String>,
}

impl Kernel {
    /// Reads a kernel file. One that `kvet_image` cannot read is taken by its header alone, if QEMU might boot it:
    /// how a damaged kernel dies is a question, too.
    ///
    /// # Errors
    /// It is nothing that boots on an architecture of the lab.
    pub fn open(path: &Path) -> Result<Kernel, Error> {
        let shown = path.display().to_string();
        let path = std::fs::canonicalize(path).map_err(Error::io(shown.clone()))?;
        let sha256 = sha256_file(&path).map_err(Error::io(shown.clone()))?;
        let image = match Image::open(&path) {
            Ok(image) => image,
            Err(why) => return Kernel::by_header(path, sha256, why),
        };
        if image.kind() == Kind::Module {
            return Err(Error::Usage(format!("{shown}: is a module; give the kernel that loads it")));
        }
        Ok(Kernel {
            sha256,
            kind: image.kind().as_str().to_owned(),
            arch: image.arch().into(),
            release: image.release().map(str::to_owned),
            build_id: image.build_id().map(hex),
            unread: None,
            path,
        })
    }

    fn by_header(path: PathBuf, sha256: String, why: kvet_image::Error) -> Result<Kernel, Error> {
        let mut head = Vec::new();
        let file = File::open(&path).map_err(Error::io(path.display().to_string()))?;
        file.take(HEADER).read_to_end(&mut head).map_err(Error::io(path.display().to_string()))?;
        let Some((kind, arch)) = bootable(&head) else { return Err(why.into()) };
        let unread = Some(why.to_string());
        Ok(Kernel { sha256, kind: kind.to_owned(), arch, release: None, build_id: None, unread, path })
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

/// The headers that QEMU's `-kernel` looks at are in these bytes.
const HEADER: u64 = 1024;

/// The form and architecture of what QEMU boots: x86's boot header (Documentation/arch/x86/boot.rst, `HdrS` at 0x202),
/// arm64's (Documentation/arch/arm64/booting.rst, `ARM\x64` at 56), or an executable ELF file.
fn bootable(head: &[u8]) -> Option<(&'static str, Arch)> {
    /// EM_X86_64 and EM_AARCH64 of include/uapi/linux/elf-em.h.
    const MACHINES: [([u8; 2], Arch); 2] = [([62, 0], Arch::X86_64), ([183, 0], Arch::Arm64)];
    let has = |at: usize, magic: &[u8]| head.get(at..at + magic.len()) == Some(magic);
    if has(0x202, b"HdrS") {
        return Some((Kind::BzImage.as_str(), Arch::X86_64));
    }
    if has(56, b"ARM\x64") {
        return Some((Kind::Arm64Image.as_str(), Arch::Arm64));
    }
    // 64 bits, little endian, ET_EXEC or ET_DYN.
    let executable = has(0, b"\x7fELF\x02\x01") && (has(16, &[2, 0]) || has(16, &[3, 0]));
    let (_, arch) = MACHINES.into_iter().find(|(machine, _)| executable && has(18, machine))?;
    Some(("ELF", arch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(bytes: &[u8]) -> Result<Kernel, Error> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), bytes).expect("written");
        Kernel::open(file.path())
    }

    #[test]
    fn what_qemu_may_boot_is_a_kernel_though_it_cannot_be_read() {
        let with = |at: usize, magic: &[u8]| {
            let mut bytes = vec![0; 4096];
            bytes[at..at + magic.len()].copy_from_slice(magic);
            bytes
        };
        // An arm64 image of zeros is a kernel that can be read; one that is cut inside its header is none.
        let cut = with(56, b"ARM\x64")[..60].to_vec();
        let cases = [
            (with(0x202, b"HdrS"), "bzImage", Arch::X86_64),
            (cut, "arm64 Image", Arch::Arm64),
            (with(0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0"), "ELF", Arch::X86_64),
        ];
        for (bytes, kind, arch) in cases {
            let kernel = open(&bytes).expect(kind);
            assert_eq!((kernel.kind.as_str(), kernel.arch, kernel.release), (kind, arch, None));
            assert!(kernel.unread.is_some(), "{kind}");
        }
        // ET_REL: an object file, or a module.
        let object = with(0, b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0");
        for bytes in [object, b"#!/bin/sh\n".to_vec(), Vec::new()] {
            assert!(open(&bytes).is_err());
        }
    }
}
