//! Which function holds a site, and which object holds a key: by symbols.

use kvet_image::{Image, Symbol, SymbolKind, VirtAddr};

/// How many symbols before an address are looked at for one that holds it: labels inside functions and objects,
/// and aliases, stand between.
const REACH: usize = 64;

/// A function's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Function<'a> {
    /// The name as the symbol table has it.
    pub(crate) name: &'a str,
    /// Where it starts.
    pub(crate) start: VirtAddr,
    /// The first address after it.
    pub(crate) end: VirtAddr,
    /// The symbol states its size (ELF); otherwise it ends where the next one starts (kallsyms).
    pub(crate) sized: bool,
}

impl Function<'_> {
    /// Whether an address lies in it.
    pub(crate) fn contains(&self, addr: VirtAddr) -> bool {
        addr >= self.start && addr < self.end
    }

    /// The name without what compilers append to the parts and clones of a function: `.cold`, `.part.0`,
    /// `.isra.0`, `.constprop.0`, `.llvm.123`.
    pub(crate) fn stem(&self) -> &str {
        // Assembler-local names start with the dot.
        let from = usize::from(self.name.starts_with('.'));
        match self.name[from..].find('.') {
            Some(dot) => &self.name[..from + dot],
            None => self.name,
        }
    }
}

/// The function that holds an address.
pub(crate) fn function_at(image: &Image, addr: VirtAddr) -> Option<Function<'_>> {
    let section = image.section_at(addr)?;
    let table = image.symbols();
    let after = table.upper_bound(addr);
    for i in (after.saturating_sub(REACH)..after).rev() {
        let symbol = table.get(i)?;
        if symbol.addr < section.addr {
            return None;
        }
        if symbol.kind != SymbolKind::Function {
            continue;
        }
        if symbol.size > 0 {
            let end = VirtAddr(symbol.addr.0.saturating_add(symbol.size));
            if addr < end {
                return Some(Function { name: symbol.name, start: symbol.addr, end, sized: true });
            }
            continue;
        }
        let end = next_function(image, after).map_or(section.end(), |next| next.min(section.end()));
        return Some(Function { name: symbol.name, start: symbol.addr, end, sized: false });
    }
    None
}

fn next_function(image: &Image, from: usize) -> Option<VirtAddr> {
    let table = image.symbols();
    (from..from.saturating_add(REACH))
        .map_while(|i| table.get(i))
        .find(|symbol| symbol.kind == SymbolKind::Function)
        .map(|symbol| symbol.addr)
}

/// An object's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Object<'a> {
    /// The name as the symbol table has it.
    pub(crate) name: &'a str,
    /// Where it starts.
    pub(crate) start: VirtAddr,
    /// The first address after it: by its size, or where the next symbol starts when the table has no sizes.
    pub(crate) end: VirtAddr,
}

/// The object that holds an address: one that starts there before one that only contains it, one of known size
/// before an alias without.
pub(crate) fn object_at(image: &Image, addr: VirtAddr) -> Option<Object<'_>> {
    let section = image.section_at(addr)?;
    let table = image.symbols();
    let after = table.upper_bound(addr);
    let mut alias: Option<Symbol<'_>> = None;
    for i in (after.saturating_sub(REACH)..after).rev() {
        let symbol = table.get(i)?;
        if symbol.addr < section.addr {
            break;
        }
        if symbol.kind == SymbolKind::Function {
            continue;
        }
        if symbol.size > 0 {
            let end = VirtAddr(symbol.addr.0.saturating_add(symbol.size));
            if addr < end {
                return Some(Object { name: symbol.name, start: symbol.addr, end });
            }
            continue;
        }
        alias = alias.or(Some(symbol));
    }
    let symbol = alias?;
    let next = table.get(after).map_or(section.end(), |next| next.addr.min(section.end()));
    Some(Object { name: symbol.name, start: symbol.addr, end: next })
}

/// `name`, or `name+0x8`.
pub(crate) fn with_offset(name: &str, offset: u64) -> String {
    if offset == 0 { name.to_owned() } else { format!("{name}+{offset:#x}") }
}
