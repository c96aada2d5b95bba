//! The running kernel as oracle: mutated BTF is given to `BPF_BTF_LOAD` and to [`kvet_btf::kernel::load`];
//! errno and the whole log must be the same.
//!
//! Shared by `tests/oracle.rs` (a small share, in `cargo test`) and `examples/oracle.rs` (the long run of
//! `make oracle-btf`).

pub mod blob;
pub mod kernel;
pub mod mutate;
pub mod seeds;

use std::path::{Path, PathBuf};

use blob::Blob;
use kvet_btf::kernel::{Options, Rules, load};

/// A 64-bit generator (splitmix64): small, seedable, and the same everywhere.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { (self.next() % n as u64) as usize }
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// What was run and what came of it.
#[derive(Default, Debug)]
pub struct Tally {
    pub mutants: u64,
    pub accepted: u64,
    pub disagreements: Vec<String>,
    /// How many mutants ended in each last line, numbers left out.
    pub reasons: std::collections::BTreeMap<String, u64>,
}

/// BTF of more bytes than this may log more than [`kernel::Oracle`] keeps: no crafted one is as large.
const LARGE: usize = 200_000;

/// Runs mutants against the kernel and keeps what differs.
pub struct Judge {
    oracle: kernel::Oracle,
    rules: &'static Rules,
    names: kvet_btf::ByName<'static>,
    keep: PathBuf,
    pub tally: Tally,
}

impl Judge {
    /// A judge for the running kernel, or why there is none.
    pub fn new(keep: &Path) -> Result<Judge, String> {
        let oracle = kernel::Oracle::new()?;
        let rules = oracle.rules()?;
        // Read once and needed to the end of the process.
        let own = std::fs::read("/sys/kernel/btf/vmlinux").unwrap_or_default().leak();
        let names =
            kvet_btf::Btf::parse(own).map_or_else(|_| Default::default(), |b| kvet_btf::ByName::new(&b));
        Ok(Judge { oracle, rules, names, keep: keep.to_owned(), tally: Tally::default() })
    }

    /// The rules it holds the kernel against.
    pub fn rules(&self) -> &'static Rules {
        self.rules
    }

    fn differs(&mut self, data: &[u8]) -> Option<String> {
        // A kernel's own BTF logs some twenty megabytes, of which the end must do.
        let large = data.len() > LARGE;
        let (errno, log) = if large { self.oracle.load_large(data) } else { self.oracle.load(data) };
        let mut options = Options::new(self.rules);
        options.kernel = Some(&self.names);
        options.trace = true;
        let ours = load(data, &options);
        let our_errno = ours.errno().map_or(0, |e| i32::from(e.0));
        let same_log = if large { ours.log.text().ends_with(log) } else { ours.log.text() == log };
        if errno == our_errno && same_log {
            let reason = ours.log.last_line();
            let key = match ours.errno() {
                None => "accepted".to_owned(),
                Some(e) => format!("{} {}", e.name(), without_numbers(&reason)),
            };
            *self.tally.reasons.entry(key).or_default() += 1;
            return None;
        }
        let show = |log: &[u8]| {
            let text = String::from_utf8_lossy(log);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(3)..].join("\n    ")
        };
        Some(format!(
            "kernel: errno {errno}\n    {}\nkvet: errno {our_errno}\n    {}",
            show(log),
            show(ours.log.text())
        ))
    }

    /// Judges one mutant.
    pub fn judge(&mut self, blob: &Blob) {
        self.tally.mutants += 1;
        let data = blob.bytes();
        let Some(mut what) = self.differs(&data) else { return };
        let mut small = blob.clone();
        while let Some((smaller, why)) =
            small.smaller().into_iter().find_map(|b| self.differs(&b.bytes()).map(|why| (b, why)))
        {
            small = smaller;
            what = why;
        }
        let _ = std::fs::create_dir_all(&self.keep);
        let file = self.keep.join(format!("{:03}.btf", self.tally.disagreements.len()));
        let saved = match std::fs::write(&file, small.bytes()) {
            Ok(()) => file.display().to_string(),
            Err(error) => format!("not saved: {error}"),
        };
        self.tally.disagreements.push(format!("{saved}\n{what}"));
    }
}

fn without_numbers(line: &str) -> String {
    // Kind and reason say which check it was; names and numbers differ from mutant to mutant.
    let words: Vec<&str> = line.split_whitespace().collect();
    let kind = words.get(1).filter(|_| line.starts_with('[')).copied().unwrap_or("");
    let reason: Vec<&str> =
        words.iter().rev().take_while(|w| !w.contains('=') && !w.starts_with('[')).copied().collect();
    let reason: Vec<&str> = reason.into_iter().rev().collect();
    let reason: String = reason.join(" ").chars().filter(|c| !c.is_ascii_digit()).take(60).collect();
    if reason.starts_with(kind) { reason } else { format!("{kind} {reason}") }
}
