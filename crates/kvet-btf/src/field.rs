//! Which member of a structure an offset falls into.

use crate::btf::Btf;
use crate::by_name::ByName;
use crate::raw::{Kind, TypeId};

/// How deep structures lie in structures at most.
const DEPTH_MAX: usize = 32;

/// How many modifiers stand before a type at most, as in the kernel's own resolver.
const MODIFIERS_MAX: usize = 32;

/// A member by its offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// The way to it: `f_path.dentry`, `list[2].next`; anonymous structures and unions leave no name.
    pub path: String,
    /// The innermost member's type.
    pub target: TypeId,
    /// How far into that the offset points; 0 at its start.
    pub rest: u64,
    /// Other members of a union that hold the same offset.
    pub others: Vec<String>,
}

impl Btf<'_> {
    /// A type without `const`, `volatile`, `restrict`, typedefs and tags.
    pub fn unmodified(&self, id: TypeId) -> Option<TypeId> {
        let mut id = id;
        for _ in 0..MODIFIERS_MAX {
            let t = self.get(id)?;
            if !t.kind().is_modifier() {
                return Some(id);
            }
            id = t.target();
        }
        None
    }

    /// What a pointer type points to, unmodified; `None` for what is no pointer.
    pub fn pointee(&self, id: TypeId) -> Option<TypeId> {
        let t = self.get(self.unmodified(id)?)?;
        (t.kind() == Kind::Ptr).then(|| self.unmodified(t.target())).flatten()
    }

    /// The members of a structure or union that hold a byte offset: the innermost, with the way to it. `None` when the
    /// type is neither, or has nothing there: padding, or past its end.
    pub fn field_at(&self, id: TypeId, offset: u64) -> Option<Field> {
        let mut path = String::new();
        let mut others = Vec::new();
        let (mut id, mut offset) = (self.unmodified(id)?, offset);
        for depth in 0..DEPTH_MAX {
            let t = self.get(id)?;
            match t.kind() {
                Kind::Struct | Kind::Union => {
                    let mut holding = t.members().filter_map(|member| {
                        let start = u64::from(member.bit_offset() / 8);
                        let size = match member.bitfield_size() {
                            0 => self.size_of(member.target)?,
                            bits => u64::from((member.bit_offset() % 8 + bits).div_ceil(8)),
                        };
                        // A flexible array has no size, and reaches to wherever the object ends.
                        let flexible = size == 0 && u64::from(t.size()) <= start;
                        let holds = start <= offset && (offset - start < size || flexible);
                        holds.then_some((member, start))
                    });
                    let Some((member, start)) = holding.next() else {
                        return (depth > 0).then_some(Field { path, target: id, rest: offset, others });
                    };
                    if t.kind() == Kind::Union {
                        let names = holding.map(|(m, _)| self.display_name(m.name_off));
                        others.extend(names.take(8usize.saturating_sub(others.len())));
                    }
                    let name = self.name(member.name_off);
                    if !name.is_empty() {
                        if !path.is_empty() {
                            path.push('.');
                        }
                        path.push_str(&String::from_utf8_lossy(name));
                    }
                    offset -= start;
                    id = self.unmodified(member.target)?;
                }
                Kind::Array => {
                    let element = t.array().element;
                    let size = self.size_of(element).filter(|size| *size != 0)?;
                    path.push_str(&format!("[{}]", offset / size));
                    offset %= size;
                    id = self.unmodified(element)?;
                }
                _ => return Some(Field { path, target: id, rest: offset, others }),
            }
        }
        None
    }
}

impl ByName<'_> {
    /// A structure or union by its tag.
    pub fn composite(&self, name: &[u8]) -> Option<TypeId> {
        self.get(Kind::Struct, name).or_else(|| self.get(Kind::Union, name))
    }
}
