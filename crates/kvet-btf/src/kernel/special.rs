//! Structures with the special types of BPF (`bpf_spin_lock`, `bpf_list_head`, `kptr` tags, ...), which the
//! kernel parses whenever BTF is loaded (`btf_parse_struct_metas`, `btf_check_and_fixup_fields`,
//! `btf_check_ownership_depth`). Nothing here is logged: a refusal is an errno alone.
//!
//! Where the kernel searches all types for each field, tables are built once; where it walks a nested
//! structure again and again, what the first walk came to is remembered.

use std::collections::HashMap;
use std::rc::Rc;

use super::engine::{Engine, Fail, Phase};
use super::rules::Special;
use super::{Errno, Rules};
use crate::btf::{Member, Type};
use crate::raw::{Kind, TypeId};
use crate::{Btf, ByName};

/// `BTF_FIELDS_MAX`.
const FIELDS_MAX: usize = 11;
/// `MAX_RESOLVE_DEPTH`.
const NESTING_MAX: u32 = 32;

/// `enum btf_field_type`, as far as structures can have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    SpinLock,
    ResSpinLock,
    ListHead,
    ListNode,
    RbRoot,
    RbNode,
    Refcount,
    KptrUnref,
    KptrRef,
    KptrPercpu,
}

impl Field {
    /// `btf_field_type_size` and `btf_field_type_align`.
    fn size_align(self) -> (u32, u32) {
        match self {
            Field::SpinLock | Field::ResSpinLock | Field::Refcount => (4, 4),
            Field::ListHead | Field::RbRoot => (16, 8),
            Field::ListNode => (24, 8),
            Field::RbNode => (32, 8),
            Field::KptrUnref | Field::KptrRef | Field::KptrPercpu => (8, 8),
        }
    }

    fn is_kptr(self) -> bool {
        matches!(self, Field::KptrUnref | Field::KptrRef | Field::KptrPercpu)
    }

    fn is_root(self) -> bool {
        matches!(self, Field::ListHead | Field::RbRoot)
    }
}

/// The types that a name makes special, and whether a structure may hold only one.
const NAMED: [(&[u8], Field, bool); 7] = [
    (b"bpf_spin_lock", Field::SpinLock, true),
    (b"bpf_res_spin_lock", Field::ResSpinLock, true),
    (b"bpf_list_head", Field::ListHead, false),
    (b"bpf_list_node", Field::ListNode, false),
    (b"bpf_rb_root", Field::RbRoot, false),
    (b"bpf_rb_node", Field::RbNode, false),
    (b"bpf_refcount", Field::Refcount, true),
];

/// `alloc_obj_fields`: a structure with a member of these is looked into.
const LOOKED_INTO: [&[u8]; 6] =
    [b"bpf_spin_lock", b"bpf_list_head", b"bpf_list_node", b"bpf_rb_root", b"bpf_rb_node", b"bpf_refcount"];

/// The kernel's structures that a `kptr` may own, with the function that gives them back
/// (`register_btf_id_dtor_kfuncs` in kernel/bpf/helpers.c, cpumask.c and crypto.c).
const DESTRUCTORS: [(&[u8], &[u8]); 4] = [
    (b"task_struct", b"bpf_task_release_dtor"),
    (b"cgroup", b"bpf_cgroup_release_dtor"),
    (b"bpf_cpumask", b"bpf_cpumask_release_dtor"),
    (b"bpf_crypto_ctx", b"bpf_crypto_ctx_release_dtor"),
];

/// `struct btf_field_info`.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    field: Field,
    offset: u32,
    /// What a kptr points to, or what a root contains.
    target: u32,
    /// The member of the contained type that links it.
    node: &'a [u8],
}

/// `struct btf_record`, what the later checks need of it.
struct Record {
    id: u32,
    owns: Vec<Owned>,
    has_root: bool,
    has_node: bool,
}

#[derive(Clone, Copy)]
enum Owned {
    Root(u32),
    Kptr(u32),
}

/// What a walk through a structure came to, so that the next need not look at each member again.
#[derive(Clone, Default)]
struct Walked {
    /// The members that hold special fields, or count as one that may be there once.
    useful: Rc<[u32]>,
    /// How deep the others nest.
    height: u32,
}

struct Parser<'a, 'e> {
    btf: &'e Btf<'a>,
    rules: &'static Rules,
    special: Special,
    kernel: Option<&'e ByName<'e>>,
    structs: HashMap<&'a [u8], u32>,
    /// Value of the `contains:` tag of a structure's member; `None` when there are several.
    contains: HashMap<(u32, i32), Option<&'a [u8]>>,
    walked: HashMap<u32, Walked>,
    nodes: HashMap<(u32, &'a [u8], bool), Result<(), Errno>>,
    /// The structure that is being parsed, for kvet's own words.
    at: u32,
}

/// What one walk has seen of types that may be there once.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
struct Seen(u8);

/// Runs the checks.
pub(crate) fn check<'a>(
    engine: &Engine<'a>,
    btf: &Btf<'a>,
    kernel: Option<&ByName<'_>>,
) -> Result<(), Fail<'a>> {
    let rules = engine.rules();
    let Some(special) = rules.struct_metas else { return Ok(()) };
    let mut parser = Parser {
        btf,
        rules,
        special,
        kernel,
        structs: HashMap::new(),
        contains: HashMap::new(),
        walked: HashMap::new(),
        nodes: HashMap::new(),
        at: 0,
    };
    let result = parser.run();
    result.map_err(|errno| Fail { id: parser.at, phase: Phase::Fields, ..Fail::silent(errno) })
}

impl<'a> Parser<'a, '_> {
    fn run(&mut self) -> Result<(), Errno> {
        let looked_into = self.looked_into();
        if !looked_into.iter().any(|&bits| bits != 0) {
            return Ok(());
        }
        self.index();
        let is_special =
            |id: TypeId| looked_into.get(id.0 as usize / 64).is_some_and(|bits| bits >> (id.0 % 64) & 1 != 0);
        let mut records = Vec::new();
        for t in self.btf.types() {
            if t.kind() == Kind::Struct && t.members().any(|m| is_special(m.target)) {
                self.at = t.id;
                records.push(self.record(t)?);
            }
        }
        self.at = 0;
        self.roots_are_known(&records)?;
        match self.special.ownership_depth {
            Some(limit) => ownership_depth(&records, limit),
            None => Ok(()),
        }
    }

    /// The ids whose members make a structure worth looking into, as a bit set.
    fn looked_into(&self) -> Vec<u64> {
        let mut set = vec![0_u64; self.btf.type_count() as usize / 64 + 1];
        let mut add = |id: u32| {
            if let Some(word) = set.get_mut(id as usize / 64) {
                *word |= 1 << (id % 64);
            }
        };
        let mut named = [false; LOOKED_INTO.len()];
        let mut tagged = false;
        for t in self.btf.types() {
            match t.kind() {
                Kind::Struct => {
                    let name = self.btf.name(t.name_off());
                    if name.starts_with(b"bpf_")
                        && let Some(i) = LOOKED_INTO.iter().position(|&n| n == name)
                        && !std::mem::replace(&mut named[i], true)
                    {
                        add(t.id);
                    }
                }
                Kind::TypeTag => tagged |= matches!(self.tag(t), Ok(Some(_))),
                _ => {}
            }
        }
        // Without the tag anywhere no pointer has it, and there are many to follow.
        if tagged {
            for t in self.btf.types().filter(|t| matches!(t.kind(), Kind::Ptr | Kind::Volatile)) {
                if matches!(self.kptr(t), Ok(Some(_))) {
                    add(t.id);
                }
            }
        }
        set
    }

    /// The `contains:` tags, and the structures for their names, when there are any.
    fn index(&mut self) {
        for t in self.btf.types().filter(|t| t.kind() == Kind::DeclTag) {
            if let Some(value) = self.btf.name(t.name_off()).strip_prefix(b"contains:") {
                self.contains
                    .entry((t.target().0, t.component()))
                    .and_modify(|v| *v = None)
                    .or_insert(Some(value));
            }
        }
        if !self.contains.is_empty() {
            for t in self.btf.types().filter(|t| t.kind() == Kind::Struct) {
                self.structs.entry(self.btf.name(t.name_off())).or_insert(t.id);
            }
        }
    }

    /// `__btf_name_by_offset`.
    fn name(&self, offset: u32) -> &'a [u8] {
        if offset == 0 { b"(anon)" } else { self.btf.name(offset) }
    }

    fn get(&self, id: TypeId) -> Result<Type<'a>, Errno> {
        self.btf.get(id).ok_or(Errno::EINVAL)
    }

    /// `btf_find_kptr`: what kind of kptr a pointer is, and the structure it points to.
    fn kptr(&self, t: Type<'a>) -> Result<Option<(Field, u32)>, Errno> {
        let t = if t.kind() == Kind::Volatile { self.get(t.target())? } else { t };
        if t.kind() != Kind::Ptr {
            return Ok(None);
        }
        let tag = if self.special.walk_tags { self.walked_tag(t)? } else { self.first_tag(t)? };
        let Some((field, end)) = tag else { return Ok(None) };
        if end.kind() != Kind::Struct {
            return Err(Errno::EINVAL);
        }
        Ok(Some((field, end.id)))
    }

    /// A tag that says kptr: `Err` for none of the names, `Ok(None)` for one that no structure may have.
    fn tag(&self, t: Type<'a>) -> Result<Option<Field>, ()> {
        match self.name(t.name_off()) {
            b"kptr" => Ok(Some(Field::KptrRef)),
            b"kptr_untrusted" => Ok(Some(Field::KptrUnref)),
            b"percpu_kptr" => Ok(Some(Field::KptrPercpu)),
            b"uptr" if self.special.uptr => Ok(None),
            _ => Err(()),
        }
    }

    /// Before `btf_type_tag_walk`: the first type is a tag that names a kptr, the next is no tag.
    fn first_tag(&self, ptr: Type<'a>) -> Result<Option<(Field, Type<'a>)>, Errno> {
        let t = self.get(ptr.target())?;
        if t.kind() != Kind::TypeTag || (!self.rules.tag_kind_flag_refused && t.kind_flag()) {
            return Ok(None);
        }
        let next = self.get(t.target())?;
        if next.kind() == Kind::TypeTag {
            return Err(Errno::EINVAL);
        }
        let Some(field) = self.tag(t).map_err(|()| Errno::EINVAL)? else { return Ok(None) };
        Ok(Some((field, self.skip_modifiers(next)?)))
    }

    /// `btf_type_tag_walk`.
    fn walked_tag(&self, ptr: Type<'a>) -> Result<Option<(Field, Type<'a>)>, Errno> {
        let mut found = 0_u8;
        let mut field = None;
        let mut t = self.get(ptr.target())?;
        for _ in 0..self.btf.type_count() {
            if !t.kind().is_modifier() {
                break;
            }
            if t.kind() == Kind::TypeTag && !t.kind_flag() {
                let bit = match self.tag(t) {
                    Ok(Some(Field::KptrRef)) => 1,
                    Ok(Some(Field::KptrUnref)) => 2,
                    Ok(Some(_)) => 4,
                    Ok(None) => 8,
                    Err(()) => 0,
                };
                if bit != 0 {
                    found |= bit;
                    field = self.tag(t).unwrap_or(None);
                }
            }
            t = self.get(t.target())?;
        }
        if found.count_ones() > 1 {
            return Err(Errno::EINVAL);
        }
        Ok(field.map(|field| (field, t)))
    }

    /// `btf_type_skip_modifiers`; chains were proved to end.
    fn skip_modifiers(&self, t: Type<'a>) -> Result<Type<'a>, Errno> {
        let mut t = t;
        for _ in 0..self.btf.type_count() {
            if !t.kind().is_modifier() {
                break;
            }
            t = self.get(t.target())?;
        }
        Ok(t)
    }

    /// `btf_parse_fields` of one structure.
    fn record(&mut self, t: Type<'a>) -> Result<Record, Errno> {
        let mut found = Vec::new();
        self.fields(t, &mut found, 0, &mut Seen::default())?;
        if found.is_empty() {
            return Err(Errno::EFAULT);
        }
        let mut record = Record { id: t.id, owns: Vec::new(), has_root: false, has_node: false };
        let mut next = 0;
        for f in &found {
            let (size, _) = f.field.size_align();
            if f.offset.wrapping_add(size) > t.size() {
                return Err(Errno::EFAULT);
            }
            if f.offset < next {
                return Err(Errno::EEXIST);
            }
            next = f.offset.wrapping_add(size);
            if f.field.is_kptr() {
                if let Some(owned) = self.kptr_target(f)? {
                    record.owns.push(Owned::Kptr(owned));
                }
            } else if f.field.is_root() {
                self.node(f)?;
                record.owns.push(Owned::Root(f.target));
            }
        }
        let has = |field: Field| found.iter().any(|f| f.field == field);
        record.has_root = has(Field::ListHead) || has(Field::RbRoot);
        record.has_node = has(Field::ListNode) || has(Field::RbNode);
        if self.special.one_lock && has(Field::SpinLock) && has(Field::ResSpinLock) {
            return Err(Errno::EINVAL);
        }
        if record.has_root && !has(Field::SpinLock) && !has(Field::ResSpinLock) {
            return Err(Errno::EINVAL);
        }
        if !has(Field::Refcount) && has(Field::ListNode) && has(Field::RbNode) {
            return Err(Errno::EINVAL);
        }
        Ok(record)
    }

    /// `btf_find_struct_field`; returns how deep it nests. The recursion is at most [`NESTING_MAX`] deep.
    fn fields(
        &mut self,
        t: Type<'a>,
        found: &mut Vec<Found<'a>>,
        level: u32,
        seen: &mut Seen,
    ) -> Result<u32, Errno> {
        if let Some(walked) = self.walked.get(&t.id).cloned() {
            if level + walked.height >= NESTING_MAX {
                return Err(Errno::E2BIG);
            }
            let mut height = walked.height;
            for &i in walked.useful.iter() {
                let member = t.member(i);
                let offset = member.bit_offset() / 8;
                height = height.max(self.field(t, i as i32, member, offset, found, level, seen)?);
            }
            return Ok(height);
        }
        let (mut useful, mut height, mut highest) = (Vec::new(), 0, 0);
        for (i, member) in (0..).zip(t.members()) {
            let offset = member.bit_offset();
            if offset % 8 != 0 {
                return Err(Errno::EINVAL);
            }
            let before = (found.len(), *seen);
            let nested = self.field(t, i as i32, member, offset / 8, found, level, seen)?;
            highest = highest.max(nested);
            if before == (found.len(), *seen) {
                height = height.max(nested);
            } else {
                useful.push(i);
            }
        }
        self.walked.insert(t.id, Walked { useful: useful.into(), height });
        Ok(highest)
    }

    /// `btf_find_field_one`.
    #[allow(clippy::too_many_arguments)] // they are the kernel's
    fn field(
        &mut self,
        t: Type<'a>,
        component: i32,
        member: Member,
        offset: u32,
        found: &mut Vec<Found<'a>>,
        level: u32,
        seen: &mut Seen,
    ) -> Result<u32, Errno> {
        let mut count: u32 = 1;
        let mut end = self.get(member.target)?;
        let mut arrays = 0;
        while arrays < NESTING_MAX && end.kind() == Kind::Array {
            count = count.wrapping_mul(end.array().count);
            end = self.get(end.array().element)?;
            arrays += 1;
        }
        if arrays == NESTING_MAX {
            return Err(Errno::E2BIG);
        }
        if count == 0 {
            return Ok(0);
        }
        let Some(field) = self.field_type(end, seen)? else {
            if end.kind() != Kind::Struct {
                return Ok(0);
            }
            return self.nested(end, offset, count, found, level, seen);
        };
        let (size, align) = field.size_align();
        if !offset.is_multiple_of(align) {
            return Ok(0);
        }
        let one = if field.is_kptr() {
            self.kptr(end)?.map(|(field, target)| Found { field, offset, target, node: b"" })
        } else if end.kind() != Kind::Struct || end.size() != size {
            None
        } else if field.is_root() {
            Some(self.root(t, component, field, offset)?)
        } else {
            Some(Found { field, offset, target: 0, node: b"" })
        };
        let Some(one) = one else { return Ok(0) };
        if found.len() >= FIELDS_MAX {
            return Err(Errno::E2BIG);
        }
        let first = found.len();
        found.push(one);
        repeat(found, first, count, size)?;
        Ok(0)
    }

    /// `btf_get_field_type`.
    fn field_type(&self, t: Type<'a>, seen: &mut Seen) -> Result<Option<Field>, Errno> {
        let name = self.name(t.name_off());
        for (i, &(special, field, unique)) in NAMED.iter().enumerate() {
            if name != special || (field == Field::ResSpinLock && !self.special.res_spin_lock) {
                continue;
            }
            if unique && (field != Field::Refcount || self.special.refcount_once) {
                if seen.0 >> i & 1 != 0 {
                    return Err(Errno::E2BIG);
                }
                seen.0 |= 1 << i;
            }
            return Ok(Some(field));
        }
        Ok((t.kind() != Kind::Struct).then_some(Field::KptrRef))
    }

    /// `btf_find_nested_struct`.
    fn nested(
        &mut self,
        t: Type<'a>,
        offset: u32,
        count: u32,
        found: &mut Vec<Found<'a>>,
        level: u32,
        seen: &mut Seen,
    ) -> Result<u32, Errno> {
        let level = level + 1;
        if level >= NESTING_MAX {
            return Err(Errno::E2BIG);
        }
        let first = found.len();
        let mut apart = Seen::default();
        let seen = if self.special.once_with_nested { seen } else { &mut apart };
        let height = self.fields(t, found, level, seen)?;
        if found.len() == first {
            return Ok(height + 1);
        }
        for f in found.iter_mut().skip(first) {
            f.offset = f.offset.wrapping_add(offset);
        }
        repeat(found, first, count, t.size())?;
        Ok(height + 1)
    }

    /// `btf_find_graph_root`.
    fn root(&self, t: Type<'a>, component: i32, field: Field, offset: u32) -> Result<Found<'a>, Errno> {
        let value = self.contains.get(&(t.id, component)).copied().flatten().ok_or(Errno::EINVAL)?;
        let colon = memchr::memchr(b':', value).ok_or(Errno::EINVAL)?;
        let (contained, node) = (&value[..colon], &value[colon + 1..]);
        let target = *self.structs.get(contained).ok_or(Errno::ENOENT)?;
        if node.is_empty() {
            return Err(Errno::EINVAL);
        }
        Ok(Found { field, offset, target, node })
    }

    /// `btf_parse_graph_root`: the contained structure has the node, once, and of the right type.
    fn node(&mut self, root: &Found<'a>) -> Result<(), Errno> {
        let key = (root.target, root.node, root.field == Field::ListHead);
        if let Some(result) = self.nodes.get(&key) {
            return *result;
        }
        let result = self.find_node(root);
        self.nodes.insert(key, result);
        result
    }

    fn find_node(&self, root: &Found<'a>) -> Result<(), Errno> {
        let wanted: &[u8] = if root.field == Field::ListHead { b"bpf_list_node" } else { b"bpf_rb_node" };
        let mut seen = false;
        for member in self.get(TypeId(root.target))?.members() {
            if self.name(member.name_off) != root.node {
                continue;
            }
            let node = self.get(member.target)?;
            if seen || node.kind() != Kind::Struct || self.name(node.name_off()) != wanted {
                return Err(Errno::EINVAL);
            }
            seen = true;
            // The kernel asks the node's type, not the one that holds it, how the offset is to be read.
            let offset = Member { split: node.kind_flag(), ..member }.bit_offset();
            if !offset.is_multiple_of(8) || !(offset / 8).is_multiple_of(8) {
                return Err(Errno::EINVAL);
            }
        }
        if seen { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// `btf_parse_kptr`: the structure of the loaded BTF that is owned, unless it is the kernel's own.
    fn kptr_target(&self, f: &Found<'a>) -> Result<Option<u32>, Errno> {
        let t = self.get(TypeId(f.target))?;
        let name = self.name(t.name_off());
        let Some(kernel) = self.kernel.filter(|kernel| kernel.get(Kind::Struct, name).is_some()) else {
            return Ok((f.field != Field::KptrUnref).then_some(f.target));
        };
        if f.field == Field::KptrRef {
            let given_back = DESTRUCTORS
                .iter()
                .any(|&(owned, dtor)| owned == name && kernel.get(Kind::Func, dtor).is_some());
            if !given_back {
                return Err(Errno::ENOENT);
            }
        }
        Ok(None)
    }

    /// `btf_check_and_fixup_fields`.
    fn roots_are_known(&self, records: &[Record]) -> Result<(), Errno> {
        for record in records {
            for owned in &record.owns {
                let &Owned::Root(value) = owned else { continue };
                let contained = find(records, value).and_then(|i| records.get(i)).ok_or(Errno::EFAULT)?;
                if self.special.ownership_depth.is_none() && record.has_node && contained.has_root {
                    return Err(Errno::ELOOP);
                }
            }
        }
        Ok(())
    }
}

fn find(records: &[Record], id: u32) -> Option<usize> {
    records.binary_search_by_key(&id, |r| r.id).ok()
}

/// `btf_repeat_fields`: the fields of an array's element, once for each element.
fn repeat(found: &mut Vec<Found<'_>>, first: usize, count: u32, size: u32) -> Result<(), Errno> {
    if count <= 1 {
        return Ok(());
    }
    let once: Vec<Found<'_>> = found[first..].to_vec();
    if once.iter().any(|f| !f.field.is_kptr() && !f.field.is_root()) {
        return Err(Errno::EINVAL);
    }
    let total = (once.len() as u32).checked_mul(count).ok_or(Errno::E2BIG)?;
    if total as usize > FIELDS_MAX - first.min(FIELDS_MAX) {
        return Err(Errno::E2BIG);
    }
    for i in 1..count {
        found
            .extend(once.iter().map(|f| Found { offset: f.offset.wrapping_add(i.wrapping_mul(size)), ..*f }));
    }
    Ok(())
}

/// `btf_check_ownership_depth`: structures that own each other do so to a limited depth, and in no circle.
fn ownership_depth(records: &[Record], limit: u8) -> Result<(), Errno> {
    let mut depths = vec![0; records.len()];
    for i in 0..records.len() {
        depth_of(records, &mut depths, i, limit)?;
    }
    Ok(())
}

/// The recursion ends with `left`, at most `BTF_MAX_OWNERSHIP_DEPTH` deep.
fn depth_of(records: &[Record], depths: &mut [u8], i: usize, left: u8) -> Result<u8, Errno> {
    if left == 0 {
        return Err(Errno::ELOOP);
    }
    if depths[i] == 0 {
        let mut deepest = 0;
        for owned in &records[i].owns {
            let next = match owned {
                Owned::Root(id) => Some(find(records, *id).ok_or(Errno::EFAULT)?),
                Owned::Kptr(id) => find(records, *id),
            };
            if let Some(next) = next {
                deepest = deepest.max(depth_of(records, depths, next, left - 1)?);
            }
        }
        depths[i] = deepest + 1;
    }
    if depths[i] > left { Err(Errno::ELOOP) } else { Ok(depths[i]) }
}
