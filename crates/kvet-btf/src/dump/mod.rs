//! BTF as text: bpftool's `raw` and JSON forms byte for byte, and C that compiles.

mod c;
mod json;
mod out;
mod raw;

pub use c::c;
pub use json::json;
pub use raw::raw;

/// Why BTF could not be written out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DumpError {
    /// The reader of the output went away, or the disk is full.
    #[error("cannot write: {0}")]
    Io(#[from] std::io::Error),
    /// A type that refers to nothing, or to itself: there is no C for it.
    #[error("type [{id}] cannot be written as C: {why}")]
    NoC {
        /// The type.
        id: u32,
        /// What is wrong with it.
        why: &'static str,
    },
}

use crate::btf::{Btf, Type};
use crate::raw::Kind;

/// `btf_var_linkage_str` of bpftool.
fn var_linkage(linkage: u32) -> &'static str {
    match linkage {
        0 => "static",
        1 => "global",
        2 => "extern",
        _ => "(unknown)",
    }
}

/// `btf_func_linkage` of bpftool.
fn func_linkage(t: Type<'_>) -> &'static str {
    match t.vlen() {
        0 => "static",
        1 => "global",
        2 => "extern",
        _ => "(unknown)",
    }
}

/// `btf_int_enc_str` of bpftool.
fn encoding(data: u32) -> &'static str {
    match data >> 24 & 0x0f {
        0 => "(none)",
        1 => "SIGNED",
        2 => "CHAR",
        4 => "BOOL",
        _ => "UNKN",
    }
}

fn signedness(t: Type<'_>) -> &'static str {
    if t.kind_flag() { "SIGNED" } else { "UNSIGNED" }
}

/// bpftool's `btf_str`: `(anon)` for no name.
fn shown<'a>(btf: &Btf<'a>, offset: u32) -> &'a [u8] {
    match offset {
        0 => b"(anon)",
        _ => btf.string(offset).unwrap_or(b""),
    }
}

/// What a DATASEC's entry shows of its variable.
fn entry_target<'a>(btf: &Btf<'a>, id: crate::TypeId) -> Option<(Kind, &'a [u8])> {
    btf.get(id).map(|t| (t.kind(), shown(btf, t.name_off())))
}
