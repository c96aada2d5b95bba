//! `kvet bisect` as a command: git histories and configurations made here, builds that are a copy, and verdicts that
//! come only sometimes, but in the same order every time.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::Files;
use serde_json::Value;

/// A verdict that depends only on what was seen before: with the failure in the kernel, every third run fails,
/// counted by the lines of the journal.
const EVERY_THIRD: &str = r#"n=$(wc -l <"$STATE/journal.jsonl"); grep -q broken "$KVET_KERNEL" && [ $((n * 7 % 3)) = 1 ] && exit 1; exit 0"#;

struct Lab {
    files: Files,
    repository: PathBuf,
}

fn git(place: &Path, words: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(place)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Lab {
    /// `commits` commits on top of a good one; from `culprit` on the text holds the failure.
    fn new(commits: usize, culprit: usize) -> Lab {
        let files = Files::new();
        let repository = files.path("linux");
        fs::create_dir_all(&repository).expect("a directory");
        git(&repository, &["init", "-q"]);
        let lab = Lab { files, repository };
        lab.commit("a good one", "0\n");
        git(&lab.repository, &["tag", "good"]);
        for i in 1..=commits {
            let text = if i >= culprit { format!("{i}\nbroken\n") } else { format!("{i}\n") };
            lab.commit(&format!("change {i}"), &text);
        }
        git(&lab.repository, &["tag", "bad"]);
        lab
    }

    fn commit(&self, subject: &str, text: &str) {
        fs::write(self.repository.join("kernel.c"), text).expect("a file");
        git(&self.repository, &["add", "-A"]);
        git(&self.repository, &["commit", "-qm", subject]);
    }

    fn command(&self, state: &str, run: &str, more: &[&str]) -> Command {
        let state = self.files.path(state);
        let mut command = Command::new(env!("CARGO_BIN_EXE_kvet"));
        command
            .args([
                "bisect",
                "commits",
                "good..bad",
                "--build",
                "cp kernel.c vmlinux",
                "--artefact",
                "vmlinux",
            ])
            .args(["--build-cost", "5", "--format", "json", "--run", run])
            .arg("--repository")
            .arg(&self.repository)
            .arg("--state")
            .arg(&state)
            .args(more)
            .env("STATE", &state)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .stdin(Stdio::null());
        command
    }

    fn search(&self, state: &str, run: &str, more: &[&str]) -> (Value, Option<i32>, String) {
        let output = self.command(state, run, more).output().expect("kvet runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (document, output.status.code(), stderr)
    }

    fn journal(&self, state: &str) -> String {
        fs::read_to_string(self.files.path(state).join("journal.jsonl")).unwrap_or_default()
    }
}

/// Without the times, which no two sessions share.
fn timeless(journal: &str) -> Vec<Value> {
    fn strip(value: &mut Value) {
        if let Value::Object(fields) = value {
            fields.remove("seconds");
            fields.remove("cached");
            fields.values_mut().for_each(strip);
        }
    }
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).expect("a line is JSON");
        strip(&mut value);
        value
    };
    journal.lines().map(line).collect()
}

#[test]
fn the_commit_is_found_when_it_fails_in_a_third_of_the_runs() {
    let lab = Lab::new(40, 23);
    let mail = lab.files.path("mail");
    let (document, status, stderr) =
        lab.search("state", EVERY_THIRD, &["--mail", mail.to_str().expect("UTF-8")]);
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(document["schema"], "kvet-bisect/1");
    let answer = &document["answer"];
    assert!(answer["culprits"][0].as_str().expect("a name").ends_with(" change 23"), "{answer}");
    assert_eq!(answer["culprits"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["confirmed"], true);
    assert!(answer["probability"].as_f64().expect("a number") >= 0.95, "{answer}");
    let hash = git(&lab.repository, &["rev-parse", "bad~17"]);
    assert_eq!(answer["links"][0]["id"], hash.as_str());
    // Far fewer builds than candidates, and none twice.
    let builds = document["spent"]["builds"].as_u64().expect("a number");
    assert!((3..=10).contains(&builds), "{builds} builds");
    let mail = fs::read_to_string(mail).expect("a mail");
    assert!(mail.contains(&format!("#regzbot introduced: {hash}")), "{mail}");
    assert!(stderr.lines().any(|l| l.contains("to come; ")), "a line a step: {stderr}");
}

#[test]
fn a_search_goes_on_from_wherever_it_was_killed() {
    let lab = Lab::new(12, 5);
    let (_, status, stderr) = lab.search("whole", EVERY_THIRD, &[]);
    assert_eq!(status, Some(1), "{stderr}");
    let whole = lab.journal("whole");
    // The verdicts count the lines of the journal, so that a journal cut anywhere must grow into the same one.
    let expected = timeless(&whole);
    assert!(expected.len() > 15, "{whole}");
    let ends: Vec<usize> = whole.match_indices('\n').map(|(at, _)| at + 1).collect();
    for (k, &end) in ends.iter().enumerate() {
        // Every other one in the middle of the next line, as a crash leaves it.
        let cut = if k % 2 == 1 && k + 1 < ends.len() { end + 7 } else { end };
        let state = format!("cut{k}");
        fs::create_dir_all(lab.files.path(&state)).expect("a directory");
        let text = whole[..cut].to_owned();
        fs::write(lab.files.path(&state).join("journal.jsonl"), text).expect("a journal");
        // What was built is there, as it would be.
        copy(&lab.files.path("whole/artefacts"), &lab.files.path(&format!("{state}/artefacts")));
        let (document, status, stderr) = lab.search(&state, EVERY_THIRD, &["--resume"]);
        assert_eq!(status, Some(1), "cut after {k} lines: {stderr}");
        assert_eq!(timeless(&lab.journal(&state)), expected, "cut after {k} lines");
        assert!(document["answer"]["culprits"][0].as_str().expect("a name").ends_with(" change 5"));
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::create_dir_all(to).expect("a directory");
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

#[test]
fn killed_with_sigkill_again_and_again_it_ends_with_the_same_answer() {
    let lab = Lab::new(12, 5);
    let (_, _, _) = lab.search("whole", EVERY_THIRD, &[]);
    let expected = timeless(&lab.journal("whole"));
    let mut kills = 0;
    loop {
        let lines = lab.journal("killed").lines().count();
        let more: &[&str] = if lines > 0 { &["--resume"] } else { &[] };
        let mut child = lab
            .command("killed", EVERY_THIRD, more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("kvet runs");
        // Two more lines are let pass, then it is killed: sooner or later everywhere.
        let ended = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break Some(status);
            }
            if lab.journal("killed").lines().count() >= lines + 2 {
                child.kill().expect("a kill");
                child.wait().expect("a child");
                break None;
            }
            std::thread::sleep(Duration::from_micros(200));
        };
        match ended {
            Some(status) => {
                assert_eq!(status.code(), Some(1));
                break;
            }
            None => kills += 1,
        }
        assert!(kills < 200, "no progress");
    }
    assert!(kills >= 5, "{kills}");
    assert_eq!(timeless(&lab.journal("killed")), expected);
}

#[test]
fn two_searches_do_not_share_a_state() {
    let lab = Lab::new(6, 3);
    let (_, status, _) = lab.search("state", EVERY_THIRD, &[]);
    assert_eq!(status, Some(1));
    let (_, status, stderr) = lab.search("state", EVERY_THIRD, &[]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("--resume"), "{stderr}");
    let (_, status, stderr) = lab.search("state", "exit 0", &["--resume"]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("another question"), "{stderr}");
}

#[test]
fn commits_that_do_not_build_are_left_out_and_named_when_they_hide_the_culprit() {
    let lab = Lab::new(30, 18);
    // The build refuses three commits around the culprit.
    let build = r#"n=$(head -1 kernel.c); case $n in 16|17|18) echo "error: no $n" >&2; exit 1;; esac; cp kernel.c vmlinux"#;
    let (document, status, stderr) = lab.search("state", EVERY_THIRD, &["--build", build]);
    assert_eq!(status, Some(2), "an option given twice is refused");
    assert!(document.is_null() && stderr.contains("--build"), "{stderr}");
    let state = lab.files.path("state");
    let output = Command::new(env!("CARGO_BIN_EXE_kvet"))
        .args([
            "bisect",
            "commits",
            "good..bad",
            "--build",
            build,
            "--artefact",
            "vmlinux",
            "--format",
            "json",
        ])
        .args(["--build-cost", "5", "--run", EVERY_THIRD, "--repository"])
        .arg(&lab.repository)
        .arg("--state")
        .arg(&state)
        .env("STATE", &state)
        .output()
        .expect("kvet runs");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let culprits: Vec<&str> =
        document["answer"]["culprits"].as_array().expect("names").iter().filter_map(Value::as_str).collect();
    let subjects: Vec<&str> = culprits.iter().map(|c| &c[13..]).collect();
    assert_eq!(subjects, ["change 16", "change 17", "change 18", "change 19"]);
    assert!(document["spent"]["failed_builds"].as_u64().expect("a number") >= 3);
}

#[test]
fn a_merge_is_looked_into() {
    let lab = Lab::new(5, 99);
    let place = &lab.repository;
    git(place, &["checkout", "-q", "-b", "topic", "good"]);
    for i in 1..=4 {
        let text = if i >= 3 { "topic broken\n" } else { "topic\n" };
        fs::write(place.join("kernel.c"), format!("{i} {text}")).expect("a file");
        git(place, &["commit", "-qam", &format!("topic {i}")]);
    }
    git(place, &["checkout", "-q", "--detach", "bad"]);
    git(place, &["merge", "-q", "--no-ff", "-X", "theirs", "-m", "merge the topic", "topic"]);
    for i in 6..=9 {
        fs::write(place.join("kernel.c"), format!("{i} broken\n")).expect("a file");
        git(place, &["commit", "-qam", &format!("change {i}")]);
    }
    git(place, &["tag", "-f", "bad"]);
    let (document, status, stderr) = lab.search("state", EVERY_THIRD, &[]);
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(document["rounds"].as_array().map(Vec::len), Some(2), "{stderr}");
    assert!(document["answer"]["culprits"][0].as_str().expect("a name").ends_with(" topic 3"), "{stderr}");
    let (document, ..) = lab.search("first", EVERY_THIRD, &["--first-parent"]);
    assert!(document["answer"]["culprits"][0].as_str().expect("a name").ends_with(" merge the topic"));
}

#[test]
fn what_does_not_fail_is_not_reproduced_and_what_is_no_verdict_ends_it() {
    let lab = Lab::new(4, 99);
    let (document, status, _) = lab.search("state", EVERY_THIRD, &["--give-up", "12"]);
    assert_eq!(status, Some(2));
    assert_eq!(document["found"], false);
    assert_eq!(document["rounds"][0]["not_reproduced_in"], 12);
    let (_, status, stderr) = lab.search("signal", "kill -9 $$", &[]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("no verdict"), "{stderr}");
    let (_, status, stderr) = lab.search("skip", "exit 125", &[]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("the bad end cannot be tested"), "{stderr}");
}

#[test]
fn two_options_of_forty_that_fail_together() {
    let files = Files::new();
    let tree = files.path("tree");
    fs::create_dir_all(&tree).expect("a directory");
    let option = |i: usize, on: bool| match on {
        true => format!("CONFIG_OPT{i}=y\n"),
        false => format!("# CONFIG_OPT{i} is not set\n"),
    };
    let side = |on: bool| (0..40).map(|i| option(i, on)).collect::<String>() + "CONFIG_SAME=y\n";
    let (good, bad) =
        (files.write("good", side(false).as_bytes()), files.write("bad", side(true).as_bytes()));
    let state = files.path("state");
    // Kconfig's part: OPT31 depends on OPT30.
    let complete = r##"grep -q CONFIG_OPT30=y "$KCONFIG_CONFIG" || sed -i 's/CONFIG_OPT31=y/# CONFIG_OPT31 is not set/' "$KCONFIG_CONFIG""##;
    let run = r#"n=$(wc -l <"$STATE/journal.jsonl"); grep -q OPT7=y "$KVET_KERNEL" && grep -q OPT31=y "$KVET_KERNEL" && [ $((n * 7 % 3)) = 1 ] && exit 1; exit 0"#;
    let output = Command::new(env!("CARGO_BIN_EXE_kvet"))
        .args(["bisect", "config", &good, &bad, "--olddefconfig", complete, "--build", "cp .config vmlinux"])
        .args(["--artefact", "vmlinux", "--format", "json", "--run", run, "--tree"])
        .arg(&tree)
        .arg("--state")
        .arg(&state)
        .env("STATE", &state)
        .output()
        .expect("kvet runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let answer = &document["answer"];
    let set: Vec<u64> = answer["set"].as_array().expect("a set").iter().filter_map(Value::as_u64).collect();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(set.contains(&7) && set.contains(&31) && set.len() <= 3, "{answer} {stderr}");
    // What it depends on is kept, and said.
    let all = answer.to_string();
    assert!(all.contains("CONFIG_OPT30"), "{answer}");
    assert!(document["spent"]["builds"].as_u64().expect("a number") < 40, "{stderr}");
}

/// A QEMU that panics in every third boot of a kernel that holds the failure, and otherwise in a few boots.
fn fake_qemu(files: &Files, name: &str, fails: &str) -> String {
    let script = format!(
        r#"#!/usr/bin/env bash
last=
for arg; do
    case $arg in
        --version) echo 'QEMU emulator version 9.9.9 (fake {name})'; exit 0;;
        file,id=kvet-serial,path=/proc/self/fd/*) serial=${{arg##*/}};;
        socket,id=kvet-qmp,fd=*) qmp=${{arg##*=}};;
        /proc/self/fd/*) initrd=$arg;;
    esac
    [ "$last" != -kernel ] || kernel=$arg
    last=$arg
done
say() {{ printf '%s\r\n' "$@" >&"$serial"; }}
event() {{ printf '{{"event": "%s", "data": {{"reason": "%s"}}}}\r\n' "$1" "$2" >&"$qmp"; }}
printf '{{"QMP": {{}}}}\r\n' >&"$qmp"
n=$(cat "$0.count" 2>/dev/null || echo 0); echo $((n + 1)) >"$0.count"
say '[    0.000000] Linux version 6.1.0-test'
if {fails}; then say '[    1.000000] Kernel panic - not syncing: planted'; exit 0; fi
if [ $((n % 11)) = 7 ]; then say '[    1.000000] Kernel panic - not syncing: something else'; exit 0; fi
say "$(grep -aoE 'kvet-init: [0-9a-f-]+ reached user space' "$initrd")"
event SHUTDOWN guest-shutdown
read -r -u "$qmp"
exec sleep 60
"#
    );
    files.program(name, &script)
}

fn bisect(files: &Files, words: &[&str]) -> (Value, Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kvet"))
        .arg("bisect")
        .args(words)
        .env("XDG_CACHE_HOME", files.path("cache"))
        .stdin(Stdio::null())
        .output()
        .expect("kvet runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (serde_json::from_slice(&output.stdout).unwrap_or(Value::Null), output.status.code(), stderr)
}

#[test]
fn a_kernel_is_found_by_boots_and_other_failures_do_not_count() {
    let files = Files::new();
    let qemu = fake_qemu(&files, "qemu", r#"grep -q broken "$kernel" && [ $((n % 3)) = 1 ]"#);
    let kernels = files.path("kernels");
    fs::create_dir_all(&kernels).expect("a directory");
    for i in 8..=12 {
        let mut image = common::kernel("f", false);
        if i >= 10 {
            image.extend_from_slice(b"broken");
        }
        fs::write(kernels.join(format!("vmlinux-6.{i}")), image).expect("a kernel");
    }
    let (kernels, state) = (kernels.to_str().expect("UTF-8"), files.path("state"));
    let state = state.to_str().expect("UTF-8");
    let (document, status, stderr) = bisect(
        &files,
        &[
            "kernels",
            kernels,
            "--state",
            state,
            "--signature",
            "planted",
            "--format",
            "json",
            "--",
            "--qemu",
            &qemu,
            "--accel",
            "tcg",
            "-j",
            "1",
        ],
    );
    assert_eq!(status, Some(1), "{stderr}");
    // 6.9 comes before 6.10.
    assert_eq!(document["answer"]["culprits"], serde_json::json!(["vmlinux-6.10"]), "{stderr}");
    let candidates = document["rounds"][0]["candidates"].as_array().expect("candidates");
    let others: u64 = candidates.iter().filter_map(|c| c["evidence"]["others"].as_u64()).sum();
    assert!(others > 0, "other failures came, and did not count: {candidates:?}");
}

#[test]
fn an_emulator_is_found_among_two_and_among_options() {
    let files = Files::new();
    let good = fake_qemu(&files, "qemu-new", "false");
    let bad = fake_qemu(&files, "qemu-old", "[ $((n % 3)) = 1 ]");
    let kernel = files.write("vmlinux", &common::kernel("f", false));
    let (line, sets) = (files.path("line"), files.path("sets"));
    let (line, sets) = (line.to_str().expect("UTF-8"), sets.to_str().expect("UTF-8"));
    let (document, status, stderr) = bisect(
        &files,
        &[
            "qemu",
            &kernel,
            "--qemu",
            &good,
            "--qemu",
            &bad,
            "--state",
            line,
            "--signature",
            "planted",
            "--format",
            "json",
            "--",
            "--accel",
            "tcg",
            "-j",
            "1",
        ],
    );
    assert_eq!(status, Some(1), "{stderr}");
    assert!(document["answer"]["culprits"][0].as_str().expect("a name").contains("qemu-old"), "{document}");
    assert_eq!(document["answer"]["confirmed"], true);

    let (a, b) =
        (format!("--qemu {good} --smp 1 --memory 512M"), format!("--qemu {bad} --smp 2 --memory 600M"));
    let (document, status, stderr) = bisect(
        &files,
        &[
            "qemu",
            &kernel,
            "--good",
            &a,
            "--bad",
            &b,
            "--state",
            sets,
            "--signature",
            "planted",
            "--format",
            "json",
            "--",
            "--accel",
            "tcg",
            "-j",
            "1",
        ],
    );
    assert_eq!(status, Some(1), "{stderr}");
    assert_eq!(document["differences"].as_array().map(Vec::len), Some(3));
    assert_eq!(document["answer"]["set"], serde_json::json!([0]), "{document}");
    assert_eq!(document["answer"]["minimal"], true);
}
