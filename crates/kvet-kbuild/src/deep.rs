//! What the compiler reads now, asked of itself (`-M` of the saved command), against what the record names.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use rayon::prelude::*;

use crate::command::{Compilation, normal};
use crate::reason::Reason;
use crate::tree::{Target, Tree};

/// What asking the compilers has shown.
#[derive(Debug, Default)]
pub struct Edges {
    /// By target index.
    pub reasons: Vec<(usize, Reason)>,
    /// Where the compiler itself failed: these targets cannot be made from this tree.
    pub failures: Vec<Failure>,
    /// How many were asked.
    pub asked: usize,
}

/// A compiler that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Index of the target.
    pub target: usize,
    /// What it said, the first line that names an error.
    pub message: String,
}

/// Asks for every compiled target, on all cores; `tick` is called after each.
pub fn edges(tree: &Tree, tick: impl Fn() + Sync) -> Edges {
    let compiled: Vec<(usize, &Target, Compilation)> = tree
        .targets
        .iter()
        .enumerate()
        .filter_map(|(i, t)| Some((i, t, Compilation::of_target(t)?)))
        .collect();
    let answers: Vec<Result<Vec<(usize, Reason)>, Failure>> = compiled
        .par_iter()
        .map(|(index, target, compilation)| {
            let answer = compare(tree, *index, target, compilation);
            tick();
            answer
        })
        .collect();
    let mut edges = Edges { asked: compiled.len(), ..Edges::default() };
    for answer in answers {
        match answer {
            Ok(reasons) => edges.reasons.extend(reasons),
            Err(failure) => edges.failures.push(failure),
        }
    }
    edges
}

/// How many targets [`edges`] will ask for.
pub fn count(tree: &Tree) -> usize {
    tree.targets.iter().filter(|t| Compilation::of_target(t).is_some()).count()
}

fn compare(
    tree: &Tree,
    index: usize,
    target: &Target,
    compilation: &Compilation,
) -> Result<Vec<(usize, Reason)>, Failure> {
    let fail = |message: String| Failure { target: index, message };
    let words = compilation.dependencies_only();
    let mut words = words.iter().map(|w| OsStr::from_bytes(w));
    let program = words.next().ok_or_else(|| fail("no compiler".into()))?;
    let output = Command::new(program)
        .args(words)
        .current_dir(&tree.root)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| fail(format!("{}: {e}", program.to_string_lossy())))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().find(|l| l.contains("error")).or(text.lines().next()).unwrap_or_default();
        return Err(fail(line.to_owned()));
    }
    let now = inputs(&output.stdout);
    let recorded: BTreeSet<&[u8]> = target.inputs.iter().map(|&i| tree.file(i).path.as_slice()).collect();
    let added = now.iter().filter(|path| !recorded.contains(path.as_slice()) && !is_left_out(path));
    let dropped = recorded.iter().filter(|path| !now.contains(**path));
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    let mut reasons: Vec<Reason> = added.map(|p| Reason::UnrecordedInput { input: text(p) }).collect();
    reasons.extend(dropped.map(|p| Reason::DroppedInput { input: text(p) }));
    Ok(reasons.into_iter().map(|r| (index, r)).collect())
}

/// fixdep leaves these out of the record on purpose (`is_ignored_file`).
fn is_left_out(path: &[u8]) -> bool {
    [&b"include/generated/autoconf.h"[..], b"include/generated/autoksyms.h"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// The inputs in a make rule as compilers write it, in normal form.
fn inputs(rule: &[u8]) -> BTreeSet<Vec<u8>> {
    let start = memchr::memmem::find(rule, b": ").map_or(0, |at| at + 2);
    rule[start..]
        .split(|b| b.is_ascii_whitespace())
        .filter(|word| !word.is_empty() && *word != b"\\")
        .map(normal)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_over_several_lines() {
        let found = inputs(b"a.o: lib/a.c \\\n ./include/x.h \\\n  include/y/../z.h\n");
        assert_eq!(
            found,
            BTreeSet::from([b"lib/a.c".to_vec(), b"include/x.h".to_vec(), b"include/z.h".to_vec()])
        );
    }
}
