//! Headers that another file of the same name now hides in the include path.
//!
//! How arm64's `cpucaps.h` went wrong between 5.13-rc1 and -rc2 (0c6c2d3615ef): it moved from `arch/arm64/include`
//! to the generated headers, and objects made from the one were linked with objects made from the other.
//!
//! A file can hide another only when it came into being after the object was made, which changes its directory. So
//! directories are looked at first, and a tree in which none changed costs next to nothing.

use std::collections::{HashMap, HashSet};

use crate::command::{Compilation, Search, base_name, normal};
use crate::reason::Reason;
use crate::tree::{FileId, Stamp, Time, Tree};

/// Finds them; the index is the target's.
pub(crate) fn find(tree: &Tree, compilations: &[Option<Compilation>]) -> Vec<(usize, Reason)> {
    let Some(oldest) = oldest(tree, compilations) else { return Vec::new() };
    let mut finder = Finder { tree, oldest, stamps: HashMap::default(), includes: HashMap::new() };
    let directories = directories(tree);
    let mut chains: HashMap<&Search, usize> = HashMap::new();
    // For each include path and directory of inputs: where something new may hide them.
    let mut suspects: HashMap<(usize, u32), Vec<Suspect>> = HashMap::new();
    let mut looked_at: Vec<Vec<bool>> = Vec::new();
    let mut found = Vec::new();
    for (index, target) in tree.targets.iter().enumerate() {
        let Some(compilation) = &compilations[index] else { continue };
        let next = chains.len();
        let chain = *chains.entry(&compilation.search).or_insert(next);
        if chain == looked_at.len() {
            looked_at.push(vec![false; directories.names.len()]);
        }
        for &input in &target.inputs {
            let directory = directories.of[input.0 as usize];
            if !std::mem::replace(&mut looked_at[chain][directory as usize], true) {
                let suspect = finder.suspects(&compilation.search, directories.names[directory as usize]);
                if !suspect.is_empty() {
                    suspects.insert((chain, directory), suspect);
                }
            }
        }
        if suspects.is_empty() {
            continue;
        }
        let Some(made) = tree.file(target.file).stamp else { continue };
        let after = made.modified.max(made.changed);
        for &input in &target.inputs {
            let key = (chain, directories.of[input.0 as usize]);
            for suspect in suspects.get(&key).into_iter().flatten() {
                found.extend(
                    finder.hidden(&target.inputs, input, suspect, after).map(|reason| (index, reason)),
                );
            }
        }
    }
    found
}

/// A directory that changed, and comes before the one in which inputs were found.
struct Suspect {
    /// `include/asm`, where a new file may be.
    directory: Vec<u8>,
    /// `asm/`, what the `#include` says before the file's own name.
    prefix: Vec<u8>,
}

struct Finder<'a> {
    tree: &'a Tree,
    oldest: Time,
    stamps: HashMap<Vec<u8>, Option<Stamp>, foldhash::fast::RandomState>,
    /// For a name in an `#include`: the files that have it, and whether between quotes.
    includes: HashMap<FileId, HashSet<(Vec<u8>, bool)>>,
}

impl Finder<'_> {
    fn stamp(&mut self, path: &[u8]) -> Option<Stamp> {
        if let Some(stamp) = self.stamps.get(path) {
            return *stamp;
        }
        let stamp = Stamp::of(&self.tree.place(path));
        self.stamps.insert(path.to_vec(), stamp);
        stamp
    }

    /// Directories that come before `directory` in the search, and changed since the oldest object was made.
    fn suspects(&mut self, search: &Search, directory: &[u8]) -> Vec<Suspect> {
        let order: Vec<&Vec<u8>> = search.quote.iter().chain(&search.both).collect();
        let mut out: Vec<Suspect> = Vec::new();
        for (at, base) in order.iter().enumerate() {
            let Some(prefix) = below(directory, base) else { continue };
            for earlier in &order[..at] {
                let candidate = normal(&[earlier.as_slice(), b"/", prefix].concat());
                if candidate == directory || out.iter().any(|s| s.directory == candidate) {
                    continue;
                }
                let is_new = self.stamp(&candidate).is_some_and(|s| s.modified.max(s.changed) > self.oldest);
                if is_new {
                    let prefix = if prefix.is_empty() { Vec::new() } else { [prefix, b"/"].concat() };
                    out.push(Suspect { directory: candidate, prefix });
                }
            }
        }
        out
    }

    /// Whether a file that is newer than `after` hides `input`, and some other input asks for it by that name.
    fn hidden(&mut self, inputs: &[FileId], input: FileId, suspect: &Suspect, after: Time) -> Option<Reason> {
        let tree = self.tree;
        let path = &tree.file(input).path;
        let base = base_name(path);
        let by = [suspect.directory.as_slice(), b"/", base].concat();
        let stamp = self.stamp(&by)?;
        if stamp.is_directory || stamp.changed <= after {
            return None;
        }
        let name = [suspect.prefix.as_slice(), base].concat();
        let asked_for = inputs.iter().any(|&by| self.includes(by, &name, path));
        asked_for.then(|| Reason::Shadowed {
            input: String::from_utf8_lossy(path).into_owned(),
            by: String::from_utf8_lossy(&by).into_owned(),
            name: String::from_utf8_lossy(&name).into_owned(),
        })
    }

    /// Whether a file has an `#include` of that name that goes through the include path.
    fn includes(&mut self, by: FileId, name: &[u8], found: &[u8]) -> bool {
        let tree = self.tree;
        let includes = self.includes.entry(by).or_insert_with(|| {
            std::fs::read(tree.place(&tree.file(by).path))
                .map(|text| included_names(&text))
                .unwrap_or_default()
        });
        // Between quotes the including file's own directory comes first.
        let beside = || normal(&[directory_of(&tree.file(by).path), b"/", name].concat());
        includes.contains(&(name.to_vec(), false))
            || (includes.contains(&(name.to_vec(), true)) && beside() != found)
    }
}

/// Names in the `#include`s of a file; `true` for those between quotes.
fn included_names(text: &[u8]) -> HashSet<(Vec<u8>, bool)> {
    let mut names = HashSet::new();
    for line in text.split(|&b| b == b'\n') {
        let Some(rest) = line.trim_ascii_start().strip_prefix(b"#") else { continue };
        let Some(rest) = rest.trim_ascii_start().strip_prefix(b"include") else { continue };
        let rest = rest.trim_ascii_start();
        let (end, quoted) = match rest.first() {
            Some(b'<') => (b'>', false),
            Some(b'"') => (b'"', true),
            _ => continue,
        };
        if let Some(len) = rest[1..].iter().position(|&b| b == end) {
            names.insert((rest[1..=len].to_vec(), quoted));
        }
    }
    names
}

/// What of `path` lies below `base`.
fn below<'a>(path: &'a [u8], base: &[u8]) -> Option<&'a [u8]> {
    if base.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(base)? {
        b"" => Some(b""),
        rest => rest.strip_prefix(b"/"),
    }
}

fn directory_of(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&b| b == b'/').unwrap_or(0)]
}

struct Directories<'a> {
    names: Vec<&'a [u8]>,
    /// By file.
    of: Vec<u32>,
}

fn directories(tree: &Tree) -> Directories<'_> {
    let mut ids: HashMap<&[u8], u32, foldhash::fast::RandomState> = HashMap::default();
    let mut names = Vec::new();
    let of = tree.files.iter().map(|file| {
        let name = directory_of(&file.path);
        *ids.entry(name).or_insert_with(|| {
            names.push(name);
            (names.len() - 1) as u32
        })
    });
    let of = of.collect();
    Directories { names, of }
}

fn oldest(tree: &Tree, compilations: &[Option<Compilation>]) -> Option<Time> {
    let compiled = tree.targets.iter().zip(compilations).filter(|(_, c)| c.is_some());
    compiled.filter_map(|(t, _)| tree.file(t.file).stamp).map(|s| s.modified).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn includes_are_read_in_both_forms() {
        let names = included_names(b"#include <asm/a.h>\n # include \"b.h\" /* x */\n#include NAME\n#include <cut\n//#include <c.h>\n");
        assert_eq!(names, HashSet::from([(b"asm/a.h".to_vec(), false), (b"b.h".to_vec(), true)]));
    }

    #[test]
    fn below_is_by_components() {
        assert_eq!(below(b"include/linux", b"include"), Some(&b"linux"[..]));
        assert_eq!(below(b"include", b"include"), Some(&b""[..]));
        assert_eq!(below(b"include-x/linux", b"include"), None);
    }
}
