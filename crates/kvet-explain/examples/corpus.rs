//! Measures kvet on a corpus of logs with expectations: how many crashes are found, how many are claimed where there
//! are none, whether kind and function agree. Every miss is named. Run by `make corpus`.
//!
//! `corpus DIRECTORY [-v]`: the directory holds `syzkaller-linux/` (logs with headers), `mail/` and `console/`. Exit
//! status 0 when the thresholds hold, 1 when not, 2 when there is no corpus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use kvet_console::Kind;
use kvet_explain::{Context, Explained, Text, explain};

/// Shares that must be reached.
const FOUND: f64 = 0.998;
const FUNCTIONS: f64 = 0.95;
const KINDS: f64 = 0.95;

/// What a log's header expects.
#[derive(Default)]
struct Expected {
    title: String,
    /// Functions of TITLE, ALT and FRAME.
    functions: Vec<String>,
    corrupted: bool,
}

/// Titles of what is no failure of the kernel, and what it is instead. They count neither way; each is printed.
const NOT_THE_KERNEL: &[(&str, &str)] = &[
    ("go runtime error", "a program's death"),
    ("SYZFAIL", "a program's death"),
    ("trusty:", "the secure world's"),
    ("WARNING: ath10k USB support", "a driver's advice that begins with WARNING:"),
    ("INFO: corrupted", "the log is the word INFO: and nothing else"),
];

/// Beginnings of titles with the kinds that are right for them.
const KINDS_OF: &[(&str, &[Kind])] = &[
    ("KASAN", &[Kind::Kasan]),
    ("KMSAN", &[Kind::Kmsan]),
    ("KCSAN", &[Kind::Kcsan]),
    ("KFENCE", &[Kind::Kfence]),
    ("UBSAN", &[Kind::Ubsan]),
    ("INFO: rcu detected stall", &[Kind::RcuStall]),
    ("BUG: soft lockup", &[Kind::SoftLockup]),
    ("INFO: task hung", &[Kind::HungTask]),
    ("WARNING: refcount", &[Kind::Refcount, Kind::Warning]),
    ("WARNING: suspicious RCU", &[Kind::Lockdep]),
    ("WARNING: locking", &[Kind::Warning, Kind::Lockdep]),
    ("WARNING: bad unlock", &[Kind::Lockdep]),
    ("WARNING: nested lock", &[Kind::Lockdep, Kind::Warning]),
    ("WARNING: still has", &[Kind::Lockdep]),
    ("WARNING: lock held", &[Kind::Lockdep]),
    ("WARNING", &[Kind::Warning]),
    ("INFO: suspicious RCU", &[Kind::Lockdep]),
    ("INFO: trying to register", &[Kind::Lockdep]),
    ("possible deadlock", &[Kind::Lockdep]),
    ("inconsistent lock", &[Kind::Lockdep]),
    ("BUG: bad unlock", &[Kind::Lockdep]),
    ("BUG: held lock", &[Kind::Lockdep]),
    ("BUG: unable to handle", &[Kind::PageFault]),
    ("BUG: scheduling", &[Kind::SleepingInAtomic]),
    ("BUG: sleeping", &[Kind::SleepingInAtomic]),
    ("BUG: stack guard", &[Kind::StackOverflow]),
    ("kernel stack overflow", &[Kind::StackOverflow]),
    ("BUG", &[Kind::Bug, Kind::Lockdep, Kind::Oops, Kind::Warning, Kind::Slab]),
    ("kernel BUG", &[Kind::Bug]),
    ("general protection", &[Kind::GeneralProtection]),
    ("PANIC: double fault", &[Kind::DoubleFault]),
    ("divide error", &[Kind::Oops]),
    ("int3", &[Kind::Breakpoint]),
    ("memory leak", &[Kind::Leak]),
    ("kernel panic: VFS", &[Kind::Rootfs]),
    ("unexpected kernel reboot", &[Kind::Reset]),
    ("kernel panic", &[Kind::Panic, Kind::StackOverflow]),
    ("Unhandled fault", &[Kind::PageFault, Kind::Oops]),
    ("Internal error", &[Kind::PageFault, Kind::Oops]),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(corpus) = arguments.next().map(PathBuf::from).filter(|path| path.is_dir()) else {
        eprintln!("corpus: there is none: give its directory (make corpus: KVET_CORPUS)");
        return ExitCode::from(2);
    };
    let verbose = arguments.any(|argument| argument == "-v");
    let (logs, mut tally) = (read(&corpus.join("syzkaller-linux")), Tally::default());
    let mut signatures: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (name, bytes) in &logs {
        let (expected, log) = split(bytes);
        let parsed = kvet_console::parse(log);
        let reports = explain(&parsed, &Context { text: Text(log), ..Context::default() });
        tally.add(name, &expected, &reports, verbose);
        if let Some(first) = reports.first().filter(|_| !expected.title.is_empty()) {
            signatures
                .entry(first.signature.clone())
                .or_default()
                .push((name.clone(), expected.title.clone()));
        }
    }
    for directory in ["console", "mail"] {
        for (name, bytes) in read(&corpus.join(directory)) {
            show(&format!("{directory}/{name}"), &bytes, verbose);
        }
    }
    pairs(&signatures, verbose);
    tally.finish()
}

/// Every file of a directory, in order.
fn read(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    names.sort_by_key(|path| {
        path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok())
    });
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    names.into_iter().filter_map(|path| Some((name(&path), std::fs::read(&path).ok()?))).collect()
}

/// The header, and the log between it and the expected report.
fn split(bytes: &[u8]) -> (Expected, &[u8]) {
    let mut expected = Expected::default();
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(end);
        rest = after;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() || rest.is_empty() {
            break;
        }
        match text.split_once(": ") {
            Some(("TITLE", title)) => {
                expected.title = title.to_owned();
                expected.functions.extend(functions(title));
            }
            Some(("ALT", title)) => expected.functions.extend(functions(title)),
            Some(("FRAME", frame)) => expected.functions.push(frame.to_owned()),
            Some(("CORRUPTED", _)) => expected.corrupted = true,
            _ => {}
        }
    }
    let report = memchr::memmem::find(rest, b"\nREPORT:\n");
    (expected, &rest[..report.unwrap_or(rest.len())])
}

/// The functions that a title names: `x in f`, `data-race in a / b`, `WARNING in f/usb_submit_urb`.
fn functions(title: &str) -> Vec<String> {
    let Some((_, named)) = title.rsplit_once(" in ") else { return Vec::new() };
    let is_place = named.contains('[') || named == "unmount" || named.starts_with("fakeName");
    if named.contains("corrupted") || is_place {
        return Vec::new();
    }
    let named = named.split(" at addr").next().unwrap_or(named);
    let split = if named.contains("::") { vec![named] } else { named.split('/').collect() };
    split
        .into_iter()
        .map(|name| name.trim().replace(".part.NUM", ""))
        .filter(|name| !name.is_empty())
        .collect()
}

#[derive(Default)]
struct Tally {
    crashes: u32,
    found: u32,
    clean: u32,
    claimed: u32,
    kinds: u32,
    kinds_right: u32,
    functions: u32,
    functions_right: u32,
    functions_somewhere: u32,
    diagnosed: u32,
}

impl Tally {
    fn add(&mut self, name: &str, expected: &Expected, reports: &[Explained], verbose: bool) {
        let title = expected.title.as_str();
        if let Some((_, why)) = NOT_THE_KERNEL.iter().find(|(start, _)| title.starts_with(start)) {
            let found = reports.first().map_or("nothing".to_owned(), shown);
            println!("uncounted {name}: {title}: {why}; found: {found}");
            return;
        }
        if title.is_empty() {
            self.clean += 1;
            if let Some(report) = reports.first() {
                self.claimed += 1;
                println!("claimed   {name}: {}", shown(report));
            }
            return;
        }
        self.crashes += 1;
        let Some(first) = reports.first() else {
            println!("missed    {name}: {title}");
            return;
        };
        self.found += 1;
        self.diagnosed += u32::from(first.diagnosis.as_ref().is_some_and(|d| d.is_known()));
        if let Some((_, kinds)) = KINDS_OF.iter().find(|(start, _)| title.starts_with(start)) {
            self.kinds += 1;
            if kinds.contains(&first.report.kind) {
                self.kinds_right += 1;
            } else {
                println!("kind      {name}: {title}: {}", shown(first));
            }
        }
        if expected.functions.is_empty() || expected.corrupted {
            return;
        }
        self.functions += 1;
        let right =
            |report: &Explained| report.function.as_ref().is_some_and(|f| expected.functions.contains(f));
        self.functions_somewhere += u32::from(reports.iter().any(right));
        if right(first) {
            self.functions_right += 1;
        } else {
            let frames: Vec<&str> = first
                .report
                .ip
                .iter()
                .chain(&first.report.frames)
                .map(|f| f.function.as_str())
                .take(if verbose { 40 } else { 0 })
                .collect();
            println!("function  {name}: {title}: {} {}", shown(first), frames.join(" "));
        }
    }

    fn finish(&self) -> ExitCode {
        let share = |part: u32, whole: u32| if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) };
        let line = |what: &str, part: u32, whole: u32| {
            println!("{what:40} {part:4} of {whole:4}  {:6.2} %", 100.0 * share(part, whole))
        };
        println!();
        line("crashes found", self.found, self.crashes);
        line("claimed in logs without a crash", self.claimed, self.clean);
        line("kind right", self.kinds_right, self.kinds);
        line("function right (first report)", self.functions_right, self.functions);
        line("function right (any report)", self.functions_somewhere, self.functions);
        line("explained by a rule", self.diagnosed, self.found);
        let good = share(self.found, self.crashes) >= FOUND
            && self.claimed == 0
            && share(self.kinds_right, self.kinds) >= KINDS
            && share(self.functions_right, self.functions) >= FUNCTIONS;
        if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
    }
}

fn shown(report: &Explained) -> String {
    let title = report.title.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
    format!("[{}] {title} (line {})", report.report.kind, report.report.span.first_line)
}

/// How equal titles and equal signatures agree.
fn pairs(signatures: &BTreeMap<String, Vec<(String, String)>>, verbose: bool) {
    let mut by_title: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let (mut same, mut mixed) = (0, 0);
    for (signature, logs) in signatures {
        for (_, title) in logs {
            let known = by_title.entry(title).or_default();
            if !known.contains(&signature.as_str()) {
                known.push(signature);
            }
        }
        let mut titles: Vec<&str> = logs.iter().map(|(_, title)| title.as_str()).collect();
        titles.dedup();
        if titles.len() > 1 {
            mixed += 1;
            if verbose {
                println!("one signature {signature}: {}", titles.join(" | "));
            }
        } else {
            same += 1;
        }
    }
    let split: Vec<_> =
        by_title.iter().filter(|(title, all)| all.len() > 1 && !title.contains("corrupted")).collect();
    for (title, signatures) in &split {
        println!("signature {title}: {}", signatures.join(", "));
    }
    println!(
        "\nsignatures: {same} with one title, {mixed} with several; {} titles with several signatures",
        split.len()
    );
}

/// What is found in a log without expectations.
fn show(name: &str, bytes: &[u8], verbose: bool) {
    let parsed = kvet_console::parse(bytes);
    let reports = explain(&parsed, &Context { text: Text(bytes), ..Context::default() });
    println!("{name}: {} boots, {} reports", parsed.boots.len(), reports.len());
    for (index, report) in reports.iter().enumerate() {
        let follows = report.consequence_of.map_or_else(String::new, |cause| format!(" <- {cause}"));
        println!("  {index}{follows} {} {} {:?}", shown(report), report.signature, report.phase);
        if let Some(diagnosis) = report.diagnosis.as_ref().filter(|_| verbose || report.is_cause()) {
            println!("      {} ({}): {}", diagnosis.cause, diagnosis.confidence.as_str(), diagnosis.summary);
            for evidence in diagnosis.evidence.iter().filter(|_| verbose) {
                let line = evidence.line.as_ref().map_or_else(String::new, |(n, text)| {
                    format!(" [{n}: {}]", text.chars().take(100).collect::<String>())
                });
                println!("        - {}{line}", evidence.says);
            }
        }
    }
}
