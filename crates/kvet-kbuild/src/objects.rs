//! What the objects themselves say: which compiler made them, which symbols they define.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, ReadCache};
use rayon::prelude::*;

use crate::tree::Tree;

/// The strings in an object's `.comment`: what the compilers wrote of themselves. Empty where there is no such
/// section: assembly, bitcode, `-fno-ident`, or no object at all.
pub(crate) fn made_by(path: &Path) -> Vec<String> {
    let read = || -> Option<Vec<String>> {
        let cache = ReadCache::new(File::open(path).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let data = file.section_by_name(".comment")?.uncompressed_data().ok()?;
        let strings = data.split(|&b| b == 0).filter(|s| !s.is_empty());
        Some(strings.map(|s| String::from_utf8_lossy(s).into_owned()).collect())
    };
    read().unwrap_or_default()
}

/// Which target defines a symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Definer {
    /// This one alone; an index in [`Tree::targets`].
    One(usize),
    /// Several objects have a local symbol of that name.
    Several,
}

/// The compiled objects that define `symbols`.
pub fn definers(tree: &Tree, symbols: &HashSet<String>) -> HashMap<String, Definer> {
    let names = |index: usize| -> Vec<(String, usize)> {
        let target = &tree.targets[index];
        if target.source.is_none() || !tree.file(target.file).path.ends_with(b".o") {
            return Vec::new();
        }
        let Ok(file) = File::open(tree.place(&tree.file(target.file).path)) else { return Vec::new() };
        let cache = ReadCache::new(file);
        let Ok(file) = object::File::parse(&cache) else { return Vec::new() };
        let defined =
            file.symbols().filter(|s| s.is_definition()).filter_map(|s| s.name().ok().map(str::to_owned));
        defined.filter(|n| symbols.contains(n)).map(|n| (n, index)).collect()
    };
    let found: Vec<Vec<(String, usize)>> = (0..tree.targets.len()).into_par_iter().map(names).collect();
    let mut out: HashMap<String, Definer> = HashMap::new();
    for (name, index) in found.into_iter().flatten() {
        out.entry(name)
            .and_modify(|d| {
                if *d != Definer::One(index) {
                    *d = Definer::Several;
                }
            })
            .or_insert(Definer::One(index));
    }
    out
}
