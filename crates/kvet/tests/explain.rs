//! `kvet explain` from the outside: exit status, formats, pipes, compressed files, what comes first.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Write as _;
use std::process::Stdio;

use common::{Files, kvet, run};
use serde_json::Value;

const CLEAN: &str = "\
[    0.000000] Linux version 6.1.0 (me@here) (gcc-12) #1 SMP
[    0.500000] smp: Brought up 1 node, 4 CPUs
[    1.864084] Run /init as init process
[    1.978514] reboot: Power down
";

const INT3: &str = "\
[    0.000000] Linux version 6.4.0 (me@here) (gcc 12) #1 SMP
[    0.200000] smpboot: CPU0: AMD QEMU TCG CPU version 2.5+ (family: 0xf)
[    0.300000] smp: Brought up 1 node, 4 CPUs
[    3.093098] int3: 0000 [#1] PREEMPT SMP NOPTI
[    3.093098] CPU: 3 PID: 1 Comm: swapper/0 Not tainted 6.4.0 #8
[    3.093098] Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS rel-1.16.1-0-gdeadbeef-prebuilt.qemu.org 04/01/2014
[    3.093098] RIP: 0010:__mod_timer+0x1c3/0x370
[    3.093098] Code: 83 e3 01 0f 85 54 ff ff ff 41 8b 4f 20 66 <90> f7 c1 00 00 10 00 0f 84 23 01 00 00
[    3.093098] RSP: 0018:ffffaf1600013e00 EFLAGS: 00000046
[    3.093098] Call Trace:
[    3.093098]  <TASK>
[    3.093098]  queue_delayed_work_on+0x23/0x30
[    3.093098]  inet_init+0x15b/0x2f0
[    3.093098]  do_one_initcall+0x58/0x230
[    3.093098]  </TASK>
[    3.093098] ---[ end trace 0000000000000000 ]---
[    3.093098] Kernel panic - not syncing: Fatal exception in interrupt
";

const PANIC: &str = "\
[    0.000000] Linux version 6.1.0 (me@here) (gcc-12) #1 SMP
[    1.000002] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
";

#[test]
fn the_exit_status_answers() {
    let files = Files::new();
    let (clean, broken) =
        (files.write("clean.log", CLEAN.as_bytes()), files.write("int3.log", INT3.as_bytes()));
    let said = run(&["explain", &clean]);
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""));
    assert!(said.stdout.starts_with("ok: "), "{}", said.stdout);
    assert_eq!(run(&["explain", &broken]).status, Some(1));
    assert_eq!(run(&["explain", &clean, &broken]).status, Some(1));
    let said = run(&["explain", &broken, "/nonexistent/log"]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("/nonexistent/log: cannot be read"), "{}", said.stderr);
    assert!(said.stdout.contains("int3 in __mod_timer"), "what could be read is explained: {}", said.stdout);
    assert_eq!(run(&["explain", files.root().to_str().unwrap()]).status, Some(2), "a directory is no log");
    assert_eq!(run(&["explain", "--modules", ".", &broken]).status, Some(2), "--modules needs --kernel");
}

#[test]
fn the_cause_stands_in_the_first_five_lines() {
    let files = Files::new();
    let said = run(&["explain", &files.write("int3.log", INT3.as_bytes())]);
    let top: Vec<&str> = said.stdout.lines().take(5).collect();
    let top = top.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["int3 in __mod_timer", "stale instruction", "final 2-byte nop", "older than 8.1"] {
        assert!(top.contains(words), "{words}: {top}");
    }
    assert!(said.stdout.contains("next: "), "{}", said.stdout);
    // The directory of the test's files is another one each time.
    let shown = said.stdout.replace(&format!("{}/", files.root().display()), "");
    insta::assert_snapshot!("int3", shown);
}

#[test]
fn nothing_of_a_log_reaches_the_terminal_raw() {
    let files = Files::new();
    let hostile = INT3
        .replace("Comm: swapper/0", "Comm: \x1b[2Jevil\u{202e}")
        .replace("inet_init", "inet\u{9b}31m_init");
    for format in ["human", "json", "kcidb"] {
        let said = run(&["explain", "--format", format, &files.write("hostile.log", hostile.as_bytes())]);
        let bad = said.stdout.chars().find(|c| c.is_control() && *c != '\n' || *c == '\u{202e}');
        assert_eq!(bad, None, "{format}");
    }
}

#[test]
fn logs_come_through_pipes_and_compressed() {
    let through_stdin = |arguments: &[&str]| {
        let mut child = kvet(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(INT3.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for arguments in [&["explain"][..], &["explain", "-"]] {
        let (status, stdout) = through_stdin(arguments);
        assert_eq!(status, Some(1));
        assert!(stdout.contains("stale instruction"), "{stdout}");
    }
    let files = Files::new();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(INT3.as_bytes()).unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(INT3.as_bytes()).unwrap();
    let mut zstd = vec![0; 1 << 16];
    let len = zstd_safe::compress(&mut zstd[..], INT3.as_bytes(), 3).unwrap();
    zstd.truncate(len);
    for (name, bytes) in [("a.gz", gzip.finish().unwrap()), ("a.xz", xz.finish().unwrap()), ("a.zst", zstd)] {
        let said = run(&["explain", &files.write(name, &bytes)]);
        assert_eq!(said.status, Some(1), "{name}: {}", said.stderr);
        let cut = run(&["explain", &files.write(&format!("cut-{name}"), &bytes[..bytes.len() - 9])]);
        assert_eq!(cut.status, Some(2), "{name} that is cut off is not taken for whole");
    }
}

#[test]
fn json_is_the_contract() {
    let files = Files::new();
    let said =
        run(&["explain", "--format", "json", &files.write("int3.log", INT3.as_bytes()), "/nonexistent"]);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["schema"], "kvet-explain/1");
    let log = &document["logs"][0];
    assert_eq!((&log["boots"], &log["error"]), (&Value::from(1), &Value::Null));
    let report = &log["reports"][0];
    let keys = [
        "title",
        "kind",
        "function",
        "module",
        "arch",
        "release",
        "line",
        "timestamp",
        "cpu",
        "pid",
        "comm",
        "phase",
        "registers",
        "trap",
        "code",
        "frames",
        "consequence_of",
        "signature",
        "diagnosis",
    ];
    let object = report.as_object().unwrap();
    assert_eq!(keys.iter().filter(|key| !object.contains_key(**key)).collect::<Vec<_>>(), [] as [&&str; 0]);
    assert_eq!(
        (&report["kind"], &report["function"]),
        (&Value::from("breakpoint"), &Value::from("__mod_timer"))
    );
    assert_eq!(
        (&report["phase"], &report["initcall"]),
        (&Value::from("initcall"), &Value::from("inet_init"))
    );
    assert_eq!(report["registers"]["rsp"], "0xffffaf1600013e00");
    assert_eq!((&report["cpu"], &report["line"]), (&Value::from(3), &Value::from(4)));
    let frame = &report["frames"][0];
    for key in ["function", "offset", "size", "module", "reliable", "file", "line", "inlined", "context"] {
        assert!(frame.as_object().unwrap().contains_key(key), "{key}");
    }
    assert_eq!((&frame["function"], &frame["offset"]), (&Value::from("__mod_timer"), &Value::from(0x1c3)));
    let diagnosis = &report["diagnosis"];
    assert_eq!(
        (&diagnosis["cause"], &diagnosis["confidence"]),
        (&Value::from("stale-int3"), &Value::from("likely"))
    );
    assert!(diagnosis["evidence"][0]["says"].is_string() && diagnosis["advice"][0].is_string());
    assert!(document["logs"][1]["error"].is_string());
    // Every key that docs/json.md describes is there, and the other way round.
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md")).unwrap();
    let (_, section) =
        docs.split_once("# The JSON of `kvet explain`").expect("docs/json.md describes kvet-explain/1");
    for key in object.keys().chain(log.as_object().unwrap().keys()).chain(frame.as_object().unwrap().keys()) {
        assert!(section.contains(&format!("`{key}`")), "docs/json.md does not describe {key}");
    }
}

#[test]
fn kcidb_has_what_the_schema_requires() {
    let files = Files::new();
    let logs = [
        files.write("a.log", INT3.as_bytes()),
        files.write("b.log", INT3.as_bytes()),
        files.write("c.log", PANIC.as_bytes()),
    ];
    let mut arguments = vec![
        "explain",
        "--format",
        "kcidb",
        "--kcidb-origin",
        "myci",
        "--kcidb-build",
        "myci:b1",
        "--kcidb-test",
        "myci:t1",
    ];
    arguments.extend(logs.iter().map(String::as_str));
    let said = run(&arguments);
    let document: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(document["version"], serde_json::json!({"major": 5, "minor": 3}));
    let allowed = |object: &Value, required: &[&str], optional: &[&str]| {
        let object = object.as_object().unwrap();
        for key in required {
            assert!(object.contains_key(*key), "{key} is required");
        }
        for (key, value) in object {
            assert!(
                required.contains(&key.as_str()) || optional.contains(&key.as_str()),
                "{key} is not in the schema"
            );
            assert!(!value.is_null(), "{key}: nothing may be null");
        }
    };
    let issues = document["issues"].as_array().unwrap();
    let incidents = document["incidents"].as_array().unwrap();
    assert_eq!((issues.len(), incidents.len()), (2, 3));
    for issue in issues {
        allowed(
            issue,
            &["id", "version", "origin"],
            &["report_url", "report_subject", "culprit", "comment", "categories", "misc"],
        );
        assert!(issue["id"].as_str().unwrap().starts_with("myci:") && issue["version"].is_u64());
        assert!(
            issue["culprit"]
                .as_object()
                .unwrap()
                .keys()
                .all(|key| ["code", "tool", "harness"].contains(&key.as_str()))
        );
    }
    let mut ids: Vec<&str> = incidents.iter().map(|incident| incident["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "every incident has an id of its own");
    for incident in incidents {
        allowed(
            incident,
            &["id", "origin", "issue_id", "issue_version"],
            &["build_id", "test_id", "present", "comment", "misc"],
        );
        assert!(issues.iter().any(|issue| issue["id"] == incident["issue_id"]));
        assert_eq!(
            (&incident["build_id"], &incident["test_id"]),
            (&Value::from("myci:b1"), &Value::from("myci:t1"))
        );
    }
    let harness = issues.iter().find(|issue| issue["id"].as_str().unwrap().contains("stale-int3")).unwrap();
    assert_eq!(harness["culprit"], serde_json::json!({"code": false, "tool": false, "harness": true}));
    assert_eq!(run(&["explain", "--kcidb-origin", "No Good", &logs[0]]).status, Some(2));
    assert_eq!(run(&["explain", "--kcidb-build", "nocolon", &logs[0]]).status, Some(2));
}

#[test]
fn many_logs_are_grouped_by_what_failed() {
    let files = Files::new();
    let mut logs: Vec<String> = (0..9)
        .map(|i| {
            files.write(
                &format!("int3-{i}.log"),
                INT3.replace("CPU: 3", &format!("CPU: {}", i % 4)).as_bytes(),
            )
        })
        .collect();
    logs.push(files.write("root.log", PANIC.as_bytes()));
    logs.push(files.write("clean.log", CLEAN.as_bytes()));
    let mut arguments = vec!["explain"];
    arguments.extend(logs.iter().map(String::as_str));
    let said = run(&arguments);
    let shown = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.starts_with("9 x int3 in __mod_timer"), "{}", said.stdout);
    assert!(shown.contains("1 x kernel panic: VFS"), "{}", said.stdout);
    assert!(shown.contains("11 logs: 10 with a failure, in 2 groups; 1 without one"), "{}", said.stdout);
    assert!(shown.contains("and 3 more"), "{}", said.stdout);
}
