//! Where a kernel's debug file may be: beside it, in the distribution's places, or with a debuginfod server.
//!
//! This library opens nothing by itself and knows no environment: it names the places, in the order in which they are
//! to be tried, and the caller brings what it finds.

use std::path::{Path, PathBuf};

use kvet_image::{Error, ErrorKind, Image};

/// A way to fetch a debug file by its build id in hex: `debuginfod-find debuginfo BUILDID` prints the path of a copy in
/// its cache; any closure will do.
pub trait FetchDebug {
    /// The file, or one sentence why there is none.
    ///
    /// # Errors
    /// No server has it, none is configured, the tool is not installed.
    fn fetch(&self, build_id: &str) -> Result<PathBuf, String>;
}

impl<F: Fn(&str) -> Result<PathBuf, String>> FetchDebug for F {
    fn fetch(&self, build_id: &str) -> Result<PathBuf, String> {
        self(build_id)
    }
}

/// Whence an image has its DWARF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DebugFrom {
    /// It has symbols and lines of its own.
    Itself,
    /// From this file.
    File(PathBuf),
    /// Nowhere: what was tried, one sentence each.
    Nowhere(Vec<String>),
}

/// An image's build id in hex.
pub fn build_id(image: &Image) -> Option<String> {
    Some(image.build_id()?.iter().map(|b| format!("{b:02x}")).collect())
}

/// The places where distributions put a kernel's or module's debug file, below `root` (`/`).
///
/// By build id as GDB has it (Debug files in separate directories), and by release: Debian's and Fedora's packages,
/// and the build's own tree.
pub fn debug_paths(image: &Image, root: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(id) = build_id(image).filter(|id| id.len() > 2) {
        let (first, rest) = id.split_at(2);
        paths.push(root.join(format!("usr/lib/debug/.build-id/{first}/{rest}.debug")));
    }
    // A release comes from the file, which may be hostile: it names no other directory.
    let sane = |r: &&str| !r.is_empty() && !r.contains('/') && *r != "." && *r != "..";
    if let Some(release) = image.release().filter(sane)
        && image.module_name().is_none()
    {
        paths.push(root.join(format!("usr/lib/debug/boot/vmlinux-{release}")));
        paths.push(root.join(format!("usr/lib/debug/lib/modules/{release}/vmlinux")));
        paths.push(root.join(format!("usr/lib/debug/usr/lib/modules/{release}/vmlinux")));
        paths.push(root.join(format!("lib/modules/{release}/build/vmlinux")));
        paths.push(root.join(format!("lib/modules/{release}/debug/vmlinux")));
        paths.push(root.join(format!("boot/vmlinux-{release}")));
    }
    paths
}

/// Gives an image its debug file: from the first path that fits by build id, else by fetching it. `open` is the
/// caller's way to a file; what is not there is passed over, what does not fit is said.
pub fn attach_debug(
    image: &mut Image,
    paths: &[PathBuf],
    open: impl Fn(&Path) -> Result<Image, Error>,
    fetch: Option<&dyn FetchDebug>,
) -> DebugFrom {
    if image.has_lines() {
        return DebugFrom::Itself;
    }
    let mut tried = Vec::new();
    let mut attach = |path: &Path, tried: &mut Vec<String>| match open(path) {
        Ok(debug) if !debug.has_lines() => {
            tried.push(format!("{}: has no line information", path.display()));
            false
        }
        Ok(debug) => match image.attach_debug(debug) {
            Ok(()) => true,
            Err(error) => {
                tried.push(error.to_string());
                false
            }
        },
        Err(error) => {
            let absent = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
            if !matches!(&error.kind, ErrorKind::Io(io) if absent(io)) {
                tried.push(error.to_string());
            }
            false
        }
    };
    for path in paths {
        if attach(path, &mut tried) {
            return DebugFrom::File(path.clone());
        }
    }
    let id = build_id(image);
    match (fetch, id) {
        (None, _) => {}
        (Some(_), None) => tried.push("the kernel has no build id to ask a debuginfod server for".into()),
        (Some(fetch), Some(id)) => match fetch.fetch(&id) {
            Err(why) => tried.push(why),
            Ok(path) => {
                let mut attach = |path: &Path| -> Result<(), Error> { image.attach_debug(open(path)?) };
                match attach(&path) {
                    Ok(()) => return DebugFrom::File(path),
                    Err(error) => tried.push(error.to_string()),
                }
            }
        },
    }
    DebugFrom::Nowhere(tried)
}

#[cfg(test)]
mod tests {
    use kvet_image::Kind;

    use super::*;
    use crate::symbols::tests::kernel;

    #[test]
    fn places_are_named_by_build_id_and_release() {
        let image = kernel();
        let paths = debug_paths(&image, Path::new("/"));
        assert_eq!(image.kind(), Kind::Vmlinux);
        assert!(paths.contains(&PathBuf::from("/usr/lib/debug/boot/vmlinux-6.1.0-test")), "{paths:?}");
    }

    #[test]
    fn what_was_tried_is_said() {
        let mut image = kernel();
        let open = |path: &Path| Image::open(path);
        let paths = [PathBuf::from("/nonexistent/vmlinux"), PathBuf::from("/")];
        let fetch = |_: &str| Err("no server has it".to_owned());
        let DebugFrom::Nowhere(tried) = attach_debug(&mut image, &paths, open, Some(&fetch)) else {
            panic!("found something")
        };
        // What is not there is no news; a directory is; and this kernel has no build id.
        assert_eq!(tried.len(), 2, "{tried:?}");
        assert!(tried[0].contains("a directory") && tried[1].contains("no build id"), "{tried:?}");
    }
}
