//! The forms in which kernels of 4.4 to 7.3 and of all large architectures speak of a failure: each is found, is of the
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
];

fn dressed(words: &str, dress: fn(usize, &str) -> String) -> String {
    words.lines().enumerate().map(|(n, line)| dress(n, line) + "\n").collect()
}

#[test]
fn every_form_in_every_dress() {
    let mut wrong = Vec::new();
    for form in forms::FORMS {
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
    for form in forms::FORMS {
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
