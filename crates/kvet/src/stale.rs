//! `kvet stale`: which objects of a build tree no longer match what they were built from.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use kvet_finding::{Finding, Severity};
use kvet_image::Image;
use kvet_kbuild::{Definer, Reason, Stale, Tree, Verdict};
use serde::Serialize;

use crate::exit::Exit;
use crate::progress::{Progress, complain};
use crate::text;

/// Reasons of one target that are shown to people in full.
const SHOWN: usize = 4;
/// Targets that are shown to people in full.
const TARGETS_SHOWN: usize = 40;

/// `kvet stale`.
#[derive(Args, Debug)]
pub struct StaleArgs {
    /// The directory that the kernel was built in (`make O=`), or a part of it
    #[arg(value_name = "BUILD-DIR")]
    directory: PathBuf,

    /// Ask the compiler what each object reads now, and compare that with its record
    ///
    /// Runs the saved command of every object with -M, on all cores; nothing is written.
    #[arg(long)]
    deep: bool,

    /// Delete exactly the objects that cannot be trusted, with their records, so that make builds them again
    #[arg(long)]
    fix: bool,

    /// Leave out what `kvet check` says of the vmlinux in the directory
    #[arg(long)]
    no_check: bool,

    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Form,
}

/// The form of the output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Form {
    /// For people
    Human,
    /// For scripts: kvet-stale/1, see docs/json.md
    Json,
}

/// Runs `kvet stale`.
pub fn run(args: &StaleArgs) -> Exit {
    let since = Instant::now();
    let tree = match Tree::read(&args.directory) {
        Ok(tree) => tree,
        Err(error) => {
            complain(&text::safe(&error.to_string()));
            return Exit::Unanswered;
        }
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut verdict = kvet_kbuild::judge(&tree, &path);
    let mut unanswered = false;
    if args.deep {
        unanswered |= ask_compilers(&tree, &mut verdict);
    }
    if !args.no_check {
        join_check(&tree, &mut verdict);
    }
    let mut found = Found { tree: &tree, verdict, deleted: None, took: since.elapsed() };
    if args.fix {
        match delete(&found) {
            Ok(deleted) => found.deleted = Some(deleted),
            Err(why) => {
                complain(&why);
                unanswered = true;
            }
        }
    }
    let written = match args.format {
        Form::Human => found.for_people(&args.directory),
        Form::Json => found.for_scripts(&args.directory),
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("stdout: cannot be written: {error}"));
            Exit::Unanswered
        }
        _ if unanswered => Exit::Unanswered,
        // What was deleted is not wrong any more.
        _ if found.verdict.stale.is_empty() || found.deleted.is_some() => Exit::Clean,
        _ => Exit::Wrong,
    }
}

/// Adds what the compilers say; whether one of them failed.
fn ask_compilers(tree: &Tree, verdict: &mut Verdict) -> bool {
    let progress = Mutex::new(Progress::new("asked", kvet_kbuild::count(tree) as u64));
    let done = AtomicU64::new(0);
    let edges = kvet_kbuild::edges(tree, || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Ok(mut progress) = progress.lock() {
            progress.set(done);
        }
    });
    if let Ok(progress) = progress.lock() {
        progress.finish();
    }
    verdict.add(edges.reasons);
    let failed = !edges.failures.is_empty();
    verdict.skipped.extend(edges.failures.into_iter().map(|f| {
        let name = tree.name(tree.targets[f.target].file);
        format!("{name}: cannot be compiled from this tree: {}", f.message)
    }));
    failed
}

/// Joins the findings of `kvet check` to the objects that define what they are about.
fn join_check(tree: &Tree, verdict: &mut Verdict) {
    let path = tree.root.join("vmlinux");
    if !path.is_file() {
        return;
    }
    let image = match Image::open(&path) {
        Ok(image) => image,
        Err(error) => {
            verdict.skipped.push(format!("kvet check: {error}"));
            return;
        }
    };
    let context = kvet_tables::Context::new(&image, None);
    let findings: Vec<Finding> = kvet_tables::check(&context)
        .into_iter()
        .flat_map(|t| t.findings)
        .filter(|f| f.severity >= Severity::Warning)
        .collect();
    let function = |f: &Finding| Some(f.symbol.as_ref()?.split('+').next()?.to_owned());
    let names: HashSet<String> = findings.iter().filter_map(function).collect();
    if findings.is_empty() {
        return;
    }
    let definers = kvet_kbuild::definers(tree, &names);
    let mut joined: HashMap<(usize, &str), (String, usize)> = HashMap::new();
    let mut nowhere = 0;
    for finding in &findings {
        match function(finding).and_then(|name| definers.get(&name)) {
            Some(&Definer::One(target)) => {
                joined.entry((target, finding.rule)).or_insert_with(|| (finding.message.clone(), 0)).1 += 1;
            }
            _ => nowhere += 1,
        }
    }
    let mut reasons: Vec<(usize, Reason)> = joined
        .into_iter()
        .map(|((target, rule), (message, findings))| {
            (target, Reason::Check { rule: rule.into(), message, findings })
        })
        .collect();
    reasons.sort_by_key(|(target, reason)| (*target, reason.to_string()));
    verdict.add(reasons);
    if nowhere > 0 {
        verdict.skipped.push(format!(
            "kvet check: {} in vmlinux could not be joined to one object (see `kvet check`)",
            text::count(nowhere, "finding")
        ));
    }
}

/// What was found in a tree.
struct Found<'a> {
    tree: &'a Tree,
    verdict: Verdict,
    /// What `--fix` deleted.
    deleted: Option<Vec<PathBuf>>,
    took: Duration,
}

fn delete(found: &Found<'_>) -> Result<Vec<PathBuf>, String> {
    let mut deleted = Vec::new();
    for stale in &found.verdict.stale {
        deleted.extend(delete_target(found.tree, stale.target)?);
    }
    Ok(deleted)
}

/// Deletes a target and its record, so that make builds it again; what was there of both is returned.
///
/// # Errors
/// The file system refuses; in words.
pub fn delete_target(tree: &Tree, target: usize) -> Result<Vec<PathBuf>, String> {
    let target = &tree.targets[target];
    let object = tree.place(&tree.file(target.file).path);
    let mut deleted = Vec::new();
    for path in [object, tree.root.join(&target.record)] {
        match std::fs::remove_file(&path) {
            Ok(()) => deleted.push(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: cannot be deleted: {error}", text::path(&path))),
        }
    }
    Ok(deleted)
}

/// A tree and what is to be said of it, `kvet check` of its vmlinux included.
pub struct Survey {
    /// The tree.
    pub tree: Tree,
    /// What cannot be trusted.
    pub verdict: Verdict,
}

impl Survey {
    /// Of a build directory.
    ///
    /// # Errors
    /// It holds no record of Kbuild.
    pub fn of(directory: &Path) -> Result<Survey, kvet_kbuild::TreeError> {
        let tree = Tree::read(directory)?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut verdict = kvet_kbuild::judge(&tree, &path);
        join_check(&tree, &mut verdict);
        Ok(Survey { tree, verdict })
    }
}

#[derive(Serialize)]
struct JsonReason<'a> {
    rule: &'static str,
    edge: Option<&'a str>,
    message: String,
    seen_by_make: bool,
}

#[derive(Serialize)]
struct JsonStale<'a> {
    target: String,
    record: String,
    reasons: Vec<JsonReason<'a>>,
    repair: String,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    directory: String,
    targets: usize,
    stale: Vec<JsonStale<'a>>,
    skipped: &'a [String],
    deleted: Option<Vec<String>>,
    seconds: f64,
}

impl Found<'_> {
    fn name(&self, stale: &Stale) -> String {
        self.tree.name(self.tree.targets[stale.target].file)
    }

    fn for_scripts(&self, directory: &Path) -> io::Result<()> {
        let shown = |p: &PathBuf| p.display().to_string();
        let stale = self.verdict.stale.iter().map(|stale| JsonStale {
            target: self.name(stale),
            record: shown(&self.tree.targets[stale.target].record),
            reasons: stale.reasons.iter().map(JsonReason::from).collect(),
            repair: self.repair(stale),
        });
        let document = Document {
            schema: "kvet-stale/1",
            directory: directory.display().to_string(),
            targets: self.tree.targets.len(),
            stale: stale.collect(),
            skipped: &self.verdict.skipped,
            deleted: self.deleted.as_ref().map(|d| d.iter().map(shown).collect()),
            seconds: self.took.as_secs_f64(),
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &document)?;
        out.write_all(b"\n")
    }

    fn repair(&self, stale: &Stale) -> String {
        let quote =
            |path: &str| match path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+,@%".contains(&b)) {
                true => path.to_owned(),
                false => format!("'{}'", path.replace('\'', "'\\''")),
            };
        let record = self.tree.targets[stale.target].record.display().to_string();
        format!("rm -f {} {}", quote(&self.name(stale)), quote(&record))
    }

    fn for_people(&self, directory: &Path) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for stale in self.verdict.stale.iter().take(TARGETS_SHOWN) {
            writeln!(out, "{}", text::safe(&self.name(stale)))?;
            for reason in stale.reasons.iter().take(SHOWN) {
                let unseen = if reason.is_seen_by_make() { "" } else { " [make does not see this]" };
                writeln!(out, "  {}: {}{unseen}", reason.rule(), text::safe(&reason.to_string()))?;
            }
            if stale.reasons.len() > SHOWN {
                writeln!(
                    out,
                    "  and {} (--format json has all)",
                    text::count((stale.reasons.len() - SHOWN) as u64, "reason")
                )?;
            }
            writeln!(out, "  repair: {}", text::safe(&self.repair(stale)))?;
        }
        if self.verdict.stale.len() > TARGETS_SHOWN {
            let more = (self.verdict.stale.len() - TARGETS_SHOWN) as u64;
            writeln!(out, "... and {} more (--format json has all)", text::number(more))?;
        }
        for skipped in &self.verdict.skipped {
            writeln!(out, "not judged: {}", text::safe(skipped))?;
        }
        let (stale, all) =
            (self.verdict.stale.len() as u64, text::count(self.tree.targets.len() as u64, "target"));
        let took = text::duration(self.took);
        if stale == 0 {
            return writeln!(out, "{}: {all}, none stale ({took})", text::path(directory));
        }
        let unseen = |s: &&Stale| !s.reasons.iter().any(Reason::is_seen_by_make);
        let unseen = self.verdict.stale.iter().filter(unseen).count() as u64;
        writeln!(
            out,
            "{}: {all}, {} stale ({took}); make would leave {} of them as they are",
            text::path(directory),
            text::number(stale),
            text::number(unseen)
        )?;
        match &self.deleted {
            Some(deleted) => writeln!(out, "{} deleted; run make", text::count(deleted.len() as u64, "file")),
            None => writeln!(out, "next: kvet stale --fix {}, then make", text::path(directory)),
        }
    }
}

impl<'a> From<&'a Reason> for JsonReason<'a> {
    fn from(reason: &'a Reason) -> JsonReason<'a> {
        JsonReason {
            rule: reason.rule(),
            edge: reason.edge(),
            message: reason.to_string(),
            seen_by_make: reason.is_seen_by_make(),
        }
    }
}
