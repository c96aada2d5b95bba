//! What a bisection writes down, an entry a fact: the journal is its state.

use kvet_bisect::Why;
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// What is asked; the first line.
    Question(Question),
    /// A search begins, along a line of candidates; a merge is searched in a round of its own.
    Round {
        /// Names of candidates 0..=n, for people.
        candidates: Vec<String>,
    },
    /// The search decided what to test.
    Step {
        /// The candidate.
        candidate: u64,
        /// Boots at most.
        boots: u32,
        /// Why.
        why: Why,
    },
    /// A candidate was built, or cannot be.
    Built(Built),
    /// A candidate was run once.
    Ran(Ran),
}

/// The question, so that a journal is not gone on with for another one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Version of the journal's form.
    pub journal: u32,
    /// `commits`, `kernels`, `qemu` or `config`.
    pub axis: String,
    /// What decides the answer, in words.
    pub words: Vec<String>,
}

/// How a build went.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Built {
    /// The candidate.
    pub candidate: String,
    /// Whether there is something to test.
    pub ok: bool,
    /// Why not; the last line that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// It was built before, by this search or an earlier one.
    #[serde(default)]
    pub cached: bool,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// Objects that `kvet stale` or `kvet check` did not trust, and that were built again, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rebuilt: Vec<String>,
    /// Errors of `kvet check` that remained.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
}

/// What one run showed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// The hunted failure.
    Fail,
    /// No failure.
    Pass,
    /// Another failure: neither good nor bad.
    Other,
    /// The host or the emulator spoilt it: it is repeated.
    Spoilt,
    /// The candidate cannot be tested.
    Skip,
}

/// One run of a candidate.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ran {
    /// The candidate.
    pub candidate: String,
    /// What it showed.
    pub shown: Shown,
    /// How long it took.
    #[serde(default)]
    pub seconds: f64,
    /// The failure's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The failure in one line, or the command's exit status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the console is: campaign and boot in the store of the state directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}
