//! `kvet bisect commits`: along the first parents of a git history, and into the merge that is to blame.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::args::Common;
use super::build::Recipe;
use super::drive::{Axis, Bench, Ended};
use super::entry::Built;
use super::git::{Commit, Git};
use super::live::View;
use super::report::{Link, Report};
use super::state::State;
use super::verdict::{Judge, Subject};
use crate::exit::Exit;

/// Merges within merges that are followed.
const DEPTH: usize = 32;

/// `kvet bisect commits`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct CommitsArgs {
    /// The range, as GOOD..BAD
    #[arg(value_name = "GOOD..BAD")]
    range: String,
    /// A directory of the repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    repository: PathBuf,
    /// Builds a commit; run by a shell in a work tree of the search's own
    ///
    /// It finds KVET_COMMIT in its environment. After each build the objects are judged as by `kvet stale` and
    /// `kvet check`, and what cannot be trusted is built again. A commit is built once: what is built is kept.
    #[arg(long, value_name = "CMD")]
    build: Option<String>,
    /// A file that the build makes and that is kept, relative to the work tree; the first one is the kernel
    /// [default: bzImage or Image where Kbuild puts it]
    #[arg(long, value_name = "FILE")]
    artefact: Vec<PathBuf>,
    /// Where the build puts its objects (make O=), relative to the work tree
    #[arg(long, value_name = "DIR", default_value = ".")]
    objects: PathBuf,
    /// Take incremental builds as they are
    #[arg(long)]
    trust_builds: bool,
    /// Stop at a merge: do not look for the commit within the branch that it brought in
    #[arg(long)]
    first_parent: bool,
    #[command(flatten)]
    common: Common,
}

const EXAMPLE: &str = "\
Example:
  kvet bisect commits v6.11..v6.12-rc1 --build 'cp ../config .config && make -s olddefconfig && make -s -j8 bzImage' \\
      --signature 'soft lockup' -- --smp 4 --memory 1G

Exit status:
  1  a culprit was found
  2  the question could not be answered: usage, not reproduced, stopped (--resume goes on)";

/// Runs it.
pub fn run(args: &CommitsArgs) -> Result<Exit, Failure> {
    let (good, bad) = args
        .range
        .split_once("..")
        .filter(|(g, b)| !g.is_empty() && !b.is_empty() && !b.starts_with('.'))
        .ok_or_else(|| Failure::said(format!("{}: give the range as GOOD..BAD", args.range)))?;
    let git = Git::open(&args.repository)?;
    let (good, bad) = (git.commit(good)?, git.commit(bad)?);
    if args.build.is_none() && args.common.run.is_none() {
        return Err(Failure::said(
            "say with --build how a commit becomes a kernel (or judge sources with --run)",
        ));
    }
    let place = std::fs::canonicalize(&args.repository).unwrap_or_else(|_| args.repository.clone());
    let mut words = vec![
        format!("repository {}", place.display()),
        format!("range {good}..{bad}"),
        format!("build {}", args.build.as_deref().unwrap_or("none")),
        format!("artefacts {:?} in {}", args.artefact, args.objects.display()),
        format!("trust builds {}, first parent {}", args.trust_builds, args.first_parent),
    ];
    words.extend(args.common.words());
    let line = git.line(&good, &bad)?;
    let state = State::open(args.common.state.as_deref(), args.common.resume, "commits", words)?;
    let judge = Judge::new(&args.common, &state.directory)?;
    let work = git.worktree(&state.directory.join("worktree"), &bad)?;
    let recipe = args.build.as_ref().map(|command| Recipe {
        command: command.clone(),
        artefacts: args.artefact.clone(),
        objects: args.objects.clone(),
        distrust: !args.trust_builds,
    });
    let mut bench = Bench::new(state, judge, &args.common);
    let mut view = View::new(args.common.confidence);
    let mut rounds = Vec::new();
    let mut commits: BTreeMap<String, Commit> = BTreeMap::new();
    let mut line = line;
    loop {
        commits.extend(line.iter().map(|c| (c.name(), c.clone())));
        let mut axis = Commits { line: &line, work: &work, recipe: recipe.as_ref() };
        let round = bench.round(&mut axis, &mut view)?;
        let culprit = match &round.ended {
            Ended::Found(answer) if answer.culprit.0 == answer.culprit.1 && !args.first_parent => {
                line.get(answer.culprit.0 as usize).cloned()
            }
            _ => None,
        };
        rounds.push(round);
        let next = culprit.filter(|c| c.parents.len() == 2 && rounds.len() < DEPTH);
        let Some(merge) = next else { break };
        // The merge is bad, what it was merged into is not: the branch, from where it began, and the merge itself.
        let base = git.merge_base(&merge.parents[0], &merge.parents[1])?;
        let mut branch = git.line(&base, &merge.parents[1])?;
        if branch.len() < 2 {
            break;
        }
        branch.push(merge);
        line = branch;
    }
    let links = commits.into_iter().map(|(name, c)| {
        (name, Link { id: c.hash.clone(), about: git.author(&c.hash), is_merge: c.parents.len() > 1 })
    });
    Report::of_rounds("commits", &bench, rounds, links.collect()).show(&bench)
}

struct Commits<'a> {
    line: &'a [Commit],
    work: &'a Git,
    recipe: Option<&'a Recipe>,
}

impl Axis for Commits<'_> {
    fn names(&self) -> Vec<String> {
        self.line.iter().map(Commit::name).collect()
    }

    fn is_built(&self) -> bool {
        self.recipe.is_some()
    }

    fn build(&mut self, state: &State, at: u64) -> Result<Built, Failure> {
        let commit = &self.line[at as usize];
        let Some(recipe) = self.recipe else { return Ok(Built::default()) };
        if Recipe::kept(state, &commit.hash).is_some() {
            return Ok(Built { candidate: commit.name(), ok: true, cached: true, ..Built::default() });
        }
        self.work.checkout(&commit.hash)?;
        recipe.build(state, self.work.place(), &commit.hash, &commit.name())
    }

    fn subject(&mut self, state: &State, at: u64) -> Result<Subject, Failure> {
        let commit = &self.line[at as usize];
        let mut kernel = None;
        if self.recipe.is_some() {
            let kept = Recipe::kept(state, &commit.hash).ok_or_else(|| {
                Failure::said(format!("{}: what was built is not there any more", commit.name()))
            })?;
            kernel = Some(kept.join("kernel"));
        } else if self.work.head().as_deref() != Some(commit.hash.as_str()) {
            self.work.checkout(&commit.hash)?;
        }
        Ok(Subject {
            number: at.to_string(),
            name: commit.hash.clone(),
            kernel,
            options: Vec::new(),
            place: self.work.place().to_owned(),
        })
    }
}
