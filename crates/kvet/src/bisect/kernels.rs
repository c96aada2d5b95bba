//! `kvet bisect kernels`: kernels that are built already, in order.

use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use super::args::Common;
use super::drive::{Axis, Bench};
use super::entry::Built;
use super::live::View;
use super::report::Report;
use super::state::State;
use super::verdict::{Judge, Subject};
use crate::exit::Exit;

/// `kvet bisect kernels`.
#[derive(Args, Debug)]
pub struct KernelsArgs {
    /// The kernels, the good one first and the bad one last; or one directory, whose files are taken in the order
    /// of the version numbers in their names
    #[arg(value_name = "KERNEL", required = true)]
    kernels: Vec<PathBuf>,
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub fn run(args: &KernelsArgs) -> Result<Exit, Failure> {
    let kernels = match args.kernels.as_slice() {
        [one] if one.is_dir() => in_order(one)?,
        list => list.to_vec(),
    };
    let absolute = |path: &PathBuf| {
        std::fs::canonicalize(path).map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(path))))
    };
    let kernels: Vec<PathBuf> = kernels.iter().map(absolute).collect::<Result<_, _>>()?;
    if kernels.len() < 2 {
        return Err(Failure::said("two kernels at least are needed: a good one first, a bad one last"));
    }
    let mut words: Vec<String> = kernels.iter().map(|k| format!("kernel {}", k.display())).collect();
    words.extend(args.common.words());
    let state = State::open(args.common.state.as_deref(), args.common.resume, "kernels", words)?;
    let judge = Judge::new(&args.common, &state.directory)?;
    let mut bench = Bench::new(state, judge, &args.common);
    let mut view = View::new(args.common.confidence);
    let round = bench.round(&mut Kernels { kernels: &kernels }, &mut view)?;
    Report::of_rounds("kernels", &bench, vec![round], Default::default()).show(&bench)
}

/// The files of a directory by the numbers in their names: 6.9 before 6.10.
fn in_order(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fail = |e: std::io::Error| Failure::said(format!("{}: {e}", crate::text::path(directory)));
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .map_err(fail)?
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| p.is_file() && p.file_name().is_some_and(|n| !n.to_string_lossy().starts_with('.')))
        .collect();
    files.sort_by_key(|p| version_key(&p.file_name().unwrap_or_default().to_string_lossy()));
    Ok(files)
}

/// Text and numbers in turn; release candidates come before the release, as `sort -V` has `~`.
fn version_key(name: &str) -> Vec<(u8, u64, String)> {
    let mut key = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        key.push(match digits {
            true => (2, part.parse().unwrap_or(u64::MAX), String::new()),
            false if part.starts_with("-rc") || part.starts_with('~') => (0, 0, part.to_owned()),
            false => (3, 0, part.to_owned()),
        });
        rest = after;
    }
    key.push((1, 0, String::new()));
    key
}

struct Kernels<'a> {
    kernels: &'a [PathBuf],
}

impl Axis for Kernels<'_> {
    fn names(&self) -> Vec<String> {
        // What they have in common says nothing.
        let texts: Vec<String> = self.kernels.iter().map(|k| k.display().to_string()).collect();
        let directory = self.kernels[0].parent();
        let same = directory.is_some() && self.kernels.iter().all(|k| k.parent() == directory);
        let name = |k: &PathBuf| k.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if same { self.kernels.iter().map(name).collect() } else { texts }
    }

    fn is_built(&self) -> bool {
        false
    }

    fn build(&mut self, _: &State, _: u64) -> Result<Built, Failure> {
        Ok(Built { ok: true, ..Built::default() })
    }

    fn subject(&mut self, state: &State, at: u64) -> Result<Subject, Failure> {
        let kernel = self.kernels[at as usize].clone();
        Ok(Subject {
            number: at.to_string(),
            name: kernel.display().to_string(),
            kernel: Some(kernel),
            options: Vec::new(),
            place: state.directory.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_order() {
        let mut names =
            ["vmlinuz-6.10", "vmlinuz-6.9.1", "vmlinuz-6.9", "vmlinuz-6.10-rc2", "vmlinuz-6.10.0-4-amd64"];
        names.sort_by_key(|n| version_key(n));
        assert_eq!(
            names,
            ["vmlinuz-6.9", "vmlinuz-6.9.1", "vmlinuz-6.10-rc2", "vmlinuz-6.10", "vmlinuz-6.10.0-4-amd64"]
        );
    }
}
