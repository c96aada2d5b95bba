//! The forms in which kernels of 2.6.32 to 7.3 and of all large architectures speak of a failure: each is found, is of the
//! right kind, and names the function; however it is dressed (time stamps, caller ids, levels, mail, journal). And what
//! healthy machines say in almost the same words stays unreported.
//!
//! The words are those of the kernel's format strings (named in front of each form), the functions are made up.
#![allow(clippy::unwrap_used)]

use kvet_console::Kind;
use kvet_explain::{Context, Explained, Text, explain};

fn explained(text: &str) -> Vec<Explained> {
    let log = kvet_console::parse(text.as_bytes());
    explain(&log, &Context { text: Text(text.as_bytes()), ..Context::default() })
}

/// A form: the kernel's words, the kind, the function at fault.
#[derive(Clone, Copy)]
struct Form {
    words: &'static str,
    kind: Kind,
    function: Option<&'static str>,
}

const fn form(kind: Kind, function: &'static str, words: &'static str) -> Form {
    Form { words, kind, function: Some(function) }
}

const fn nameless(kind: Kind, words: &'static str) -> Form {
    Form { words, kind, function: None }
}

#[path = "forms/mod.rs"]
mod forms;

/// Ways in which a log shows the kernel's lines.
type Dress = (&'static str, fn(usize, &str) -> String);
const DRESSES: &[Dress] = &[
    ("time stamps", |n, line| format!("[   12.{:06}] {line}", 345_000 + n)),
    ("caller ids", |n, line| format!("[   12.{:06}][  T123] {line}", 345_000 + n)),
    ("levels", |n, line| format!("<4>[   12.{:06}] {line}", 345_000 + n)),
    ("dmesg -T", |_, line| format!("[Sat Nov 21 06:24:12 2026] {line}")),
    ("journal", |_, line| format!("Nov 21 06:24:12 host kernel: {line}")),
    ("quoted twice", |n, line| format!("> > [   12.{:06}] {line}", 345_000 + n)),
    ("carriage returns", |n, line| format!("[   12.{:06}] {line}\r", 345_000 + n)),
    ("netconsole", |n, line| format!("4,{},{},-;{line}", 1000 + n, 12_345_000 + n)),
    ("LAVA", |n, line| {
        format!(
            r#"- {{"dt": "2024-02-20T10:11:12.{n:06}", "lvl": "target", "msg": {}}}"#,
            json(&stamped(n, line))
        )
    }),
    ("lines of JSON", |n, line| {
        format!(r#"{{"ts":"2024-02-20T10:11:12.{n:06}","msg":{},"level":"info"}}"#, json(&stamped(n, line)))
    }),
];

fn stamped(n: usize, line: &str) -> String {
    format!("[   12.{:06}] {line}\r", 345_000 + n)
}

/// A string of JSON.
fn json(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t").replace('\r', "\\r");
    format!("\"{escaped}\"")
}

fn dressed(words: &str, dress: fn(usize, &str) -> String) -> String {
    words.lines().enumerate().map(|(n, line)| dress(n, line) + "\n").collect()
}

#[test]
fn every_form_in_every_dress() {
    let mut wrong = Vec::new();
    for form in forms::FORMS.iter() {
        let headline = form.words.lines().find(|line| line.len() > 8 && !line.contains("cut here")).unwrap();
        for (name, dress) in DRESSES {
            let text = dressed(form.words, *dress);
            let reports = explained(&text);
            let Some(first) = reports.first() else {
                wrong.push(format!("{name}: not found: {headline}"));
                continue;
            };
            if first.report.kind != form.kind {
                wrong.push(format!("{name}: {} instead of {}: {headline}", first.report.kind, form.kind));
            }
            if first.function.as_deref() != form.function {
                let function = first.function.as_deref().unwrap_or("nothing");
                wrong.push(format!("{name}: {function} instead of {:?}: {headline}", form.function));
            }
            if reports.len() != 1 {
                let kinds: Vec<_> = reports.iter().map(|r| r.report.headline.as_str()).collect();
                wrong.push(format!("{name}: {} reports: {headline}: {kinds:?}", reports.len()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_form_between_two_clean_boots_is_still_the_only_one() {
    let boot = dressed(forms::CLEAN, DRESSES[0].1);
    let mut wrong = Vec::new();
    for form in forms::FORMS.iter() {
        let text = format!("{boot}{}", dressed(form.words, DRESSES[0].1));
        let reports = explained(&text);
        if reports.len() != 1 || reports[0].report.kind != form.kind {
            wrong.push(form.words.lines().next().unwrap());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_only_looks_like_a_failure_is_none() {
    let mut wrong = Vec::new();
    for (name, dress) in DRESSES {
        // (A log that is nothing but a banner ends too early, and that is said.)
        for line in forms::CLEAN.lines().skip(1) {
            for one in explained(&dressed(line, *dress)) {
                wrong.push(format!("{name}: {} of {line:?}", one.report.kind));
            }
        }
        for one in explained(&dressed(forms::CLEAN, *dress)) {
            wrong.push(format!("{name}, all: {} of {:?}", one.report.kind, one.report.headline));
        }
    }
    // As a console shows them: user space without any mark.
    for line in forms::USER_SPACE.lines() {
        for one in explained(&format!("[    1.000000] Run /sbin/init as init process\n{line}\nnext\n")) {
            wrong.push(format!("user space: {} of {line:?}", one.report.kind));
        }
    }
    for one in explained(&format!("[    1.000000] Run /sbin/init as init process\n{}", forms::USER_SPACE)) {
        wrong.push(format!("user space, all: {} of {:?}", one.report.kind, one.report.headline));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_asked_for_is_no_failure() {
    let mut wrong = Vec::new();
    for words in forms::ASKED_FOR {
        for (name, dress) in DRESSES {
            for one in explained(&dressed(words, *dress)) {
                wrong.push(format!("{name}: {} of {:?}", one.report.kind, one.report.headline));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Two headlines of one failure: the second follows from the first.
#[test]
fn a_complaint_and_what_it_is_made_with() {
    for (said, made) in forms::PAIRS {
        let reports = explained(&dressed(&format!("{said}\n{made}"), DRESSES[0].1));
        let related: Vec<_> = reports.iter().map(|one| one.consequence_of).collect();
        assert_eq!(related, [None, Some(0)], "{said}");
    }
}

/// xorshift64*: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % n.max(1)
    }
}

/// Damages a log: bytes, lines, numbers, other forms in between.
fn damage(log: &mut Vec<u8>, random: &mut Random) {
    const PIECES: &[&str] = &[
        "\n",
        "\r",
        "\0",
        "> ",
        "[    1.000000] ",
        "[   12.345678][  C1] ",
        "+0x",
        "ffffffffffffffff",
        "0x",
        "-1",
        "99999999999999999999",
        " [inline]",
        "Call Trace:\n",
        "RIP: 0010:",
        "Code: ",
        "CPU: 4294967296 ",
        "\u{fffd}",
        "é",
        "[#1]",
        "<TASK>",
        "Kernel panic - not syncing: x",
    ];
    let at = random.below(log.len() + 1).min(log.len());
    let end = (at + random.below(120)).min(log.len());
    match random.below(7) {
        0 if at < log.len() => log[at] = u8::try_from(random.below(256)).unwrap_or(0),
        1 => drop(log.drain(at..end)),
        2 => {
            let piece = log[at..end].to_vec();
            log.splice(at..at, piece);
        }
        3 | 4 => drop(log.splice(at..at, PIECES[random.below(PIECES.len())].bytes())),
        5 => {
            let other = forms::FORMS[random.below(forms::FORMS.len())].words;
            let dress = DRESSES[random.below(DRESSES.len())].1;
            drop(log.splice(at..at, dressed(other, dress).into_bytes()));
        }
        _ => log.truncate(at),
    }
}

/// Whatever stands in a log, it is explained without a panic, and what is said holds together. KVET_ROUNDS makes it run
/// longer than a test should.
#[test]
fn damaged_forms_are_explained() {
    let rounds = std::env::var("KVET_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(4_000);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut found = 0usize;
    for round in 0..rounds {
        let form = &forms::FORMS[random.below(forms::FORMS.len())];
        let mut log = dressed(form.words, DRESSES[random.below(DRESSES.len())].1).into_bytes();
        for _ in 0..1 + random.below(6) {
            damage(&mut log, &mut random);
        }
        let parsed = kvet_console::parse(&log);
        let reports = explain(&parsed, &Context { text: Text(&log), ..Context::default() });
        assert!(reports.len() >= parsed.reports.len(), "round {round}: a report is lost");
        for (index, one) in reports.iter().enumerate() {
            assert!(
                one.consequence_of.is_none_or(|cause| cause < index),
                "round {round}: a cause after its consequence"
            );
            assert!(
                !one.title.is_empty() && !one.signature.is_empty(),
                "round {round}: no title or no signature"
            );
            for evidence in one.diagnosis.iter().flat_map(|d| &d.evidence) {
                let in_log = evidence.line.as_ref().is_none_or(|(n, _)| *n >= 1 && *n <= parsed.lines.max(1));
                assert!(in_log, "round {round}: evidence outside the log: {evidence:?}");
            }
        }
        found += reports.len();
    }
    assert!(found > rounds / 2, "damage does not hide most reports: {found} of {rounds}");
}
