//! What a console says: the one file through which the lab uses the parser and the explainer of logs.
//!
//! Two ways of listening. [`Listener`] hears the console while it comes and knows the moments that decide a boot.
//! [`story`] reads the whole console once the boot has ended: which failure came first, where, and why.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use kvet_console::{Event, Kind, Scanner};
use kvet_explain::{Context, Emulator, Explained, Text};
use memchr::memmem;
use serde::{Deserialize, Serialize};

/// A moment of a boot, in the order of a good one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// The first byte on the console.
    FirstByte,
    /// The kernel's banner.
    Banner,
    /// All processors are up.
    Smp,
    /// Initcalls are over, init's memory is freed.
    InitcallsDone,
    /// The kernel starts the first user space.
    Init,
    /// The boot's success was said.
    Success,
    /// The kernel powers off.
    PowerDown,
}

impl Milestone {
    /// All of them, in order.
    pub const ALL: [Milestone; 7] = [
        Milestone::FirstByte,
        Milestone::Banner,
        Milestone::Smp,
        Milestone::InitcallsDone,
        Milestone::Init,
        Milestone::Success,
        Milestone::PowerDown,
    ];

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Milestone::FirstByte => "first byte",
            Milestone::Banner => "kernel starts",
            Milestone::Smp => "processors up",
            Milestone::InitcallsDone => "initcalls done",
            Milestone::Init => "init starts",
            Milestone::Success => "success",
            Milestone::PowerDown => "powers off",
        }
    }
}

/// Something heard while the console came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A moment was reached, for the first time.
    Milestone(Milestone),
    /// A failure begins with this line.
    Failure(String),
    /// A watchdog says that a processor or task stands still: for ever, or because the host had no time for it.
    Lockup(String),
    /// The built-in init has done a piece of its work: the guest does not stand still.
    Progress,
    /// Something that a kernel goes on after: a warning.
    Complaint(String),
    /// After this line nothing more is to be learned of a failure.
    LastWord,
    /// The kernel restarts on purpose.
    Restart,
}

/// What counts as a boot that succeeded.
#[derive(Clone, Debug)]
pub enum Success {
    /// A line that contains this text.
    Marker(String),
    /// A line that matches.
    Pattern(regex::bytes::Regex),
    /// The guest powers off in order, or asks somebody to log in: for an initrd of which nothing is known.
    Ordinary,
}

/// A line longer than this is looked at in pieces.
const LINE_LIMIT: usize = 16 << 10;

/// Hears the console while it comes, in bounded memory.
pub struct Listener<'a> {
    success: &'a Success,
    /// Finds the text of a success that has one.
    marker: memmem::Finder<'a>,
    scanner: Scanner,
    line: Vec<u8>,
    reached: [bool; Milestone::ALL.len()],
    /// A prompt stands on a line that has no end yet.
    prompt_seen: bool,
}

impl<'a> Listener<'a> {
    /// Listens for a success.
    pub fn new(success: &'a Success) -> Listener<'a> {
        let marker = match success {
            Success::Marker(text) => text.as_bytes(),
            Success::Ordinary | Success::Pattern(_) => POWER_DOWN.as_bytes(),
        };
        // Reports are read again from the whole console at the end; here only their beginnings count.
        Listener {
            success,
            marker: memmem::Finder::new(marker),
            scanner: Scanner::new().keep(1),
            line: Vec::new(),
            reached: [false; _],
            prompt_seen: false,
        }
    }

    /// Hears a piece and tells what is new.
    ///
    /// Every byte is looked at a few times here, by searches that run at memory speed.
    pub fn hear(&mut self, piece: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        self.reach(Milestone::FirstByte, &mut heard);
        heard.extend(self.scanner.feed(piece).into_iter().filter_map(|event| match event {
            Event::Began { kind, headline } if is_lockup(kind) => Some(Heard::Lockup(headline)),
            Event::Began { kind, headline } if is_failure(kind) => Some(Heard::Failure(headline)),
            Event::Began { headline, .. } => Some(Heard::Complaint(headline)),
            _ => None,
        }));
        let mut rest = piece;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            self.line.extend_from_slice(&rest[..at]);
            self.end_line(&mut heard);
            rest = &rest[at + 1..];
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LINE_LIMIT {
            self.end_line(&mut heard);
        } else if !self.prompt_seen && self.says_success(&self.line) {
            // A prompt ends in no newline; a pattern is not made to wait for one either.
            self.prompt_seen = true;
            self.reach(Milestone::Success, &mut heard);
        }
        heard
    }

    fn end_line(&mut self, heard: &mut Vec<Heard>) {
        let line = std::mem::take(&mut self.line);
        self.prompt_seen = false;
        for word in FINDER.find_iter(&line) {
            match WORDS[word.pattern().as_usize()].1 {
                Word::Reached(milestone) => self.reach(milestone, heard),
                Word::Restarts => heard.push(Heard::Restart),
                Word::Progress => heard.push(Heard::Progress),
                Word::Last => heard.push(Heard::LastWord),
                // The parser counts a panic that follows from a report as the end of that report, be it a warning.
                Word::Panic => heard.push(Heard::Failure(clean_line(&line))),
            }
        }
        if self.says_success(&line) {
            self.reach(Milestone::Success, heard);
        }
        self.line = line;
        self.line.clear();
    }

    fn says_success(&self, line: &[u8]) -> bool {
        let text = || self.marker.find(line).is_some();
        match self.success {
            // The kernel prints its command line; our marker is never on it.
            Success::Marker(_) => text(),
            Success::Ordinary => line.trim_ascii_end().ends_with(b" login:") || text(),
            Success::Pattern(regex) => regex.is_match(line),
        }
    }

    fn reach(&mut self, milestone: Milestone, heard: &mut Vec<Heard>) {
        let at = milestone as usize;
        if !std::mem::replace(&mut self.reached[at], true) {
            heard.push(Heard::Milestone(milestone));
        }
    }
}

const POWER_DOWN: &str = "reboot: Power down";

/// What a line of the kernel's or of our init's tells.
#[derive(Clone, Copy)]
enum Word {
    Reached(Milestone),
    Restarts,
    Progress,
    Panic,
    Last,
}

/// The texts that tell it. The earlier one counts where two begin alike; the end of a panic repeats its first line.
const WORDS: &[(&str, Word)] = &[
    ("] Linux version ", Word::Reached(Milestone::Banner)),
    ("smp: Brought up ", Word::Reached(Milestone::Smp)),
    ("Freeing unused kernel ", Word::Reached(Milestone::InitcallsDone)),
    ("as init process", Word::Reached(Milestone::Init)),
    (POWER_DOWN, Word::Reached(Milestone::PowerDown)),
    ("reboot: Restarting system", Word::Restarts),
    ("] kvet-init: ", Word::Progress),
    ("---[ end Kernel panic - not syncing", Word::Last),
    ("Kernel panic - not syncing", Word::Panic),
];

/// All of them at once: a guest that floods its console must not take a processor to listen to.
static FINDER: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(aho_corasick::MatchKind::LeftmostFirst)
        .build(WORDS.iter().map(|(text, _)| text))
        .expect("a few short texts")
});

/// Whether a watchdog reports this, which a guest may still recover from.
fn is_lockup(kind: Kind) -> bool {
    matches!(kind, Kind::SoftLockup | Kind::HardLockup | Kind::RcuStall | Kind::HungTask)
}

/// Whether a boot that reports this has failed, or goes on with a complaint.
fn is_failure(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Warning
            | Kind::Lockdep
            | Kind::Kcsan
            | Kind::Ubsan
            | Kind::Leak
            | Kind::Refcount
            | Kind::SleepingInAtomic
            | Kind::OutOfMemory
            | Kind::Btf
            | Kind::UserSpace
    )
}

/// Removes `[    1.234567] `.
fn strip_stamp(line: &str) -> &str {
    let Some(rest) = line.strip_prefix('[') else { return line };
    let Some((stamp, rest)) = rest.split_once("] ") else { return line };
    if stamp.trim_start().bytes().all(|b| b.is_ascii_digit() || b == b'.') { rest } else { line }
}

/// A line of a console for people: printable text without its time stamp.
pub fn clean_line(line: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).collect();
    strip_stamp(text.trim()).trim().to_owned()
}

/// What explains a report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Diagnosis {
    /// The rule's name.
    pub cause: String,
    /// In a sentence or two.
    pub summary: String,
    /// `certain`, `likely` or `possible`.
    pub confidence: String,
    /// What to do next.
    pub advice: Vec<String>,
}

/// One report of a console.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Said {
    /// The kind, in the words of `kvet-explain/1`.
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// The line that the report begins with.
    pub headline: String,
    /// The function at fault.
    pub function: Option<String>,
    /// Stable over rebuilds and addresses: what boots are grouped by.
    pub signature: String,
    /// Whether a boot that says this has failed; a warning alone is a complaint.
    pub failure: bool,
    /// Its first line in the console, from 1.
    pub line: u64,
    /// Index of the report that it follows from.
    pub cause: Option<usize>,
    /// What explains it.
    pub diagnosis: Option<Diagnosis>,
}

/// What a whole console says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Story {
    /// The reports, the first cause first, each followed by its consequences.
    pub reports: Vec<Said>,
    /// How the log just ends, where nothing in it says why: what a hang is called by.
    pub silence: Option<Said>,
}

/// Reads a whole console of a guest of this emulator.
pub fn story(console: &[u8], emulator: Option<Emulator>) -> Story {
    let log = kvet_console::parse(console);
    let context = Context { text: Text(console), emulator, ..Context::default() };
    let mut story = Story::default();
    let mut places = Vec::new();
    for explained in kvet_explain::explain(&log, &context) {
        let cause = explained.consequence_of.and_then(|c| places.get(c).copied().flatten());
        // That a log ends decides nothing: QEMU says whether the machine reset or stands still.
        let ends = explained.inferred && matches!(explained.report.kind, Kind::Silence | Kind::Reset);
        places.push((!ends).then_some(story.reports.len()));
        let said = said(explained, cause);
        match ends {
            false => story.reports.push(said),
            true => story.silence = story.silence.or(Some(said)),
        }
    }
    story
}

fn said(explained: Explained, cause: Option<usize>) -> Said {
    let diagnosis = explained.diagnosis.map(|d| Diagnosis {
        cause: d.cause.to_owned(),
        summary: d.summary,
        confidence: d.confidence.as_str().to_owned(),
        advice: d.advice,
    });
    Said {
        kind: explained.report.kind.as_str().to_owned(),
        title: explained.title,
        headline: explained.report.headline.clone(),
        function: explained.function,
        signature: explained.signature,
        failure: is_failure(explained.report.kind) || explained.report.panic.is_some(),
        line: explained.report.span.first_line,
        cause,
        diagnosis,
    }
}

/// A line with its numbers folded, so that two boots' last lines compare equal.
pub fn without_numbers(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut number = false;
    for c in strip_stamp(line.trim()).chars() {
        let digit = c.is_ascii_digit();
        if !digit {
            out.push(c);
        } else if !number {
            out.push('N');
        }
        number = digit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moments_of_a_boot_are_heard_once_and_in_pieces() {
        let success = Success::Marker("kvet-init: 77 reached".into());
        let mut listener = Listener::new(&success);
        let log = b"SeaBIOS\r\n[    0.000000] Linux version 6.1.0 (x)\r\n[    0.1] smp: Brought up 1 node, 4 CPUs\r\n\
            [    0.9] Run /init as init process\r\n[    1.0] kvet-init: 77 reached user space\r\n\
            [    1.1] reboot: Power down\r\n";
        let mut heard = Vec::new();
        for piece in log.chunks(7) {
            heard.extend(listener.hear(piece));
        }
        use Milestone as M;
        // The line that says success is also a line of the built-in init.
        let init_spoke = heard.iter().position(|h| *h == Heard::Progress);
        assert_eq!(init_spoke.map(|at| heard.remove(at)), Some(Heard::Progress));
        let expected =
            [M::FirstByte, M::Banner, M::Smp, M::Init, M::Success, M::PowerDown].map(Heard::Milestone);
        assert_eq!(heard, expected);
    }

    #[test]
    fn a_login_prompt_needs_no_newline() {
        let success = Success::Ordinary;
        let mut listener = Listener::new(&success);
        let heard = listener.hear(b"Debian GNU/Linux\r\ndebian login: ");
        assert!(heard.contains(&Heard::Milestone(Milestone::Success)), "{heard:?}");
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let success = Success::Ordinary;
        let mut listener = Listener::new(&success);
        for _ in 0..100 {
            listener.hear(&[b'x'; 4096]);
            assert!(listener.line.len() <= LINE_LIMIT + 4096);
        }
    }

    #[test]
    fn failures_are_told_from_complaints() {
        let success = Success::Ordinary;
        let mut listener = Listener::new(&success);
        let log = b"[    1.000000] WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2\r\n\
            [    2.000000] Kernel panic - not syncing: Attempted to kill init!\r\n";
        let heard: Vec<Heard> = log.chunks(5).flat_map(|piece| listener.hear(piece)).collect();
        let at = |wanted: fn(&Heard) -> bool| heard.iter().position(wanted).expect("heard");
        let complaint = at(|h| matches!(h, Heard::Complaint(_)));
        assert!(complaint < at(|h| matches!(h, Heard::Failure(_))), "{heard:?}");
    }

    #[test]
    fn a_story_has_the_failure_and_a_silent_end() {
        let panic = story(b"[    1.000000] Linux version 6.1.0 (x) #1 SMP\n[    2.000000] Kernel panic - not syncing: oh no\n", None);
        assert_eq!(panic.reports.len(), 1, "{panic:?}");
        assert!(panic.reports[0].failure && panic.reports[0].title.contains("oh no"), "{panic:?}");
        let clean = story(
            b"[    1.000000] Linux version 6.1.0 (x) #1 SMP\n[    2.000000] Run /init as init process\n",
            None,
        );
        assert!(clean.reports.is_empty(), "{clean:?}");
    }

    #[test]
    fn who_ran_the_guest_tells_what_its_log_does_not() {
        let log = b"[    1.000000] Linux version 6.1.0 (x) #1 SMP\n\
            [    2.000000] int3: 0000 [#1] PREEMPT SMP NOPTI\n\
            [    2.000000] CPU: 3 PID: 1 Comm: swapper/0 Not tainted 6.1.0 #8\n\
            [    2.000000] RIP: 0010:__mod_timer+0x1c3/0x370\n\
            [    2.000000] Code: 8b 4f 20 66 <90> f7 c1 00 00 10 00 0f 84 23 01 00 00\n\
            [    2.000000] Kernel panic - not syncing: Fatal exception\n";
        let said_of = |version, parallel| {
            let emulator = Emulator { version: Some(version), translated: true, parallel };
            let diagnosis = story(log, Some(emulator)).reports[0].diagnosis.clone().expect("a diagnosis");
            (diagnosis.cause, diagnosis.summary.contains("older than 8.1, which"))
        };
        assert_eq!(said_of((7, 2), true), ("stale-int3".to_owned(), true));
        assert_eq!(said_of((10, 0), true), ("stale-int3".to_owned(), false));
        assert_eq!(said_of((7, 2), false), ("stale-int3".to_owned(), false));
    }
}
