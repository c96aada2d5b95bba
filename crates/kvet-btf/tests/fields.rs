//! Members by their offset.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../oracle/mod.rs"]
#[allow(dead_code)]
mod oracle;

use kvet_btf::{Btf, ByName, Kind, TypeId};
use oracle::seeds::Builder;

#[test]
fn offsets_lead_through_structures_unions_and_arrays() {
    let mut b = Builder::new();
    let long = b.int("long", 8, 1);
    let pointer = b.reference(Kind::Ptr, "", long);
    let list =
        b.aggregate(Kind::Struct, false, "list_head", 16, &[("next", pointer, 0), ("prev", pointer, 64)]);
    let either = b.aggregate(Kind::Union, false, "", 8, &[("private", pointer, 0), ("flags", long, 0)]);
    let index = long;
    let lists = b.add("", (Kind::Array as u32) << 24, 0, &[list, index, 3]);
    let file = b.aggregate(
        Kind::Struct,
        false,
        "file",
        80,
        &[("f_mode", long, 0), ("", either, 64), ("f_lists", lists, 128), ("f_next", pointer, 576)],
    );
    let typedef = b.reference(Kind::Typedef, "file_t", file);
    let constant = b.reference(Kind::Const, "", typedef);
    let to_file = b.reference(Kind::Ptr, "", constant);
    let data = b.blob().bytes();
    let btf = Btf::parse(&data).unwrap();
    let id = ByName::new(&btf).composite(b"file").unwrap();
    assert_eq!(btf.pointee(TypeId(to_file)), Some(id));
    assert_eq!(btf.pointee(TypeId(long)), None);
    let path = |offset| btf.field_at(id, offset).map(|f| (f.path, f.rest, f.others));
    let plain = |path: &str, rest| Some((path.to_owned(), rest, Vec::<String>::new()));
    assert_eq!(path(0), plain("f_mode", 0));
    assert_eq!(path(4), plain("f_mode", 4));
    assert_eq!(path(8), Some(("private".to_owned(), 0, vec!["flags".to_owned()])));
    assert_eq!(path(16 + 24), plain("f_lists[1].prev", 0));
    assert_eq!(path(64), None, "padding");
    assert_eq!(path(72), plain("f_next", 0));
    assert_eq!(path(80), None);
}
