//! BTF by itself, as the users of `kvet check` and `kvet btf` meet it.

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Files, kvet, run};

const INT: u32 = 1 << 24;
const STRUCT: u32 = 4 << 24;
const VAR: u32 = 14 << 24;
const DATASEC: u32 = 15 << 24;

/// BTF of types given as words, and strings of which a base's first is empty.
fn btf(types: &[&[u32]], strings: &[u8]) -> Vec<u8> {
    let types: Vec<u8> = types.iter().flat_map(|t| t.iter()).flat_map(|w| w.to_le_bytes()).collect();
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    let header = [0x0001_eb9f, 24, 0, types_len, types_len, strings_len];
    let mut data: Vec<u8> = header.iter().flat_map(|w| w.to_le_bytes()).collect();
    data.extend(types);
    data.extend_from_slice(strings);
    data
}

/// `int` and `struct page { int flags; }`.
fn base(size: u32) -> Vec<u8> {
    btf(&[&[1, INT, 4, 1 << 24 | 32], &[5, STRUCT | 1, size, 10, 1, 0]], b"\0int\0page\0flags\0")
}

/// Split from [`base`]: `struct drv { struct page flags; }`, the member's name being the base's.
fn split(member: u32) -> Vec<u8> {
    btf(&[&[16, STRUCT | 1, 4, 10, member, 0]], b"drv\0")
}

/// The mail's kernel: two variables at one place, the first of zero size.
fn two_at_one_place() -> Vec<u8> {
    btf(
        &[
            &[1, INT, 4, 1 << 24 | 32],
            &[5, STRUCT, 0],
            &[14, VAR, 2, 0],
            &[14, VAR, 1, 1],
            &[24, DATASEC | 2, 64, 3, 16, 4, 4, 16, 4],
        ],
        b"\0int\0pagesets\0numa_node\0.data..percpu\0",
    )
}

fn finding(stdout: &str) -> serde_json::Value {
    let document: serde_json::Value = serde_json::from_str(stdout).expect("stdout is JSON");
    assert_eq!(document["artefacts"][0]["arch"], serde_json::Value::Null);
    document["artefacts"][0]["findings"][0].clone()
}

#[test]
fn sound_btf_is_0_in_both_strengths() {
    let files = Files::new();
    let path = files.write("vmlinux.btf", &base(4));
    for strength in ["kernel", "strict"] {
        let said = run(&["check", "--btf-strength", strength, "--as", "6.12", &path]);
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    }
    let said = run(&["check", "-v", "--as", "6.12.3-foo", &path]);
    assert!(said.stdout.contains("judged by the rules of Linux 6.12"), "{}", said.stdout);
    let said = run(&["check", &path]);
    assert!(said.stdout.contains("the file names no kernel version"), "{}", said.stdout);
}

#[test]
fn a_refusal_is_the_kernels_own() {
    let files = Files::new();
    let path = files.write("bad.btf", &two_at_one_place());
    let said = run(&["check", "--format", "json", "--btf-strength", "kernel", "--as", "6.18", &path]);
    assert_eq!(said.status, Some(1));
    let found = finding(&said.stdout);
    assert_eq!(found["rule"], "btf/datasec-offset");
    assert_eq!(found["at_boot"], "\t type_id=4 offset=16 size=4 Invalid offset");
    assert_eq!(found["evidence"]["errno"], "-22 (EINVAL)");
    assert_eq!(found["evidence"]["kernel's reason"], "Invalid offset");
    let message = found["message"].as_str().expect("a message");
    for words in ["static struct pagesets numa_node", "int numa_node", "a type of 0 bytes"] {
        assert!(message.contains(words), "{words} is missing: {message}");
    }
    assert!(found["advice"].as_str().is_some_and(|a| a.contains("pahole 1.22")));
    // Strict strength says more than one thing; the kernel's strength never.
    let strict = run(&["check", "--format", "json", &path]);
    assert!(strict.stdout.contains("btf/zero-sized-variable") && !said.stdout.contains("btf/zero-sized"));
    let human = run(&["check", "--as", "6.18", &path]);
    let at_load =
        human.stdout.lines().find(|line| line.contains("at load:")).expect("a line on what the load says");
    assert!(
        at_load.contains("type_id=4 offset=16 size=4") && !at_load.contains('\t'),
        "tabs become blanks: {at_load}"
    );
    let sarif = run(&["check", "--format", "sarif", "--as", "6.18", &path]);
    let document: serde_json::Value = serde_json::from_str(&sarif.stdout).expect("SARIF is JSON");
    let text = document["runs"][0]["results"][0]["message"]["text"].as_str().expect("a text");
    assert!(text.contains("The kernel will print: type_id=4") && !text.contains("\\t"), "{text}");
}

#[test]
fn a_file_named_btf_is_btf_however_damaged() {
    let files = Files::new();
    let mut data = base(4);
    data[0] ^= 1;
    let said = run(&["check", "--format", "json", &files.write("magic.btf", &data)]);
    assert_eq!(said.status, Some(1));
    assert_eq!(finding(&said.stdout)["at_boot"], "Invalid magic");
    let said = run(&["check", "--format", "json", &files.write("empty.btf", b"")]);
    assert_eq!(finding(&said.stdout)["evidence"]["errno"], "-22 (EINVAL)");
}

/// The BTF of [`base`] for a big-endian machine.
fn big_endian() -> Vec<u8> {
    let mut data = base(4);
    let types = 24 + u32::from_le_bytes(*data[12..].first_chunk().expect("a header")) as usize;
    data[..2].reverse();
    data[4..types].chunks_mut(4).for_each(<[u8]>::reverse);
    data
}

#[test]
fn kernel_strength_reads_as_a_little_endian_kernel() {
    let files = Files::new();
    let foreign = files.write("s390x.btf", &big_endian());
    let said = run(&["check", "--as", "6.18", &foreign]);
    assert_eq!(said.status, Some(0), "{}", said.stdout);
    let said = run(&["check", "--btf-strength", "kernel", "--format", "json", "--as", "6.18", &foreign]);
    assert_eq!(finding(&said.stdout)["at_boot"], "btf_header not found");
    assert!(said.stdout.contains("the BTF is big-endian"), "{}", said.stdout);

    // A magic whose bytes were swapped makes no foreign BTF of the rest.
    let mut data = base(4);
    data[..2].reverse();
    let damaged = files.write("damaged.btf", &data);
    for strength in ["kernel", "strict"] {
        let said = run(&["check", "--btf-strength", strength, "--format", "json", "--as", "6.18", &damaged]);
        assert_eq!(finding(&said.stdout)["at_boot"], "Invalid magic");
    }
}

#[test]
fn strings_that_were_damaged_do_not_make_split_btf() {
    let files = Files::new();
    let types: &[&[u32]] = &[&[1, INT, 4, 1 << 24 | 32], &[5, STRUCT | 1, 4, 10, 1, 0], &[0, 2 << 24, 900]];
    // As if a word had been inserted before the strings; and none at all.
    let shifted = btf(types, b"\x01\0\0\0\0int\0page\0flags\0");
    for (name, data) in [("shifted.btf", shifted), ("none.btf", btf(&types[..2], b""))] {
        let path = files.write(name, &data);
        for strength in ["kernel", "strict"] {
            let said = run(&["check", "--btf-strength", strength, "--format", "json", "--as", "6.18", &path]);
            assert_eq!(finding(&said.stdout)["at_boot"], "Invalid string section", "{name}");
        }
    }
}

#[test]
fn a_variable_that_stands_behind_its_section_is_named() {
    let files = Files::new();
    let data = btf(
        &[
            &[1, INT, 4, 1 << 24 | 32],
            &[5, STRUCT, 0],
            &[14, VAR, 1, 1],
            &[24, DATASEC | 2, 64, 5, 16, 4, 3, 16, 4],
            &[14, VAR, 2, 0],
        ],
        b"\0int\0pagesets\0numa_node\0.data..percpu\0",
    );
    let path = files.write("late.btf", &data);
    for strength in ["kernel", "strict"] {
        let said = run(&["check", "--btf-strength", strength, "--format", "json", "--as", "6.18", &path]);
        let message = finding(&said.stdout)["message"].to_string();
        assert!(message.contains("static struct pagesets numa_node"), "{message}");
    }
}

#[test]
fn split_btf_wants_its_base() {
    let files = Files::new();
    let (base_path, path) = (files.write("vmlinux.btf", &base(4)), files.write("drv.btf", &split(2)));
    let said = run(&["check", &path]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("is split BTF") && said.stderr.contains("--kernel"), "{}", said.stderr);
    // The kernel's verdict on the file alone is another question, and has an answer.
    let said = run(&["check", "--btf-strength", "kernel", "--format", "json", &path]);
    assert_eq!(finding(&said.stdout)["at_boot"], "Invalid string section");
    assert!(
        said.stdout.contains("looks like a module's") && said.stdout.contains("--kernel"),
        "{}",
        said.stdout
    );
    let said = run(&["check", "--kernel", &base_path, &path]);
    assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    assert!(said.stdout.contains("split BTF"), "{}", said.stdout);

    let lost = files.write("lost.btf", &split(0x10_0000));
    let said = run(&["check", "--format", "json", "--as", "6.18", "--kernel", &base_path, &lost]);
    let found = finding(&said.stdout);
    assert_eq!(
        found["at_boot"],
        "BPF: \tflags type_id=1048576 bits_offset=0\nBPF:  \nBPF: Invalid type_id\nBPF: \n\
         failed to validate module [lost] BTF: -22"
    );

    // A kernel that refuses its own BTF refuses every module's.
    let bad = files.write("bad.btf", &two_at_one_place());
    let said = run(&["check", "--format", "json", "--kernel", &bad, &path]);
    assert_eq!(finding(&said.stdout)["rule"], "btf/refused-kernel");
}

#[test]
fn btf_comes_through_a_pipe() {
    let mut child =
        kvet(&["check", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kvet runs");
    child.stdin.take().expect("a pipe").write_all(&base(4)).expect("kvet reads");
    let out = child.wait_with_output().expect("kvet ends");
    assert_eq!(out.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&out.stdout).starts_with("-: BTF"));
}

#[test]
fn versions_that_nobody_knows_are_a_usage_error() {
    let said = run(&["check", "--as", "six", "x.btf"]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("6.12") && said.stderr.contains("newest"), "{}", said.stderr);
}

#[test]
fn dumps_and_differences() {
    let files = Files::new();
    let (old, new) = (files.write("old.btf", &base(4)), files.write("new.btf", &base(8)));
    let module = files.write("drv.btf", &split(2));
    let said = run(&["btf", "dump", "--base", &old, &module]);
    assert_eq!(said.stdout, "[3] STRUCT 'drv' size=4 vlen=1\n\t'flags' type_id=2 bits_offset=0\n");
    let said = run(&["btf", "dump", &module]);
    assert_eq!(said.status, Some(2));
    assert!(said.stderr.contains("split BTF"), "{}", said.stderr);
    let said = run(&["btf", "diff", &old, &new]);
    assert_eq!(said.status, Some(1));
    assert!(said.stdout.contains("~ struct page\n    4 bytes became 8 bytes\n"), "{}", said.stdout);
    assert_eq!(run(&["btf", "diff", &old, &old]).status, Some(0));
    let other = files.write("other.btf", &split(1));
    let said = run(&["btf", "diff", "--old-base", &old, "--new-base", &old, &module, &other]);
    assert!(said.stdout.contains("flags was `struct page`, is `int`"), "{}", said.stdout);
    let out = kvet(&["btf", "dump", "--format", "btf", &module]).output().expect("kvet runs");
    assert_eq!(out.stdout, split(2));
}

/// A base's string section begins with an empty string, as a split one's may by damage or by chance.
#[test]
fn split_btf_is_known_by_its_names_when_a_base_is_given() {
    let files = Files::new();
    let base = files.write("vmlinux.btf", &base(4));
    let damaged = files.write("drv.btf", &btf(&[&[18, STRUCT | 1, 4, 10, 1, 0]], b"\0rv\0"));
    let said = run(&["check", "--format", "json", "--as", "6.12", "--kernel", &base, &damaged]);
    assert!(said.stdout.contains("split"), "{}", said.stdout);
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
}

/// Such a path leads to a file that says its size and cannot be mapped.
#[test]
fn large_btf_that_cannot_be_mapped_is_read() {
    let real = std::path::Path::new("/sys/kernel/btf/vmlinux");
    if !real.exists() {
        eprintln!("skipped: this kernel shows no BTF in sysfs");
        return;
    }
    let files = Files::new();
    let link = files.path("linked.btf");
    std::os::unix::fs::symlink(real, &link).expect("a link");
    let said = run(&["check", "--btf-strength", "kernel", link.to_str().expect("UTF-8")]);
    assert!(!said.stderr.contains("cannot be read"), "{}", said.stderr);
}

#[test]
fn a_dump_reads_stdin() {
    let mut child =
        kvet(&["btf", "dump", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("kvet");
    child.stdin.take().expect("a pipe").write_all(&base(4)).expect("written");
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success() && output.stdout.starts_with(b"[1] INT 'int'"));
}
