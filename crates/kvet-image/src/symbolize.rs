//! Addresses to names, as the kernel's `%pS` prints them.

use crate::symbol::{Symbol, SymbolKind};
use crate::{Image, VirtAddr};

/// See [`Image::symbol_at`].
pub(crate) fn symbol_at(image: &Image, addr: VirtAddr) -> Option<(Symbol<'_>, u64)> {
    let section = image.section_at(addr)?;
    let table = image.symbols();
    let last = table.upper_bound(addr).checked_sub(1)?;
    let at = table.get(last)?.addr;
    if at < section.addr {
        return None;
    }
    // Several symbols may share the address: prefer a sized function, then any function or object.
    let mut best: Option<Symbol<'_>> = None;
    for i in (0..=last).rev().take(64) {
        let symbol = table.get(i)?;
        if symbol.addr != at {
            break;
        }
        let rank = |s: &Symbol<'_>| (s.kind == SymbolKind::Function, s.kind == SymbolKind::Object, s.global);
        if best.is_none_or(|b| rank(&symbol) >= rank(&b)) {
            best = Some(symbol);
        }
    }
    best.map(|s| (s, addr.0 - at.0))
}

/// See [`Image::symbolize`].
pub(crate) fn symbolize(image: &Image, addr: VirtAddr) -> Option<String> {
    let (symbol, offset) = symbol_at(image, addr)?;
    let table = image.symbols();
    let next = table.get(table.upper_bound(symbol.addr)).map(|s| s.addr.0);
    let section_end = image.section_at(addr)?.end().0;
    let end = next.map_or(section_end, |n| n.min(section_end));
    let module = image.module_name().map(|m| format!(" [{m}]")).unwrap_or_default();
    Some(format!("{}+{offset:#x}/{:#x}{module}", symbol.name, end.saturating_sub(symbol.addr.0)))
}
