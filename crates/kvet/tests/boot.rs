//! `kvet boot`, `kvet runs` and `kvet report` as commands, with a QEMU that is a script.

mod common;

use std::path::Path;

use common::{Files, Said, kernel, kvet, run};
use serde_json::Value;

/// A QEMU whose guest does what `behaviour` says; `say` writes to the console and `event` to QMP.
fn qemu(files: &Files, name: &str, behaviour: &str) -> String {
    let script = format!(
        r#"#!/usr/bin/env bash
for arg; do
    case $arg in
        --version) echo 'QEMU emulator version 9.9.9 (fake)'; exit 0;;
        file,id=kvet-serial,path=/proc/self/fd/*) serial=${{arg##*/}};;
        socket,id=kvet-qmp,fd=*) qmp=${{arg##*=}};;
        /proc/self/fd/*) initrd=$arg;;
    esac
done
say() {{ printf '%s\r\n' "$@" >&"$serial"; }}
event() {{ printf '{{"event": "%s", "data": {{"reason": "%s"}}}}\r\n' "$1" "$2" >&"$qmp"; }}
marker() {{ say "$(grep -aoE 'kvet-init: [0-9a-f-]+ reached user space' "$initrd")"; }}
pass() {{ marker; event SHUTDOWN guest-shutdown; read -r -u "$qmp"; exec sleep 60; }}
printf '{{"QMP": {{}}}}\r\n' >&"$qmp"
{behaviour}
"#
    );
    files.program(name, &script)
}

/// Every third boot panics: a counter in a file says which it is. Boots run one at a time.
const EVERY_THIRD: &str = r#"
n=$(cat "$0.count" 2>/dev/null || echo 0); echo $((n + 1)) >"$0.count"
say '[    0.000000] Linux version 6.1.0-test'
if [ $((n % 3)) = 2 ]; then say '[    1.000000] Kernel panic - not syncing: <b>oh & no</b>'; exit 0; fi
pass"#;

struct Lab {
    files: Files,
    kernel: String,
    store: String,
}

impl Lab {
    fn new() -> Lab {
        let files = Files::new();
        let kernel = files.write("vmlinux", &kernel("f", false));
        let store = files.path("store.sqlite").to_str().expect("UTF-8").to_owned();
        Lab { files, kernel, store }
    }

    fn boot(&self, qemu: &str, more: &[&str]) -> Said {
        let mut args =
            vec!["boot", &self.kernel, "--qemu", qemu, "--accel", "tcg", "--store", &self.store, "-j", "1"];
        args.extend(more);
        run(&args)
    }

    fn runs(&self, args: &[&str]) -> Said {
        let mut all = vec!["runs", "--store", &self.store];
        all.extend(args);
        run(&all)
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", said.stdout, said.stderr))
}

#[test]
fn the_json_is_the_contract() {
    let lab = Lab::new();
    let said = lab.boot(&qemu(&lab.files, "qemu", EVERY_THIRD), &["-n", "6", "--format", "json"]);
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    let document = json(&said);
    assert_eq!(document["schema"], "kvet-boot/1");
    assert_eq!(document["boots"], 6);
    assert_eq!(
        document["outcomes"],
        serde_json::json!({"passed": 4, "failed": 2, "hung": 0, "starved": 0, "emulator": 0})
    );
    let rate = &document["rate"];
    assert_eq!(
        (&rate["failures"], &rate["boots"], &rate["confidence"]),
        (&2.into(), &6.into(), &0.95.into())
    );
    assert!(
        rate["low"].as_f64() < rate["estimate"].as_f64() && rate["estimate"].as_f64() < rate["high"].as_f64()
    );
    let clusters = document["clusters"].as_array().expect("a list");
    assert_eq!((clusters.len(), &clusters[0]["count"]), (1, &2.into()));
    for key in ["signature", "title", "diagnosis", "logs"] {
        assert!(clusters[0].get(key).is_some(), "{key}");
    }
    assert_eq!(clusters[0]["logs"], serde_json::json!(["1.2", "1.5"]));
    for key in ["campaign", "machine", "kernel", "wall_s", "boots_per_hour"] {
        assert!(!document[key].is_null(), "{key}");
    }
}

#[test]
fn people_get_a_rate_with_its_interval_and_what_to_do_next() {
    let lab = Lab::new();
    let said = lab.boot(&qemu(&lab.files, "qemu", EVERY_THIRD), &["-n", "3"]);
    assert!(said.stdout.contains("fails: 1 of 3 boots: 33 % (0.84 % to 91 %)"), "{}", said.stdout);
    assert!(said.stdout.contains("next: kvet runs show 1.2 --store"), "{}", said.stdout);
    let shown = lab.runs(&["show", "1.2"]);
    assert!(shown.stdout.contains("Kernel panic - not syncing"), "{}", shown.stdout);
    let raw = lab.runs(&["show", "1.2", "--raw"]);
    assert!(raw.stdout.ends_with("Kernel panic - not syncing: <b>oh & no</b>\r\n"), "{}", raw.stdout);
}

#[test]
fn git_bisect_run_understands_the_exit_status() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good", "pass");
    let bad = qemu(&lab.files, "bad", "say '[    1.000000] Kernel panic - not syncing: x'; exit 0");
    let refuses = qemu(&lab.files, "refuses", "echo no >&2; exit 1");
    assert_eq!(lab.boot(&good, &["--git-bisect", "-n", "2"]).status, Some(0));
    let said = lab.boot(&bad, &["--git-bisect", "-n", "5"]);
    assert_eq!(said.status, Some(1));
    assert!(said.stdout.contains("1 of 1 boot"), "one failure is enough: {}", said.stdout);
    assert_eq!(lab.boot(&refuses, &["--git-bisect"]).status, Some(125));
}

#[test]
fn stop_rules_stop() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good", "pass");
    let said = lab.boot(&good, &["--until-confident", "0.4@95%", "--format", "json"]);
    let document = json(&said);
    assert_eq!((&document["boots"], &document["answer"]), (&6.into(), &"confident".into()));
    let third = qemu(&lab.files, "third", EVERY_THIRD);
    let said = lab.boot(&third, &["--until", "failure", "--format", "json"]);
    assert_eq!(json(&said)["boots"], 3);
}

#[test]
fn machines_are_interleaved_and_the_factor_is_named() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good", "pass");
    let bad = qemu(
        &lab.files,
        "bad",
        "case $* in *panics*) say '[    1.000000] Kernel panic - not syncing: x'; exit 0;; *) pass;; esac",
    );
    let said = lab.boot(&bad, &["-n", "16", "--append", "quiet", "--append", "panics", "--smp", "1,2"]);
    assert!(said.stdout.contains("explains it: append panics fails 100 %"), "{}", said.stdout);
    lab.boot(&good, &["-n", "8"]);
    let compared = lab.runs(&["compare", "1", "2"]);
    assert_eq!(compared.status, Some(1), "{}", compared.stdout);
    assert!(compared.stdout.contains("different: the rates differ"), "{}", compared.stdout);
    let same = lab.runs(&["compare", "2", "2"]);
    assert_eq!(same.status, Some(0));
    assert!(same.stdout.contains("not shown:"), "{}", same.stdout);
}

#[test]
fn a_campaign_is_gone_on_with_and_a_boot_had_again() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good", "pass");
    lab.boot(&good, &["-n", "2"]);
    let resumed = run(&["boot", "--resume", "1", "--store", &lab.store, "-n", "5", "--format", "json"]);
    let document = json(&resumed);
    assert_eq!((&document["boots"], &document["boots_this_session"]), (&5.into(), &3.into()));
    let replayed = run(&["boot", "--replay", "1.3", "--store", &lab.store, "--format", "json"]);
    let document = json(&replayed);
    assert_eq!((&document["campaign"], &document["boots"]), (&2.into(), &1.into()), "{}", replayed.stderr);
    // Another kernel under the same name is not the recorded one.
    lab.files.write("vmlinux", &kernel("another", false));
    let refused = run(&["boot", "--resume", "1", "--store", &lab.store, "-n", "6"]);
    assert_eq!(refused.status, Some(2));
    assert!(refused.stderr.contains("is not the recorded kernel"), "{}", refused.stderr);
}

#[test]
fn an_export_has_all_that_is_needed() {
    let lab = Lab::new();
    lab.boot(&qemu(&lab.files, "qemu", EVERY_THIRD), &["-n", "3"]);
    let export = lab.runs(&["export", "1"]);
    let lines: Vec<Value> =
        export.stdout.lines().map(|l| serde_json::from_str(l).expect("an object a line")).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[2]["run"], &lines[2]["result"]["outcome"]), (&"1.2".into(), &"failed".into()));
    for key in ["kernel", "machine", "qemu_version", "qemu_sha256", "command_line", "host"] {
        assert!(!lines[0][key].is_null(), "{key}");
    }
    assert_eq!(lines[0]["kernel"]["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn the_page_is_one_file_and_escapes_the_guest() {
    let lab = Lab::new();
    lab.boot(&qemu(&lab.files, "qemu", EVERY_THIRD), &["-n", "3"]);
    let page = run(&["report", "1", "--store", &lab.store, "-o", "-"]);
    assert_eq!(page.status, Some(0), "{}", page.stderr);
    let html = &page.stdout;
    assert!(
        html.contains("&lt;b&gt;oh &amp; no&lt;/b&gt;") && !html.contains("<b>oh"),
        "the guest's text is text"
    );
    for outside in ["http://", "https://", "<script", "<link", "<img"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(html.contains("prefers-color-scheme: dark"));
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
}

#[test]
fn junit_has_a_case_a_boot() {
    let lab = Lab::new();
    let said = lab.boot(&qemu(&lab.files, "qemu", EVERY_THIRD), &["-n", "3", "--format", "junit"]);
    assert!(said.stdout.contains(r#"tests="3" skipped="0" errors="0" failures="1""#), "{}", said.stdout);
}

#[test]
fn what_cannot_be_done_is_said() {
    let lab = Lab::new();
    let missing = run(&["boot", &lab.kernel, "--qemu", "/nonexistent/qemu", "--store", &lab.store]);
    assert_eq!(missing.status, Some(2));
    assert!(missing.stderr.contains("/nonexistent/qemu: not found; install QEMU"), "{}", missing.stderr);
    let nowhere = run(&["boot", &lab.kernel, "--store", "/proc/nowhere/store"]);
    assert_eq!(nowhere.status, Some(2));
    assert!(nowhere.stderr.contains("the store cannot be opened"), "{}", nowhere.stderr);
    let refuses = qemu(&lab.files, "refuses", "echo 'unable to find CPU model' >&2; exit 1");
    let said = lab.boot(&refuses, &["-n", "100"]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("QEMU refuses this machine: unable to find CPU model"), "{}", said.stderr);
    let empty = run(&["runs", "--store", lab.files.path("none").to_str().expect("UTF-8")]);
    assert!(empty.stderr.contains("there is no store yet"), "{}", empty.stderr);
}

/// A process of that name and file that still runs.
fn alive(script: &str) -> bool {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().any(|e| {
        let line = std::fs::read(e.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(script)
    })
}

#[test]
fn kill_9_at_random_moments_loses_no_finished_boot_and_leaves_no_qemu() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good-but-killed", "pass");
    let mut before = 0;
    // A few here; KVET_KILLS=100 for a long run.
    let rounds = std::env::var("KVET_KILLS").map_or(12, |kills| kills.parse().expect("a number"));
    for round in 0..rounds {
        let mut command = match round {
            0 => kvet(&[
                "boot",
                &lab.kernel,
                "--qemu",
                &good,
                "--accel",
                "tcg",
                "--store",
                &lab.store,
                "-n",
                "100000",
                "-j",
                "2",
            ]),
            _ => kvet(&["boot", "--resume", "1", "--store", &lab.store]),
        };
        let mut child = command
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("kvet starts");
        std::thread::sleep(std::time::Duration::from_millis(900 + round * 97 % 300));
        child.kill().expect("killed");
        child.wait().expect("ended");
        let export = lab.runs(&["export", "1"]);
        assert_eq!(export.status, Some(0), "{}", export.stderr);
        let mut numbers: Vec<u64> = export
            .stdout
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).expect("whole")["boot"].as_u64().expect("a number"))
            .collect();
        numbers.sort_unstable();
        assert!(numbers.len() as u64 >= before, "boots are never lost");
        before = numbers.len() as u64;
        // Two guests at once: at most one number below the greatest was still under way.
        let holes = numbers.last().map_or(0, |last| last + 1 - before);
        assert!(holes <= 1, "round {round}: {holes} holes in {numbers:?}");
    }
    assert!(before > 0, "some boots came to their end");
    // The kernel has killed them before kvet was waited for, or does so at once.
    for _ in 0..50 {
        if !alive("good-but-killed") {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("a QEMU has outlived kvet");
}

#[test]
fn the_store_is_made_where_it_is_wanted() {
    let lab = Lab::new();
    let good = qemu(&lab.files, "good", "pass");
    let deep = lab.files.path("a/b/c.sqlite");
    let said = run(&[
        "boot",
        &lab.kernel,
        "--qemu",
        &good,
        "--accel",
        "tcg",
        "--store",
        deep.to_str().expect("UTF-8"),
    ]);
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(Path::new(&deep).is_file());
}
