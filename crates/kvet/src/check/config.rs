//! The configuration that a kernel was built with, where it lies beside the kernel's file.

use std::path::{Path, PathBuf};

use kvet_image::Image;

/// Longer than any configuration.
const MAX_LEN: u64 = 4 << 20;

/// The configuration of a kernel that does not embed it: `config-RELEASE` beside an installed one, `config` in the
/// directory of its release, `.config` of the build tree that it is in. Each names the release in its own way, so that
/// another kernel's is not taken.
pub fn beside(kernel: &Image) -> Option<String> {
    if kernel.config().is_some() {
        return None;
    }
    let release = kernel.release().filter(|release| !release.contains('/'))?;
    let found = lies_beside(kernel.path(), release)?;
    let len = std::fs::metadata(&found).ok()?.len();
    (len <= MAX_LEN)
        .then(|| std::fs::read(&found).ok())
        .flatten()
        .map(|text| String::from_utf8_lossy(&text).into_owned())
}

fn lies_beside(kernel: &Path, release: &str) -> Option<PathBuf> {
    let directory = kernel.parent()?;
    let installed = directory.join(format!("config-{release}"));
    if installed.is_file() {
        return Some(installed);
    }
    if directory.file_name().is_some_and(|name| name == release) {
        return Some(directory.join("config"));
    }
    // vmlinux stands at a build tree's top, the other images in arch/*/boot.
    let built_here = |tree: &Path| {
        std::fs::read_to_string(tree.join("include/config/kernel.release"))
            .is_ok_and(|built| built.trim() == release)
    };
    let tree = kernel.ancestors().skip(1).take(4).find(|tree| built_here(tree))?;
    Some(tree.join(".config"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_configuration_is_taken_from_where_its_release_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |path: &str| directory.path().join(path);
        let write = |path: &str, text: &str| {
            let path = at(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("written");
            fs::write(path, text).expect("written");
        };
        write("boot/config-6.1.0", "");
        assert_eq!(lies_beside(&at("boot/vmlinuz-6.1.0"), "6.1.0"), Some(at("boot/config-6.1.0")));
        assert_eq!(lies_beside(&at("boot/vmlinuz-6.1.1"), "6.1.1"), None);
        assert_eq!(lies_beside(&at("modules/6.1.0/vmlinuz"), "6.1.0"), Some(at("modules/6.1.0/config")));
        write("tree/include/config/kernel.release", "6.1.0\n");
        for image in ["tree/vmlinux", "tree/arch/arm64/boot/Image"] {
            assert_eq!(lies_beside(&at(image), "6.1.0"), Some(at("tree/.config")));
            assert_eq!(lies_beside(&at(image), "6.1.1"), None);
        }
    }
}
