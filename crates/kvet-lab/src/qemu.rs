//! A QEMU binary: where it is, which version, and its hash, so that a record can name it for ever.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::machine::Machine;

/// A QEMU binary that answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Qemu {
    /// The whole path of the binary.
    pub path: PathBuf,
    /// The first line of `--version`, without "QEMU emulator version ".
    pub version: String,
    /// SHA-256 of the binary, in hex.
    pub sha256: String,
    /// Built with the seccomp sandbox.
    pub sandbox: bool,
}

impl Qemu {
    /// Looks a binary up (in `path_list` when it is a bare name, as a shell does) and asks it who it is.
    ///
    /// # Errors
    /// There is none, or it does not answer as QEMU does.
    pub fn open(name: &Path, path_list: &std::ffi::OsStr) -> Result<Qemu, Error> {
        let path = locate(name, path_list).ok_or_else(|| Error::NoEmulator(name.to_owned()))?;
        let strange = |why: String| Error::StrangeEmulator { path: path.clone(), why };
        let said = run(&path, &["--version"]).map_err(|e| strange(e.to_string()))?;
        let first = said.lines().next().unwrap_or_default();
        let Some(version) = first.strip_prefix("QEMU emulator version ") else {
            return Err(strange(format!("`--version` says {first:?}, not \"QEMU emulator version ...\"")));
        };
        // Options are obeyed in order: without seccomp, -sandbox is refused before --version is reached.
        let sandbox = run(&path, &["-sandbox", "on", "--version"]).is_ok();
        let sha256 = sha256_file(&path).map_err(|e| strange(e.to_string()))?;
        Ok(Qemu { version: version.to_owned(), sha256, sandbox, path })
    }

    /// The version's number alone, `10.0.2`.
    pub fn number(&self) -> &str {
        self.version.split(' ').next().unwrap_or_default()
    }
}

/// What explains a log is told of the machine that it ran in.
impl Qemu {
    /// This QEMU, running that machine.
    pub fn emulator(&self, machine: &Machine) -> kvet_explain::Emulator {
        let mut numbers = self.number().split('.').map(|part| part.parse().ok());
        let single = machine.seed.is_some() || machine.accel.contains("thread=single");
        kvet_explain::Emulator {
            version: numbers.next().flatten().zip(numbers.next().flatten()),
            translated: machine.accel.starts_with("tcg"),
            parallel: machine.smp > 1 && !single,
        }
    }
}

fn run(path: &Path, args: &[&str]) -> std::io::Result<String> {
    let output = Command::new(path).args(args).stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(std::io::Error::other(if said.is_empty() { output.status.to_string() } else { said }));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn locate(name: &Path, path_list: &std::ffi::OsStr) -> Option<PathBuf> {
    let whole = |path: PathBuf| path.is_file().then(|| std::fs::canonicalize(&path).unwrap_or(path));
    if name.components().count() > 1 || name.is_absolute() {
        return whole(name.to_owned());
    }
    std::env::split_paths(path_list).find_map(|directory| whole(directory.join(name)))
}

/// SHA-256 of a file, in hex.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn a_missing_binary_is_named() {
        let error = Qemu::open(Path::new("qemu-system-nothing"), OsStr::new("/usr/bin")).expect_err("none");
        assert!(error.to_string().contains("qemu-system-nothing"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_qemu_is_refused() {
        let error = Qemu::open(Path::new("sh"), OsStr::new("/usr/bin:/bin"))
            .and_then(|_| Qemu::open(Path::new("true"), OsStr::new("/usr/bin:/bin")));
        assert!(matches!(error, Err(Error::StrangeEmulator { .. })), "{error:?}");
    }

    #[test]
    fn hashes_are_those_of_sha256sum() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), b"abc").expect("written");
        assert_eq!(
            sha256_file(file.path()).expect("read"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
