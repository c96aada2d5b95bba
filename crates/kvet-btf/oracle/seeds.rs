//! BTF to begin from: crafted, with every kind in several forms, and pieces of the running kernel's own.

use super::Random;
use super::blob::{Blob, words};
use kvet_btf::{Btf, Kind};

const INT: u32 = 1 << 24;
const KIND_FLAG: u32 = 1 << 31;

/// Collects types and names.
#[derive(Default)]
pub struct Builder {
    types: Vec<Vec<u32>>,
    strings: Vec<u8>,
}

impl Builder {
    pub fn new() -> Builder {
        Builder { types: Vec::new(), strings: vec![0] }
    }

    pub fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type; returns its id.
    pub fn add(&mut self, name: &str, info: u32, third: u32, tail: &[u32]) -> u32 {
        let mut t = vec![self.name(name), info, third];
        t.extend_from_slice(tail);
        self.types.push(t);
        self.types.len() as u32
    }

    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> u32 {
        self.add(name, INT, size, &[(encoding << 24) | (size * 8)])
    }

    pub fn reference(&mut self, kind: Kind, name: &str, to: u32) -> u32 {
        self.add(name, (kind as u32) << 24, to, &[])
    }

    /// A structure or union: member names, types and raw offsets.
    pub fn aggregate(
        &mut self,
        kind: Kind,
        flag: bool,
        name: &str,
        size: u32,
        members: &[(&str, u32, u32)],
    ) -> u32 {
        let tail: Vec<u32> = members.iter().flat_map(|&(n, t, o)| [self.name(n), t, o]).collect();
        let flag = if flag { KIND_FLAG } else { 0 };
        self.add(name, flag | (kind as u32) << 24 | members.len() as u32, size, &tail)
    }

    pub fn blob(self) -> Blob {
        Blob::new(self.types, self.strings)
    }
}

/// One INT.
pub fn smallest() -> Blob {
    let mut b = Builder::new();
    b.int("int", 4, 1);
    b.blob()
}

/// Every kind, every form of reference between them.
pub fn every_kind() -> Blob {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let u8_ = b.int("u8", 1, 0);
    let u64_ = b.int("u64", 8, 0);
    b.int("bool", 1, 4);
    b.int("char", 1, 2);
    let u128_ = b.int("u128", 16, 0);
    b.add("odd", INT, 4, &[4 << 16 | 7]);
    let float = b.add("float", (Kind::Float as u32) << 24, 4, &[]);
    let double = b.add("double", (Kind::Float as u32) << 24, 8, &[]);
    let void_ptr = b.reference(Kind::Ptr, "", 0);
    let int_ptr = b.reference(Kind::Ptr, "", int);
    let konst = b.reference(Kind::Const, "", int);
    let const_ptr = b.reference(Kind::Ptr, "", konst);
    let vol = b.reference(Kind::Volatile, "", konst);
    let restrict = b.reference(Kind::Restrict, "", int_ptr);
    let td = b.reference(Kind::Typedef, "int_t", vol);
    let fwd = b.reference(Kind::Fwd, "later", 0);
    b.add("later_u", KIND_FLAG | (Kind::Fwd as u32) << 24, 0, &[]);
    let fwd_ptr = b.reference(Kind::Ptr, "", fwd);
    let arr = b.add("", (Kind::Array as u32) << 24, 0, &[u8_, int, 16]);
    let arr2 = b.add("", (Kind::Array as u32) << 24, 0, &[arr, int, 3]);
    let flex = b.add("", (Kind::Array as u32) << 24, 0, &[td, int, 0]);
    let en = b.add("", (Kind::Enum as u32) << 24, 4, &[]);
    let a = [b.name("RED"), 0, b.name("GREEN"), 1, b.name("BLUE"), u32::MAX];
    let color = b.add("color", (Kind::Enum as u32) << 24 | 3, 4, &a);
    let a = [b.name("NEG"), u32::MAX];
    b.add("signed_e", KIND_FLAG | (Kind::Enum as u32) << 24 | 1, 1, &a);
    let a = [b.name("BIG"), 1, 1, b.name("BIGGER"), 2, 0x8000_0000];
    let e64 = b.add("big", (Kind::Enum64 as u32) << 24 | 2, 8, &a);
    let a = [b.name("NEG64"), 5, 0x8000_0000];
    b.add("", KIND_FLAG | (Kind::Enum64 as u32) << 24 | 1, 8, &a);
    let empty = b.aggregate(Kind::Struct, false, "empty", 0, &[]);
    let s = b.aggregate(
        Kind::Struct,
        false,
        "plain",
        88,
        &[
            ("a", int, 0),
            ("b", int_ptr, 64),
            ("c", arr, 128),
            ("d", color, 256),
            ("e", td, 288),
            ("f", float, 320),
            ("g", double, 384),
            ("", u8_, 448),
            ("h", e64, 512),
            ("i", u128_, 576),
            ("z", empty, 704),
            ("flex", flex, 704),
        ],
    );
    let bits = b.aggregate(
        Kind::Struct,
        true,
        "bits",
        16,
        &[
            ("x", int, 3 << 24),
            ("y", int, 5 << 24 | 3),
            ("col", color, 2 << 24 | 8),
            ("p", void_ptr, 64),
            ("z", td, 0),
        ],
    );
    let last = b.types.len() - 1;
    b.types[last][14 + 3] = 96; // keep the offsets rising
    let un = b.aggregate(
        Kind::Union,
        false,
        "either",
        16,
        &[("s", int, 0), ("t", u64_, 0), ("u", arr, 0), ("w", const_ptr, 0)],
    );
    let self_id = b.types.len() as u32 + 1;
    let self_ptr = self_id + 1;
    b.aggregate(Kind::Struct, false, "list", 16, &[("next", self_ptr, 0), ("n", u64_, 64)]);
    b.reference(Kind::Ptr, "", self_id);
    b.aggregate(Kind::Struct, false, "outer", 128, &[("s", s, 0), ("u", un, 704), ("b", bits, 832)]);
    let proto = [b.name("x"), int, b.name("p"), fwd_ptr];
    let proto = b.add("", (Kind::FuncProto as u32) << 24 | 2, int, &proto);
    let var = [b.name("fmt"), const_ptr, 0, 0];
    let variadic = b.add("", (Kind::FuncProto as u32) << 24 | 2, 0, &var);
    b.add("", (Kind::FuncProto as u32) << 24 | 1, void_ptr, &[0, 0]);
    let a = [b.name("r"), restrict, b.name("s"), self_ptr, b.name("q"), en];
    b.add("", (Kind::FuncProto as u32) << 24 | 3, td, &a);
    let none = b.add("", (Kind::FuncProto as u32) << 24, 0, &[]);
    let func = b.add("do_it", (Kind::Func as u32) << 24, proto, &[]);
    b.add("print.it", (Kind::Func as u32) << 24 | 1, variadic, &[]);
    b.reference(Kind::Ptr, "", none);
    let v1 = b.add("counter", (Kind::Var as u32) << 24, int, &[0]);
    let v2 = b.add("table", (Kind::Var as u32) << 24, arr2, &[1]);
    let v3 = b.add("hollow", (Kind::Var as u32) << 24, self_ptr, &[1]);
    b.add(".data..percpu", (Kind::Datasec as u32) << 24 | 3, 128, &[v1, 0, 4, v2, 16, 48, v3, 64, 8]);
    b.add(".bss", (Kind::Datasec as u32) << 24, 1, &[]);
    b.add("tagged", (Kind::DeclTag as u32) << 24, s, &[u32::MAX]);
    b.add("member", (Kind::DeclTag as u32) << 24, s, &[2]);
    b.add("arg", (Kind::DeclTag as u32) << 24, func, &[1]);
    b.add("var:tag with space", (Kind::DeclTag as u32) << 24, v1, &[u32::MAX]);
    b.add("td", (Kind::DeclTag as u32) << 24, td, &[u32::MAX]);
    let tag = b.reference(Kind::TypeTag, "rcu", konst);
    let tag2 = b.reference(Kind::TypeTag, "user", tag);
    b.reference(Kind::Ptr, "", tag2);
    b.reference(Kind::Typedef, "tagged_t", tag2);
    b.blob()
}

/// Long chains, loops of pointers, deep nesting: for the walk's limits.
pub fn chains(random: &mut Random) -> Blob {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let n = 20 + random.below(30) as u32;
    let kinds =
        [Kind::Ptr, Kind::Const, Kind::Volatile, Kind::Typedef, Kind::TypeTag, Kind::Array, Kind::Struct];
    let narrow = random.below(kinds.len()) + 1;
    for i in 0..n {
        let to = match random.below(12) {
            0 => int,
            1 => b.types.len() as u32,
            2 => 1 + random.below(n as usize) as u32,
            _ => b.types.len() as u32 + 2,
        };
        let to = if to > n { int } else { to };
        match kinds[random.below(narrow)] {
            Kind::Array => b.add("", (Kind::Array as u32) << 24, 0, &[to, int, 2]),
            Kind::Struct => b.aggregate(
                Kind::Struct,
                random.one_in(2),
                &format!("s{i}"),
                64,
                &[("m", to, 0), ("k", int, 320)],
            ),
            Kind::Typedef => b.reference(Kind::Typedef, &format!("t{i}"), to),
            Kind::TypeTag => b.reference(Kind::TypeTag, "tag", to),
            kind => b.reference(kind, "", to),
        };
    }
    let v = b.add("v", (Kind::Var as u32) << 24, 1 + random.below(n as usize) as u32, &[0]);
    b.add("sec", (Kind::Datasec as u32) << 24 | 1, 400, &[v, 0, 100]);
    let a = [b.name("x"), 1 + random.below(n as usize) as u32];
    b.add("", (Kind::FuncProto as u32) << 24 | 1, 1 + random.below(n as usize) as u32, &a);
    b.blob()
}

/// What BPF programs have: the special types, in structures and in each other.
pub fn special(random: &mut Random) -> Blob {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let u64_ = b.int("u64", 8, 0);
    let fields: [(&str, u32); 12] = [
        ("bpf_spin_lock", 4),
        ("bpf_res_spin_lock", 4),
        ("bpf_list_head", 16),
        ("bpf_list_node", 24),
        ("bpf_rb_root", 16),
        ("bpf_rb_node", 32),
        ("bpf_refcount", 4),
        ("bpf_timer", 16),
        ("bpf_wq", 16),
        ("bpf_task_work", 16),
        ("task_struct", 64),
        ("none_such", 8),
    ];
    let mut special = Vec::new();
    for (name, size) in fields {
        if !random.one_in(8) {
            let size = if random.one_in(20) { size + 8 } else { size };
            let kind = if random.one_in(40) { Kind::Union } else { Kind::Struct };
            let member = if size % 8 == 0 { u64_ } else { int };
            special.push((b.aggregate(kind, false, name, size, &[("o", member, 0)]), size));
        }
    }
    let tags = ["kptr", "kptr_untrusted", "percpu_kptr", "uptr", "rcu", "kptr_ref"];
    for _ in 0..random.below(4) {
        let mut to = 1 + random.below(b.types.len() + 3) as u32;
        for _ in 0..random.pick(&[1, 1, 1, 2, 2, 3]) {
            to = match random.below(8) {
                0 => b.reference(Kind::Const, "", to),
                1 => b.reference(Kind::Typedef, "td_t", to),
                _ => b.reference(Kind::TypeTag, random.pick(&tags), to),
            };
        }
        let ptr = b.reference(Kind::Ptr, "", to);
        special.push((ptr, 8));
        if random.one_in(3) {
            special.push((b.reference(Kind::Volatile, "", ptr), 8));
        }
    }
    let names = ["foo", "bar", "baz", "qux"];
    let mut tags_to_add = Vec::new();
    for name in names {
        let mut members = Vec::new();
        let mut tail = Vec::new();
        let mut at = 0_u32;
        for i in 0..1 + random.below(5) {
            let (mut id, mut size) = random.pick(&special);
            if random.one_in(6) {
                let count = random.pick(&[0, 1, 2, 3, 11, 12]);
                id = b.add("", (Kind::Array as u32) << 24, 0, &[id, int, count]);
                size *= count;
            }
            at = if random.one_in(10) { at } else { at.next_multiple_of(8) };
            let bit = if random.one_in(40) { at * 8 + 4 } else { at * 8 };
            let member = random.pick(&["node", "root", "lock", "rnode", "head"]);
            members.push((b.name(member), id, bit));
            tags_to_add.push(i as u32);
            at += size;
        }
        for (n, id, bit) in &members {
            tail.extend([*n, *id, *bit]);
        }
        let size = if random.one_in(20) { at + 4 } else { at.next_multiple_of(8) };
        let id = b.add(name, (Kind::Struct as u32) << 24 | members.len() as u32, size, &tail);
        special.push((id, size));
        for component in std::mem::take(&mut tags_to_add) {
            if !random.one_in(5) {
                let value = random.pick(&names);
                let node = random.pick(&["node", "rnode", "node", "none", ""]);
                let text = match random.below(12) {
                    0 => "contains:foo".to_owned(),
                    1 => format!("contains:{value}x:{node}"),
                    _ => format!("contains:{value}:{node}"),
                };
                b.add(&text, (Kind::DeclTag as u32) << 24, id, &[component]);
            }
        }
    }
    b.blob()
}

/// A piece of real BTF: a type and what it refers to, as far as there is room; the rest becomes the first
/// type.
pub fn piece(btf: &Btf<'_>, random: &mut Random, room: usize) -> Blob {
    let total = btf.type_count();
    let root = 1 + random.below(total as usize - 1) as u32;
    let mut ids = vec![1, root];
    let mut at = 1;
    while at < ids.len() {
        for target in targets(btf, ids[at]) {
            if target != 0 && !ids.contains(&target) && ids.len() < room {
                ids.push(target);
            }
        }
        at += 1;
    }
    let mut types: Vec<Vec<u32>> = ids.iter().filter_map(|&id| words(btf, id)).collect();
    let mut strings = vec![0];
    let map = |id: u32| match (id, ids.iter().position(|&i| i == id)) {
        (0, _) => 0,
        (_, Some(i)) => i as u32 + 1,
        (_, None) => 1,
    };
    for t in &mut types {
        for slot in id_slots(t) {
            t[slot] = map(t[slot]);
        }
        for slot in name_slots(t) {
            if t[slot] != 0 {
                let name = btf.name(t[slot]);
                t[slot] = strings.len() as u32;
                strings.extend_from_slice(name);
                strings.push(0);
            }
        }
    }
    Blob::new(types, strings)
}

fn kind_of(t: &[u32]) -> Kind {
    Kind::from_number((t[1] >> 24 & 0x1f) as u8).unwrap_or(Kind::Void)
}

/// Which of a type's words are type ids.
pub fn id_slots(t: &[u32]) -> Vec<usize> {
    let mut slots = Vec::new();
    let kind = kind_of(t);
    if kind.has_type() {
        slots.push(2);
    }
    match kind {
        Kind::Array => slots.extend([3, 4]),
        Kind::Struct | Kind::Union => slots.extend((3..t.len()).step_by(3).map(|i| i + 1)),
        Kind::Datasec => slots.extend((3..t.len()).step_by(3)),
        Kind::FuncProto => slots.extend((3..t.len()).step_by(2).map(|i| i + 1)),
        _ => {}
    }
    slots.retain(|&s| s < t.len());
    slots
}

/// Which of them are string offsets.
pub fn name_slots(t: &[u32]) -> Vec<usize> {
    let mut slots = vec![0];
    match kind_of(t) {
        Kind::Struct | Kind::Union | Kind::Enum64 => slots.extend((3..t.len()).step_by(3)),
        Kind::FuncProto | Kind::Enum => slots.extend((3..t.len()).step_by(2)),
        _ => {}
    }
    slots
}

fn targets(btf: &Btf<'_>, id: u32) -> Vec<u32> {
    words(btf, id).map_or(Vec::new(), |t| id_slots(&t).into_iter().map(|s| t[s]).collect())
}
