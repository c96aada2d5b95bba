//! Which lines are worth a look: one pass of a packed searcher over the whole buffer for rare words.
//!
//! Nearly every line of a log is skipped here without being cleaned or parsed, so an anchor must be rare in healthy
//! logs, and each headline and mark must hold one.

use std::sync::LazyLock;

use aho_corasick::packed;
use aho_corasick::{AhoCorasick, MatchKind};

use crate::boot;
use crate::family::FAMILIES;

/// The searcher for all anchors.
pub(crate) struct Anchors {
    packed: Option<packed::Searcher>,
    automaton: AhoCorasick,
}

/// Built once.
pub(crate) static ANCHORS: LazyLock<Anchors> = LazyLock::new(Anchors::new);

impl Anchors {
    fn new() -> Anchors {
        let words = words();
        let mut builder = packed::Config::new().heuristic_pattern_limits(false).builder();
        builder.extend(&words);
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostFirst)
            .build(&words)
            .expect("a few dozen short words always make an automaton");
        Anchors { packed: builder.build(), automaton }
    }

    /// Offset of the first anchor.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        match &self.packed {
            Some(packed) => packed.find(bytes).map(|m| m.start()),
            None => self.automaton.find(bytes).map(|m| m.start()),
        }
    }
}

/// All anchors; one that holds another one is not needed.
fn words() -> Vec<&'static str> {
    let all: Vec<&str> = FAMILIES.iter().flat_map(|f| f.anchors).chain(boot::ANCHORS).copied().collect();
    let mut words: Vec<&str> = Vec::new();
    for word in &all {
        let holds_another = all.iter().any(|other| other != word && word.contains(other));
        if !holds_another && !words.contains(word) {
            words.push(word);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_found() {
        let words = words();
        assert!(words.len() <= 96, "{} anchors: each costs speed", words.len());
        assert_eq!(ANCHORS.find(b"[    1.0] all is well"), None);
        assert!(ANCHORS.find(b"[    1.0] BUG: unable to handle").is_some());
    }
}
