//! Each kind of damage is found, at the right type, in the kernel's words.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../oracle/mod.rs"]
#[allow(dead_code)]
mod oracle;

use std::sync::Arc;

use kvet_btf::check::{Base, Facts, IdSymbol, PerCpu, PerCpuSymbol, Report, Solved, Strength, Subject};
use kvet_btf::kernel::{self, Options, Rules, V5_10, V6_1, V6_12, V6_18, V7_3};
use kvet_btf::{Btf, Kind, TypeId};
use kvet_finding::{Severity, Value};
use oracle::blob::Blob;
use oracle::seeds::{Builder, every_kind};

/// In strict strength, unless a test says otherwise.
fn check(data: &[u8], subject: Subject<'_>, facts: &Facts<'_>, options: &Options<'_>) -> Report {
    kvet_btf::check::check(data, subject, facts, options, Strength::Strict)
}

fn strict(data: &[u8], rules: &'static Rules) -> Report {
    check(data, Subject::Kernel, &Facts::default(), &Options::new(rules))
}

fn has<'r>(report: &'r Report, rule: &str) -> &'r kvet_finding::Finding {
    report
        .findings
        .iter()
        .find(|f| f.rule == rule)
        .unwrap_or_else(|| panic!("no {rule} in {:#?}", report.findings))
}

/// The mail's kernel: `numa_node` twice at one offset, once of zero size.
fn two_numa_nodes() -> Blob {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let empty = b.aggregate(Kind::Struct, false, "", 0, &[]);
    let lock = b.reference(Kind::Typedef, "local_lock_t", empty);
    let pagesets = b.aggregate(Kind::Struct, false, "pagesets", 0, &[("lock", lock, 0)]);
    let first = b.add("numa_node", (Kind::Var as u32) << 24, pagesets, &[0]);
    let second = b.add("numa_node", (Kind::Var as u32) << 24, int, &[1]);
    b.add(
        ".data..percpu",
        (Kind::Datasec as u32) << 24 | 2,
        178_904,
        &[first, 163_976, 4, second, 163_976, 4],
    );
    b.blob()
}

#[test]
fn the_mail_is_diagnosed() {
    let data = two_numa_nodes().bytes();
    let facts = Facts { pahole: Some(121), ..Facts::default() };
    let report = check(&data, Subject::Kernel, &facts, &Options::new(&V6_1));
    let finding = has(&report, "btf/datasec-offset");
    assert_eq!((finding.severity, finding.index), (Severity::Error, Some(7)));
    for part in [
        "[5] VAR numa_node (`static struct pagesets numa_node`, a type of 0 bytes) at 163976",
        "[6] VAR numa_node (`int numa_node`, a type of 4 bytes) at 163976",
    ] {
        assert!(finding.message.contains(part), "{part} in {}", finding.message);
    }
    let boot = finding.at_boot.as_ref().unwrap();
    assert!(boot.fatal);
    assert_eq!(
        boot.line,
        "BPF: \t type_id=6 offset=163976 size=4\nBPF:  \nBPF: Invalid offset\nBPF: \n\
         failed to validate module [%s] BTF: -22"
    );
    assert!(format!("{:?}", finding.evidence).contains("pahole 1.21"));
    assert!(finding.advice.as_ref().unwrap().contains("1.22"));
    let zero = has(&report, "btf/zero-sized-variable");
    assert!(zero.message.contains("static struct pagesets numa_node"));
}

#[test]
fn old_pahole_is_known_by_its_traces() {
    let report = strict(&two_numa_nodes().bytes(), &V6_1);
    let cause =
        has(&report, "btf/datasec-offset").evidence.iter().find(|(name, _)| *name == "cause").unwrap();
    assert!(matches!(&cause.1, Value::Text(text) if text.contains("pahole before 1.22")));
}

#[test]
fn two_variables_of_some_size_at_one_place_are_not_old_paholes_fault() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let first = b.add("cpu_number", (Kind::Var as u32) << 24, int, &[1]);
    let second = b.add("numa_node", (Kind::Var as u32) << 24, int, &[1]);
    b.add(".data..percpu", (Kind::Datasec as u32) << 24 | 2, 64, &[first, 16, 4, second, 16, 4]);
    let facts = Facts { pahole: Some(124), ..Facts::default() };
    let report = check(&b.blob().bytes(), Subject::Kernel, &facts, &Options::new(&V6_1));
    let evidence = format!("{:?}", has(&report, "btf/datasec-offset").evidence);
    assert!(evidence.contains("neither has zero size") && evidence.contains("pahole 1.24"), "{evidence}");
}

#[test]
fn old_kernels_print_without_a_blank() {
    let verdict = kernel::vmlinux(&two_numa_nodes().bytes(), &Options::new(&V5_10));
    assert_eq!(
        verdict.console(),
        ["BPF:\t type_id=6 offset=163976 size=4", "BPF: ", "BPF:Invalid offset", "BPF:\n"]
    );
}

#[test]
fn every_kind_is_accepted_by_those_who_know_it() {
    let data = every_kind().bytes();
    for rules in [&V6_12, &V6_18, &V7_3] {
        let mut options = Options::new(rules);
        options.trace = true;
        let verdict = kernel::load(&data, &options);
        assert!(verdict.accepted(), "{rules}: {}", verdict.log.last_line());
        assert!(verdict.log.text().starts_with(b"magic: 0xeb9f\nversion: 1\n"));
        assert_eq!(strict(&data, rules).findings, []);
    }
    // Before 6.0 there was no ENUM64, before 5.13 no FLOAT.
    assert_eq!(
        kernel::vmlinux(&data, &Options::new(&V5_10)).log.last_line(),
        "[8] Invalid btf_info:10000000"
    );
}

/// Changes one word of one type and returns what strict finds first.
fn damaged(kind: Kind, word: usize, value: u32) -> (String, u64) {
    let mut blob = every_kind();
    let at =
        blob.types.iter().position(|t| (t[1] >> 24 & 0x1f) as u8 == kind as u8 && t.len() > word).unwrap();
    blob.types[at][word] = value;
    let report = strict(&blob.bytes(), &V6_18);
    let first = report.findings.first().unwrap_or_else(|| panic!("{kind:?} {word} {value:#x} is not found"));
    assert_eq!(first.severity, Severity::Error);
    (first.rule.to_owned(), first.index.unwrap_or(0).wrapping_sub(at as u64 + 1))
}

#[test]
fn damage_is_found_where_it_is() {
    for (kind, word, value, rule) in [
        (Kind::Int, 1, 1 << 24 | 1, "btf/info"),
        (Kind::Int, 2, 1, "btf/size"),
        (Kind::Int, 3, 3 << 24 | 32, "btf/type"),
        (Kind::Ptr, 0, 1, "btf/name"),
        (Kind::Ptr, 2, 0x7f_ffff, "btf/reference"),
        (Kind::Ptr, 2, 0x7_ffff, "btf/reference"),
        (Kind::Typedef, 0, 0, "btf/name"),
        (Kind::Typedef, 0, 0x7f_ffff, "btf/name"),
        (Kind::Array, 3, 0, "btf/reference"),
        (Kind::Struct, 5, 0, "btf/type"),
        (Kind::Fwd, 2, 1, "btf/type"),
        (Kind::Func, 1, (Kind::Func as u32) << 24 | 2, "btf/linkage"),
        (Kind::Func, 2, 1, "btf/reference"),
        (Kind::FuncProto, 4, 0x7_ffff, "btf/prototype"),
        (Kind::Var, 3, 2, "btf/linkage"),
        (Kind::Datasec, 2, 0, "btf/size"),
        (Kind::Datasec, 3, 1, "btf/datasec-variable"),
        (Kind::Datasec, 4, 128, "btf/datasec-offset"),
        (Kind::Datasec, 5, 0, "btf/datasec-size"),
        (Kind::Datasec, 5, 20, "btf/datasec-offset"),
        (Kind::Float, 2, 3, "btf/size"),
        (Kind::DeclTag, 3, 99, "btf/type"),
        (Kind::TypeTag, 0, 0, "btf/name"),
        (Kind::Enum, 2, 3, "btf/size"),
        (Kind::Int, 1, 31 << 24, "btf/kind"),
    ] {
        if (kind, word, value) == (Kind::Struct, 5, 0) {
            continue; // a first member at bit 0 is right
        }
        assert_eq!(damaged(kind, word, value), (rule.to_owned(), 0), "{kind:?} word {word} = {value:#x}");
    }
}

#[test]
fn strict_goes_on_after_the_first() {
    let mut blob = every_kind();
    let structs: Vec<usize> = (0..blob.types.len())
        .filter(|&i| blob.types[i][1] >> 24 == Kind::Struct as u32 && blob.types[i].len() > 9)
        .collect();
    for &i in &structs {
        blob.types[i][8] = 0x7_ffff; // the second member's offset, type before it
        blob.types[i][7] = 0x7_ffff;
    }
    let report = strict(&blob.bytes(), &V6_18);
    let found: Vec<u64> = report.findings.iter().filter_map(|f| f.index).collect();
    for i in structs {
        assert!(found.contains(&(i as u64 + 1)), "type {} in {found:?}", i + 1);
    }
    assert_eq!(
        report.findings.iter().filter(|f| f.at_boot.is_some()).count(),
        1,
        "the kernel prints the first only"
    );
}

#[test]
fn versions_differ_where_they_should() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let konst = b.reference(Kind::Const, "", int + 2);
    b.reference(Kind::TypeTag, "user", int);
    assert_eq!(konst, 2);
    let tags = b.blob().bytes();
    let line = |data: &[u8], rules| kernel::vmlinux(data, &Options::new(rules)).log.last_line();
    for rules in [&V6_1, &V6_12, &V6_18] {
        assert_eq!(line(&tags, rules), "Type tags don't precede modifiers");
    }
    assert_eq!(line(&tags, &V7_3), "");

    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    b.add("user", 1 << 31 | (Kind::TypeTag as u32) << 24, int, &[]);
    let flag = b.blob().bytes();
    assert_eq!(line(&flag, &V6_12), "[2] TYPE_TAG user type_id=1 Invalid btf_info kind_flag");
    assert_eq!(line(&flag, &V6_18), "");

    let mut b = Builder::new();
    b.int("int", 4, 1);
    b.add(".data/x", (Kind::Datasec as u32) << 24, 4, &[]);
    let section = b.blob().bytes();
    assert_eq!(line(&section, &V6_1), "[2] DATASEC .data/x size=4 vlen=0 Invalid name");
    assert_eq!(line(&section, &V6_12), "");
}

#[test]
fn releases_choose_their_rules() {
    for (release, rules) in [
        ("5.4.0", "5.10"),
        ("5.10.0-46-cloud-amd64", "5.10"),
        ("5.14.0", "5.13"),
        ("5.15.0-91-generic", "5.15"),
        ("5.19.0", "5.17"),
        ("6.1.0-56-amd64", "6.1"),
        ("6.6.9", "6.1"),
        ("6.8.0", "6.7"),
        ("6.10", "6.9"),
        ("6.12.117+deb12-amd64", "6.12"),
        ("6.14.0-33-generic", "6.12"),
        ("6.17.0", "6.15"),
        ("6.18.44", "6.18"),
        ("7.0.1", "6.18"),
        ("7.1.0-rc3", "7.1"),
        ("7.3.4+deb13", "7.3"),
        ("9.0", "7.3"),
    ] {
        assert_eq!(Rules::for_release(release).map(|r| r.to_string()).as_deref(), Some(rules), "{release}");
    }
    assert!(V7_3.was_read() && V7_3.is_of("7.3.4+deb13") && !V7_3.is_of("7.30") && !V7_3.is_of("9.0"));
    assert_eq!(Rules::for_release("next"), None);
}

/// What a kernel of 5.15 is built with (pahole writes FLOAT from 5.13 on), and one of 6.17 (tags with the kind
/// flag from 6.15 on): each is sound for the kernel that holds it, and wrong for the next older one.
#[test]
fn versions_between_those_that_were_read_take_their_own_btf() {
    let verdict = |blob: &Blob, release: &str| {
        let rules = Rules::for_release(release).unwrap();
        kernel::vmlinux(&blob.bytes(), &Options::new(rules)).log.last_line()
    };
    let of = |name: &str, kind: Kind, flag: u32, word: u32, tail: &[u32]| {
        let mut b = Builder::new();
        b.int("int", 4, 1);
        b.add(name, flag << 31 | (kind as u32) << 24, word, tail);
        b.blob()
    };
    for (blob, before, from, line) in [
        (of("double", Kind::Float, 0, 8, &[]), "5.12", "5.13", "[2] Invalid btf_info:10000000"),
        (of("tag", Kind::DeclTag, 0, 1, &[u32::MAX]), "5.15", "5.16", "[2] Invalid kind:17"),
        (of("user", Kind::TypeTag, 0, 1, &[]), "5.16", "5.17", "[2] Invalid kind:18"),
        (of("big", Kind::Enum64, 0, 8, &[]), "5.19", "6.0", "[2] Invalid kind:19"),
        (
            of("s", Kind::Enum, 1, 4, &[]),
            "5.19",
            "6.0",
            "[2] ENUM s size=4 vlen=0 Invalid btf_info kind_flag",
        ),
        (
            of(".data/x", Kind::Datasec, 0, 4, &[]),
            "6.8",
            "6.9",
            "[2] DATASEC .data/x size=4 vlen=0 Invalid name",
        ),
        (
            of("user", Kind::TypeTag, 1, 1, &[]),
            "6.14",
            "6.15",
            "[2] TYPE_TAG user type_id=1 Invalid btf_info kind_flag",
        ),
    ] {
        assert_eq!(verdict(&blob, before), line, "{before}");
        assert_eq!(verdict(&blob, from), "", "{from}");
    }
}

/// `btf_parse_module` came with 5.11: before it nobody reads, and nobody refuses, what a module carries.
#[test]
fn kernels_before_5_11_read_no_modules_btf() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let kernel_data = b.blob().bytes();
    let base = Btf::parse(&kernel_data).unwrap();
    let mut b = Builder::new();
    b.reference(Kind::Typedef, "", int);
    let bad = b.blob().bytes();
    for (release, taken) in [("5.10", true), ("5.11", false), ("6.1", false)] {
        let options = Options::new(Rules::for_release(release).unwrap());
        let verdict = kernel::module("m", &bad, None, &base, &options);
        assert_eq!((verdict.accepted(), verdict.console().is_empty()), (taken, taken), "{release}");
        let solved = Arc::new(Solved::new(&kernel_data, &options));
        let kernel = Base::new(&kernel_data, solved);
        let subject = Subject::Module { name: "m", distilled: None, kernel: Some(&kernel) };
        let report = check(&bad, subject, &Facts::default(), &options);
        assert_eq!(report.findings.is_empty(), taken, "{release}");
        assert_eq!(report.skipped.iter().any(|s| s.contains("does not read it")), taken, "{release}");
    }
    // And what a kernel loses that refuses its own BTF is no module.
    let boots =
        |rules| format!("{:?}", has(&strict(&two_numa_nodes().bytes(), rules), "btf/datasec-offset").at_boot);
    assert!(
        !boots(&V5_10).contains("module") && boots(&V6_1).contains("failed to validate module [%s] BTF: -22")
    );
}

/// Found by fuzzing: 6.1 reads one member here, 7.3 eight million, of which none is there.
#[test]
fn a_type_that_is_longer_for_newer_kernels_is_not_stepped_over() {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    b.add("u", (Kind::Union as u32) << 24 | 0x84_0001, 4, &[0, int, 0]);
    let data = b.blob().bytes();
    for rules in kernel::ALL {
        let report = strict(&data, rules);
        assert_eq!((report.findings.len(), report.types), (1, 1), "{rules}: {:#?}", report.findings);
    }
}

/// What refers to types behind one whose length is not known is not blamed for that.
#[test]
fn references_past_what_could_be_read_are_no_faults() {
    let mut b = Builder::new();
    b.add("", (Kind::Ptr as u32) << 24, 3, &[]);
    b.add("tag", 40 << 24, 0, &[]);
    b.int("int", 4, 1);
    let report = strict(&b.blob().bytes(), &V5_10);
    assert_eq!(report.findings.len(), 1, "{:#?}", report.findings);
    assert!(report.skipped.iter().any(|s| s.contains("was not read")), "{:#?}", report.skipped);
}

/// RHEL 9 calls its kernel 5.14 and has the BPF of much newer ones; its own BTF shows it.
#[test]
fn a_kernels_own_btf_shows_what_its_release_hides() {
    let of = |names: &[&str]| {
        let mut b = Builder::new();
        b.int("int", 4, 1);
        for name in names {
            b.name(name);
        }
        b.blob().bytes()
    };
    let rules = |release: &str, names: &[&str]| Rules::for_kernel(release, &of(names)).unwrap().to_string();
    let kinds = ["btf_float_log", "BTF_KIND_DECL_TAG", "BTF_KIND_TYPE_TAG", "BTF_KIND_ENUM64"];
    assert_eq!(rules("5.14.0-427.el9", &kinds), "6.1");
    assert_eq!(rules("5.14.0-570.el9", &[&kinds[..], &["bpf_res_spin_lock"]].concat()), "6.15");
    assert_eq!(rules("4.18.0-553.el8", &kinds[..1]), "5.13");
    assert_eq!(rules("5.14.0", &["xBTF_KIND_ENUM64"]), "5.13", "whole names only");
    assert_eq!(rules("7.0.0", &["btf_layout"]), "7.1");
    // Evidence never makes a kernel older, nor changes what was read from its own source.
    assert_eq!(rules("6.14.0", &kinds), "6.12");
    assert_eq!(rules("6.1.0-56-amd64", &["btf_layout"]), "6.1");
}

/// The same BTF in the other byte order.
fn swapped(blob: &Blob) -> Vec<u8> {
    let little = blob.bytes();
    let words = little.len() - blob.strings.len();
    let mut big: Vec<u8> =
        little[..words].chunks(4).flat_map(|w| w.iter().rev().copied().collect::<Vec<u8>>()).collect();
    big[..4].copy_from_slice(&[0xeb, 0x9f, 1, 0]);
    big.extend_from_slice(&little[words..]);
    big
}

#[test]
fn the_foreign_byte_order_is_read() {
    let (little, big) = (every_kind().bytes(), swapped(&every_kind()));
    let text = |data: &[u8]| {
        let mut out = Vec::new();
        kvet_btf::dump::raw(&Btf::parse(data).unwrap(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(text(&little), text(&big));
    let verdict = kernel::load(&big, &Options::new(&V6_18));
    assert_eq!(
        verdict.log.last_line(),
        "btf_header not found",
        "a little-endian kernel reads the length first"
    );
    let mut options = Options::new(&V6_18);
    options.order = kvet_btf::ByteOrder::Big;
    assert!(kernel::load(&big, &options).accepted());
}

#[test]
fn a_layout_section_carries_over_unknown_kinds() {
    let mut types: Vec<u32> = vec![1, 1 << 24, 4, 1 << 24 | 32];
    types.extend([0, 20 << 24 | 2, 7, 0xaaaa, 1, 2]); // kind 20: one word, and two of one word each
    types.extend([0, (Kind::Ptr as u32) << 24, 1]);
    let strings = b"\0int\0\0\0\0";
    let mut layout = [[0_u8; 4]; 21];
    layout[20] = [4, 4, 0, 0];
    let header = [
        0x0001_eb9f,
        32,
        0,
        types.len() as u32 * 4,
        types.len() as u32 * 4,
        8,
        types.len() as u32 * 4 + 8,
        84,
    ];
    let mut data: Vec<u8> = header.iter().chain(&types).flat_map(|w| w.to_le_bytes()).collect();
    data.extend_from_slice(strings);
    data.extend(layout.iter().flatten());
    let btf = Btf::parse(&data).unwrap();
    assert_eq!((btf.own_count(), btf.get(TypeId(3)).unwrap().kind()), (3, Kind::Ptr));
    let line = |rules| kernel::vmlinux(&data, &Options::new(rules)).log.last_line();
    assert_eq!(line(&V7_3), "[2] Invalid kind:20");
    assert_eq!(line(&V6_18), "Unsupported btf_header");
    let mut short = data.clone();
    short[28] = 3; // layout_len
    assert!(!kernel::load(&short, &Options::new(&V7_3)).accepted());
}

fn base() -> Vec<u8> {
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    b.aggregate(Kind::Struct, false, "device", 8, &[("id", int, 0), ("flags", int, 32)]);
    b.int("unsigned long", 8, 0);
    b.blob().bytes()
}

/// A module's types: names below the base's string length are the base's.
fn split(names: &[(&str, u32)], types: Vec<Vec<u32>>) -> Vec<u8> {
    let strings: Vec<u8> = names.iter().flat_map(|(n, _)| n.bytes().chain([0])).collect();
    let mut blob = Blob::new(types, strings);
    blob.strings.shrink_to_fit();
    blob.bytes()
}

fn module(data: &[u8], base: &[u8], distilled: Option<&[u8]>) -> Report {
    let options = Options::new(&V6_12);
    let solved = Arc::new(Solved::new(base, &options));
    let base = Base::new(base, solved);
    let subject = Subject::Module { name: "efivarfs", distilled, kernel: Some(&base) };
    check(data, subject, &Facts::default(), &options)
}

#[test]
fn a_module_is_read_against_its_base() {
    let base = base();
    let btf = Btf::parse(&base).unwrap();
    let (next, own) = (btf.type_count(), btf.strings().len() as u32);
    let device = btf.types().find(|t| t.kind() == Kind::Struct).unwrap();
    let good = split(
        &[("drv", 0)],
        vec![
            vec![0, (Kind::Ptr as u32) << 24, device.id().0],
            vec![own, (Kind::Struct as u32) << 24 | 1, 8, device.member(1).name_off, next, 0],
        ],
    );
    let report = module(&good, &base, None);
    assert_eq!((report.types, report.findings.as_slice()), (2, &[][..]));

    // Against another kernel the shared name begins inside a word.
    let torn = split(&[("drv", 0)], vec![vec![device.name_off() + 1, (Kind::Struct as u32) << 24, 0]]);
    assert!(has(&module(&torn, &base, None), "btf/base-mismatch").message.contains("\"evice\""));

    let lost = split(&[("drv", 0)], vec![vec![0, (Kind::Ptr as u32) << 24, 0x10_0000]]);
    let report = module(&lost, &base, None);
    let boot = has(&report, "btf/reference").at_boot.as_ref().unwrap();
    assert_eq!(
        boot.line,
        format!(
            "BPF: [{next}] PTR (anon) \nBPF: type_id=1048576\nBPF:  \nBPF: Invalid type_id\nBPF: \n\
             failed to validate module [efivarfs] BTF: -22"
        )
    );

    let alone = check(
        &good,
        Subject::Module { name: "x", distilled: None, kernel: None },
        &Facts::default(),
        &Options::new(&V6_12),
    );
    assert_eq!(alone.types, 2);
    assert!(alone.skipped[0].contains("--kernel"));
}

#[test]
fn a_distilled_base_is_looked_for_in_the_kernel() {
    let kernel = base();
    let distilled = |name: &str, size: u32| {
        let mut b = Builder::new();
        b.int("int", 4, 1);
        b.aggregate(Kind::Struct, false, name, size, &[]);
        b.blob().bytes()
    };
    // The module embeds the structure, so that its size counts.
    let module_of = |base: &[u8]| {
        let btf = Btf::parse(base).unwrap();
        let own = btf.strings().len() as u32;
        split(&[("drv", 0), ("dev", 0)], vec![vec![own, (Kind::Struct as u32) << 24 | 1, 8, own + 4, 2, 0]])
    };
    let run = |base: &[u8]| module(&module_of(base), &kernel, Some(base));
    assert_eq!(run(&distilled("device", 8)).findings, []);
    let line = |base: &[u8]| has(&run(base), "btf/distilled-base").at_boot.clone().unwrap().line;
    assert_eq!(
        line(&distilled("device", 16)),
        "distilled base BTF type 'device' [2] is not mapped to base BTF id\nfailed to validate module [efivarfs] BTF: -22"
    );
    assert!(line(&distilled("gadget", 8)).starts_with("distilled base BTF type 'gadget' [2] is not mapped"));
}

#[test]
fn symbols_and_ids_are_compared() {
    let data = every_kind().bytes();
    let symbol = |name, offset, size, global| PerCpuSymbol { name, offset, size, global };
    let right =
        vec![symbol("counter", 0, 4, false), symbol("table", 16, 48, true), symbol("hollow", 64, 8, true)];
    let run = |symbols: Vec<PerCpuSymbol<'_>>, ids: &[IdSymbol<'_>]| {
        let per_cpu = PerCpu { symbols, from_elf: true };
        let facts = Facts { per_cpu: Some(&per_cpu), ids, pahole: None };
        check(&data, Subject::Kernel, &facts, &Options::new(&V6_18))
    };
    assert_eq!(run(right.clone(), &[]).findings, []);
    for (i, change, words) in [
        (0, symbol("other", 0, 4, false), "the symbol at offset 0 is other"),
        (1, symbol("table", 16, 40, true), "the entry has 48 bytes, the symbol 40"),
        (1, symbol("table", 24, 48, true), "the entry says offset 16, the symbol says 24"),
        (2, symbol("hollow", 64, 8, false), "the entry is global, the symbol static"),
    ] {
        let mut symbols = right.clone();
        symbols[i] = change;
        let report = run(symbols, &[]);
        assert!(has(&report, "btf/percpu-symbol").message.contains(words), "{:?}", report.findings);
    }
    let func = Btf::parse(&data).unwrap().types().find(|t| t.kind() == Kind::Func).unwrap().id().0;
    let id = |name, id| IdSymbol::parse(name, id, 0).unwrap();
    assert_eq!(run(right.clone(), &[id("__BTF_ID__func__do_it__12", func)]).findings, []);
    let wrong = run(right, &[id("__BTF_ID__func__do_it__12", 1)]);
    assert!(has(&wrong, "btf/ids").message.contains("should be FUNC do_it, but [1] is INT int"));
}

#[test]
fn what_is_too_large_for_bpf_is_refused_in_both_strengths() {
    let types = vec![vec![0, (Kind::Ptr as u32) << 24, 0]; kernel::MAX_LOAD_SIZE / 12 + 1];
    let data = Blob::new(types, vec![0]).bytes();
    for strength in [Strength::Kernel, Strength::Strict] {
        let options = Options::new(&V6_18);
        let report = kvet_btf::check::check(&data, Subject::Loaded, &Facts::default(), &options, strength);
        assert_eq!(has(&report, "btf/size").at_boot.as_ref().unwrap().line, "");
        assert_eq!(report.findings[0].rule, "btf/size");
    }
}

#[test]
fn damaged_input_neither_panics_nor_hangs() {
    let mut random = oracle::Random(42);
    let base = every_kind().bytes();
    for _ in 0..1200 {
        let mut blob = match random.below(4) {
            0 => oracle::seeds::chains(&mut random),
            1 => oracle::seeds::special(&mut random),
            _ => every_kind(),
        };
        for _ in 0..1 + random.below(6) {
            oracle::mutate::random(&mut blob, &mut random);
        }
        let data = blob.bytes();
        for rules in [&V5_10, &V6_12, &V7_3] {
            let options = Options::new(rules);
            let verdict = kernel::load(&data, &options);
            let report = check(&data, Subject::Kernel, &Facts::default(), &options);
            // What the kernel refuses of its own BTF, strict finds as well.
            if !kernel::vmlinux(&data, &options).accepted() {
                assert!(report.findings.iter().any(|f| f.at_boot.is_some()), "{}", verdict.log.last_line());
            }
            let kernel = Base::new(&base, Arc::new(Solved::new(&base, &options)));
            let subject = Subject::Module { name: "m", distilled: Some(&data), kernel: Some(&kernel) };
            check(&data, subject, &Facts::default(), &options);
        }
        if let Ok(btf) = Btf::parse(&data) {
            let mut out = Vec::new();
            kvet_btf::dump::raw(&btf, &mut out).unwrap();
            kvet_btf::dump::json(&btf, &mut out).unwrap();
            let _ = kvet_btf::dump::c(&btf, &mut out);
            let other = Btf::parse(&base).unwrap();
            kvet_btf::diff::diff(&btf, &other);
        }
        let _ = kvet_btf::find_kernel_btf(&data);
        let _ = kvet_btf::elf::section(&data, ".BTF");
    }
}

/// How many seconds of a processor this thread has had, whatever else the machine does.
fn processor_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The command's name in parentheses may hold blanks; user and system time follow, in hundredths.
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>() / 100
}

/// What would take hours if each type cost the length of the string it shares, each structure the size of the
/// one it nests, or each failed entry the section it is in.
#[test]
fn large_hostile_input_takes_linear_time() {
    let start = processor_seconds();
    let long = |types: Vec<Vec<u32>>, text: &[u8]| {
        let mut strings = b"\0int\0".to_vec();
        strings.extend_from_slice(text);
        strings.extend(std::iter::repeat_n(b'x', 4 << 20));
        strings.push(0);
        let mut all = vec![vec![1, 1 << 24, 4, 1 << 24 | 32]];
        all.extend(types);
        Blob::new(all, strings).bytes()
    };
    let kind = |kind: Kind| (kind as u32) << 24;
    let mut inputs = vec![
        long((0..200_000).map(|i| vec![5 + i % 7, kind(Kind::TypeTag), 1]).collect(), b""),
        long((0..200_000).map(|i| vec![5 + i % 7, kind(Kind::DeclTag), 1, u32::MAX]).collect(), b""),
        long((0..200_000).map(|i| vec![5 + i % 7, kind(Kind::Struct), 0]).collect(), b""),
    ];
    // Each of many structures holds a lock in a structure of many members.
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let lock = b.aggregate(Kind::Struct, false, "bpf_spin_lock", 4, &[("v", int, 0)]);
    let empty = b.aggregate(Kind::Struct, false, "e", 0, &[]);
    let mut members = vec![("l", lock, 0)];
    members.resize(60_000, ("", empty, 32));
    let large = b.aggregate(Kind::Struct, false, "large", 8, &members);
    for _ in 0..60_000 {
        b.aggregate(Kind::Struct, false, "", 16, &[("m", large, 0), ("n", lock, 96)]);
    }
    inputs.push(b.blob().bytes());
    // Every entry but the first begins before the one before it has ended.
    let mut b = Builder::new();
    let int = b.int("int", 4, 1);
    let var = b.add("v", kind(Kind::Var), int, &[0]);
    let entries: Vec<u32> = (0..65_535).flat_map(|_| [var, 0, 4]).collect();
    b.add(".data..percpu", kind(Kind::Datasec) | 65_535, 8, &entries);
    inputs.push(b.blob().bytes());
    for data in &inputs {
        for subject in [Subject::Kernel, Subject::Loaded] {
            for strength in [Strength::Kernel, Strength::Strict] {
                kvet_btf::check::check(data, subject, &Facts::default(), &Options::new(&V6_18), strength);
            }
        }
        kernel::load(data, &Options::new(&V7_3));
        if let Ok(btf) = Btf::parse(data) {
            kvet_btf::diff::diff(&btf, &btf);
        }
    }
    let spent = processor_seconds() - start;
    assert!(spent < 60, "{spent} s");
}

#[test]
fn differences_are_told() {
    let types = |size, offset, third| {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        b.aggregate(Kind::Struct, false, "page", size, &[("flags", int, 0), ("count", int, offset)]);
        b.aggregate(Kind::Struct, false, third, 0, &[]);
        b.blob().bytes()
    };
    let (old, new) = (types(8, 32, "gone"), types(16, 64, "fresh"));
    let parse = |data| Btf::parse(data).unwrap();
    let all = kvet_btf::diff::diff(&parse(&old), &parse(&new));
    let told: Vec<String> = all.iter().map(|d| format!("{} {:?}", d.title(), d.change)).collect();
    assert_eq!(
        told,
        [
            "struct fresh Added",
            "struct gone Removed",
            "struct page Changed([\"8 bytes became 16 bytes\", \"count went from byte 4 to byte 8\"])"
        ]
    );
    assert_eq!(kvet_btf::diff::diff(&parse(&old), &parse(&old)), []);
}

#[test]
fn members_of_unnamed_unions_are_their_owners() {
    let types = |at: u32, second: &str| {
        let mut b = Builder::new();
        let int = b.int("int", 4, 1);
        let inner = b.aggregate(Kind::Union, false, "", 4, &[("lru", int, 0), (second, int, 0)]);
        b.aggregate(Kind::Struct, false, "page", 16, &[("flags", int, 0), ("", inner, at)]);
        b.blob().bytes()
    };
    let (old, new) = (types(32, "index"), types(64, "share"));
    let parse = |data| Btf::parse(data).unwrap();
    let all = kvet_btf::diff::diff(&parse(&old), &parse(&new));
    let told: Vec<String> = all.iter().map(|d| format!("{} {:?}", d.title(), d.change)).collect();
    assert_eq!(
        told,
        [
            "struct page Changed([\"lru went from byte 4 to byte 8\", \"index is gone (byte 4, `int`)\", \"share is new \
          (byte 8, `int`)\"])"
        ]
    );
}

#[test]
fn c_that_a_compiler_takes() {
    let data = every_kind().bytes();
    let mut out = Vec::new();
    kvet_btf::dump::c(&Btf::parse(&data).unwrap(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for part in [
        "struct bits {\n\tint x: 3;\n\tint y: 5;\n\tenum color col: 2;\n",
        "typedef const volatile int int_t;\n",
        "enum big {\n\tBIG = 4294967297ULL,\n",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

/// Each real kernel's file name and `.BTF`.
fn real() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for path in kvet_testkernels::kernels(&["vmlinux", "debug"]) {
        let file = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        all.extend(kvet_btf::elf::section(&file, ".BTF").map(|btf| (name, btf.to_vec())));
    }
    all
}

#[test]
fn real_kernels_are_clean() {
    for (name, data) in real() {
        let rules = Rules::for_release(&name).unwrap();
        let report = strict(&data, rules);
        assert_eq!(report.findings, [], "{name}");
        if name.starts_with("6.1.0-56-amd64") {
            assert_eq!(report.types, 100_750);
        }
        let mut file = vec![0; 5000];
        file.extend_from_slice(&data);
        file.extend_from_slice(&[0x9f; 100]);
        assert_eq!(kvet_btf::find_kernel_btf(&file), Some(5000..5000 + data.len()), "{name}");
    }
}

#[test]
fn dumps_are_bpftools() {
    let bpftool = |args: &[&str]| std::process::Command::new("bpftool").args(args).output();
    if bpftool(&["version"]).is_err() {
        return eprintln!("SKIPPED: bpftool is not installed: dumps were not compared");
    }
    let directory = tempdir();
    let mut inputs = real();
    inputs.truncate(2);
    inputs.push(("every kind".to_owned(), every_kind().bytes()));
    for (name, data) in inputs {
        let file = directory.join("test.btf");
        std::fs::write(&file, &data).unwrap();
        let file = file.to_str().unwrap();
        let btf = Btf::parse(&data).unwrap();
        type Dump = fn(&Btf<'_>, &mut dyn std::io::Write) -> Result<(), kvet_btf::dump::DumpError>;
        let forms: [(&[&str], Dump); 3] = [
            (&["btf", "dump", "file", file, "format", "raw"], kvet_btf::dump::raw),
            (&["btf", "dump", "file", file, "format", "c"], kvet_btf::dump::c),
            (&["-j", "btf", "dump", "file", file], kvet_btf::dump::json),
        ];
        for (args, dump) in forms {
            let expected = bpftool(args).unwrap();
            if !expected.status.success() {
                continue;
            }
            let mut out = Vec::new();
            dump(&btf, &mut out).unwrap();
            assert!(out == expected.stdout, "{name}: {args:?} differs");
        }
    }
}

fn tempdir() -> std::path::PathBuf {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("dumps");
    std::fs::create_dir_all(&directory).unwrap();
    directory
}
