//! Every target against its record: what is newer, gone, hidden, or made by another compiler.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;

use rayon::prelude::*;

use crate::command::{Compilation, members};
use crate::compiler::{self, Compilers};
use crate::config::Config;
use crate::reason::Reason;
use crate::record::option_of_stamp;
use crate::shadow;
use crate::tree::{File, Stamp, Target, Time, Tree};

/// A record is written after its target within this; objtool and others may take a while between.
const RECORD_SLACK: f64 = 2.0;
/// The record of what was compiled is written after it, by the same recipe: within this on the busiest host.
const RECORD_DELAY: f64 = 120.0;
/// When more inputs than this share were changed under kept time stamps after the build, the tree was copied or its
/// permissions were changed as a whole, and a single file's change says nothing.
const COPIED: f64 = 0.5;

/// A target that cannot be trusted.
#[derive(Clone, PartialEq, Debug)]
pub struct Stale {
    /// Index in [`Tree::targets`].
    pub target: usize,
    /// Why, the strongest first.
    pub reasons: Vec<Reason>,
}

/// What was found in a tree.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Verdict {
    /// By path.
    pub stale: Vec<Stale>,
    /// What could not be judged, a sentence each.
    pub skipped: Vec<String>,
}

/// Judges every target. `path` is where programs are looked for, as in the environment variable PATH.
pub fn judge(tree: &Tree, path: &OsStr) -> Verdict {
    let config = Config::read(&tree.root);
    let compilations: Vec<Option<Compilation>> =
        tree.targets.par_iter().map(Compilation::of_target).collect();
    let (compilers, mut skipped) = compiler::find(tree, &compilations, path);
    let hidden = shadow::find(tree, &compilations);
    let names: HashSet<&[u8]> = tree.targets.iter().map(|t| tree.file(t.file).path.as_slice()).collect();
    let judge = Judge { tree, config, compilers, names, kept_stamps_count: true };
    let kept_stamps_count = judge.kept_time_stamps_say_something();
    if !kept_stamps_count {
        skipped.push(
            "time stamps: most inputs were changed after the build without a newer time stamp (the tree was copied, \
             or its permissions changed), so an input whose content changed under its time stamp would not show"
                .into(),
        );
    }
    let judge = Judge { kept_stamps_count, ..judge };
    let mut reasons: Vec<Vec<Reason>> = tree
        .targets
        .par_iter()
        .zip(&compilations)
        .map(|(target, compilation)| judge.target(target, compilation.as_ref()))
        .collect();
    for (target, reason) in hidden {
        reasons[target].push(reason);
    }
    skipped.extend(judge.config.unknown);
    skipped.extend(
        tree.unreadable.iter().map(|p| format!("{}: holds no command (a build was killed?)", p.display())),
    );
    let stale = reasons.into_iter().enumerate().filter(|(_, r)| !r.is_empty());
    Verdict { stale: stale.map(|(target, reasons)| Stale { target, reasons }).collect(), skipped }
}

struct Judge<'a> {
    tree: &'a Tree,
    config: Config,
    compilers: Compilers,
    names: HashSet<&'a [u8]>,
    kept_stamps_count: bool,
}

impl Judge<'_> {
    fn target(&self, target: &Target, compilation: Option<&Compilation>) -> Vec<Reason> {
        // Targets that are gone were left out when the tree was read.
        let Some(made) = self.tree.file(target.file).stamp else { return Vec::new() };
        let mut reasons = Vec::new();
        for &input in &target.inputs {
            let file = self.tree.file(input);
            reasons.extend(self.input(file, made).map(|(reason, _)| reason));
        }
        reasons.extend(self.options(target, made));
        match compilation {
            Some(compilation) => {
                reasons.extend(self.compilers.judge(self.tree, target, compilation, &self.config));
                reasons.extend(out_of_step(target, made));
            }
            None if target.source.is_none() => reasons.extend(self.members(target, made)),
            None => {}
        }
        reasons
    }

    /// What is wrong with one input, and whether only its status change tells.
    fn input(&self, file: &File, made: Stamp) -> Option<(Reason, bool)> {
        let input = String::from_utf8_lossy(&file.path).into_owned();
        let Some(stamp) = file.stamp else { return Some((Reason::MissingInput { input }, false)) };
        if stamp.is_directory {
            return None;
        }
        if stamp.modified > made.modified {
            let seconds = stamp.modified.seconds_since(made.modified);
            return Some((Reason::NewerInput { input, seconds }, false));
        }
        (self.kept_stamps_count && stamp.changed > latest(made)).then(|| {
            let seconds = stamp.changed.seconds_since(latest(made));
            (Reason::KeptTimeStamp { input, seconds }, true)
        })
    }

    fn options<'b>(&'b self, target: &'b Target, made: Stamp) -> impl Iterator<Item = Reason> + 'b {
        target.options.iter().filter_map(move |&id| {
            let file = self.tree.file(id);
            let newer = file.stamp.filter(|s| s.modified > made.modified);
            if newer.is_none() && self.config.changed.is_empty() {
                return None;
            }
            let option = option_of_stamp(&file.path)?;
            if let Some(change) = self.config.changed.get(&option) {
                return Some(Reason::Option { option, was: change.was.clone(), is: change.is.clone() });
            }
            let seconds = newer?.modified.seconds_since(made.modified);
            Some(Reason::NewerOption { option, seconds })
        })
    }

    fn members(&self, target: &Target, made: Stamp) -> Vec<Reason> {
        let name = &self.tree.file(target.file).path;
        let is_tool = |path: &[u8]| path.starts_with(b"scripts/") || path.starts_with(b"tools/");
        let is_target = |path: &[u8]| self.names.contains(path) && (!is_tool(path) || is_tool(name));
        let mut reasons = Vec::new();
        for member in members(&target.command, name, is_target) {
            let shown = String::from_utf8_lossy(&member).into_owned();
            match Stamp::of(&self.tree.place(&member)) {
                Some(stamp) if stamp.modified > made.modified => {
                    let seconds = stamp.modified.seconds_since(made.modified);
                    reasons.push(Reason::NewerMember { member: shown, seconds });
                }
                None if name.ends_with(b".a") => reasons.push(Reason::MissingMember { member: shown }),
                _ => {}
            }
        }
        reasons
    }

    /// Whether only some inputs were changed under their time stamps: every object lists a thousand inputs, so this
    /// goes by file numbers and not by sets.
    fn kept_time_stamps_say_something(&self) -> bool {
        let files = &self.tree.files;
        let mut named = vec![false; files.len()];
        let mut kept = vec![false; files.len()];
        for target in &self.tree.targets {
            let Some(made) = self.tree.file(target.file).stamp else { continue };
            let latest = latest(made);
            for &input in &target.inputs {
                let at = input.0 as usize;
                named[at] = true;
                kept[at] |=
                    files[at].stamp.is_some_and(|s| s.changed > latest && s.modified <= made.modified);
            }
        }
        let count = |flags: &[bool]| flags.iter().filter(|f| **f).count();
        let (kept, named) = (count(&kept), count(&named));
        (kept as f64) <= COPIED * named as f64 || kept < 3
    }
}

/// The last moment at which the target is known to have been handled: what changed before it proves nothing when the
/// target itself was copied or moved.
fn latest(made: Stamp) -> Time {
    made.modified.max(made.changed)
}

/// A compiled target and its record that no one recipe has written.
fn out_of_step(target: &Target, made: Stamp) -> Option<Reason> {
    let seconds = made.modified.seconds_since(target.recorded?.modified);
    if seconds > RECORD_SLACK {
        return Some(Reason::NotByKbuild { seconds });
    }
    (-seconds > RECORD_DELAY).then_some(Reason::RecordChanged { seconds: -seconds })
}

/// Joins what was found elsewhere to a verdict.
impl Verdict {
    /// Adds reasons by target index, and keeps the order.
    pub fn add(&mut self, found: impl IntoIterator<Item = (usize, Reason)>) {
        let mut all: BTreeMap<usize, Vec<Reason>> =
            self.stale.drain(..).map(|s| (s.target, s.reasons)).collect();
        for (target, reason) in found {
            all.entry(target).or_default().push(reason);
        }
        self.stale = all.into_iter().map(|(target, reasons)| Stale { target, reasons }).collect();
    }
}
