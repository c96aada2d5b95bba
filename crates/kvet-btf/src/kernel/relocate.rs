//! A module's distilled base against the kernel that it is loaded into (`btf_relocate`, since 6.12).
//!
//! A distilled base holds names, and sizes of what the module embeds; each must be found in the kernel's own
//! BTF. Source: tools/lib/bpf/btf_relocate.c, which the kernel builds too.

use std::collections::HashMap;

use super::Errno;
use crate::Btf;
use crate::btf::Type;
use crate::raw::Kind;

/// Why the kernel refuses: its errno and the line that it prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    pub(crate) line: String,
}

fn refusal(errno: Errno, line: String) -> Refusal {
    Refusal { errno, line }
}

/// What a distilled type was mapped to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mapped {
    No,
    /// Not yet, and a split type embeds it, so that its size counts.
    Embedded,
    To(u32),
}

/// Runs the checks of `btf_relocate`.
pub(crate) fn check(split: &Btf<'_>, distilled: &Btf<'_>, kernel: &Btf<'_>) -> Result<(), Refusal> {
    distilled.types().try_for_each(is_distilled)?;
    let mut map = vec![Mapped::No; distilled.type_count() as usize];
    for t in split.types().filter(|t| t.kind().is_composite()) {
        mark_embedded(split, t, &mut map);
    }
    let strings = map_types(distilled, kernel, &mut map)?;
    for t in distilled.types() {
        if !matches!(map.get(t.id as usize), Some(Mapped::To(_))) {
            return Err(refusal(
                Errno::EINVAL,
                format!(
                    "distilled base BTF type '{}' [{}] is not mapped to base BTF id",
                    distilled.display_name(t.name_off()),
                    t.id
                ),
            ));
        }
    }
    split.types().try_for_each(|t| names_mapped(split, t, &strings))
}

/// `btf_relocate_validate_distilled_base`.
fn is_distilled(t: Type<'_>) -> Result<(), Refusal> {
    let kind = t.kind();
    let known = matches!(kind, Kind::Int | Kind::Float | Kind::Enum | Kind::Struct | Kind::Union | Kind::Fwd);
    let line = match known {
        true if t.name_off() != 0 => return Ok(()),
        true => format!(
            "type [{}], kind [{}] is invalid for distilled base BTF; it is anonymous",
            t.id, kind as u8
        ),
        false => {
            format!("type [{}] in distilled based BTF has unexpected kind [{}]", t.id, kind as u8)
        }
    };
    Err(refusal(Errno::EINVAL, line))
}

/// `btf_mark_embedded_composite_type_ids`.
fn mark_embedded(split: &Btf<'_>, t: Type<'_>, map: &mut [Mapped]) {
    for member in t.members() {
        let mut id = member.target;
        // The kernel follows such a chain to its end, however long; damaged ones have none.
        for _ in 0..64 {
            let Some(t) = split.get(id) else { break };
            match t.kind() {
                Kind::Array => id = t.array().element,
                kind if kind.is_modifier() => id = t.target(),
                Kind::Struct | Kind::Union => {
                    if let Some(slot) = map.get_mut(id.0 as usize) {
                        *slot = Mapped::Embedded;
                    }
                    break;
                }
                _ => break,
            }
        }
    }
}

/// `btf_relocate_map_distilled_base`; returns which distilled strings have a place in the kernel's.
fn map_types(
    distilled: &Btf<'_>,
    kernel: &Btf<'_>,
    map: &mut [Mapped],
) -> Result<std::collections::HashSet<u32>, Refusal> {
    let mut wanted: HashMap<&[u8], Vec<Type<'_>>> = HashMap::new();
    for t in distilled.types() {
        wanted.entry(distilled.name(t.name_off())).or_default().push(t);
    }
    let mut copies: HashMap<u32, u32> = HashMap::new();
    for t in kernel.types().filter(|t| t.kind().is_composite() && t.name_off() != 0) {
        *copies.entry(t.name_off()).or_default() += 1;
    }
    let mut strings = std::collections::HashSet::new();
    for base in kernel.types().filter(|t| t.name_off() != 0) {
        let by_size = match base.kind() {
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => true,
            Kind::Fwd => false,
            Kind::Struct | Kind::Union => copies.get(&base.name_off()).is_some_and(|&n| n > 1),
            _ => continue,
        };
        let Some(candidates) = wanted.get(kernel.name(base.name_off())) else { continue };
        for &t in candidates.iter().filter(|t| !by_size || t.size() == base.size()) {
            let Some(slot) = map.get_mut(t.id as usize) else { continue };
            if !is_compatible(t, base, *slot == Mapped::Embedded) {
                continue;
            }
            if let Mapped::To(first) = *slot {
                return Err(refusal(
                    Errno::EINVAL,
                    format!(
                        "distilled base BTF type '{}' [{}], size {} has multiple candidates of the same size \
                         (ids [{}, {first}]) in base BTF",
                        kernel.display_name(base.name_off()),
                        t.id,
                        base.size(),
                        base.id
                    ),
                ));
            }
            *slot = Mapped::To(base.id);
            strings.insert(t.name_off());
        }
    }
    Ok(strings)
}

/// Whether a type of the kernel may stand for a distilled one of the same name.
fn is_compatible(t: Type<'_>, base: Type<'_>, embedded: bool) -> bool {
    match t.kind() {
        // The kernel asks a structure's kind flag here, which says nothing of structure or union.
        Kind::Fwd => match base.kind() {
            Kind::Fwd => t.kind_flag() == base.kind_flag(),
            Kind::Struct => !base.kind_flag(),
            Kind::Union => base.kind_flag(),
            _ => false,
        },
        Kind::Int => base.kind() == Kind::Int && t.int_data() >> 24 == base.int_data() >> 24,
        Kind::Float => base.kind() == Kind::Float,
        Kind::Enum => matches!(base.kind(), Kind::Enum | Kind::Enum64),
        Kind::Struct | Kind::Union => !embedded || t.size() == base.size(),
        _ => false,
    }
}

/// `btf_relocate_rewrite_strs`: what a split type takes of the distilled strings is the name of a mapped
/// type.
fn names_mapped(
    split: &Btf<'_>,
    t: Type<'_>,
    mapped: &std::collections::HashSet<u32>,
) -> Result<(), Refusal> {
    let check = |offset: u32| {
        if offset == 0 || offset >= split.start_str() || mapped.contains(&offset) {
            return Ok(());
        }
        // The line's %s is the string at the new offset, which is 0.
        Err(refusal(Errno::ENOENT, format!("string '' [offset {offset}] is not mapped to base BTF")))
    };
    check(t.name_off())?;
    match t.kind() {
        Kind::Struct | Kind::Union => t.members().try_for_each(|m| check(m.name_off)),
        Kind::Enum | Kind::Enum64 => t.values().try_for_each(|v| check(v.name_off)),
        Kind::FuncProto => t.params().try_for_each(|p| check(p.name_off)),
        _ => Ok(()),
    }
}
