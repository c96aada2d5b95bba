//! git, by its command: history as lines, and a work tree of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Failure;

/// A repository.
#[derive(Clone, Debug)]
pub struct Git {
    place: PathBuf,
}

/// One commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// Its hash, in full.
    pub hash: String,
    /// Its parents.
    pub parents: Vec<String>,
    /// Its first line.
    pub subject: String,
}

impl Commit {
    /// `1a2b3c4d5e6f subject`, as kernel people name a commit.
    pub fn name(&self) -> String {
        format!("{} {}", self.hash.get(..12).unwrap_or(&self.hash), self.subject)
    }
}

impl Git {
    /// The repository that a directory is in.
    ///
    /// # Errors
    /// It is in none.
    pub fn open(place: &Path) -> Result<Git, Failure> {
        let git = Git { place: place.to_owned() };
        git.say(&["rev-parse", "--git-dir"])?;
        Ok(git)
    }

    fn say(&self, words: &[&str]) -> Result<String, Failure> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.place)
            .args(words)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| Failure::said(format!("git: cannot be run: {e}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::said(format!("git {}: {}", words.join(" "), said.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// The hash of a revision.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn commit(&self, revision: &str) -> Result<String, Failure> {
        self.say(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
            .map_err(|_| Failure::said(format!("{revision}: git knows no such commit")))
    }

    /// First parents from `bad` down to where `good` is an ancestor, oldest first: `good` or the commit of the line
    /// that contains it stands at 0, `bad` last.
    ///
    /// # Errors
    /// `good` is no ancestor of `bad`.
    pub fn line(&self, good: &str, bad: &str) -> Result<Vec<Commit>, Failure> {
        let is_ancestor = self.say(&["merge-base", "--is-ancestor", good, bad]).is_ok();
        if !is_ancestor {
            return Err(Failure::said(format!(
                "{good}: is no ancestor of {bad}; give a good commit that the bad one contains"
            )));
        }
        let range = format!("{good}..{bad}");
        let form = "--format=%H%x09%P%x09%s";
        let text = self.say(&["log", "--first-parent", "--reverse", form, &range, "--"])?;
        let mut line: Vec<Commit> = text.lines().filter_map(parse).collect();
        let base = line.first().and_then(|c| c.parents.first().cloned()).unwrap_or_else(|| good.to_owned());
        // On a history with merges the line may miss `good` itself: the last commit of the line that has only what
        // `good` has is an ancestor of it, and good as well.
        let text = self.say(&["log", "-1", form, &base, "--"])?;
        line.insert(
            0,
            text.lines().find_map(parse).unwrap_or(Commit {
                hash: base,
                parents: vec![],
                subject: String::new(),
            }),
        );
        Ok(line)
    }

    /// Where two histories part.
    ///
    /// # Errors
    /// They have nothing in common.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String, Failure> {
        self.say(&["merge-base", a, b])
    }

    /// Author and date of a commit, for a mail.
    pub fn author(&self, hash: &str) -> String {
        self.say(&["log", "-1", "--format=%an <%ae>, %as", hash, "--"]).unwrap_or_default()
    }

    /// A work tree, made at its first use.
    ///
    /// # Errors
    /// git refuses.
    pub fn worktree(&self, at: &Path, commit: &str) -> Result<Git, Failure> {
        let work = Git { place: at.to_owned() };
        if at.join(".git").exists() && work.say(&["rev-parse", "--git-dir"]).is_ok() {
            return Ok(work);
        }
        // An entry whose directory somebody deleted stands in the way.
        self.say(&["worktree", "prune"])?;
        self.say(&["worktree", "add", "--detach", "--force", &at.to_string_lossy(), commit])?;
        Ok(work)
    }

    /// Checks a commit out; what the build made stays, tracked files are as the commit has them.
    ///
    /// # Errors
    /// git refuses.
    pub fn checkout(&self, commit: &str) -> Result<(), Failure> {
        // A session that was killed in the middle of a checkout leaves this behind; the work tree is ours alone.
        if let Ok(directory) = self.say(&["rev-parse", "--absolute-git-dir"]) {
            let _ = std::fs::remove_file(Path::new(&directory).join("index.lock"));
        }
        self.say(&["checkout", "--detach", "--force", "--quiet", commit]).map(drop)
    }

    /// What is checked out.
    pub fn head(&self) -> Option<String> {
        self.say(&["rev-parse", "HEAD"]).ok()
    }

    /// Where it is.
    pub fn place(&self) -> &Path {
        &self.place
    }
}

fn parse(line: &str) -> Option<Commit> {
    let mut fields = line.splitn(3, '\t');
    let hash = fields.next().filter(|h| h.len() >= 40)?.to_owned();
    let parents = fields.next()?.split(' ').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    Some(Commit { hash, parents, subject: fields.next().unwrap_or_default().to_owned() })
}
