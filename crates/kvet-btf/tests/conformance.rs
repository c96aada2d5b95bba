//! The conformance list: every check of the kernel, with BTF that fails it and BTF that just passes.
//!
//! Written from kernel/bpf/btf.c (6.12 and 7.3; the rules of 6.18 lie between), not from kvet: each case says
//! which errno and which last line the kernel must give. Where bpf(2) is allowed and the running kernel is one
//! whose rules kvet has, that kernel is asked too, and must agree letter for letter.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../oracle/mod.rs"]
#[allow(dead_code)]
mod oracle;

use std::collections::BTreeMap;

use kvet_btf::Kind;
use kvet_btf::kernel::{Options, Rules, V6_18, load};
use oracle::blob::Blob;
use oracle::kernel::Oracle;
use oracle::seeds::Builder;

const EINVAL: u16 = 22;
const ENOTSUPP: u16 = 524;
const E2BIG: u16 = 7;
const EEXIST: u16 = 17;
const ENOENT: u16 = 2;
const EFAULT: u16 = 14;
const ELOOP: u16 = 40;

const KFLAG: u32 = 1 << 31;
const MAX_ID: u32 = 0xf_ffff;

// The types that every case begins with.
const INT: u32 = 1;
const PTR: u32 = 2;
const STRUCT: u32 = 3;
const PROTO: u32 = 4;
const FWD: u32 = 5;
const VAR: u32 = 6;
const ODD: u32 = 7;
const FUNC: u32 = 8;
const BYTE: u32 = 9;
const ENUM: u32 = 10;
/// The first id of a case's own.
const OWN: u32 = 11;

struct Case {
    kind: &'static str,
    what: String,
    data: Vec<u8>,
    errno: u16,
    line: String,
}

#[derive(Default)]
struct List(Vec<Case>);

fn info(kind: Kind) -> u32 {
    (kind as u32) << 24
}

fn prelude() -> Builder {
    let mut b = Builder::new();
    b.int("int", 4, 1);
    b.reference(Kind::Ptr, "", INT);
    b.aggregate(Kind::Struct, false, "s", 4, &[("a", INT, 0)]);
    b.add("", info(Kind::FuncProto), 0, &[]);
    b.reference(Kind::Fwd, "f", 0);
    b.add("v", info(Kind::Var), INT, &[0]);
    b.add("odd", info(Kind::Int), 1, &[7]);
    b.reference(Kind::Func, "fn", PROTO);
    b.int("u8", 1, 0);
    let value = [b.name("ONE"), 1];
    assert_eq!(b.add("e", info(Kind::Enum) | 1, 4, &value), ENUM);
    b
}

fn built(more: impl FnOnce(&mut Builder)) -> Blob {
    let mut b = prelude();
    more(&mut b);
    b.blob()
}

impl List {
    fn push(&mut self, kind: &'static str, what: &str, data: Vec<u8>, errno: u16, line: &str) {
        self.0.push(Case { kind, what: what.to_owned(), data, errno, line: line.to_owned() });
    }

    /// BTF that is accepted.
    fn good(&mut self, kind: &'static str, what: &str, more: impl FnOnce(&mut Builder)) {
        self.push(kind, what, built(more).bytes(), 0, "");
    }

    /// BTF that is refused with a last line.
    fn bad(&mut self, kind: &'static str, errno: u16, line: &str, more: impl FnOnce(&mut Builder)) {
        self.push(kind, line, built(more).bytes(), errno, line);
    }

    /// BTF whose bytes are changed after it was put together.
    fn bytes(&mut self, errno: u16, line: &str, what: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut data = built(|_| {}).bytes();
        change(&mut data);
        self.push("header", what, data, errno, line);
    }
}

fn word(data: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*data[at..].first_chunk().unwrap())
}

fn set(data: &mut [u8], at: usize, value: u32) {
    data[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn header(list: &mut List) {
    list.bytes(0, "", "as it is", |_| {});
    list.bytes(EINVAL, "hdr_len not found", "seven bytes", |d| d.truncate(7));
    list.bytes(EINVAL, "btf_header not found", "shorter than the header says", |d| d.truncate(20));
    list.bytes(EINVAL, "btf_header not found", "hdr_len past the end", |d| {
        let len = d.len() as u32;
        set(d, 4, len + 1);
    });
    list.bytes(EINVAL, "No data", "nothing but a header", |d| d.truncate(24));
    list.bytes(EINVAL, "Invalid magic", "magic", |d| d[0] ^= 1);
    list.bytes(EINVAL, "btf_header not found", "the other byte order", |d| {
        d.swap(0, 1);
        d[4..8].reverse();
    });
    list.bytes(ENOTSUPP, "Unsupported version", "version 2", |d| d[2] = 2);
    list.bytes(ENOTSUPP, "Unsupported version", "version 0", |d| d[2] = 0);
    list.bytes(ENOTSUPP, "Unsupported flags", "flags", |d| d[3] = 1);
    for (extra, errno, line) in [(0, 0, ""), (1, E2BIG, "Unsupported btf_header")] {
        let mut blob = built(|_| {});
        blob.header_words = 7;
        if extra != 0 {
            blob.patches.push((24, extra, 4));
        }
        list.push("header", &format!("a longer header that ends in {extra}"), blob.bytes(), errno, line);
    }
    list.bytes(EINVAL, "Invalid section offset", "strings past the end", |d| {
        let len = d.len() as u32;
        set(d, 16, len);
    });
    list.bytes(EINVAL, "Unsupported section found", "a gap before the types", |d| {
        set(d, 8, 4);
        let len = word(d, 12);
        set(d, 12, len - 4);
    });
    list.bytes(EINVAL, "Section overlap found", "strings begin inside the types", |d| {
        let at = word(d, 16);
        set(d, 16, at - 4);
    });
    list.bytes(EINVAL, "Total section length too long", "strings longer than the file", |d| {
        let len = word(d, 20);
        set(d, 20, len + 1);
    });
    list.bytes(EINVAL, "Unsupported section found", "bytes after the strings", |d| d.push(0));
    // Strings first, then types: both are there, but strings must end the data.
    let blob = built(|_| {});
    let bytes = blob.bytes();
    let (types, strings) = (word(&bytes, 12) as usize, word(&bytes, 20) as usize);
    let mut turned = bytes[..24].to_vec();
    set(&mut turned, 8, strings as u32);
    set(&mut turned, 16, 0);
    turned.extend_from_slice(&bytes[24 + types..]);
    turned.extend_from_slice(&bytes[24..24 + types]);
    list.push("header", "strings first", turned, EINVAL, "String section is not at the end");
    list.bytes(EINVAL, "Invalid string section", "no NUL at the end", |d| *d.last_mut().unwrap() = b'x');
    list.bytes(EINVAL, "Invalid string section", "a first string that is not empty", |d| {
        let at = 24 + word(d, 12) as usize;
        d[at] = b'x';
    });
    list.bytes(EINVAL, "Invalid string section", "no strings", |d| {
        let len = 24 + word(d, 12);
        set(d, 20, 0);
        d.truncate(len as usize);
    });
    list.bytes(EINVAL, "No type found", "no types", |d| {
        let types = word(d, 12) as usize;
        set(d, 12, 0);
        set(d, 16, 0);
        d.drain(24..24 + types);
    });
}

fn any_type(list: &mut List) {
    let raw = |extra: &[u8]| {
        let mut blob = built(|_| {});
        let types = blob.types.iter().map(Vec::len).sum::<usize>() * 4;
        let mut data = blob.bytes();
        let tail = data.split_off(24 + types);
        data.extend_from_slice(extra);
        data.extend_from_slice(&tail);
        set(&mut data, 12, (types + extra.len()) as u32);
        set(&mut data, 16, (types + extra.len()) as u32);
        blob.types.clear();
        data
    };
    list.push("any", "8 bytes", raw(&[0; 8]), EINVAL, "[11] meta_left:8 meta_needed:12");
    let kind = |info: u32| raw(&[[0; 4], info.to_le_bytes(), [0; 4]].concat());
    list.push("any", "kind 0", kind(0), EINVAL, "[11] Invalid kind:0");
    list.push("any", "kind 20", kind(20 << 24), EINVAL, "[11] Invalid kind:20");
    for bit in [29, 30, 16] {
        let info = 2 << 24 | 1 << bit;
        list.push("any", "a reserved bit", kind(info), EINVAL, &format!("[11] Invalid btf_info:{info:x}"));
    }
    let mut blob = built(|b| {
        b.reference(Kind::Typedef, "t", INT);
    });
    let end = blob.strings.len() as u32;
    blob.types[10][0] = end;
    list.push("any", "a name at the end", blob.bytes(), EINVAL, &format!("[11] Invalid name_offset:{end}"));
    blob.types[10][0] = end - 2;
    list.push("any", "the last name", blob.bytes(), 0, "");
    blob.types[10][0] = 0x100_0000;
    list.push("any", "too far a name", blob.bytes(), EINVAL, "[11] Invalid name_offset:16777216");
    for (len, errno) in [(511, 0), (512, 0), (513, EINVAL)] {
        let name = "n".repeat(len);
        let line =
            if errno == 0 { String::new() } else { format!("[11] TYPEDEF {name} type_id=1 Invalid name") };
        list.push(
            "any",
            &format!("a name of {len}"),
            built(|b| {
                b.reference(Kind::Typedef, &name, INT);
            })
            .bytes(),
            errno,
            &line,
        );
    }
    // What follows the twelve bytes runs over the end.
    for (what, info, needed) in [
        ("INT", info(Kind::Int), 4),
        ("ARRAY", info(Kind::Array), 12),
        ("STRUCT", info(Kind::Struct) | 1, 12),
        ("ENUM", info(Kind::Enum) | 2, 16),
        ("ENUM64", info(Kind::Enum64) | 1, 12),
        ("FUNC_PROTO", info(Kind::FuncProto) | 3, 24),
        ("VAR", info(Kind::Var), 4),
        ("DATASEC", info(Kind::Datasec) | 2, 24),
        ("DECL_TAG", info(Kind::DeclTag), 4),
    ] {
        let line = format!("[11] {what} (anon)meta_left:0 meta_needed:{needed}").replace("(anon)", "(anon) ");
        list.push("any", what, kind(info), EINVAL, &line);
    }
}

fn ints(list: &mut List) {
    let int = |info: u32, size: u32, data: u32| {
        move |b: &mut Builder| {
            b.add("x", info, size, &[data]);
        }
    };
    let i = info(Kind::Int);
    let shown = |size: u32, offset: u32, bits: u32, encoding: &str, why: &str| {
        format!("[11] INT x size={size} bits_offset={offset} nr_bits={bits} encoding={encoding} {why}")
    };
    list.good("INT", "16 bytes", int(i, 16, 128));
    list.good("INT", "CHAR", int(i, 1, 2 << 24 | 8));
    list.good("INT", "BOOL", int(i, 1, 4 << 24 | 8));
    list.good("INT", "some bits of it", int(i, 4, 3 << 16 | 5));
    list.good("INT", "no bits in no bytes", int(i, 0, 0));
    list.good("INT", "without a name", |b| {
        b.int("", 4, 0);
    });
    list.bad("INT", EINVAL, &shown(4, 0, 32, "(none)", "vlen != 0"), int(i | 1, 4, 32));
    list.bad("INT", EINVAL, &shown(4, 0, 32, "(none)", "Invalid btf_info kind_flag"), int(i | KFLAG, 4, 32));
    list.bad("INT", EINVAL, "[11] INT x Invalid int_data:10000020", int(i, 4, 1 << 28 | 32));
    list.bad("INT", EINVAL, &shown(255, 0, 129, "(none)", "nr_bits exceeds 128"), int(i, 255, 129));
    list.bad("INT", EINVAL, &shown(255, 1, 128, "(none)", "nr_bits exceeds 128"), int(i, 255, 1 << 16 | 128));
    list.bad("INT", EINVAL, &shown(4, 0, 33, "(none)", "nr_bits exceeds type_size"), int(i, 4, 33));
    list.bad("INT", EINVAL, &shown(4, 1, 32, "(none)", "nr_bits exceeds type_size"), int(i, 4, 1 << 16 | 32));
    for encoding in [3, 5, 6, 7, 8] {
        let line = shown(4, 0, 32, "UNKN", "Unsupported encoding");
        list.bad("INT", ENOTSUPP, &line, int(i, 4, encoding << 24 | 32));
    }
}

fn references(list: &mut List) {
    for (kind, name) in [
        (Kind::Ptr, ""),
        (Kind::Const, ""),
        (Kind::Volatile, ""),
        (Kind::Restrict, ""),
        (Kind::Typedef, "t"),
        (Kind::TypeTag, "t"),
    ] {
        let word = kind.as_str();
        let shown = if name.is_empty() { "(anon)" } else { name };
        let line = |id: u32, why: &str| format!("[11] {word} {shown} type_id={id} {why}");
        let is_tag = kind == Kind::TypeTag;
        list.good(word, "to an INT", move |b| {
            b.reference(kind, name, INT);
        });
        list.good(word, "to void", move |b| {
            b.reference(kind, name, 0);
        });
        list.good(word, "to a prototype", move |b| {
            b.reference(kind, name, PROTO);
        });
        list.good(word, "to a forward declaration", move |b| {
            b.reference(kind, name, FWD);
        });
        list.bad(word, EINVAL, &line(INT, "vlen != 0"), move |b| {
            b.add(name, info(kind) | 1, INT, &[]);
        });
        if is_tag {
            list.good(word, "an attribute", move |b| {
                b.add(name, info(kind) | KFLAG, INT, &[]);
            });
        } else {
            list.bad(word, EINVAL, &line(INT, "Invalid btf_info kind_flag"), move |b| {
                b.add(name, info(kind) | KFLAG, INT, &[]);
            });
        }
        list.bad(word, EINVAL, &line(MAX_ID + 1, "Invalid type_id"), move |b| {
            b.reference(kind, name, MAX_ID + 1);
        });
        list.bad(word, EINVAL, &line(OWN + 1, "Invalid type_id"), move |b| {
            b.reference(kind, name, OWN + 1);
        });
        list.bad(word, EINVAL, &line(VAR, "Invalid type_id"), move |b| {
            b.reference(kind, name, VAR);
        });
        // No C has it, but a function resolves to its prototype, which may be pointed to.
        list.good(word, "to a function", move |b| {
            b.reference(kind, name, FUNC);
        });
        // A name where none may be, none where one must be, or one that is no identifier.
        let wrong = if name.is_empty() { "n" } else { "" };
        let shown = if wrong.is_empty() { "(anon)" } else { wrong };
        list.bad(word, EINVAL, &format!("[11] {word} {shown} type_id=1 Invalid name"), move |b| {
            b.reference(kind, wrong, INT);
        });
    }
    list.bad("TYPEDEF", EINVAL, "[11] TYPEDEF 1t type_id=1 Invalid name", |b| {
        b.reference(Kind::Typedef, "1t", INT);
    });
    list.good("TYPEDEF", "a dot in the name", |b| {
        b.reference(Kind::Typedef, "a.b", INT);
    });
    list.good("TYPE_TAG", "any text", |b| {
        b.reference(Kind::TypeTag, "a b/1", INT);
    });
    for kind in [Kind::Const, Kind::Ptr] {
        let word = kind.as_str();
        list.bad(word, EEXIST, &format!("[11] {word} (anon) type_id=11 Loop detected"), move |b| {
            b.reference(kind, "", OWN);
        });
    }
    // Tags stand before other modifiers; a pointer begins anew.
    list.bad("TYPE_TAG", EINVAL, "Type tags don't precede modifiers", |b| {
        b.reference(Kind::TypeTag, "t", INT);
        b.reference(Kind::Const, "", OWN);
    });
    list.good("TYPE_TAG", "before a modifier", |b| {
        b.reference(Kind::Const, "", INT);
        b.reference(Kind::TypeTag, "t", OWN);
    });
    list.good("TYPE_TAG", "behind a pointer", |b| {
        b.reference(Kind::TypeTag, "t", INT);
        b.reference(Kind::Ptr, "", OWN);
        b.reference(Kind::Const, "", OWN + 1);
    });
    // Ids that fall: each type refers to the one after it.
    let chain = |n: u32| {
        move |b: &mut Builder| {
            for i in 0..n {
                let to = if i + 1 == n { INT } else { OWN + i + 1 };
                b.reference(Kind::Const, "", to);
            }
        }
    };
    list.good("CONST", "32 in a row", chain(32));
    list.bad("CONST", E2BIG, "[11] CONST (anon) type_id=12 Exceeded max resolving depth:32", chain(33));
}

fn forwards(list: &mut List) {
    let line = |why: &str| format!("[11] FWD g struct {why}");
    list.good("FWD", "a union", |b| {
        b.add("g", info(Kind::Fwd) | KFLAG, 0, &[]);
    });
    list.bad("FWD", EINVAL, &line("vlen != 0"), |b| {
        b.add("g", info(Kind::Fwd) | 1, 0, &[]);
    });
    list.bad("FWD", EINVAL, &line("type != 0"), |b| {
        b.add("g", info(Kind::Fwd), 1, &[]);
    });
    list.bad("FWD", EINVAL, "[11] FWD (anon) struct Invalid name", |b| {
        b.add("", info(Kind::Fwd), 0, &[]);
    });
    list.bad("FWD", EINVAL, "[11] FWD g h union Invalid name", |b| {
        b.add("g h", info(Kind::Fwd) | KFLAG, 0, &[]);
    });
}

fn arrays(list: &mut List) {
    let array = |element: u32, index: u32, count: u32| {
        move |b: &mut Builder| {
            b.add("", info(Kind::Array), 0, &[element, index, count]);
        }
    };
    let line = |element: u32, index: u32, count: u32, why: &str| {
        format!("[11] ARRAY (anon) type_id={element} index_type_id={index} nr_elems={count} {why}")
    };
    list.good("ARRAY", "of INT", array(INT, INT, 4));
    list.good("ARRAY", "of nothing", array(STRUCT, INT, 0));
    list.good("ARRAY", "of pointers", array(PTR, BYTE, 4));
    list.good("ARRAY", "of just below 4 GiB", array(BYTE, INT, u32::MAX));
    list.bad("ARRAY", EINVAL, "[11] ARRAY n type_id=1 index_type_id=1 nr_elems=1 Invalid name", |b| {
        b.add("n", info(Kind::Array), 0, &[INT, INT, 1]);
    });
    list.bad("ARRAY", EINVAL, &line(1, 1, 1, "vlen != 0"), |b| {
        b.add("", info(Kind::Array) | 1, 0, &[INT, INT, 1]);
    });
    list.bad("ARRAY", EINVAL, &line(1, 1, 1, "Invalid btf_info kind_flag"), |b| {
        b.add("", info(Kind::Array) | KFLAG, 0, &[INT, INT, 1]);
    });
    list.bad("ARRAY", EINVAL, &line(1, 1, 1, "size != 0"), |b| {
        b.add("", info(Kind::Array), 4, &[INT, INT, 1]);
    });
    for element in [0, MAX_ID + 1, OWN + 1, FWD, PROTO, FUNC, VAR] {
        list.bad("ARRAY", EINVAL, &line(element, 1, 1, "Invalid elem"), array(element, INT, 1));
    }
    for index in [0, MAX_ID + 1, OWN + 1, FWD, VAR, PTR, STRUCT, ODD, ENUM] {
        list.bad("ARRAY", EINVAL, &line(1, index, 1, "Invalid index"), array(INT, index, 1));
    }
    list.bad("ARRAY", EINVAL, &line(ODD, 1, 1, "Invalid array of int"), array(ODD, INT, 1));
    let overflow = line(1, 1, 1 << 30, "Array size overflows U32_MAX");
    list.bad("ARRAY", EINVAL, &overflow, array(INT, INT, 1 << 30));
    list.bad("ARRAY", EEXIST, &line(OWN, 1, 1, "Loop detected"), array(OWN, INT, 1));
}

fn composites(list: &mut List) {
    let one = |kind: Kind, flag: bool, size: u32, target: u32, offset: u32| {
        move |b: &mut Builder| {
            b.aggregate(kind, flag, "c", size, &[("m", target, offset)]);
        }
    };
    for (kind, word) in [(Kind::Struct, "STRUCT"), (Kind::Union, "UNION")] {
        let member =
            |target: u32, offset: u32, why: &str| format!("\tm type_id={target} bits_offset={offset} {why}");
        list.good(word, "empty", move |b| {
            b.aggregate(kind, false, "", 0, &[]);
        });
        list.good(word, "one member", one(kind, false, 4, INT, 0));
        list.bad(word, EINVAL, &format!("[11] {word} 1c size=4 vlen=0 Invalid name"), move |b| {
            b.aggregate(kind, false, "1c", 4, &[]);
        });
        list.bad(word, EINVAL, "\t2m type_id=1 bits_offset=0 Invalid name", move |b| {
            b.aggregate(kind, false, "c", 4, &[("2m", INT, 0)]);
        });
        list.bad(word, EINVAL, &member(0, 0, "Invalid type_id"), one(kind, false, 4, 0, 0));
        list.bad(word, EINVAL, &member(MAX_ID + 1, 0, "Invalid type_id"), one(kind, false, 4, MAX_ID + 1, 0));
        for to in [OWN + 1, FWD, PROTO, FUNC, VAR] {
            list.bad(word, EINVAL, &member(to, 0, "Invalid member"), one(kind, false, 64, to, 0));
        }
        list.bad(word, EINVAL, &member(INT, 0, "Member exceeds struct_size"), one(kind, false, 3, INT, 0));
        list.bad(word, EINVAL, &member(PTR, 0, "Member exceeds struct_size"), one(kind, false, 7, PTR, 0));
        list.bad(
            word,
            EINVAL,
            &member(STRUCT, 0, "Member exceeds struct_size"),
            one(kind, false, 3, STRUCT, 0),
        );
        list.bad(word, EINVAL, &member(ENUM, 0, "Member exceeds struct_size"), one(kind, false, 3, ENUM, 0));
        let far = one(kind, false, 4, INT, if kind == Kind::Union { 8 } else { 40 });
        let why = if kind == Kind::Union {
            member(INT, 8, "Invalid member bits_offset")
        } else {
            member(INT, 40, "Member bits_offset exceeds its struct size")
        };
        list.bad(word, EINVAL, &why, far);
        list.bad(
            word,
            EEXIST,
            &format!("[11] {word} c size=4 vlen=1 Loop detected"),
            one(kind, false, 4, OWN, 0),
        );
        list.good(word, "a pointer to itself", move |b| {
            b.aggregate(kind, false, "c", 8, &[("m", OWN + 1, 0)]);
            b.reference(Kind::Ptr, "", OWN);
        });
    }
    let mut blob = built(|b| {
        b.aggregate(Kind::Struct, false, "c", 4, &[("m", INT, 0)]);
    });
    let end = blob.strings.len() as u32;
    blob.types[10][3] = end;
    let line = format!("\t(invalid-name-offset) type_id=1 bits_offset=0 Invalid member name_offset:{end}");
    list.push("STRUCT", "a member's name past the end", blob.bytes(), EINVAL, &line);
    let line = "\tn type_id=1 bits_offset=0 Invalid member bits_offset";
    list.bad("STRUCT", EINVAL, line, |b| {
        b.aggregate(Kind::Struct, false, "c", 8, &[("m", INT, 32), ("n", INT, 0)]);
    });
    list.good("STRUCT", "two members at one place", |b| {
        b.aggregate(Kind::Struct, false, "c", 8, &[("m", INT, 32), ("n", INT, 32)]);
    });
    members(list, &one);
}

/// Offsets and bit fields.
fn members<F: FnOnce(&mut Builder)>(list: &mut List, one: &impl Fn(Kind, bool, u32, u32, u32) -> F) {
    let plain =
        |target: u32, offset: u32, why: &str| format!("\tm type_id={target} bits_offset={offset} {why}");
    let flagged = |target: u32, bits: u32, offset: u32, why: &str| {
        format!("\tm type_id={target} bitfield_size={bits} bits_offset={offset} {why}")
    };
    list.good("STRUCT", "an INT at any bit", one(Kind::Struct, false, 8, INT, 3));
    list.bad(
        "STRUCT",
        EINVAL,
        &plain(PTR, 1, "Member is not byte aligned"),
        one(Kind::Struct, false, 16, PTR, 1),
    );
    list.bad(
        "STRUCT",
        EINVAL,
        &plain(ENUM, 1, "Member is not byte aligned"),
        one(Kind::Struct, false, 16, ENUM, 1),
    );
    list.bad(
        "STRUCT",
        EINVAL,
        &plain(STRUCT, 1, "Member is not byte aligned"),
        one(Kind::Struct, false, 16, STRUCT, 1),
    );
    list.bad("STRUCT", EINVAL, &plain(OWN, 1, "Member is not byte aligned"), |b| {
        b.add("", info(Kind::Array), 0, &[BYTE, INT, 2]);
        b.aggregate(Kind::Struct, false, "c", 16, &[("m", OWN, 1)]);
    });
    list.bad("STRUCT", EINVAL, &plain(OWN, 8, "Member exceeds struct_size"), |b| {
        b.add("", info(Kind::Array), 0, &[BYTE, INT, 2]);
        b.aggregate(Kind::Struct, false, "c", 2, &[("m", OWN, 8)]);
    });
    for (offset, why) in [(0, ""), (8, "Member is not properly aligned"), (32, "Member exceeds struct_size")]
    {
        let more = move |b: &mut Builder| {
            b.add("fl", info(Kind::Float), 4, &[]);
            b.aggregate(Kind::Struct, false, "c", 7, &[("m", OWN, offset)]);
        };
        match why {
            "" => list.good("FLOAT", "a member", more),
            why => list.bad("FLOAT", EINVAL, &plain(OWN, offset, why), more),
        }
    }
    list.bad("STRUCT", EINVAL, &plain(OWN, 1, "nr_copy_bits exceeds 128"), |b| {
        b.int("u128", 16, 0);
        b.aggregate(Kind::Struct, false, "c", 64, &[("m", OWN, 1)]);
    });
    // An INT that begins past bit 0 of itself, far out.
    list.bad("STRUCT", EINVAL, &plain(OWN, u32::MAX - 6, "bits_offset exceeds U32_MAX"), |b| {
        b.add("late", info(Kind::Int), 4, &[8 << 16 | 8]);
        b.aggregate(Kind::Struct, false, "c", u32::MAX, &[("m", OWN, u32::MAX - 6)]);
    });
    let bits = |size: u32, offset: u32| size << 24 | offset;
    for (size, offset) in [(0, 0), (32, 0), (1, 31), (5, 3), (31, 33)] {
        list.good("STRUCT", "a bit field", one(Kind::Struct, true, 8, INT, bits(size, offset)));
    }
    for (target, size, offset, why) in [
        (INT, 33, 0, "Invalid member bitfield_size"),
        (INT, 0, 3, "Invalid member offset"),
        (INT, 32, 33, "Member exceeds struct_size"),
        (ODD, 7, 0, "Invalid member base type"),
        (ENUM, 33, 0, "Invalid member bitfield_size"),
        (ENUM, 0, 3, "Member is not byte aligned"),
        (ENUM, 32, 33, "Member exceeds struct_size"),
        (PTR, 8, 0, "Invalid member bitfield_size"),
        (STRUCT, 8, 0, "Invalid member bitfield_size"),
        (PTR, 0, 8, "Member exceeds struct_size"),
    ] {
        let line = flagged(target, size, offset, why);
        list.bad("STRUCT", EINVAL, &line, one(Kind::Struct, true, 8, target, bits(size, offset)));
    }
    list.good("STRUCT", "an enum in bits", one(Kind::Struct, true, 8, ENUM, bits(3, 5)));
    list.bad("STRUCT", EINVAL, &flagged(OWN, 128, 9, "nr_copy_bits exceeds 128"), |b| {
        b.int("u128", 16, 0);
        b.aggregate(Kind::Struct, true, "c", 64, &[("m", OWN, 128 << 24 | 9)]);
    });
}

fn enums(list: &mut List) {
    for (kind, word, width) in [(Kind::Enum, "ENUM", 2_usize), (Kind::Enum64, "ENUM64", 3)] {
        let build = move |flag: u32, size: u32, name: &'static str, value: &'static str| {
            move |b: &mut Builder| {
                let mut tail = vec![b.name(value), 5, 0];
                tail.truncate(width);
                b.add(name, info(kind) | flag | 1, size, &tail);
            }
        };
        for size in [1, 2, 4, 8] {
            list.good(word, &format!("of {size} bytes"), build(0, size, "c", "V"));
        }
        list.good(word, "signed", build(KFLAG, 8, "c", "V"));
        list.good(word, "without values or a name", move |b| {
            b.add("", info(kind), 4, &[]);
        });
        for size in [0, 3, 16] {
            let line = format!("[11] {word} c size={size} vlen=1 Unexpected size");
            list.bad(word, EINVAL, &line, build(0, size, "c", "V"));
        }
        list.bad(
            word,
            EINVAL,
            &format!("[11] {word} c d size=4 vlen=1 Invalid name"),
            build(0, 4, "c d", "V"),
        );
        for value in ["", "1V"] {
            list.bad(
                word,
                EINVAL,
                &format!("[11] {word} c size=4 vlen=1 Invalid name"),
                build(0, 4, "c", value),
            );
        }
        let mut blob = built(build(0, 4, "c", "V"));
        let end = blob.strings.len() as u32;
        blob.types[10][3] = end;
        let line = format!("\tInvalid name_offset:{end}");
        list.push(word, "a value's name past the end", blob.bytes(), EINVAL, &line);
    }
}

fn functions(list: &mut List) {
    let proto = |ret: u32, params: &'static [(&'static str, u32)]| {
        move |b: &mut Builder| {
            let tail: Vec<u32> = params.iter().flat_map(|&(n, t)| [b.name(n), t]).collect();
            b.add("", info(Kind::FuncProto) | params.len() as u32, ret, &tail);
        }
    };
    list.good("FUNC_PROTO", "int (int, ...)", proto(INT, &[("a", INT), ("", 0)]));
    list.good("FUNC_PROTO", "unnamed parameters", proto(PTR, &[("", STRUCT), ("", ENUM)]));
    list.bad("FUNC_PROTO", EINVAL, "[11] FUNC_PROTO n return=0 args=(void) Invalid name", |b| {
        b.add("n", info(Kind::FuncProto), 0, &[]);
    });
    list.bad(
        "FUNC_PROTO",
        EINVAL,
        "[11] FUNC_PROTO (anon) return=0 args=(void) Invalid btf_info kind_flag",
        |b| {
            b.add("", info(Kind::FuncProto) | KFLAG, 0, &[]);
        },
    );
    for ret in [OWN + 1, VAR, FWD, FUNC, PROTO] {
        let line = format!("[11] FUNC_PROTO (anon) return={ret} args=(void) Invalid return type");
        list.bad("FUNC_PROTO", EINVAL, &line, proto(ret, &[]));
    }
    for (params, shown, arg) in [
        (&[("n", 0)][..], "0 n", 1),
        (&[("", OWN + 1)], "12 (anon)", 1),
        (&[("a", VAR)], "6 a", 1),
        (&[("a", FWD)], "5 a", 1),
        (&[("1a", INT)], "1 1a", 1),
        (&[("a", INT), ("b", 0), ("c", INT)], "1 a, 0 b, 1 c", 2),
    ] {
        let shown = if params.last().unwrap().1 == 0 { "vararg" } else { shown };
        let line = format!("[11] FUNC_PROTO (anon) return=0 args=({shown}) Invalid arg#{arg}");
        list.bad("FUNC_PROTO", EINVAL, &line, proto(0, params));
    }
    for linkage in [0, 1] {
        list.good("FUNC", &format!("linkage {linkage}"), move |b| {
            b.add("g", info(Kind::Func) | linkage, PROTO, &[]);
        });
    }
    let line = |why: &str| format!("[11] FUNC g type_id=4 {why}");
    list.bad("FUNC", EINVAL, &line("Invalid func linkage"), |b| {
        b.add("g", info(Kind::Func) | 2, PROTO, &[]);
    });
    list.bad("FUNC", EINVAL, &line("Invalid btf_info kind_flag"), |b| {
        b.add("g", info(Kind::Func) | KFLAG, PROTO, &[]);
    });
    list.bad("FUNC", EINVAL, "[11] FUNC (anon) type_id=4 Invalid name", |b| {
        b.add("", info(Kind::Func), PROTO, &[]);
    });
    for to in [0, INT, OWN + 1, FUNC] {
        list.bad("FUNC", EINVAL, &format!("[11] FUNC g type_id={to} Invalid type_id"), move |b| {
            b.reference(Kind::Func, "g", to);
        });
    }
    list.bad("FUNC", EINVAL, "[12] FUNC g type_id=11 Invalid arg#1", |b| {
        b.add("", info(Kind::FuncProto) | 1, 0, &[0, INT]);
        b.reference(Kind::Func, "g", OWN);
    });
}

fn variables(list: &mut List) {
    let var = |flags: u32, name: &'static str, to: u32, linkage: u32| {
        move |b: &mut Builder| {
            b.add(name, info(Kind::Var) | flags, to, &[linkage]);
        }
    };
    let line = |name: &str, to: u32, linkage: u32, why: &str| {
        format!("[11] VAR {name} type_id={to} linkage={linkage} {why}")
    };
    for to in [INT, PTR, STRUCT, ENUM] {
        list.good("VAR", "global", var(0, "w", to, 1));
    }
    list.bad("VAR", EINVAL, &line("w", 1, 0, "vlen != 0"), var(1, "w", INT, 0));
    list.bad("VAR", EINVAL, &line("w", 1, 0, "Invalid btf_info kind_flag"), var(KFLAG, "w", INT, 0));
    list.bad("VAR", EINVAL, &line("(anon)", 1, 0, "Invalid name"), var(0, "", INT, 0));
    list.bad("VAR", EINVAL, &line("w-", 1, 0, "Invalid name"), var(0, "w-", INT, 0));
    for to in [0, MAX_ID + 1, OWN + 1, FWD, PROTO, FUNC, VAR] {
        list.bad("VAR", EINVAL, &line("w", to, 0, "Invalid type_id"), var(0, "w", to, 0));
    }
    list.bad("VAR", EINVAL, &line("w", 1, 2, "Linkage not supported"), var(0, "w", INT, 2));
}

fn sections(list: &mut List) {
    let sec = |name: &'static str, size: u32, entries: &'static [(u32, u32, u32)]| {
        move |b: &mut Builder| {
            let tail: Vec<u32> = entries.iter().flat_map(|&(v, o, s)| [v, o, s]).collect();
            b.add(name, info(Kind::Datasec) | entries.len() as u32, size, &tail);
        }
    };
    let line = |name: &str, size: u32, vlen: u32, why: &str| {
        format!("[11] DATASEC {name} size={size} vlen={vlen} {why}")
    };
    let entry = |id: u32, offset: u32, size: u32, why: &str| {
        format!("\t type_id={id} offset={offset} size={size} {why}")
    };
    list.good("DATASEC", "without entries", sec(".bss", 4, &[]));
    list.good("DATASEC", "entries side by side", sec(".data", 8, &[(VAR, 0, 4), (VAR, 4, 4)]));
    list.good("DATASEC", "an entry larger than its variable", sec(".data", 8, &[(VAR, 0, 8)]));
    list.good("DATASEC", "a name with a slash and a blank", sec(".data/x y", 4, &[]));
    list.bad("DATASEC", EINVAL, &line(".data", 0, 0, "size == 0"), sec(".data", 0, &[]));
    list.bad("DATASEC", EINVAL, &line("(anon)", 4, 0, "Invalid name"), sec("", 4, &[]));
    list.bad("DATASEC", EINVAL, &line("a\u{7f}", 4, 0, "Invalid name"), sec("a\u{7f}", 4, &[]));
    list.bad("DATASEC", EINVAL, &line(".data", 4, 0, "Invalid btf_info kind_flag"), |b| {
        b.add(".data", info(Kind::Datasec) | KFLAG, 4, &[]);
    });
    list.bad("DATASEC", EINVAL, &entry(0, 0, 4, "Invalid type_id"), sec(".data", 4, &[(0, 0, 4)]));
    list.bad(
        "DATASEC",
        EINVAL,
        &entry(MAX_ID + 1, 0, 4, "Invalid type_id"),
        sec(".data", 4, &[(MAX_ID + 1, 0, 4)]),
    );
    let twice = sec(".data", 8, &[(VAR, 0, 4), (VAR, 0, 4)]);
    list.bad("DATASEC", EINVAL, &entry(VAR, 0, 4, "Invalid offset"), twice);
    list.bad(
        "DATASEC",
        EINVAL,
        &entry(VAR, 3, 4, "Invalid offset"),
        sec(".data", 8, &[(VAR, 0, 4), (VAR, 3, 4)]),
    );
    list.bad("DATASEC", EINVAL, &entry(VAR, 4, 4, "Invalid offset"), sec(".data", 4, &[(VAR, 4, 4)]));
    list.bad("DATASEC", EINVAL, &entry(VAR, 0, 0, "Invalid size"), sec(".data", 4, &[(VAR, 0, 0)]));
    list.bad("DATASEC", EINVAL, &entry(VAR, 0, 5, "Invalid size"), sec(".data", 4, &[(VAR, 0, 5)]));
    list.bad("DATASEC", EINVAL, &entry(VAR, 2, 4, "Invalid offset+size"), sec(".data", 4, &[(VAR, 2, 4)]));
    list.bad("DATASEC", EINVAL, &entry(INT, 0, 4, "Not a VAR kind member"), sec(".data", 4, &[(INT, 0, 4)]));
    list.bad(
        "DATASEC",
        EINVAL,
        &entry(OWN + 1, 0, 4, "Not a VAR kind member"),
        sec(".data", 4, &[(OWN + 1, 0, 4)]),
    );
    list.bad("DATASEC", EINVAL, &entry(VAR, 0, 3, "Invalid size"), sec(".data", 4, &[(VAR, 0, 3)]));
}

fn floats(list: &mut List) {
    for size in [2, 4, 8, 12, 16] {
        list.good("FLOAT", &format!("{size} bytes"), move |b| {
            b.add("fl", info(Kind::Float), size, &[]);
        });
    }
    for size in [0, 1, 3, 10, 32] {
        list.bad("FLOAT", EINVAL, &format!("[11] FLOAT fl size={size} Invalid type_size"), move |b| {
            b.add("fl", info(Kind::Float), size, &[]);
        });
    }
    list.bad("FLOAT", EINVAL, "[11] FLOAT fl size=4 vlen != 0", |b| {
        b.add("fl", info(Kind::Float) | 1, 4, &[]);
    });
    list.bad("FLOAT", EINVAL, "[11] FLOAT fl size=4 Invalid btf_info kind_flag", |b| {
        b.add("fl", info(Kind::Float) | KFLAG, 4, &[]);
    });
}

fn declaration_tags(list: &mut List) {
    let tag = |flags: u32, text: &'static str, to: u32, component: u32| {
        move |b: &mut Builder| {
            b.add(text, info(Kind::DeclTag) | flags, to, &[component]);
        }
    };
    let line = |text: &str, to: u32, component: i32, why: &str| {
        format!("[11] DECL_TAG {text} type={to} component_idx={component} {why}")
    };
    for (to, component) in [(STRUCT, u32::MAX), (STRUCT, 0), (FUNC, u32::MAX), (VAR, u32::MAX)] {
        list.good("DECL_TAG", "of a struct, function or variable", tag(0, "t", to, component));
    }
    list.good("DECL_TAG", "an attribute", tag(KFLAG, "t", STRUCT, u32::MAX));
    list.bad("DECL_TAG", EINVAL, &line("(anon)", 3, -1, "Invalid value"), tag(0, "", STRUCT, u32::MAX));
    list.bad("DECL_TAG", EINVAL, &line("t", 3, -1, "vlen != 0"), tag(1, "t", STRUCT, u32::MAX));
    list.bad(
        "DECL_TAG",
        EINVAL,
        &line("t", 3, -2, "Invalid component_idx"),
        tag(0, "t", STRUCT, u32::MAX - 1),
    );
    list.bad("DECL_TAG", EINVAL, &line("t", 3, 1, "Invalid component_idx"), tag(0, "t", STRUCT, 1));
    list.bad("DECL_TAG", EINVAL, &line("t", 6, 0, "Invalid component_idx"), tag(0, "t", VAR, 0));
    list.bad("DECL_TAG", EINVAL, &line("t", 8, 0, "Invalid component_idx"), tag(0, "t", FUNC, 0));
    for to in [0, INT, PTR, ENUM, PROTO, OWN + 1] {
        let component = -1;
        list.bad("DECL_TAG", EINVAL, &line("t", to, component, "Invalid type_id"), tag(0, "t", to, u32::MAX));
    }
}

/// Structures with the special fields of BPF, where the kernel says nothing but an errno.
fn special(list: &mut List) {
    fn named(b: &mut Builder, name: &str, size: u32) -> u32 {
        let id = b.add(name, info(Kind::Struct), size, &[]);
        assert!(id >= OWN);
        id
    }
    list.good("STRUCT", "a spin lock", |b| {
        let lock = named(b, "bpf_spin_lock", 4);
        b.aggregate(Kind::Struct, false, "c", 8, &[("l", lock, 0)]);
    });
    list.bad("STRUCT", E2BIG, "", |b| {
        let lock = named(b, "bpf_spin_lock", 4);
        b.aggregate(Kind::Struct, false, "c", 8, &[("l", lock, 0), ("m", lock, 32)]);
    });
    list.bad("STRUCT", EINVAL, "", |b| {
        let (lock, other) = (named(b, "bpf_spin_lock", 4), named(b, "bpf_res_spin_lock", 4));
        b.aggregate(Kind::Struct, false, "c", 8, &[("l", lock, 0), ("m", other, 32)]);
    });
    let root = |lock: bool, text: &'static str, node: u32| {
        move |b: &mut Builder| {
            let (spin, head) = (named(b, "bpf_spin_lock", 4), named(b, "bpf_list_head", 16));
            let item = named(b, "bpf_list_node", 24);
            b.aggregate(Kind::Struct, false, "foo", 32, &[("n", item, node)]);
            let members = [("h", head, 0), ("l", spin, 128)];
            let owner = b.aggregate(Kind::Struct, false, "c", 24, &members[..1 + usize::from(lock)]);
            b.add(text, info(Kind::DeclTag), owner, &[0]);
        }
    };
    list.good("STRUCT", "a list with its lock", root(true, "contains:foo:n", 0));
    list.bad("STRUCT", EINVAL, "", root(false, "contains:foo:n", 0));
    list.bad("STRUCT", ENOENT, "", root(true, "contains:bar:n", 0));
    list.bad("STRUCT", ENOENT, "", root(true, "contains:foo:m", 0));
    list.bad("STRUCT", EINVAL, "", root(true, "contains:foo", 0));
    list.bad("STRUCT", EINVAL, "", root(true, "other", 0));
    list.bad("STRUCT", EEXIST, "", |b| {
        let (list, tree) = (named(b, "bpf_list_node", 24), named(b, "bpf_rb_node", 32));
        b.aggregate(Kind::Struct, false, "c", 64, &[("l", list, 0), ("m", tree, 64)]);
    });
    list.bad("STRUCT", EFAULT, "", |b| {
        // By its name a special field, by its size none, so that the structure has no field in the end.
        let count = named(b, "bpf_refcount", 8);
        b.aggregate(Kind::Struct, false, "c", 8, &[("r", count, 0)]);
    });
    list.bad("STRUCT", ELOOP, "", |b| {
        let (spin, head) = (named(b, "bpf_spin_lock", 4), named(b, "bpf_list_head", 16));
        let item = named(b, "bpf_list_node", 24);
        // Two that hold lists of each other: each is a root and a node.
        for (name, other) in [("foo", "contains:bar:n"), ("bar", "contains:foo:n")] {
            let members = [("h", head, 0), ("n", item, 128), ("l", spin, 320)];
            let owner = b.aggregate(Kind::Struct, false, name, 48, &members);
            b.add(other, info(Kind::DeclTag), owner, &[0]);
        }
    });
}

fn list() -> Vec<Case> {
    let mut list = List::default();
    header(&mut list);
    any_type(&mut list);
    ints(&mut list);
    references(&mut list);
    forwards(&mut list);
    arrays(&mut list);
    composites(&mut list);
    enums(&mut list);
    functions(&mut list);
    variables(&mut list);
    sections(&mut list);
    floats(&mut list);
    declaration_tags(&mut list);
    special(&mut list);
    list.0
}

#[test]
fn kvet_gives_the_kernels_verdict() {
    let mut wrong = Vec::new();
    for case in list() {
        let verdict = load(&case.data, &Options::new(&V6_18));
        let found = (verdict.errno().map_or(0, |e| e.0), verdict.log.last_line());
        if found != (case.errno, case.line.clone()) {
            wrong.push(format!(
                "{}: {}\n  must be {} {:?}\n  is      {} {:?}",
                case.kind, case.what, case.errno, case.line, found.0, found.1
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_running_kernel_gives_it_too() {
    let mut oracle = match Oracle::new() {
        Ok(oracle) => oracle,
        Err(why) => return eprintln!("SKIPPED: the running kernel was not asked: {why}"),
    };
    let rules: &Rules = match oracle.rules() {
        Ok(rules) if rules == &V6_18 => rules,
        Ok(rules) => {
            return eprintln!("SKIPPED: the list is for 6.18, the running kernel has the rules of {rules}");
        }
        Err(why) => return eprintln!("SKIPPED: {why}"),
    };
    let cases = list();
    let mut wrong = Vec::new();
    for case in &cases {
        let (errno, log) = oracle.load(&case.data);
        let log = String::from_utf8_lossy(log);
        let last = log.lines().rfind(|line| !line.is_empty()).unwrap_or("");
        if errno != i32::from(case.errno) || (errno != 0 && !case.line.is_empty() && last != case.line) {
            wrong.push(format!(
                "{}: {}\n  must be {} {:?}\n  is      {errno} {last:?}",
                case.kind, case.what, case.errno, case.line
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{} cases, the kernel ({rules}) agrees in all", cases.len());
}

/// Every line that btf.c can end with (6.12's and 6.18's), as far as BTF can bring it about: those left out are
/// named here with their reason.
const REASONS: [&str; 62] = [
    "Array size overflows U32_MAX",
    "Exceeded max resolving depth:",
    "Invalid arg#",
    "Invalid array of int",
    "Invalid btf_info kind_flag",
    "Invalid btf_info:",
    "Invalid component_idx",
    "Invalid elem",
    "Invalid func linkage",
    "Invalid index",
    "Invalid int_data:",
    "Invalid kind:",
    "Invalid magic",
    "Invalid member base type",
    "Invalid member bitfield_size",
    "Invalid member bits_offset",
    "Invalid member name_offset:",
    "Invalid member offset",
    "Invalid member",
    "Invalid name",
    "] Invalid name_offset:",
    "\tInvalid name_offset:",
    "Invalid offset",
    "Invalid offset+size",
    "Invalid return type",
    "Invalid section offset",
    "Invalid size",
    "Invalid string section",
    "Invalid type_id",
    "Invalid type_size",
    "Invalid value",
    "Linkage not supported",
    "Loop detected",
    "Member bits_offset exceeds its struct size",
    "Member exceeds struct_size",
    "Member is not byte aligned",
    "Member is not properly aligned",
    "No data",
    "No type found",
    "Not a VAR kind member",
    "Section overlap found",
    "String section is not at the end",
    "Total section length too long",
    "Type tags don't precede modifiers",
    "Unexpected size",
    "Unsupported btf_header",
    "Unsupported encoding",
    "Unsupported flags",
    "Unsupported section found",
    "Unsupported version",
    "bits_offset exceeds U32_MAX",
    "btf_header not found",
    "hdr_len not found",
    "meta_left:0 meta_needed:",
    "meta_left:8 meta_needed:12",
    "nr_bits exceeds 128",
    "nr_bits exceeds type_size",
    "nr_copy_bits exceeds 128",
    "size != 0",
    "size == 0",
    "type != 0",
    "vlen != 0",
];

/// `Invalid btf_info size` needs entries that overlap, which are refused before; `Invalid resolve state`,
/// `Unsupported resolve` and `Exceeded max num of types` guard against mistakes in the kernel or need 16 MiB;
/// `Max chain length or cycle detected` is said by the resolve phase in other words first, except of a kernel's
/// own BTF (`tests/checks.rs`); `Unaligned type_off` is only reachable with types that end the data, where the
/// string section must be; `Unsupported check_member` and `Invalid type` need types that are refused as members
/// and variables before.
#[test]
fn every_reason_has_a_case() {
    let cases = list();
    let missing: Vec<&str> =
        REASONS.iter().copied().filter(|r| !cases.iter().any(|c| c.line.contains(r))).collect();
    assert_eq!(missing, Vec::<&str>::new());
    let mut kinds: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for case in &cases {
        let count = kinds.entry(case.kind).or_default();
        if case.errno == 0 { count.0 += 1 } else { count.1 += 1 }
    }
    eprintln!("{} cases: {kinds:?} (accepted, refused)", cases.len());
    for kind in (1..20).map(|n| Kind::from_number(n).unwrap().as_str()) {
        let (good, bad) = kinds.get(kind).copied().unwrap_or_default();
        assert!(good > 0 && bad > 0, "{kind} has {good} that pass and {bad} that fail");
    }
}
