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
        number.bytes().all(|b| b.is_ascii_digit()).then_some(IdSymbol { kind, name, id, offset })
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

/// Every id is one of the BTF, of the declared kind and name.
pub(crate) fn check(btf: &Btf<'_>, facts: &Facts<'_>, report: &mut Report) {
    let (mut right, mut open, mut shown) = (0_u64, 0_u64, 0);
    for symbol in facts.ids {
        if symbol.id == 0 {
            open += 1;
            continue;
        }
        let found = btf.get(TypeId(symbol.id));
        if let Some(t) = found
            && t.kind() == symbol.kind()
            && btf.name(t.name_off()) == symbol.name.as_bytes()
        {
            right += 1;
            continue;
        }
        shown += 1;
        if shown > 20 {
            continue;
        }
        let is = found.map_or("does not exist".to_owned(), |t| {
            format!("is {} {}", t.kind().as_str(), btf.display_name(t.name_off()))
        });
        report.findings.push(
            Finding::new(
                "btf/ids",
                Severity::Error,
                format!(
                    ".BTF_ids+{:#x} should be {} {}, but [{}] {is}",
                    symbol.offset,
                    symbol.kind().as_str(),
                    symbol.name,
                    symbol.id
                ),
            )
            .index(symbol.offset / 4)
            .with("breaks", "BPF: the verifier takes one type or function of the kernel for another")
            .advice("the BTF was replaced after resolve_btfids ran: link vmlinux again"),
        );
    }
    if right > 0 && shown == 0 {
        let open = if open > 0 { format!(", {open} left open by the build") } else { String::new() };
        report.proved.push(format!("{right} ids of .BTF_ids name what they are declared to{open}"));
    }
}
