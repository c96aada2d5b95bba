//! The kernel's debug file when none is named: in the distribution's places, else from a debuginfod server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kvet_explain::symbols::{self, DebugFrom};
use kvet_image::Image;

use super::debuginfod;

/// Gives a kernel its debug file, when one of the very build is at hand. Servers are asked only when
/// DEBUGINFOD_URLS names some.
pub fn attach(image: &mut Image) -> DebugFrom {
    let paths = symbols::debug_paths(image, Path::new("/"));
    let configured = std::env::var_os("DEBUGINFOD_URLS").is_some_and(|urls| !urls.is_empty());
    let fetch: &dyn symbols::FetchDebug = &fetch;
    symbols::attach_debug(image, &paths, Image::open, configured.then_some(fetch))
}

/// `debuginfod-find`, elfutils' client, keeps a cache of its own and knows proxies, certificates and time limits. Where it
/// is not installed, servers that speak plain HTTP are asked directly.
fn fetch(build_id: &str) -> Result<PathBuf, String> {
    let output = match Command::new("debuginfod-find").args(["debuginfo", build_id]).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return directly(build_id),
        output => output.map_err(|error| format!("debuginfod-find: {error}"))?,
    };
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("debuginfod-find {build_id}: {}", said(&output.stderr)));
    }
    Ok(PathBuf::from(said(&output.stdout)))
}

fn directly(build_id: &str) -> Result<PathBuf, String> {
    let urls = std::env::var("DEBUGINFOD_URLS").unwrap_or_default();
    let cache = debuginfod::cache(|name| std::env::var_os(name))
        .ok_or("no place to keep a debug file: neither DEBUGINFOD_CACHE_PATH nor HOME is set")?;
    // elfutils' own default and variable (debuginfod-client-config(7)).
    let seconds = std::env::var("DEBUGINFOD_TIMEOUT").ok().and_then(|seconds| seconds.parse().ok());
    let patience = Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(90));
    debuginfod::fetch(&urls, build_id, &cache, patience)
}
