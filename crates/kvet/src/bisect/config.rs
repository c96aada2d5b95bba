//! `kvet bisect config`: which of the options in which two configurations differ bring the failure.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use kvet_bisect::minimise::Set;

use super::Failure;
use super::args::Common;
use super::build::Recipe;
use super::drive::Bench;
use super::entry::Built;
use super::git::Git;
use super::live::View;
use super::minimal::{Differences, search};
use super::report::Report;
use super::state::{State, last_words, run_shell};
use super::verdict::{Judge, Subject};
use crate::exit::Exit;

/// `kvet bisect config`.
#[derive(Args, Debug)]
pub struct ConfigArgs {
    /// The configuration with which it does not fail
    #[arg(value_name = "GOOD")]
    good: PathBuf,
    /// The configuration with which it fails
    #[arg(value_name = "BAD")]
    bad: PathBuf,
    /// The source tree; of a git repository, its HEAD is built in a work tree of the search's own, another tree is
    /// built in as it is
    #[arg(long, value_name = "DIR", default_value = ".")]
    tree: PathBuf,
    /// Builds the tree, whose .config is in place
    #[arg(long, value_name = "CMD", default_value = "make -s -j\"$(nproc)\"")]
    build: String,
    /// Completes the configuration in $KCONFIG_CONFIG
    #[arg(long, value_name = "CMD", default_value = "make -s olddefconfig")]
    olddefconfig: String,
    /// A file that the build makes and that is kept, relative to the tree; the first one is the kernel
    /// [default: bzImage or Image where Kbuild puts it]
    #[arg(long, value_name = "FILE")]
    artefact: Vec<PathBuf>,
    /// Take incremental builds as they are
    #[arg(long)]
    trust_builds: bool,
    #[command(flatten)]
    common: Common,
}

/// Runs it.
pub fn run(args: &ConfigArgs) -> Result<Exit, Failure> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(path))))
    };
    let (good, bad) = (read(&args.good)?, read(&args.bad)?);
    let tree = std::fs::canonicalize(&args.tree)
        .map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(&args.tree))))?;
    let git = if tree.join(".git").exists() { Some(Git::open(&tree)?) } else { None };
    let head = git.as_ref().and_then(Git::head);
    let digest = |text: &str| {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        text.hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    };
    let mut words = vec![
        format!("good {} {}", args.good.display(), digest(&good)),
        format!("bad {} {}", args.bad.display(), digest(&bad)),
        format!("tree {} {}", tree.display(), head.as_deref().unwrap_or("")),
        format!("build {}, olddefconfig {}", args.build, args.olddefconfig),
        format!("artefacts {:?}, trust builds {}", args.artefact, args.trust_builds),
    ];
    words.extend(args.common.words());
    let state = State::open(args.common.state.as_deref(), args.common.resume, "config", words)?;
    let judge = Judge::new(&args.common, &state.directory)?;
    let tree = match (git, head) {
        (Some(git), Some(head)) => {
            let work = git.worktree(&state.directory.join("worktree"), &head)?;
            work.place().to_owned()
        }
        _ => tree,
    };
    let recipe = Recipe {
        command: args.build.clone(),
        artefacts: args.artefact.clone(),
        objects: PathBuf::from("."),
        distrust: !args.trust_builds,
    };
    let mut configs = Configs {
        tree,
        olddefconfig: args.olddefconfig.clone(),
        recipe,
        good: BTreeMap::new(),
        bad: BTreeMap::new(),
        options: Vec::new(),
        closures: HashMap::new(),
    };
    configs.good = values(&configs.complete(&state, &good)?);
    configs.bad = values(&configs.complete(&state, &bad)?);
    configs.options = differing(&configs.good, &configs.bad, &bad);
    if configs.options.is_empty() {
        return Err(Failure::said(
            "the two configurations are the same once they are completed (olddefconfig)",
        ));
    }
    let mut bench = Bench::new(state, judge, &args.common);
    let mut view = View::new(args.common.confidence);
    let minimal = search(&mut bench, &mut configs, &mut view)?;
    Report::of_sets("config", &bench, minimal).show(&bench)
}

type Values = BTreeMap<String, String>;

/// Values by option; one that is not set is `n`.
fn values(text: &str) -> Values {
    let value = |line: &str| {
        if let Some(name) = line.strip_prefix("# ").and_then(|l| l.strip_suffix(" is not set")) {
            return name.starts_with("CONFIG_").then(|| (name.to_owned(), "n".to_owned()));
        }
        let (name, value) = line.split_once('=')?;
        name.starts_with("CONFIG_").then(|| (name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(value).collect()
}

fn value<'a>(values: &'a Values, option: &str) -> &'a str {
    values.get(option).map_or("n", String::as_str)
}

/// Options with different values, in the order of the file: what depends on each other stands together there.
fn differing(good: &Values, bad: &Values, order: &str) -> Vec<String> {
    let mut place: HashMap<String, usize> = HashMap::new();
    for (at, line) in order.lines().enumerate() {
        let name: String = line
            .trim_start_matches("# ")
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        place.entry(name).or_insert(at);
    }
    let names: std::collections::BTreeSet<&String> = good.keys().chain(bad.keys()).collect();
    let mut out: Vec<String> =
        names.into_iter().filter(|o| value(good, o) != value(bad, o)).cloned().collect();
    out.sort_by_key(|o| (place.get(o).copied().unwrap_or(usize::MAX), o.clone()));
    out
}

struct Configs {
    tree: PathBuf,
    olddefconfig: String,
    recipe: Recipe,
    good: Values,
    bad: Values,
    options: Vec<String>,
    /// By set: what it becomes, and the configuration.
    closures: HashMap<Set, Option<(Set, String)>>,
}

impl Configs {
    /// A configuration as Kconfig completes it.
    fn complete(&self, state: &State, text: &str) -> Result<String, Failure> {
        let directory = state.below("config")?;
        let path = directory.join("config");
        let fail = |e: std::io::Error| Failure::said(format!("{}: {e}", crate::text::path(&path)));
        std::fs::write(&path, text).map_err(fail)?;
        let log = directory.join("olddefconfig.log");
        let _ = std::fs::remove_file(&log);
        let environment = [("KCONFIG_CONFIG", path.to_string_lossy().into_owned())];
        let status = run_shell(&state.directory, &self.olddefconfig, &self.tree, &environment, &log, None)?;
        if !status.is_some_and(|s| s.success()) {
            let why = last_words(&log).unwrap_or_default();
            return Err(Failure::said(format!(
                "{}: {} failed: {why}",
                self.tree.display(),
                self.olddefconfig
            )));
        }
        std::fs::read_to_string(&path).map_err(fail)
    }

    /// The values of one side with those of `set` from the other.
    fn mixed(&self, set: &Set) -> String {
        let mut values = self.good.clone();
        for &element in set {
            let option = &self.options[element];
            values.insert(option.clone(), value(&self.bad, option).to_owned());
        }
        let line = |(option, value): (&String, &String)| match value.as_str() {
            "n" => format!("# {option} is not set\n"),
            value => format!("{option}={value}\n"),
        };
        values.iter().map(line).collect()
    }

    /// Which elements have the bad side's value.
    fn elements(&self, text: &str) -> Set {
        let now = values(text);
        (0..self.options.len())
            .filter(|&e| value(&now, &self.options[e]) == value(&self.bad, &self.options[e]))
            .collect()
    }

    /// A set as Kconfig takes it; what it lost because something that it depends on is missing is given that.
    fn closed(&mut self, state: &State, set: &Set) -> Result<Option<(Set, String)>, Failure> {
        if let Some(known) = self.closures.get(set) {
            return Ok(known.clone());
        }
        let text = self.complete(state, &self.mixed(set))?;
        let mut found = self.elements(&text);
        let mut best = text;
        if !found.is_superset(set) {
            // Dependencies stand before what depends on them, mostly: the differences before each lost option are
            // added, the nearest first, as long as fewer are lost then.
            let mut grown = set.clone();
            for &lost in set.difference(&found.clone()) {
                for before in (0..lost).rev().filter(|b| !set.contains(b)) {
                    let mut more = grown.clone();
                    more.insert(before);
                    let text = self.complete(state, &self.mixed(&more))?;
                    let now = self.elements(&text);
                    if now.contains(&lost) {
                        (grown, found, best) = (more, now, text);
                        break;
                    }
                    if lost - before > 6 {
                        break;
                    }
                }
            }
        }
        let result = found.is_superset(set).then_some((found, best));
        self.closures.insert(set.clone(), result.clone());
        Ok(result)
    }

    /// A set's configuration in a file of its own, and its name.
    fn file(&mut self, state: &State, set: &Set) -> Result<(PathBuf, String), Failure> {
        let (_, text) = self
            .closed(state, set)?
            .ok_or_else(|| Failure::said("a set of options cannot be had by itself"))?;
        let path = state.below("config")?.join("next");
        let fail = |e: std::io::Error| Failure::said(format!("{}: {e}", crate::text::path(&path)));
        std::fs::write(&path, text).map_err(fail)?;
        let key = kvet_lab::sha256_file(&path).map_err(fail)?;
        Ok((path, key))
    }
}

impl Differences for Configs {
    fn names(&self) -> Vec<String> {
        let of = |o: &String| format!("{o}: {} -> {}", value(&self.good, o), value(&self.bad, o));
        self.options.iter().map(of).collect()
    }

    fn is_built(&self) -> bool {
        true
    }

    fn closure(&mut self, state: &State, set: &Set) -> Result<Option<Set>, Failure> {
        Ok(self.closed(state, set)?.map(|(closed, _)| closed))
    }

    fn build(&mut self, state: &State, set: &Set, name: &str) -> Result<Built, Failure> {
        let (path, key) = self.file(state, set)?;
        if Recipe::kept(state, &key).is_some() {
            return Ok(Built { candidate: name.to_owned(), ok: true, cached: true, ..Built::default() });
        }
        let to = self.tree.join(".config");
        std::fs::copy(&path, &to).map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(&to))))?;
        self.recipe.build(state, &self.tree, &key, name)
    }

    fn subject(&mut self, state: &State, set: &Set, name: &str) -> Result<Subject, Failure> {
        let (_, key) = self.file(state, set)?;
        let kept = Recipe::kept(state, &key)
            .ok_or_else(|| Failure::said(format!("{name}: what was built is not there any more")))?;
        Ok(Subject {
            number: key,
            name: name.to_owned(),
            kernel: Some(kept.join("kernel")),
            options: Vec::new(),
            place: self.tree.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_differ_in_the_order_of_the_file() {
        let good = values("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_N=3\n");
        let text = "CONFIG_Z=m\n# CONFIG_A is not set\nCONFIG_B=y\nCONFIG_N=3\n";
        let bad = values(text);
        assert_eq!(differing(&good, &bad, text), ["CONFIG_Z", "CONFIG_A", "CONFIG_B"]);
    }
}
