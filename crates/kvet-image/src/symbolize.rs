//! Addresses to names, as the kernel's `%pS` prints them.

use std::ops::Range;

use crate::kallsyms::Kallsyms;
use crate::symbol::{Symbol, SymbolKind};
use crate::{Image, Kind, Section, VirtAddr};

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
    match image.kallsyms() {
        Ok(kallsyms) => by_kallsyms(kallsyms, addr),
        Err(_) => by_symbols(image, addr),
    }
}

/// `__sprint_symbol` over `kallsyms_lookup` (kernel/kallsyms.c, 5.10 to 7.3 alike).
fn by_kallsyms(kallsyms: Kallsyms<'_>, addr: VirtAddr) -> Option<String> {
    let range = kallsyms.named_range(addr)?;
    let (index, size) = kallsyms.position(addr)?;
    let start = kallsyms.address(index)?;
    let offset = addr.0.checked_sub(start.0)?;
    // The last symbol of all reaches to the end of its range, as `get_symbol_pos` has it.
    let size = size.unwrap_or(range.end.0.wrapping_sub(start.0));
    let (_, name) = kallsyms.symbol(index)?;
    let mut name = String::from_utf8_lossy(&name);
    if let Some(cut) = name.find(".llvm.").filter(|_| kallsyms.strips_llvm_suffixes()) {
        name = name[..cut].to_owned().into();
    }
    Some(format!("{name}+{offset:#x}/{size:#x}"))
}

/// The first symbol of the nearest address at or before `addr`, with the distance to the next address: what
/// `find_kallsyms_symbol` (kernel/module/kallsyms.c, 6.1 to 7.3) does with a module's ELF symbols, and the
/// nearest thing to a name in a vmlinux that has no kallsyms.
fn by_symbols(image: &Image, addr: VirtAddr) -> Option<String> {
    let section = image.section_at(addr)?;
    let range = match image.kind() {
        Kind::Module if section.access.execute => module_text(image, section),
        _ => section.addr..section.end(),
    };
    let table = image.symbols();
    let next = table.upper_bound(addr);
    let start = table.get(next.checked_sub(1)?)?.addr;
    if start < range.start {
        return None;
    }
    let first = table.upper_bound(VirtAddr(start.0.checked_sub(1)?));
    let name = table.get(first)?.name;
    let end = table.get(next).map_or(range.end, |s| s.addr.min(range.end));
    let offset = addr.0 - start.0;
    let size = end.0.saturating_sub(start.0);
    let module = match image.kind() {
        Kind::Module => image.module_name().map(|m| format!(" [{m}]")).unwrap_or_default(),
        _ => String::new(),
    };
    Some(format!("{name}+{offset:#x}/{size:#x}{module}"))
}

/// The text that the loader allocates as one: the last symbol of a section reaches to the first of the next,
/// that of the last section to the end of its page.
fn module_text(image: &Image, section: &Section) -> Range<VirtAddr> {
    let sections = image.sections();
    let at = sections.partition_point(|s| s.addr <= section.addr);
    let before = sections[..at].iter().rev().take_while(|s| s.access.execute).last();
    let after = sections[at..].iter().take_while(|s| s.access.execute).last();
    let end = after.unwrap_or(section).end();
    before.unwrap_or(section).addr..VirtAddr(end.0.checked_next_multiple_of(4096).unwrap_or(end.0))
}
