//! Symbols by the name and size that a log prints.

use std::collections::HashMap;

use kvet_image::{Image, Kind, Symbol, SymbolKind, VirtAddr};

/// How many symbols of one name are looked at: the most that Debian's kernels have is 100 or so
/// (`__UNIQUE_ID...`, `__compound_literal`); a hostile file could have millions.
const SAME_NAME_MAX: usize = 512;

/// A symbol that a printed name may mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'i> {
    pub(crate) symbol: Symbol<'i>,
    /// Its size as kallsyms would print it, where that can be told.
    pub(crate) kallsyms_size: Option<u64>,
}

/// The symbols of an image whose names begin alike and differ in what compilers append: by the name up to its
/// first dot. Made at the first miss.
struct Clones(HashMap<String, Vec<u32>>);

/// The candidates for a printed name: of exactly that name, else the ones that differ in `.llvm.N`, which some
/// kernels cut off (`cleanup_symbol_name`, 5.13 to 6.9 with CONFIG_LTO_CLANG).
pub(crate) fn candidates<'i>(image: &'i Image, name: &str) -> Vec<Candidate<'i>> {
    let exact: Vec<_> = image.symbols().all_by_name(name).filter(|s| is_code(image, s)).collect();
    let found = if exact.is_empty() { llvm_clones(image, name) } else { exact };
    // Aliases: one function with two symbols of one name is one candidate.
    let mut found: Vec<_> = found.into_iter().take(SAME_NAME_MAX).collect();
    found.dedup_by_key(|s| s.addr);
    found
        .into_iter()
        .map(|symbol| Candidate { kallsyms_size: kallsyms_size(image, symbol.addr), symbol })
        .collect()
}

/// Symbols of the same source function under another of the compiler's names, for a hint.
pub(crate) fn relatives(image: &Image, name: &str) -> Vec<String> {
    let stem = stem(name);
    let plain = image.symbols().all_by_name(stem).take(1).map(|s| s.name.to_owned());
    let clones = image.shared(clones);
    let rows = clones.0.get(stem).into_iter().flatten();
    let named = rows.filter_map(|row| image.symbols().get(*row as usize)).map(|s| s.name.to_owned());
    plain.chain(named).filter(|n| n != name).take(8).collect()
}

fn llvm_clones<'i>(image: &'i Image, name: &str) -> Vec<Symbol<'i>> {
    let clones = image.shared(clones);
    let rows = clones.0.get(stem(name)).into_iter().flatten();
    rows.filter_map(|row| image.symbols().get(*row as usize))
        .filter(|s| s.name.split_once(".llvm.").is_some_and(|(cut, _)| cut == name) && is_code(image, s))
        .collect()
}

fn clones(image: &Image) -> Clones {
    let mut by_stem: HashMap<String, Vec<u32>> = HashMap::new();
    for (symbol, row) in image.symbols().iter().zip(0_u32..) {
        if stem(symbol.name).len() != symbol.name.len() {
            by_stem.entry(stem(symbol.name).to_owned()).or_default().push(row);
        }
    }
    Clones(by_stem)
}

/// The name without what compilers append: `.isra.0`, `.constprop.9`, `.part.1`, `.cold`, `.llvm.123`.
pub(crate) fn stem(name: &str) -> &str {
    let from = usize::from(name.starts_with('.'));
    match name[from..].find('.') {
        Some(dot) => &name[..from + dot],
        None => name,
    }
}

/// A label of text counts: assembler code has untyped ones, and kallsyms prints them.
fn is_code(image: &Image, symbol: &Symbol<'_>) -> bool {
    symbol.kind == SymbolKind::Function || image.is_executable(symbol.addr)
}

/// The size that the kernel prints for the symbol at an address: the distance to the next address that kallsyms
/// lists (`get_symbol_pos` in kernel/kallsyms.c, `find_kallsyms_symbol` in kernel/module/kallsyms.c).
pub(crate) fn kallsyms_size(image: &Image, addr: VirtAddr) -> Option<u64> {
    if image.kind() != Kind::Module
        && let Ok(kallsyms) = image.kallsyms()
    {
        let (index, size) = kallsyms.position(addr)?;
        if kallsyms.address(index)? != addr {
            return None;
        }
        return size.or_else(|| Some(kallsyms.named_range(addr)?.end.0.saturating_sub(addr.0)));
    }
    let printed = image.symbolize(addr)?;
    let (place, rest) = printed.rsplit_once('/')?;
    let size = rest.split(' ').next()?.strip_prefix("0x")?;
    place.ends_with("+0x0").then(|| u64::from_str_radix(size, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn stems_lose_what_compilers_append() {
        for (name, expected) in [
            ("vfs_read", "vfs_read"),
            ("stop_cpus.constprop.9", "stop_cpus"),
            ("f.isra.0.cold", "f"),
            (".Lafter_lret", ".Lafter_lret"),
            ("g.llvm.123", "g"),
            ("", ""),
        ] {
            assert_eq!(stem(name), expected);
        }
    }
}
