//! `.BTF_ids`: the ids that the kernel's C code refers to, filled in by resolve_btfids after the link.

use kvet_finding::{Finding, Severity};

use super::{Facts, Report};
use crate::{Btf, Kind, TypeId};

/// What an id is declared to be (include/linux/btf_ids.h, `BTF_ID(prefix, name)`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the macro's own words
pub enum IdSymbolKind {
    Struct,
    Union,
    Typedef,
    Func,
}

/// One `__BTF_ID__kind__name__number` symbol, and the id that stands at its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IdSymbol<'a> {
    /// What it is declared to be.
    pub kind: IdSymbolKind,
    /// The name it is declared to have.
    pub name: &'a str,
    /// The word in the section.
    pub id: u32,
    /// Where in the section that is, in bytes.
    pub offset: u64,
    /// The set that it belongs to, by that one's offset: resolve_btfids sorts a set by id, so that its ids no
    /// longer stand at their own symbols.
    pub set: Option<u64>,
}

/// A `__BTF_ID__set__name` or `__BTF_ID__set8__name` symbol: how many bytes stand before its first id, and
/// from one id to the next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SetShape {
    /// Bytes before the first id: the count, and for a set8 its flags.
    pub head: u64,
    /// Bytes from id to id.
    pub step: u64,
}

impl SetShape {
    /// Reads a symbol's name; `None` when it is no set's.
    pub fn parse(symbol: &str) -> Option<SetShape> {
        let rest = symbol.strip_prefix("__BTF_ID__")?;
        match rest.split_once("__")?.0 {
            "set" => Some(SetShape { head: 4, step: 4 }),
            "set8" => Some(SetShape { head: 8, step: 8 }),
            _ => None,
        }
    }
}

impl<'a> IdSymbol<'a> {
    /// Reads a symbol's name; `None` for sets and for other symbols.
    pub fn parse(symbol: &'a str, id: u32, offset: u64) -> Option<IdSymbol<'a>> {
        let rest = symbol.strip_prefix("__BTF_ID__")?;
        let (kind, rest) = rest.split_once("__")?;
        let kind = match kind {
            "struct" => IdSymbolKind::Struct,
            "union" => IdSymbolKind::Union,
            "typedef" => IdSymbolKind::Typedef,
            "func" => IdSymbolKind::Func,
            _ => return None,
        };
        // The number is __COUNTER__ followed by __LINE__, after the last two underscores.
        let (name, number) = rest.rsplit_once("__")?;
        number.bytes().all(|b| b.is_ascii_digit()).then_some(IdSymbol { kind, name, id, offset, set: None })
    }

    fn kind(&self) -> Kind {
        match self.kind {
            IdSymbolKind::Struct => Kind::Struct,
            IdSymbolKind::Union => Kind::Union,
            IdSymbolKind::Typedef => Kind::Typedef,
            IdSymbolKind::Func => Kind::Func,
        }
    }
}

fn is(btf: &Btf<'_>, id: u32, symbol: &IdSymbol<'_>) -> bool {
    btf.get(TypeId(id))
        .is_some_and(|t| t.kind() == symbol.kind() && btf.name(t.name_off()) == symbol.name.as_bytes())
}

/// Every id is one of the BTF, of the declared kind and name; a set's ids are those that it declares, in any
/// order.
pub(crate) fn check(btf: &Btf<'_>, facts: &Facts<'_>, report: &mut Report) {
    let (mut right, mut open, mut shown) = (0_u64, 0_u64, 0);
    for group in facts.ids.chunk_by(|a, b| a.set.is_some() && a.set == b.set) {
        let mut declared: Vec<(Kind, &[u8])> = group.iter().map(|s| (s.kind(), s.name.as_bytes())).collect();
        declared.sort_unstable();
        for symbol in group {
            if symbol.id == 0 {
                open += 1;
                continue;
            }
            let found = btf.get(TypeId(symbol.id));
            let among = |t: crate::Type<'_>| {
                symbol.set.is_some() && declared.binary_search(&(t.kind(), btf.name(t.name_off()))).is_ok()
            };
            if is(btf, symbol.id, symbol) || found.is_some_and(among) {
                right += 1;
                continue;
            }
            shown += 1;
            if shown <= 20 {
                report.findings.push(wrong(btf, symbol));
            }
        }
    }
    if right > 0 && shown == 0 {
        let open = if open > 0 { format!(", {open} left open by the build") } else { String::new() };
        report.proved.push(format!("{right} ids of .BTF_ids name what they are declared to{open}"));
    }
}

fn wrong(btf: &Btf<'_>, symbol: &IdSymbol<'_>) -> Finding {
    let is = btf.get(TypeId(symbol.id)).map_or("does not exist".to_owned(), |t| {
        format!("is {} {}", t.kind().as_str(), btf.display_name(t.name_off()))
    });
    let expected = match symbol.set {
        Some(_) => "holds an id that its set does not declare:".to_owned(),
        None => format!("should be {} {}, but", symbol.kind().as_str(), symbol.name),
    };
    Finding::new(
        "btf/ids",
        Severity::Error,
        format!(".BTF_ids+{:#x} {expected} [{}] {is}", symbol.offset, symbol.id),
    )
    .index(symbol.offset / 4)
    .with("breaks", "BPF: the verifier takes one type or function of the kernel for another")
    .advice("the BTF was replaced after resolve_btfids ran: link vmlinux again")
}
