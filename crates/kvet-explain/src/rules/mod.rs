//! Diagnoses: one rule a file.
//!
//! A rule is a function from a [`Case`] to a [`Diagnosis`], or to nothing when its evidence is not there. `RULES`
//! lists them, the most telling first; the first that speaks is the diagnosis. Adding one is a file and a line.

mod access;
mod alternatives;
mod assertion;
mod atomic;
mod btf;
mod cross_cpu;
mod freed_init;
mod hardware;
mod hung;
mod init;
mod jump_label;
mod kill;
mod leak;
mod list;
mod lockdep;
mod machine;
mod misuse;
mod non_canonical;
mod null;
mod oom;
mod page;
mod poison;
mod protection;
mod refcount;
mod return_thunk;
mod rootfs;
mod sanitizer;
mod silence;
mod stack_arm64;
mod stack_x86;
mod stale_int3;
mod stalled;
mod static_call;
mod timer;
mod unknown;
pub(crate) mod x86;

use std::cell::RefCell;
use std::collections::HashMap;

use kvet_console::{Boot, Frame, Log, Report};
use kvet_image::Image;

use crate::explained::{Confidence, Diagnosis, Evidence};
use crate::symbols::Resolved;
use crate::{Seed, Text};

/// A rule: a diagnosis where its evidence is there.
type Rule = fn(&Case<'_>) -> Option<Diagnosis>;

/// Every rule, the most telling first.
const RULES: &[Rule] = &[
    jump_label::rule,
    alternatives::rule,
    return_thunk::rule,
    static_call::rule,
    freed_init::rule,
    stale_int3::rule,
    stack_arm64::rule,
    stack_x86::rule,
    btf::rule,
    timer::rule,
    hardware::rule,
    init::rule,
    rootfs::rule,
    sanitizer::rule,
    protection::rule,
    poison::rule,
    null::rule,
    non_canonical::rule,
    access::rule,
    list::rule,
    refcount::rule,
    cross_cpu::rule,
    stalled::rule,
    hung::rule,
    lockdep::rule,
    atomic::rule,
    oom::rule,
    kill::rule,
    silence::rule,
    leak::rule,
    page::rule,
    misuse::rule,
    assertion::rule,
];

/// What explains a report: the first rule that applies, or the facts and that none does.
pub fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    Some(RULES.iter().find_map(|rule| rule(case)).unwrap_or_else(|| unknown::facts(case)))
}

/// One report and all that stands around it.
pub struct Case<'a> {
    /// The report.
    pub(crate) report: &'a Report,
    /// The function at fault.
    pub(crate) function: Option<&'a str>,
    /// Every report of the log.
    pub(crate) seeds: &'a [Seed],
    /// The log.
    pub(crate) log: &'a Log,
    /// Its text.
    pub(crate) text: Text<'a>,
    /// The kernel, where it was given.
    pub(crate) kernel: Option<&'a kvet_tables::Context<'a>>,
    /// What the kernel's files say about the report.
    pub(crate) resolved: Option<&'a Resolved>,
    /// What the log ran in, where that is known.
    pub(crate) emulator: Option<crate::Emulator>,
    /// What was looked for already.
    pub(crate) memo: &'a Memo,
}

/// Prose and patches around a log are searched in a text up to this size: a mail, not a console.
const MAIL: usize = 4 << 20;

/// What a boot says of its machine stands at its beginning.
const BOOT: u64 = 16 << 20;

/// What was looked for in a log already: reports ask for the same lines again and again.
#[derive(Default)]
pub(crate) struct Memo {
    first: RefCell<HashMap<(usize, String), Quote>>,
    all: RefCell<HashMap<String, Vec<(u64, String)>>>,
}

/// A line with its number, where there is one.
type Quote = Option<(u64, String)>;

impl<'a> Case<'a> {
    fn boot(&self) -> Option<&'a Boot> {
        self.log.boots.get(self.report.boot)
    }

    fn image(&self) -> Option<&'a Image> {
        self.kernel.map(|kernel| kernel.image)
    }

    /// `Hardware name:` of the report or of its boot.
    fn hardware(&self) -> Option<&'a str> {
        self.report.hardware.as_deref().or_else(|| self.boot()?.hardware.as_deref())
    }

    /// A register's value.
    fn register(&self, name: &str) -> Option<u64> {
        self.report.registers.iter().find(|register| register.name == name)?.value
    }

    /// The headline and what belongs to it.
    fn headlines(&self) -> impl Iterator<Item = (u64, &'a str)> {
        let first = (self.report.span.first_line, self.report.headline.as_str());
        std::iter::once(first).chain(self.report.details.iter().map(|(line, text)| (*line, text.as_str())))
    }

    /// The first of those lines that holds a text.
    fn says(&self, needle: &str) -> Option<(u64, &'a str)> {
        self.headlines().find(|(_, text)| text.contains(needle))
    }

    /// A line of the report.
    fn quote(&self, needle: &str) -> Option<(u64, String)> {
        self.text
            .find_in(&self.report.span, needle)
            .or_else(|| self.says(needle).map(|(line, text)| (line, text.to_owned())))
    }

    /// A line of the boot, or of what a person wrote around the log. Each text is looked for once a boot, or once.
    fn anywhere(&self, needle: &str) -> Option<(u64, String)> {
        let whole = self.text.0.len() <= MAIL;
        let key = (if whole { 0 } else { self.report.boot }, needle.to_owned());
        if let Some(known) = self.memo.first.borrow().get(&key) {
            return known.clone();
        }
        let in_boot = || {
            let mut span = self.boot()?.span;
            span.end = span.end.min(span.start + BOOT);
            self.text.find_in(&span, needle)
        };
        let found = if whole { self.text.find(needle) } else { in_boot() };
        self.memo.first.borrow_mut().insert(key, found.clone());
        found
    }

    /// Lines of a mail that hold a text, up to 64; none of a console's, which is too long for it.
    fn everywhere(&self, needle: &str) -> Vec<(u64, String)> {
        if self.text.0.len() > MAIL {
            return Vec::new();
        }
        if let Some(known) = self.memo.all.borrow().get(needle) {
            return known.clone();
        }
        let found = self.text.find_all(needle, 64);
        self.memo.all.borrow_mut().insert(needle.to_owned(), found.clone());
        found
    }

    /// Evidence with a line of the report as its witness.
    fn shows(&self, says: impl Into<String>, needle: &str) -> Evidence {
        Evidence { says: says.into(), line: self.quote(needle) }
    }

    /// Every function of the report's traces, the first trace first.
    fn frames(&self) -> impl Iterator<Item = &'a Frame> {
        let first = self.report.ip.iter().chain(&self.report.frames);
        let others = self.report.traces.iter().flat_map(|trace| trace.ip.iter().chain(&trace.frames));
        first.chain(others)
    }

    /// Whether the first trace goes through a function.
    fn through(&self, function: &str) -> Option<&'a Frame> {
        self.report.ip.iter().chain(&self.report.frames).find(|frame| frame.function == function)
    }

    /// The function at fault, for a sentence.
    fn in_function(&self) -> String {
        self.function.map_or_else(|| "an unnamed function".to_owned(), str::to_owned)
    }

    /// Whether the headline or the report's own panic line holds a text.
    fn headline_has(&self, needle: &str) -> bool {
        self.report.headline.contains(needle)
            || self.report.panic.as_deref().is_some_and(|p| p.contains(needle))
    }
}

/// Evidence without a line.
fn fact(says: impl Into<String>) -> Evidence {
    Evidence { says: says.into(), line: None }
}

/// Evidence with its line.
fn line(says: impl Into<String>, line: (u64, String)) -> Evidence {
    Evidence { says: says.into(), line: Some(line) }
}

/// Sentences.
fn sentences<const N: usize>(all: [&str; N]) -> Vec<String> {
    all.iter().map(|sentence| (*sentence).to_owned()).collect()
}

/// The hex number after a mark: `(____ptrval____)` and the like are none.
fn hex_after(text: &str, mark: &str) -> Option<u64> {
    let rest = text.split_once(mark)?.1.trim_start();
    let rest = rest.strip_prefix("0x").unwrap_or(rest);
    let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
    u64::from_str_radix(rest.get(..digits.min(16))?, 16).ok()
}

/// The decimal number after a mark.
fn number_after(text: &str, mark: &str) -> Option<u64> {
    let rest = text.split_once(mark)?.1.trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// Cuts a text for a sentence.
fn short(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
