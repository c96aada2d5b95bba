//! Structures with the special types of BPF, parsed when BTF is loaded (`btf_parse_struct_metas`).
use super::engine::{Engine, Fail};
use super::resolve::Resolved;
use crate::Btf;

pub(crate) fn check<'a>(_engine: &mut Engine<'a>, _btf: &Btf<'a>, _resolved: &Resolved) -> Result<(), Fail<'a>> {
    Ok(())
}
