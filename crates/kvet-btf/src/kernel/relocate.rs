//! A module's distilled base against the kernel it is loaded into (`btf_relocate`).
use super::Errno;
use crate::Btf;

pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    pub(crate) line: String,
}

pub(crate) fn check(_split: &Btf<'_>, _distilled: &Btf<'_>, _kernel: &Btf<'_>) -> Result<(), Refusal> {
    Ok(())
}
