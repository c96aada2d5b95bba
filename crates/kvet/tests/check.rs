//! `kvet check` as its users meet it: arguments, exit status, output, and files that mean harm.

mod common;

use std::io::Read;
use std::process::Stdio;

use common::{Files, kernel, kvet, module, run};

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("stdout is one JSON document")
}

#[test]
fn a_clean_kernel_is_0_and_says_what_was_proved() {
    let files = Files::new();
    let said = run(&["check", &files.write("vmlinux", &kernel("f", false))]);
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    assert!(said.stdout.contains("jump-labels        1"), "{}", said.stdout);
    assert!(said.stdout.contains("6.1.0-test"), "{}", said.stdout);
    assert!(said.stdout.lines().last().is_some_and(|l| l.starts_with("next: ")), "{}", said.stdout);
}

#[test]
fn a_broken_kernel_is_1_and_says_what_it_will_do() {
    let files = Files::new();
    let path = files.write("vmlinux", &kernel("f", true));
    let said = run(&["check", &path]);
    assert_eq!((said.status, said.stderr.as_str()), (Some(1), ""), "{}", said.stdout);
    for words in
        ["error[jump-labels/", "f+0x0/", ".text", "eb 06", "at boot:", "unexpected op at f+0x0/", "next: "]
    {
        assert!(said.stdout.contains(words), "{words} is missing:\n{}", said.stdout);
    }

    let said = run(&["check", "--format", "json", &path]);
    assert_eq!(said.status, Some(1));
    let document = json(&said.stdout);
    let finding = &document["artefacts"][0]["findings"][0];
    assert_eq!(document["schema"], "kvet-check/1");
    assert_eq!((&finding["severity"], &finding["index"]), (&"error".into(), &0.into()));
    assert_eq!(finding["address"], "0xffffffff81000000");
    assert_eq!(finding["section"], ".text");
    assert_eq!(finding["fatal"], true);
}

#[test]
fn every_format_is_well_formed_and_keeps_the_status() {
    let files = Files::new();
    let path = files.write("vmlinux", &kernel("f", true));
    let sarif = run(&["check", "--format", "sarif", &path]);
    assert_eq!(sarif.status, Some(1));
    let document = json(&sarif.stdout);
    assert_eq!(document["version"], "2.1.0");
    assert_eq!(document["runs"][0]["results"][0]["level"], "error");
    let junit = run(&["check", "--format", "junit", &path]);
    assert_eq!(junit.status, Some(1));
    assert!(junit.stdout.starts_with("<?xml") && junit.stdout.contains("<failure "), "{}", junit.stdout);
}

#[test]
fn one_unreadable_artefact_does_not_stop_the_others_and_2_wins() {
    let files = Files::new();
    let broken = files.write("b", &kernel("f", true));
    let text = files.write("a", b"this is no kernel at all");
    let empty = files.write("empty", b"");
    let absent = files.path("absent");
    let absent = absent.to_str().expect("UTF-8");
    let said = run(&["check", "--format", "json", &text, &broken, &empty, absent]);
    assert_eq!(said.status, Some(2));
    let document = json(&said.stdout);
    let errors: Vec<bool> = (0..4).map(|i| document["artefacts"][i]["error"].is_string()).collect();
    assert_eq!(errors, [true, false, true, true], "{}", said.stdout);
    assert_eq!(document["artefacts"][1]["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["summary"]["unreadable"], 3);
    assert_eq!(said.stderr.lines().count(), 3, "{}", said.stderr);
    for path in [&text, &empty, absent] {
        let line = said.stderr.lines().find(|l| l.contains(path)).expect("a line an unreadable file");
        assert!(line.starts_with("kvet: "), "{line}");
    }
}

#[test]
fn damaged_files_get_a_sentence_and_no_panic() {
    let files = Files::new();
    let whole = kernel("f", false);
    for cut in [1, 16, 63, 64, 65, whole.len() / 2, whole.len() - 1] {
        let said = run(&["check", &files.write("cut", &whole[..cut])]);
        assert_eq!(said.status, Some(2), "cut at {cut}: {}", said.stdout);
        assert!(said.stderr.starts_with("kvet: ") && !said.stderr.contains("panicked"), "{}", said.stderr);
    }
    let mut other = whole.clone();
    other[18] = 243;
    let said = run(&["check", &files.write("riscv", &other)]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("another architecture"), "{}", said.stderr);
}

/// A kernel in which no table is found must not pass: nothing was proved of it.
#[test]
fn a_kernel_without_tables_is_2() {
    let files = Files::new();
    let mut bytes = kernel("f", false);
    // The boundary symbols lose their names.
    for at in 0..bytes.len() - 12 {
        if bytes[at..].starts_with(b"__start___j") || bytes[at..].starts_with(b"__stop___ju") {
            bytes[at] = b'x';
        }
    }
    let said = run(&["check", &files.write("vmlinux", &bytes)]);
    assert_eq!(said.status, Some(2), "{}", said.stdout);
    assert!(said.stderr.contains("nothing is proved"), "{}", said.stderr);
}

#[test]
fn a_directory_is_searched_and_its_kernel_serves_its_modules() {
    let files = Files::new();
    files.write("d/vmlinux", &kernel("f", false));
    files.write("d/net/b.ko", &module("6.1.0-test"));
    files.write("d/a.ko", &module("6.1.0-other"));
    files.write("d/notes.txt", b"not looked at");
    let directory = files.path("d");
    let said = run(&["check", "--format", "json", directory.to_str().expect("UTF-8")]);
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    let document = json(&said.stdout);
    let names: Vec<&str> = (0..3)
        .map(|i| {
            document["artefacts"][i]["path"].as_str().expect("a path").rsplit('/').next().expect("a name")
        })
        .collect();
    assert_eq!(names, ["a.ko", "b.ko", "vmlinux"]);
    assert_eq!(document["artefacts"][0]["kernel"], serde_json::Value::Null, "another release");
    assert_eq!(document["artefacts"][1]["kernel"]["chosen"], "same release");
    assert_eq!(document["summary"]["modules"], 2);
    assert_eq!(document["summary"]["kernels"], 1);
}

#[test]
fn an_empty_directory_is_2_and_says_what_was_looked_for() {
    let files = Files::new();
    let said = run(&["check", files.root().to_str().expect("UTF-8")]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("no kernel and no module"), "{}", said.stderr);
    assert!(said.stderr.contains("vmlinuz*"), "{}", said.stderr);
}

#[test]
fn a_given_kernel_must_be_readable_and_a_kernel() {
    let files = Files::new();
    let a_module = files.write("a.ko", &module("6.1.0-test"));
    for bad in [&a_module, "/nonexistent/vmlinux"] {
        let said = run(&["check", "--kernel", bad, &a_module]);
        assert_eq!((said.status, said.stdout.as_str()), (Some(2), ""));
        assert!(said.stderr.contains("--kernel"), "{}", said.stderr);
    }
    let vmlinux = files.write("vmlinux", &kernel("f", false));
    let said = run(&["check", "--format", "json", "--kernel", &vmlinux, &a_module]);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert_eq!(json(&said.stdout)["artefacts"][0]["kernel"]["chosen"], "given");
}

#[test]
fn a_debug_file_of_another_build_is_refused() {
    let files = Files::new();
    let path = files.write("vmlinux", &kernel("f", false));
    let debug = files.write("vmlinux.debug", &kernel("g", false));
    let said = run(&["check", "--debug", &debug, &path]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("build id"), "{}", said.stderr);
    // One that belongs to nothing here was given in error.
    let said = run(&["check", "--debug", &debug, &files.write("a.ko", &module("6.1.0-test"))]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("no such artefact"), "{}", said.stderr);
}

#[test]
fn names_out_of_a_file_never_reach_the_terminal_raw() {
    let files = Files::new();
    let path = files.write("vm\x1b]0;owned\x07linux", &kernel("f\x1b[31m\u{202e}\u{9b}2J", true));
    for format in ["human", "json", "sarif", "junit"] {
        let said = run(&["check", "--format", format, "--color", "never", &path]);
        assert_eq!(said.status, Some(1), "{format}");
        let bad = said.stdout.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{format}: {}", said.stdout);
    }
    let said = run(&["check", &files.write("no\x1b[2Jkernel", b"text")]);
    assert!(!said.stderr.contains('\x1b'), "{:?}", said.stderr);
}

#[test]
fn colour_is_for_terminals_and_can_be_asked_for() {
    let files = Files::new();
    let path = files.write("vmlinux", &kernel("f", true));
    assert!(!run(&["check", &path]).stdout.contains('\x1b'), "a pipe is no terminal");
    assert!(run(&["check", "--color", "always", &path]).stdout.contains("\x1b["));
    let colour = |name: &str, args: &[&str]| {
        let output = kvet(args).arg(&path).env(name, "1").output().expect("kvet starts");
        output.stdout.contains(&0x1b)
    };
    assert!(!colour("NO_COLOR", &["check"]));
    assert!(colour("CLICOLOR_FORCE", &["check"]));
    assert!(colour("NO_COLOR", &["check", "--color=always"]), "an option is stronger than the environment");
    assert!(!colour("CLICOLOR_FORCE", &["check", "--format", "json"]));
}

#[test]
fn a_reader_who_leaves_early_is_no_error() {
    let files = Files::new();
    // More output than any pipe holds.
    for i in 0..400 {
        files.write(&format!("d/{i:03}.vmlinux"), &kernel("f", true));
    }
    let directory = files.path("d");
    let mut child = kvet(&["check", "--format", "json", directory.to_str().expect("UTF-8")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kvet starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    let mut first = [0; 16];
    stdout.read_exact(&mut first).expect("it writes something");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "a broken pipe is quiet");
    assert_eq!(output.status.code(), Some(2), "not everything was looked at");
}

#[test]
fn standard_input_is_an_artefact_too() {
    let files = Files::new();
    let path = files.write("vmlinux", &kernel("f", true));
    let stdin = std::fs::File::open(path).expect("the file");
    let output = kvet(&["check", "--format", "json", "-"]).stdin(stdin).output().expect("kvet starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&String::from_utf8_lossy(&output.stdout))["artefacts"][0]["path"], "-");
}

#[test]
fn usage_errors_are_2_and_help_is_0() {
    assert_eq!(run(&["check", "--format", "xml"]).status, Some(2));
    assert_eq!(run(&["frobnicate"]).status, Some(2));
    assert_eq!(run(&[]).status, Some(2));
    assert_eq!(run(&["check", "--help"]).status, Some(0));
    let version = run(&["--version"]);
    assert!(version.stdout.starts_with(concat!("kvet ", env!("CARGO_PKG_VERSION"))), "{}", version.stdout);
}

#[test]
fn completions_and_manual_come_from_the_one_definition() {
    for shell in ["bash", "zsh", "fish"] {
        let said = run(&["completions", shell]);
        assert_eq!(said.status, Some(0));
        assert!(said.stdout.contains("deny-warnings"), "{shell}");
    }
    assert!(run(&["man"]).stdout.contains(".TH kvet 1"));
    let files = Files::new();
    assert_eq!(run(&["man", files.root().to_str().expect("UTF-8")]).status, Some(0));
    let page = std::fs::read_to_string(files.path("kvet-check.1")).expect("a page a command");
    assert!(page.contains("max\\-findings"), "{page}");
}
