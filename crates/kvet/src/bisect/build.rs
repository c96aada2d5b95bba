//! One build in a tree that was built before: the command, then `kvet stale` and `kvet check`, and again what they do
//! not trust. What comes out is kept by the name of what it was made from.

use std::path::{Path, PathBuf};
use std::time::Instant;

use kvet_finding::Severity;
use kvet_image::Image;

use super::Failure;
use super::entry::Built;
use super::state::{State, last_words, run_shell};
use crate::stale::{self, Survey};

/// So often what is not trusted is built again.
const REPAIRS: usize = 3;
/// Reasons that are kept of one build.
const KEPT: usize = 50;
/// What a kernel build makes, when nobody says.
const KERNELS: [&str; 5] =
    ["arch/x86/boot/bzImage", "arch/arm64/boot/Image", "arch/arm64/boot/Image.gz", "vmlinuz", "vmlinux"];

/// How to build.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The shell command, in the tree.
    pub command: String,
    /// Files that it makes, relative to the tree; the first is the kernel.
    pub artefacts: Vec<PathBuf>,
    /// Where the objects are, relative to the tree.
    pub objects: PathBuf,
    /// Look at the tree after each build.
    pub distrust: bool,
}

impl Recipe {
    /// The kernel of a finished build.
    pub fn kernel(&self, tree: &Path) -> Option<PathBuf> {
        match self.artefacts.first() {
            Some(first) => Some(tree.join(first)).filter(|p| p.is_file()),
            None => {
                let objects = tree.join(&self.objects);
                KERNELS.iter().map(|k| objects.join(k)).find(|p| p.is_file())
            }
        }
    }

    /// Where the artefacts of `key` are kept, when they are.
    pub fn kept(state: &State, key: &str) -> Option<PathBuf> {
        let kept = state.directory.join("artefacts").join(key);
        // Renamed into place when whole.
        kept.is_dir().then_some(kept)
    }

    /// Builds a tree and keeps what it makes.
    ///
    /// # Errors
    /// The search cannot go on: that the tree does not build is none.
    pub fn build(&self, state: &State, tree: &Path, key: &str, name: &str) -> Result<Built, Failure> {
        let since = Instant::now();
        let mut built = Built { candidate: name.to_owned(), ..Built::default() };
        let log = state.below("logs")?.join(format!("build-{key}.log"));
        let environment = [("KVET_NAME", name.to_owned()), ("KVET_COMMIT", key.to_owned())];
        let _ = std::fs::remove_file(&log);
        let mut repairs = 0;
        loop {
            let status = run_shell(&state.directory, &self.command, tree, &environment, &log, None)?;
            if !status.is_some_and(|s| s.success()) {
                built.why = Some(last_words(&log).unwrap_or_else(|| "the build command failed".into()));
                built.seconds = since.elapsed().as_secs_f64();
                return Ok(built);
            }
            if !self.distrust {
                break;
            }
            let not_trusted = self.not_trusted(tree);
            if not_trusted.is_empty() {
                break;
            }
            if repairs == REPAIRS {
                built.findings.push(format!(
                    "{} still not trusted after {REPAIRS} builds of them",
                    crate::text::count(not_trusted.len() as u64, "object")
                ));
                break;
            }
            repairs += 1;
            let room = KEPT.saturating_sub(built.rebuilt.len());
            built.rebuilt.extend(not_trusted.into_iter().take(room));
        }
        let Some(kernel) = self.kernel(tree) else {
            built.why = Some(match self.artefacts.first() {
                Some(first) => format!("the build made no {}", first.display()),
                None => "the build made no kernel that is known by its name; name it with --artefact".into(),
            });
            built.seconds = since.elapsed().as_secs_f64();
            return Ok(built);
        };
        if self.distrust {
            built.findings.extend(findings(tree, &self.objects, &kernel));
        }
        self.keep(state, tree, &kernel, key)?;
        built.ok = true;
        built.seconds = since.elapsed().as_secs_f64();
        Ok(built)
    }

    /// Objects that cannot be trusted, with the first reason of each; they are deleted, so that make builds them.
    fn not_trusted(&self, tree: &Path) -> Vec<String> {
        // A tree without records of Kbuild is nothing that could be judged.
        let Ok(survey) = Survey::of(&tree.join(&self.objects)) else { return Vec::new() };
        let mut out = Vec::new();
        for stale in &survey.verdict.stale {
            // What make sees by itself it has judged already; deleting it again would go on for ever.
            if stale.reasons.iter().all(kvet_kbuild::Reason::is_seen_by_make) {
                continue;
            }
            let name = survey.tree.name(survey.tree.targets[stale.target].file);
            let reason = stale.reasons.iter().find(|r| !r.is_seen_by_make());
            if stale::delete_target(&survey.tree, stale.target).is_ok_and(|d| !d.is_empty()) {
                out.push(format!("{name}: {}", reason.map(ToString::to_string).unwrap_or_default()));
            }
        }
        out
    }

    fn keep(&self, state: &State, tree: &Path, kernel: &Path, key: &str) -> Result<(), Failure> {
        let kept = state.below("artefacts")?.join(key);
        let part = kept.with_extension("part");
        let _ = std::fs::remove_dir_all(&part);
        let copy = || -> std::io::Result<()> {
            std::fs::create_dir_all(&part)?;
            std::fs::copy(kernel, part.join("kernel"))?;
            for artefact in &self.artefacts {
                let to = part.join("files").join(artefact);
                if let Some(directory) = to.parent() {
                    std::fs::create_dir_all(directory)?;
                }
                std::fs::copy(tree.join(artefact), to)?;
            }
            let _ = std::fs::remove_dir_all(&kept);
            std::fs::rename(&part, &kept)
        };
        copy().map_err(|e| Failure::said(format!("{}: {e}", crate::text::path(&kept))))
    }
}

/// What `kvet check` says is wrong with the kernel, the vmlinux before what was made of it.
fn findings(tree: &Path, objects: &Path, kernel: &Path) -> Vec<String> {
    let vmlinux = tree.join(objects).join("vmlinux");
    let path = if vmlinux.is_file() { vmlinux.as_path() } else { kernel };
    let Ok(image) = Image::open(path) else { return Vec::new() };
    let context = kvet_tables::Context::new(&image, None);
    kvet_tables::check(&context)
        .into_iter()
        .flat_map(|t| t.findings)
        .filter(|f| f.severity >= Severity::Error)
        .take(KEPT)
        .map(|f| format!("{}: {}", f.rule, f.message))
        .collect()
}
