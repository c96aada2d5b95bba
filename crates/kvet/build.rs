//! Puts the source revision into `kvet --version`, when built inside this project's own git tree.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=KVET_VERSION={}", version());
}

/// The crate's version, with revision and date of the commit where git knows them.
fn version() -> String {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    match revision() {
        Some(revision) => format!("{version} ({revision})"),
        None => version,
    }
}

fn revision() -> Option<String> {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let root = Path::new(&manifest).parent()?.parent()?.canonicalize().ok()?;
    // A tarball unpacked inside somebody else's repository must not claim that repository's revision.
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        return None;
    }
    // HEAD's log grows with every commit, checkout and rebase; HEAD alone does not change on a commit.
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&root, &["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={}", root.join(path).display());
        }
    }
    git(&root, &["log", "-1", "--format=%h %cs", "--abbrev=12"])
}

fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(dir).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
