//! One object a type, as `bpftool -j btf dump` prints them.

use std::io::Write;

use super::out::Out;
use super::{DumpError, encoding, func_linkage, shown, signedness, var_linkage};
use crate::btf::{Btf, Type};
use crate::raw::Kind;

/// Writes a BTF's own types.
///
/// # Errors
/// Writing fails.
pub fn json(btf: &Btf<'_>, to: &mut dyn Write) -> Result<(), DumpError> {
    let mut out = Out::new(to);
    out.text("{\"types\":[");
    for (i, t) in btf.types().enumerate() {
        if i > 0 {
            out.text(",");
        }
        object(btf, t, &mut out);
        out.turn()?;
    }
    out.text("]}\n");
    out.flush()?;
    Ok(())
}

fn field(out: &mut Out<'_>, name: &str, value: u32) {
    out.text(name);
    out.number(u64::from(value));
}

fn word(out: &mut Out<'_>, name: &str, value: &str) {
    out.text(name);
    out.text(value);
    out.text("\"");
}

/// A string's inside; bytes that are not UTF-8 (no C name is) become U+FFFD, as JSON must be text.
fn string(out: &mut Out<'_>, bytes: &[u8]) {
    if bytes.iter().all(|&b| b.is_ascii_graphic() && b != b'"' && b != b'\\' || b == b' ') {
        return out.bytes(bytes);
    }
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '"' => out.text("\\\""),
            '\\' => out.text("\\\\"),
            '\n' => out.text("\\n"),
            '\t' => out.text("\\t"),
            '\r' => out.text("\\r"),
            c if (c as u32) < 0x20 => out.text(&format!("\\u{:04x}", c as u32)),
            c => out.text(c.encode_utf8(&mut [0; 4])),
        }
    }
}

fn name(btf: &Btf<'_>, out: &mut Out<'_>, offset: u32) {
    out.text("{\"name\":\"");
    string(out, shown(btf, offset));
    out.text("\"");
}

fn object(btf: &Btf<'_>, t: Type<'_>, out: &mut Out<'_>) {
    let kind = t.kind();
    field(out, "{\"id\":", t.id().0);
    word(out, ",\"kind\":\"", kind.as_str());
    out.text(",\"name\":\"");
    string(out, shown(btf, t.name_off()));
    out.text("\"");
    match kind {
        Kind::Int => {
            let data = t.int_data();
            field(out, ",\"size\":", t.size());
            field(out, ",\"bits_offset\":", data >> 16 & 0xff);
            field(out, ",\"nr_bits\":", data & 0xff);
            word(out, ",\"encoding\":\"", encoding(data));
        }
        Kind::Array => {
            let array = t.array();
            field(out, ",\"type_id\":", array.element.0);
            field(out, ",\"index_type_id\":", array.index.0);
            field(out, ",\"nr_elems\":", array.count);
        }
        Kind::Struct | Kind::Union => {
            sized(t, out);
            list(out, ",\"members\":[", t.members(), |out, member| {
                name(btf, out, member.name_off);
                field(out, ",\"type_id\":", member.target.0);
                field(out, ",\"bits_offset\":", member.bit_offset());
                if member.bitfield_size() != 0 {
                    field(out, ",\"bitfield_size\":", member.bitfield_size());
                }
            });
        }
        Kind::Enum | Kind::Enum64 => {
            word(out, ",\"encoding\":\"", signedness(t));
            sized(t, out);
            list(out, ",\"values\":[", t.values(), |out, value| {
                name(btf, out, value.name_off);
                out.text(",\"val\":");
                // bpftool widens an unsigned 32-bit value as if it were signed. Output that is the same to
                // the byte can be compared and replaced; so this does too.
                if t.kind_flag() { out.signed(value.bits as i64) } else { out.number(value.bits) }
            });
        }
        Kind::Fwd => word(out, ",\"fwd_kind\":\"", if t.kind_flag() { "union" } else { "struct" }),
        Kind::Func => {
            field(out, ",\"type_id\":", t.target().0);
            word(out, ",\"linkage\":\"", func_linkage(t));
        }
        Kind::FuncProto => {
            field(out, ",\"ret_type_id\":", t.target().0);
            field(out, ",\"vlen\":", t.vlen());
            list(out, ",\"params\":[", t.params(), |out, param| {
                name(btf, out, param.name_off);
                field(out, ",\"type_id\":", param.target.0);
            });
        }
        Kind::Var => {
            field(out, ",\"type_id\":", t.target().0);
            word(out, ",\"linkage\":\"", var_linkage(t.linkage()));
        }
        Kind::Datasec => {
            sized(t, out);
            list(out, ",\"vars\":[", t.entries(), |out, entry| {
                field(out, "{\"type_id\":", entry.var.0);
                field(out, ",\"offset\":", entry.offset);
                field(out, ",\"size\":", entry.size);
            });
        }
        Kind::Float => field(out, ",\"size\":", t.size()),
        Kind::DeclTag => {
            field(out, ",\"type_id\":", t.target().0);
            out.text(",\"component_idx\":");
            out.signed(i64::from(t.component()));
        }
        Kind::Void => {}
        _ => field(out, ",\"type_id\":", t.target().0),
    }
    out.text("}");
}

fn sized(t: Type<'_>, out: &mut Out<'_>) {
    field(out, ",\"size\":", t.size());
    field(out, ",\"vlen\":", t.vlen());
}

/// Elements as objects; each writer begins its own.
fn list<T>(out: &mut Out<'_>, begin: &str, items: impl Iterator<Item = T>, write: impl Fn(&mut Out<'_>, T)) {
    out.text(begin);
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.text(",");
        }
        write(out, item);
        out.text("}");
    }
    out.text("]");
}
