//! Where campaigns and proofs are kept: the XDG directories. Only the binary reads the environment.

use std::path::PathBuf;

fn directory(variable: &str, in_home: &str) -> Option<PathBuf> {
    let base = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(in_home));
    Some(base.or_else(home)?.join("kvet"))
}

/// The store, when `--store` names no other.
pub fn default_store() -> PathBuf {
    directory("XDG_STATE_HOME", ".local/state").unwrap_or_default().join("boots.sqlite")
}

/// Where answers are kept that can be found again.
pub fn cache_directory() -> Option<PathBuf> {
    directory("XDG_CACHE_HOME", ".cache")
}

/// Where what takes long is kept, to be gone on with.
pub fn state_directory() -> PathBuf {
    directory("XDG_STATE_HOME", ".local/state").unwrap_or_default()
}
