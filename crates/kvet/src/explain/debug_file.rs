//! The kernel's debug file when none is named: in the distribution's places, else from a debuginfod server.

use std::path::{Path, PathBuf};
use std::process::Command;

use kvet_explain::symbols::{self, DebugFrom};
use kvet_image::Image;

/// Gives a kernel its debug file, when one of the very build is at hand. Servers are asked only when
/// DEBUGINFOD_URLS names some.
pub fn attach(image: &mut Image) -> DebugFrom {
    let paths = symbols::debug_paths(image, Path::new("/"));
    let configured = std::env::var_os("DEBUGINFOD_URLS").is_some_and(|urls| !urls.is_empty());
    let fetch: &dyn symbols::FetchDebug = &fetch;
    symbols::attach_debug(image, &paths, Image::open, configured.then_some(fetch))
}

/// `debuginfod-find`, elfutils' client, keeps a cache of its own and knows proxies, certificates and time limits.
fn fetch(build_id: &str) -> Result<PathBuf, String> {
    let output = Command::new("debuginfod-find").args(["debuginfo", build_id]).output();
    let output = output.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "DEBUGINFOD_URLS is set, but debuginfod-find is not installed (package debuginfod)".to_owned()
        }
        _ => format!("debuginfod-find: {error}"),
    })?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("debuginfod-find {build_id}: {}", said(&output.stderr)));
    }
    Ok(PathBuf::from(said(&output.stdout)))
}
