//! One line a type and one an element, as `bpftool btf dump ... format raw` prints them.

use std::io::Write;

use super::out::Out;
use super::{DumpError, encoding, entry_target, func_linkage, shown, signedness, var_linkage};
use crate::btf::{Btf, Type};
use crate::raw::Kind;

/// Writes a BTF's own types.
///
/// # Errors
/// Writing fails.
pub fn raw(btf: &Btf<'_>, to: &mut dyn Write) -> Result<(), DumpError> {
    let mut out = Out::new(to);
    for t in btf.types() {
        line(btf, t, &mut out);
        out.turn()?;
    }
    out.flush()?;
    Ok(())
}

fn field(out: &mut Out<'_>, name: &str, value: u32) {
    out.text(name);
    out.number(u64::from(value));
}

fn line(btf: &Btf<'_>, t: Type<'_>, out: &mut Out<'_>) {
    let kind = t.kind();
    out.text("[");
    out.number(u64::from(t.id().0));
    out.text("] ");
    out.text(kind.as_str());
    out.text(" '");
    out.bytes(shown(btf, t.name_off()));
    out.text("'");
    match kind {
        Kind::Int => {
            let data = t.int_data();
            field(out, " size=", t.size());
            field(out, " bits_offset=", data >> 16 & 0xff);
            field(out, " nr_bits=", data & 0xff);
            out.text(" encoding=");
            out.text(encoding(data));
        }
        Kind::Array => {
            let array = t.array();
            field(out, " type_id=", array.element.0);
            field(out, " index_type_id=", array.index.0);
            field(out, " nr_elems=", array.count);
        }
        Kind::Struct | Kind::Union => {
            sized(t, out);
            members(btf, t, out);
        }
        Kind::Enum | Kind::Enum64 => {
            out.text(" encoding=");
            out.text(signedness(t));
            sized(t, out);
            values(btf, t, out);
        }
        Kind::Fwd => out.text(if t.kind_flag() { " fwd_kind=union" } else { " fwd_kind=struct" }),
        Kind::Func => {
            field(out, " type_id=", t.target().0);
            out.text(" linkage=");
            out.text(func_linkage(t));
        }
        Kind::FuncProto => {
            field(out, " ret_type_id=", t.target().0);
            field(out, " vlen=", t.vlen());
            for param in t.params() {
                out.text("\n\t'");
                out.bytes(shown(btf, param.name_off));
                field(out, "' type_id=", param.target.0);
            }
        }
        Kind::Var => {
            field(out, " type_id=", t.target().0);
            out.text(", linkage=");
            out.text(var_linkage(t.linkage()));
        }
        Kind::Datasec => {
            sized(t, out);
            entries(btf, t, out);
        }
        Kind::Float => field(out, " size=", t.size()),
        Kind::DeclTag => {
            field(out, " type_id=", t.target().0);
            out.text(" component_idx=");
            out.signed(i64::from(t.component()));
        }
        Kind::Void => {}
        _ => field(out, " type_id=", t.target().0),
    }
    out.text("\n");
}

fn sized(t: Type<'_>, out: &mut Out<'_>) {
    field(out, " size=", t.size());
    field(out, " vlen=", t.vlen());
}

fn members(btf: &Btf<'_>, t: Type<'_>, out: &mut Out<'_>) {
    for member in t.members() {
        out.text("\n\t'");
        out.bytes(shown(btf, member.name_off));
        field(out, "' type_id=", member.target.0);
        field(out, " bits_offset=", member.bit_offset());
        if member.bitfield_size() != 0 {
            field(out, " bitfield_size=", member.bitfield_size());
        }
    }
}

fn values(btf: &Btf<'_>, t: Type<'_>, out: &mut Out<'_>) {
    for value in t.values() {
        out.text("\n\t'");
        out.bytes(shown(btf, value.name_off));
        out.text("' val=");
        let wide = t.kind() == Kind::Enum64;
        match (t.kind_flag(), wide) {
            (true, _) => out.signed(value.bits as i64),
            (false, false) => out.number(u64::from(value.bits as u32)),
            (false, true) => out.number(value.bits),
        }
        if wide {
            out.text(if t.kind_flag() { "LL" } else { "ULL" });
        }
    }
}

fn entries(btf: &Btf<'_>, t: Type<'_>, out: &mut Out<'_>) {
    for entry in t.entries() {
        field(out, "\n\ttype_id=", entry.var.0);
        field(out, " offset=", entry.offset);
        field(out, " size=", entry.size);
        if let Some((kind, name)) = entry_target(btf, entry.var) {
            out.text(" (");
            out.text(kind.as_str());
            out.text(" '");
            out.bytes(name);
            out.text("')");
        }
    }
}
