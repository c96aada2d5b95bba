//! A module's distilled base against the kernel that it is loaded into (`btf_relocate`, since 6.11).
//!
//! A distilled base holds names, and sizes of what the module embeds; each must be found in the kernel's own
//! BTF. Source: tools/lib/bpf/btf_relocate.c, which the kernel builds too.

use std::cmp::Ordering;
use std::collections::HashSet;

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

/// Why a distilled base was not found to fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The kernel refuses it.
    Refused(Refusal),
    /// It has so many types of this name that comparing them takes time without bound.
    TooManyOfOneName(String),
}

/// How often a type of the kernel is compared with a distilled one. Real modules need one comparison for each
/// distilled type; two sides with many types of one name would need the product of their numbers.
const COMPARISONS_MAX: u32 = 4_000_000;

fn refuse<T>(errno: Errno, line: String) -> Result<T, Failure> {
    Err(Failure::Refused(Refusal { errno, line }))
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
pub(crate) fn check(split: &Btf<'_>, distilled: &Btf<'_>, kernel: &Btf<'_>) -> Result<(), Failure> {
    distilled.types().try_for_each(is_distilled)?;
    let mut map = vec![Mapped::No; distilled.type_count() as usize];
    for t in split.types().filter(|t| t.kind().is_composite()) {
        mark_embedded(split, t, &mut map);
    }
    let strings = map_types(distilled, kernel, &mut map)?;
    for t in distilled.types() {
        if !matches!(map.get(t.id as usize), Some(Mapped::To(_))) {
            return refuse(
                Errno::EINVAL,
                format!(
                    "distilled base BTF type '{}' [{}] is not mapped to base BTF id",
                    distilled.display_name(t.name_off()),
                    t.id
                ),
            );
        }
    }
    split.types().try_for_each(|t| names_mapped(split, t, &strings))
}

/// `btf_relocate_validate_distilled_base`.
fn is_distilled(t: Type<'_>) -> Result<(), Failure> {
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
    refuse(Errno::EINVAL, line)
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

/// A distilled type by name and size (`struct btf_name_info`).
struct Named<'a> {
    name: &'a [u8],
    size: u32,
    t: Type<'a>,
}

impl Named<'_> {
    /// `cmp_btf_name_size`: sizes, of which the kernel keeps 31 bits, fall when names are equal.
    fn order(&self, name: &[u8], size: Option<u32>) -> Ordering {
        self.name.cmp(name).then_with(|| size.map_or(Ordering::Equal, |size| size.cmp(&self.size)))
    }
}

/// The distilled types in the kernel's order, `void` among them. Its sort leaves those of one name and size in
/// an order of its own, which shows only in which of them a refusal names.
fn by_name<'a>(distilled: &Btf<'a>) -> Vec<Named<'a>> {
    let mut all: Vec<Named<'a>> = std::iter::once(Type::void())
        .chain(distilled.types())
        .map(|t| Named { name: distilled.name(t.name_off()), size: size_bits(t), t })
        .collect();
    all.sort_by(|a, b| a.order(b.name, Some(b.size)));
    all
}

/// The third word, whatever it means for the kind, in a field of 31 bits.
fn size_bits(t: Type<'_>) -> u32 {
    t.size() & 0x7fff_ffff
}

/// `btf_relocate_map_distilled_base`; returns which distilled strings have a place in the kernel's.
fn map_types(distilled: &Btf<'_>, kernel: &Btf<'_>, map: &mut [Mapped]) -> Result<HashSet<u32>, Failure> {
    let wanted = by_name(distilled);
    let mut copies = vec![0_u8; kernel.strings().len()];
    for t in kernel.types().filter(|t| t.kind().is_composite() && t.name_off() != 0) {
        if let Some(count) = copies.get_mut(t.name_off() as usize) {
            *count = count.saturating_add(1);
        }
    }
    let mut strings = HashSet::new();
    let mut left = COMPARISONS_MAX;
    for base in kernel.types().filter(|t| t.name_off() != 0) {
        let by_size = match base.kind() {
            Kind::Int | Kind::Float | Kind::Enum | Kind::Enum64 => true,
            Kind::Fwd => false,
            Kind::Struct | Kind::Union => copies.get(base.name_off() as usize).is_some_and(|&n| n > 1),
            _ => continue,
        };
        let name = kernel.name(base.name_off());
        let size = by_size.then(|| size_bits(base));
        let first = wanted.partition_point(|w| w.order(name, size) == Ordering::Less);
        for found in wanted[first..].iter().take_while(|w| w.order(name, size) == Ordering::Equal) {
            left -= 1;
            if left == 0 {
                return Err(Failure::TooManyOfOneName(String::from_utf8_lossy(name).into_owned()));
            }
            if let Some(string) = map_one(found.t, base, name, map)? {
                strings.insert(string);
            }
        }
    }
    Ok(strings)
}

/// Maps a distilled type to one of the kernel's of its name; returns its name's offset when they go together.
fn map_one(t: Type<'_>, base: Type<'_>, name: &[u8], map: &mut [Mapped]) -> Result<Option<u32>, Failure> {
    let Some(slot) = map.get_mut(t.id as usize).filter(|_| t.id != 0) else {
        return refuse(
            Errno::EINVAL,
            format!("base BTF id [{}] maps to invalid distilled base BTF id [{}]", base.id, t.id),
        );
    };
    if !is_compatible(t, base, *slot == Mapped::Embedded) {
        return Ok(None);
    }
    if let Mapped::To(first) = *slot {
        return refuse(
            Errno::EINVAL,
            format!(
                "distilled base BTF type '{}' [{}], size {} has multiple candidates of the same size (ids [{}, \
                 {first}]) in base BTF",
                String::from_utf8_lossy(name),
                t.id,
                base.size(),
                base.id
            ),
        );
    }
    *slot = Mapped::To(base.id);
    Ok(Some(t.name_off()))
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
fn names_mapped(split: &Btf<'_>, t: Type<'_>, mapped: &HashSet<u32>) -> Result<(), Failure> {
    let check = |offset: u32| {
        if offset == 0 || offset >= split.start_str() || mapped.contains(&offset) {
            return Ok(());
        }
        // The line's %s is the string at the new offset, which is 0.
        refuse(Errno::ENOENT, format!("string '' [offset {offset}] is not mapped to base BTF"))
    };
    check(t.name_off())?;
    match t.kind() {
        Kind::Struct | Kind::Union => t.members().try_for_each(|m| check(m.name_off)),
        Kind::Enum | Kind::Enum64 => t.values().try_for_each(|v| check(v.name_off)),
        Kind::FuncProto => t.params().try_for_each(|p| check(p.name_off)),
        _ => Ok(()),
    }
}
