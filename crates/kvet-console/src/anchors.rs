//! Which lines are worth a look: one pass over the whole buffer for rare words.
//!
//! Nearly every line of a log is skipped here without being cleaned or parsed, so an anchor must be rare in healthy
//! logs, and each headline and mark must hold one.
//!
//! A searcher for many words at once that looks at each byte (a DFA) is as fast as its chain of loads; a packed one
//! drowns in candidates beyond three dozen words. Here each anchor is known by its four rarest neighbouring bytes: the
//! four bytes at each position are looked up in a bitmap, which no position has to wait for another one for.

use std::sync::LazyLock;

use crate::boot;
use crate::family::{FAMILIES, Family};

/// Bytes of a gram.
const GRAM: usize = 4;
/// Words of the bitmap: 64 Ki bits, so that a position without an anchor is taken for one a thousandth of the time.
const WORDS: usize = 1 << 10;
/// Positions that are looked at before the outcome is.
const STEP: usize = 16;

/// The searcher for all anchors.
pub(crate) struct Anchors {
    grams: Box<[u64; WORDS]>,
    words: Vec<Anchor>,
}

/// A word, and where its rarest gram stands in it.
struct Anchor {
    word: &'static [u8],
    gram: u32,
    at: usize,
    families: Families,
}

/// Families (their places in [`FAMILIES`]) of which a line may be a headline.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Families(u64);

impl Families {
    /// The families, in their order.
    pub fn iter(self) -> impl Iterator<Item = &'static Family> {
        FAMILIES.iter().enumerate().filter(move |(i, _)| self.0 >> i & 1 != 0).map(|(_, family)| *family)
    }
}

/// Built once.
pub(crate) static ANCHORS: LazyLock<Anchors> = LazyLock::new(Anchors::new);

impl Anchors {
    fn new() -> Anchors {
        let mut grams = Box::new([0; WORDS]);
        let mut words: Vec<Anchor> = words().into_iter().map(Anchor::new).collect();
        words.sort_by_key(|anchor| anchor.gram);
        for anchor in &words {
            let (word, bit) = place(anchor.gram);
            grams[word] |= 1 << bit;
        }
        Anchors { grams, words }
    }

    /// Offset of an anchor: no line that ends before it holds one.
    pub fn find(&self, bytes: &[u8]) -> Option<usize> {
        self.each(bytes, |_, at| Some(at))
    }

    /// Shows each anchor and its offset to `see`, until that has its answer.
    fn each<T>(&self, bytes: &[u8], mut see: impl FnMut(&Anchor, usize) -> Option<T>) -> Option<T> {
        let mut at = 0;
        while let Some(window) = bytes[at..].first_chunk::<{ STEP + GRAM - 1 }>() {
            if self.any(window)
                && let Some(answer) = (at..at + STEP).find_map(|at| self.at(bytes, at, &mut see))
            {
                return Some(answer);
            }
            at += STEP;
        }
        (at..bytes.len().saturating_sub(GRAM - 1)).find_map(|at| self.at(bytes, at, &mut see))
    }

    /// The families of which `text`, one message, has an anchor; `None` when it has no anchor at all.
    pub fn families(&self, text: &str) -> Option<Families> {
        let mut families = None;
        let mut note = |anchor: &Anchor| {
            let Families(before) = families.unwrap_or_default();
            families = Some(Families(before | anchor.families.0));
        };
        self.each(text.as_bytes(), |anchor, _| {
            note(anchor);
            None::<()>
        });
        families
    }

    /// Whether any of a window's grams may be an anchor's.
    fn any(&self, window: &[u8; STEP + GRAM - 1]) -> bool {
        let mut any = 0;
        for i in 0..STEP {
            let (word, bit) = place(gram(&window[i..]));
            any |= self.grams[word] >> bit;
        }
        any & 1 != 0
    }

    /// Shows the anchors whose grams stand at `at` to `see`.
    fn at<T>(&self, bytes: &[u8], at: usize, see: &mut impl FnMut(&Anchor, usize) -> Option<T>) -> Option<T> {
        let gram = gram(&bytes[at..]);
        let (word, bit) = place(gram);
        if self.grams[word] >> bit & 1 == 0 {
            return None;
        }
        let first = self.words.partition_point(|anchor| anchor.gram < gram);
        self.words[first..].iter().take_while(|anchor| anchor.gram == gram).find_map(|anchor| {
            let start = at.checked_sub(anchor.at)?;
            if bytes[start..].starts_with(anchor.word) { see(anchor, start) } else { None }
        })
    }
}

impl Anchor {
    fn new(text: &'static str) -> Anchor {
        let word = text.as_bytes();
        let rarity = |at: &usize| word[*at..*at + GRAM].iter().map(|b| rarity(*b)).sum::<u32>();
        let at = (0..=word.len() - GRAM).max_by_key(rarity).unwrap_or_default();
        Anchor { word, gram: gram(&word[at..]), at, families: families(text) }
    }
}

/// The families that have an anchor with `word` in it.
fn families(word: &str) -> Families {
    let has = |family: &Family| family.anchors.iter().any(|anchor| anchor.contains(word));
    let bits = FAMILIES.iter().enumerate().map(|(i, family)| u64::from(has(family)) << i);
    Families(bits.fold(0, |all, bit| all | bit))
}

/// How rare a byte is in logs, roughly.
fn rarity(byte: u8) -> u32 {
    match byte {
        b' ' | b'e' | b'i' | b't' | b's' | b'r' | b'n' | b'a' | b'o' | b'0' => 0,
        b'a'..=b'z' | b'1'..=b'9' | b':' => 2,
        _ => 3,
    }
}

fn gram(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |gram| u32::from_le_bytes(*gram))
}

/// Word and bit of a gram in the bitmap.
fn place(gram: u32) -> (usize, u32) {
    // Fibonacci hashing: the upper bits depend on all of the gram's.
    let hash = gram.wrapping_mul(0x9e37_79b9);
    ((hash >> 22) as usize, hash >> 16 & 63)
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
        assert!(words.iter().all(|word| word.len() >= GRAM), "{words:?}");
        assert!(FAMILIES.len() <= 64, "a bit a family");
        assert_eq!(ANCHORS.find(b"[    1.0] all is well"), None);
        assert_eq!(ANCHORS.find(b"BU"), None);
        for word in words {
            for before in 0..40 {
                let log = format!("{}{word}{}", "x".repeat(before), "x".repeat(40 - before));
                assert_eq!(ANCHORS.find(log.as_bytes()), Some(before), "{log}");
                let at_its_end = &log.as_bytes()[..before + word.len()];
                assert_eq!(ANCHORS.find(at_its_end), Some(before), "{log}");
                assert_eq!(ANCHORS.find(&at_its_end[..at_its_end.len() - 1]), None, "{log}");
            }
        }
    }
}
