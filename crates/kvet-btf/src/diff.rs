//! What changed between two BTFs: the types that a module or a BPF program was built with, against those it
//! will meet.

use std::cell::Cell;
use std::collections::HashMap;

use crate::btf::{Btf, Type};
use crate::raw::{Kind, TypeId};

/// How a named type differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Only the new BTF has it.
    Added,
    /// Only the old BTF has it.
    Removed,
    /// Both have it; one sentence for each difference.
    Changed(Vec<String>),
}

/// One type that differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Structure, union, enumeration, typedef, function or variable.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its id in the old BTF.
    pub old: Option<TypeId>,
    /// Its id in the new BTF.
    pub new: Option<TypeId>,
    /// What is different.
    pub change: Change,
}

impl Difference {
    /// Whether what was built against the old BTF may break: something is gone, or lies elsewhere.
    pub fn breaks(&self) -> bool {
        self.change != Change::Added
    }

    /// `struct page`, `function vfs_read`.
    pub fn title(&self) -> String {
        let word = match self.kind {
            Kind::Struct => "struct",
            Kind::Union => "union",
            Kind::Enum | Kind::Enum64 => "enum",
            Kind::Typedef => "typedef",
            Kind::Func => "function",
            _ => "variable",
        };
        format!("{word} {}", self.name)
    }
}

/// Unnamed structures are compared where they are used, to this depth.
const DEPTH: u32 = 6;

/// One side of a comparison.
struct Side<'b, 'a> {
    btf: &'b Btf<'a>,
    /// How many members of unnamed structures may still be written out. A compiler's BTF uses each unnamed
    /// structure once or twice; damaged BTF could nest them so that they come to the power of [`DEPTH`].
    left: Cell<u64>,
}

impl<'b, 'a> Side<'b, 'a> {
    fn new(btf: &'b Btf<'a>) -> Side<'b, 'a> {
        Side { btf, left: Cell::new(btf.data().len() as u64 + 10_000) }
    }
}

/// Compares the named types of two BTFs, in the order of kinds and names.
///
/// Several types of one name (static functions, structures of different files) are paired where they are
/// equal, and then in order.
pub fn diff(old: &Btf<'_>, new: &Btf<'_>) -> Vec<Difference> {
    let (before, after) = (by_name(old), by_name(new));
    let mut keys: Vec<&Key<'_>> =
        before.keys().chain(after.keys().filter(|k| !before.contains_key(*k))).collect();
    keys.sort_unstable();
    let none = Vec::new();
    let (old, new) = (Side::new(old), Side::new(new));
    let mut all = Vec::new();
    for key in keys {
        let old_ids = before.get(key).unwrap_or(&none);
        let new_ids = after.get(key).unwrap_or(&none);
        compare_named(&old, &new, key, old_ids, new_ids, &mut all);
    }
    all
}

type Key<'a> = (Kind, &'a [u8]);

fn by_name<'a>(btf: &Btf<'a>) -> HashMap<Key<'a>, Vec<TypeId>> {
    let mut map: HashMap<Key<'a>, Vec<TypeId>> = HashMap::new();
    for t in btf.types() {
        let kind = match t.kind() {
            Kind::Enum64 => Kind::Enum,
            kind @ (Kind::Struct | Kind::Union | Kind::Enum | Kind::Typedef | Kind::Func | Kind::Var) => kind,
            _ => continue,
        };
        let name = btf.name(t.name_off());
        if !name.is_empty() {
            map.entry((kind, name)).or_default().push(t.id());
        }
    }
    map
}

fn compare_named(
    old: &Side<'_, '_>,
    new: &Side<'_, '_>,
    key: &Key<'_>,
    old_ids: &[TypeId],
    new_ids: &[TypeId],
    all: &mut Vec<Difference>,
) {
    let shape = |side: &Side<'_, '_>, id: TypeId| {
        side.btf.get(id).map_or_else(Shape::default, |t| Shape::of(side, t))
    };
    let mut before: Vec<(TypeId, Shape)> = old_ids.iter().map(|&id| (id, shape(old, id))).collect();
    let mut after: Vec<(TypeId, Shape)> = new_ids.iter().map(|&id| (id, shape(new, id))).collect();
    // Equal ones pair off first.
    let mut same: HashMap<&Shape, usize> = HashMap::new();
    for (_, s) in &before {
        *same.entry(s).or_default() += 1;
    }
    let mut gone: HashMap<Shape, usize> = HashMap::new();
    after.retain(|(_, s)| match same.get_mut(s) {
        Some(n) if *n > 0 => {
            *n -= 1;
            *gone.entry(s.clone()).or_default() += 1;
            false
        }
        _ => true,
    });
    before.retain(|(_, s)| match gone.get_mut(s) {
        Some(n) if *n > 0 => {
            *n -= 1;
            false
        }
        _ => true,
    });
    let name = String::from_utf8_lossy(key.1).into_owned();
    for i in 0..before.len().max(after.len()) {
        let (b, a) = (before.get(i), after.get(i));
        let change = match (b, a) {
            (Some((_, b)), Some((_, a))) => Change::Changed(b.differences(a)),
            (Some(_), None) => Change::Removed,
            _ => Change::Added,
        };
        all.push(Difference {
            kind: key.0,
            name: name.clone(),
            old: b.map(|(id, _)| *id),
            new: a.map(|(id, _)| *id),
            change,
        });
    }
}

/// What of a type others depend on, as text.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Shape {
    /// Size in bytes, or the whole declaration.
    head: String,
    /// Members and enumerators: name, place or value, type.
    parts: Vec<(String, String, String)>,
}

impl Shape {
    fn of(side: &Side<'_, '_>, t: Type<'_>) -> Shape {
        let btf = side.btf;
        match t.kind() {
            Kind::Struct | Kind::Union => {
                Shape { head: format!("{} bytes", t.size()), parts: parts(side, t) }
            }
            Kind::Enum | Kind::Enum64 => Shape {
                head: format!("{} bytes", t.size()),
                parts: t
                    .values()
                    .map(|v| {
                        let value =
                            if t.kind_flag() { (v.bits as i64).to_string() } else { v.bits.to_string() };
                        (btf.display_name(v.name_off), value, String::new())
                    })
                    .collect(),
            },
            Kind::Func => {
                let name = btf.display_name(t.name_off());
                Shape { head: format!("`{}`", btf.c_declaration(t.target(), &name)), parts: Vec::new() }
            }
            _ => Shape { head: format!("`{}`", expanded(side, t.target(), DEPTH)), parts: Vec::new() },
        }
    }

    fn differences(&self, new: &Shape) -> Vec<String> {
        let mut all = Vec::new();
        if self.head != new.head {
            all.push(format!("{} became {}", self.head, new.head));
        }
        let place = |parts: &[(String, String, String)]| -> HashMap<String, usize> {
            parts.iter().enumerate().rev().map(|(i, p)| (p.0.clone(), i)).collect()
        };
        let (before, after) = (place(&self.parts), place(&new.parts));
        for (name, at, kind) in &self.parts {
            match after.get(name).and_then(|&i| new.parts.get(i)) {
                None => all.push(format!("{name} is gone ({})", words(at, kind))),
                Some((_, new_at, new_kind)) => {
                    if at != new_at {
                        all.push(format!("{name} went from {at} to {new_at}"));
                    }
                    if kind != new_kind {
                        all.push(format!("{name} was `{kind}`, is `{new_kind}`"));
                    }
                }
            }
        }
        for (name, at, kind) in new.parts.iter().filter(|p| !before.contains_key(&p.0)) {
            all.push(format!("{name} is new ({})", words(at, kind)));
        }
        if all.is_empty() {
            all.push("unnamed members or members of one name changed".to_owned());
        }
        all
    }
}

fn words(at: &str, kind: &str) -> String {
    if kind.is_empty() { at.to_owned() } else { format!("{at}, `{kind}`") }
}

fn parts(side: &Side<'_, '_>, t: Type<'_>) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    add_parts(side, t, 0, DEPTH, &mut all);
    all
}

/// Members as C code names them: those of an unnamed structure or union are its owner's. What else has no name only
/// fills bits. The recursion is at most [`DEPTH`] deep.
fn add_parts(
    side: &Side<'_, '_>,
    t: Type<'_>,
    start: u64,
    depth: u32,
    all: &mut Vec<(String, String, String)>,
) {
    for m in t.members() {
        let bits = start + u64::from(m.bit_offset());
        if m.name_off == 0 {
            if let Some(inner) = unnamed(side, m.target).filter(|_| depth > 0) {
                add_parts(side, inner, bits, depth - 1, all);
            }
            continue;
        }
        let at = match (bits % 8, m.bitfield_size()) {
            (0, 0) => format!("byte {}", bits / 8),
            (_, 0) => format!("bit {bits}"),
            (_, size) => format!("bits {bits}-{}", bits + u64::from(size) - 1),
        };
        all.push((side.btf.display_name(m.name_off), at, expanded(side, m.target, DEPTH)));
    }
}

/// An unnamed structure or union that a member without a name has for its type, as long as it may be written out.
fn unnamed<'a>(side: &Side<'_, 'a>, id: TypeId) -> Option<Type<'a>> {
    let mut t = side.btf.get(id)?;
    for _ in 0..32 {
        if !t.kind().is_modifier() {
            break;
        }
        t = side.btf.get(t.target())?;
    }
    let left = side.left.get().checked_sub(u64::from(t.vlen())).filter(|_| t.kind().is_composite())?;
    side.left.set(left);
    Some(t)
}

/// A type as C writes it, with unnamed structures written out.
fn expanded(side: &Side<'_, '_>, id: TypeId, depth: u32) -> String {
    let btf = side.btf;
    let text = btf.c_type(id);
    let mut end = id;
    for _ in 0..32 {
        let Some(t) = btf.get(end) else { return text };
        end = match t.kind() {
            Kind::Array => t.array().element,
            Kind::Ptr => t.target(),
            kind if kind.is_modifier() && kind != Kind::Typedef => t.target(),
            Kind::Struct | Kind::Union if t.name_off() == 0 && depth > 0 => {
                let Some(left) = side.left.get().checked_sub(u64::from(t.vlen())) else { return text };
                side.left.set(left);
                let inner: Vec<String> = t
                    .members()
                    .map(|m| {
                        format!(
                            "{} {}@{}",
                            expanded(side, m.target, depth - 1),
                            btf.display_name(m.name_off),
                            m.bit_offset()
                        )
                    })
                    .collect();
                return format!("{text} {{ {} }}", inner.join("; "));
            }
            _ => return text,
        };
    }
    text
}
