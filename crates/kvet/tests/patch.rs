//! `kvet patch` on real kernels, described processors and one that QEMU is asked about.

mod common;

use std::path::{Path, PathBuf};

use common::{Files, run};
use serde_json::Value;

const SUFFIXES: [&str; 2] = ["vmlinuz", "Image"];

/// Kernels that patch as this version does (5.13 and later), and whether they are arm64's.
fn kernels() -> Vec<(PathBuf, bool)> {
    let directory = std::env::var_os("KVET_KERNELS").map(PathBuf::from);
    let Some(directory) = directory else {
        eprintln!("skipped: no test of kvet patch on real kernels, because KVET_KERNELS is not set");
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("KVET_KERNELS is a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| SUFFIXES.iter().any(|s| e == *s)))
        .filter(|p| !name(p).starts_with("5."))
        .collect();
    found.sort();
    found.into_iter().map(|p| (p.clone(), name(&p).ends_with(".Image"))).collect()
}

fn name(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn json(args: &[&str]) -> (Value, Option<i32>) {
    let said = run(args);
    let value = serde_json::from_str(&said.stdout)
        .unwrap_or_else(|e| panic!("{args:?}: {e}: {} {}", said.stdout, said.stderr));
    (value, said.status)
}

#[test]
fn a_feature_changes_its_alternatives_and_nothing_else() {
    for (kernel, arm64) in kernels() {
        let path = kernel.to_str().expect("UTF-8");
        let (plain, status) = json(&["patch", path, "--format", "json"]);
        assert_eq!(status, Some(0));
        assert_eq!(plain["schema"], "kvet-patch/1");
        let changed = |document: &Value| document["text"]["changed"].as_u64().expect("a number");
        assert!(changed(&plain) > 1000, "{path}: {}", plain["text"]);
        let feature = if arm64 { "+LSE atomic instructions" } else { "+erms" };
        let (more, _) = json(&["patch", path, "--features", feature, "--format", "json"]);
        let names = |document: &Value| document["cpu"]["features"].as_array().expect("a list").len();
        assert_eq!(names(&more), names(&plain) + 1, "{path}");
        assert_ne!(changed(&more), changed(&plain), "{path}");
    }
}

#[test]
fn the_file_that_is_written_is_the_kernel_with_its_text_patched() {
    let Some((kernel, _)) = kernels().into_iter().find(|(_, arm64)| !arm64) else { return };
    let files = Files::new();
    let (path, out) = (kernel.to_str().expect("UTF-8"), files.path("patched"));
    let out = out.to_str().expect("UTF-8");
    let (document, _) = json(&["patch", path, "--format", "json", "-o", out]);
    let (old, new) = (files.path("old"), std::fs::read(out).expect("written"));
    assert!(new.starts_with(b"\x7fELF"));
    // With no feature at all but the same tables, the file's own text is the only thing that differs.
    let image = kvet_image::Image::open(&kernel).expect("a kernel");
    std::fs::write(old, image.raw()).expect("written");
    let differing = image.raw().iter().zip(&new).filter(|(a, b)| a != b).count() as u64;
    assert_eq!(image.raw().len(), new.len());
    assert_eq!(differing, document["text"]["changed"].as_u64().expect("a number"));
}

#[test]
fn a_key_moves_its_own_sites() {
    for (kernel, _) in kernels().into_iter().filter(|(_, arm64)| !arm64).take(1) {
        let path = kernel.to_str().expect("UTF-8");
        let function = ["patch", path, "--function", "__mod_timer", "--format", "json"];
        let on = ["--key", "timers_migration_enabled=on"];
        let (off, _) = json(&function);
        let (on, status) = json(&[&function[..], &on[..]].concat());
        assert_eq!(status, Some(0));
        assert_ne!(off["function"]["changes"], on["function"]["changes"]);
        assert!(on["function"]["changes"].to_string().contains("jump-labels"));
    }
}

#[test]
fn two_processors_differ_in_what_only_one_has() {
    let Some((kernel, _)) = kernels().into_iter().find(|(_, arm64)| !arm64) else { return };
    let files = Files::new();
    let write = |name: &str, flags: &str| files.write(name, flags.as_bytes());
    let old = write("old", "processor : 0\nvendor_id : GenuineIntel\nflags : fpu lm\nbugs :\n");
    let new = write("new", "processor : 0\nvendor_id : GenuineIntel\nflags : fpu lm smap\nbugs :\n");
    let path = kernel.to_str().expect("UTF-8");
    let (document, status) = json(&["patch", path, "--cpuinfo", &old, "--against", &new, "--format", "json"]);
    assert_eq!(status, Some(1));
    let differences = document["against"]["differences"].as_array().expect("a list");
    assert!(differences.len() > 100, "{}", differences.len());
    let smap = |d: &&Value| d["feature_name"].as_str().is_some_and(|name| name.starts_with("smap "));
    assert_eq!(differences.iter().filter(smap).count(), differences.len());
    let (_, same) = json(&["patch", path, "--cpuinfo", &old, "--against", &old, "--format", "json"]);
    assert_eq!(same, Some(0));
}

#[test]
fn what_cannot_be_answered_is_said() {
    let Some((kernel, _)) = kernels().into_iter().find(|(_, arm64)| !arm64) else { return };
    let path = kernel.to_str().expect("UTF-8");
    for (args, word) in [
        (&["--features", "+nonsense"][..], "no feature \"nonsense\""),
        (&["--features", "erms"], "+NAME or -NAME"),
        (&["--key", "nonsense=on"], "no symbol \"nonsense\""),
        (&["--key", "jiffies=maybe"], "NAME=on or NAME=off"),
        (&["--key", "jiffies=on"], "no jump label"),
        (&["--function", "nonsense"], "no such symbol"),
        (&["--keys", "booted"], "only a guest"),
        (&["--cpuinfo", "/proc/version"], "flags"),
    ] {
        let said = run(&[&["patch", path][..], args].concat());
        assert_eq!(said.status, Some(2), "{args:?}: {}", said.stderr);
        assert!(said.stderr.contains(word), "{args:?}: {}", said.stderr);
    }
}

#[test]
fn a_model_is_asked_by_booting_on_it() {
    let Some((kernel, _)) = kernels().into_iter().find(|(p, arm64)| !arm64 && name(p).contains("cloud"))
    else {
        return;
    };
    if std::process::Command::new("qemu-system-x86_64").arg("--version").output().is_err() {
        eprintln!("skipped: kvet patch --cpu MODEL, because there is no qemu-system-x86_64");
        return;
    }
    let path = kernel.to_str().expect("UTF-8");
    let (document, status) = json(&["patch", path, "--cpu", "Haswell", "--format", "json"]);
    assert_eq!(status, Some(0));
    let features = document["cpu"]["features"].to_string();
    assert!(features.contains("\"smap ") || features.contains("\"erms "), "{features}");
    assert!(document["cpu"]["source"].as_str().is_some_and(|s| s.contains("QEMU")));
    let said = run(&["patch", path, "--cpu", "no-such-model"]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("no-such-model"), "{}", said.stderr);
}
