//! BTF refused: `BPF:` lines of the verifier, then `failed to validate module [x] BTF: -22`.
//!
//! `btf_parse_vmlinux` runs when BTF is first asked for, which in a boot is the first module with BTF
//! (kernel/bpf/btf.c `btf_module_notify` -> `bpf_get_btf_vmlinux`). If the kernel's own BTF is refused, every module's
//! fails with it, and nothing of BPF works, although the kernel runs on.

use kvet_console::Kind;

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences};

/// What a verifier's words mean.
const MEANINGS: &[(&str, &str)] = &[
    ("Invalid offset+size", "a variable ends after its section (DATASEC)"),
    (
        "Invalid offset",
        "two variables of a section overlap or are out of order (DATASEC): the next one begins before the last one ends",
    ),
    ("Invalid type_id", "a type refers to one that is not there"),
    ("Invalid name", "a name that is no C identifier, or missing"),
    ("vlen != 0", "a type with members that its kind cannot have"),
    (
        "Invalid btf_info kind_flag",
        "a flag that this kernel's kind does not have: the BTF is newer than the kernel",
    ),
    ("Invalid kind", "a kind of type that this kernel does not know: the BTF is newer than the kernel"),
    ("Unsupported section found", "the header is longer than this kernel knows"),
    ("Invalid member bits_offset", "a member lies outside its struct"),
    ("Invalid member", "a member's type or place is wrong"),
    ("Loop detected", "types contain each other without end"),
    ("Unresolved", "a type that is needed cannot be resolved"),
    ("Invalid index", "an array's index type is no integer"),
    ("Invalid elem", "an array's element type has no size"),
    ("No type found", "the BTF is empty"),
    ("Linkage not supported", "a variable of a linkage that this kernel does not know"),
    ("Unexpected size", "a section's size is impossible"),
    ("Invalid size", "a size that its type cannot have"),
];

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    if case.report.kind != Kind::Btf {
        return None;
    }
    let mut evidence = Vec::new();
    let refused = case.says("failed to validate module");
    let module = refused
        .and_then(|(_, text)| text.split_once("module [")?.1.split_once(']').map(|(m, _)| m.to_owned()));
    let about = said(case, "type_id=", "size=");
    let entry = about.as_ref().map(|(_, text)| entry(text));
    let (check, meaning) = complaint(case, &mut evidence);
    if let (Some(about), Some(entry)) = (about.clone(), &entry) {
        evidence.insert(0, line(format!("the verifier stopped at {entry}"), about));
    }
    if let Some((number, text)) = refused {
        evidence.push(line(
            format!("so the module {} was refused (-22 is EINVAL)", module.as_deref().unwrap_or("")),
            (number, text.to_owned()),
        ));
    }
    if check.is_none() && about.is_none() {
        return version(case, module, evidence);
    }
    let datasec = entry.as_ref().is_some_and(|entry| entry.contains("offset"));
    let zero_size = datasec && check.as_deref() == Some("Invalid offset");
    let people = zero_size && prose(case, &mut evidence);
    let whole = "It is the kernel's own BTF that is refused, and every module's with it: all of BPF is dead on this kernel, not only this module.";
    let first = if datasec {
        whole
    } else {
        "If these lines came at the first module, it is the kernel's own BTF that is refused, and all of BPF is dead on this kernel, not only this module."
    };
    let pahole = if zero_size {
        " pahole before 1.22 does this to zero-sized per-CPU variables: it takes the next variable at the same address for them, so that two variables share one offset."
    } else {
        ""
    };
    let what = match (&entry, &meaning) {
        (Some(entry), Some(meaning)) => format!("The BTF verifier refused {entry}: {meaning}"),
        (None, Some(meaning)) => format!("The BTF verifier refused a type: {meaning}"),
        (Some(entry), None) => format!("The BTF verifier refused {entry}"),
        (None, None) => "The BTF verifier refused the BTF".to_owned(),
    };
    let mut advice = Vec::new();
    if zero_size {
        advice.push("build with pahole 1.22 or newer; requiring it only for CONFIG_DEBUG_INFO_BTF_MODULES does not help, since it is vmlinux's BTF that is broken".to_owned());
    }
    advice.extend(sentences([
        "run `kvet check vmlinux`: the table btf gives the kernel's verdict before the boot, and the type by name",
        "until then boot with CONFIG_MODULE_ALLOW_BTF_MISMATCH=y (modules load without BTF), or build without CONFIG_DEBUG_INFO_BTF",
    ]));
    Some(Diagnosis {
        cause: if datasec { "btf-vmlinux-refused" } else { "btf-module-refused" },
        summary: format!("{what}.{pahole} {first}"),
        confidence: match (zero_size, people) {
            (true, true) => Confidence::Certain,
            (true, false) | (false, _) if meaning.is_some() => Confidence::Likely,
            _ => Confidence::Possible,
        },
        evidence,
        advice,
    })
}

/// A module whose BTF does not fit the kernel's: no verifier's line says more.
fn version(case: &Case<'_>, module: Option<String>, evidence: Vec<Evidence>) -> Option<Diagnosis> {
    let module = module?;
    let _ = case;
    Some(Diagnosis {
        cause: "btf-module-refused",
        summary: format!(
            "The BTF of the module {module} does not fit the kernel's: it was built against another vmlinux, or the kernel's own BTF was refused before (then all of BPF is dead, not only this module)."
        ),
        confidence: Confidence::Possible,
        evidence,
        advice: sentences([
            "compare the two builds: `kvet btf diff` of the vmlinux that the module was built with and the one that runs",
            "look for `BPF:` lines before this one: they say which type",
        ]),
    })
}

/// A line of the report, or of the lines before it, that has two marks.
fn said(case: &Case<'_>, first: &str, second: &str) -> Option<(u64, String)> {
    case.headlines()
        .find(|(_, text)| text.contains(first) && text.contains(second))
        .map(|(n, text)| (n, text.to_owned()))
}

/// `type_id=35503 offset=178440 size=4` in words.
fn entry(text: &str) -> String {
    let number = |mark| super::number_after(text, mark);
    match (number("type_id="), number("offset="), number("size=")) {
        (Some(id), Some(offset), Some(size)) => {
            format!("the variable of type id {id} at offset {offset}, {size} bytes, in a data section")
        }
        (Some(id), _, _) => format!("type id {id}"),
        _ => "a type".to_owned(),
    }
}

/// The check that failed, and what it means.
fn complaint(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> (Option<String>, Option<&'static str>) {
    for (number, text) in case.headlines() {
        let words = text.trim_start_matches("BPF:").trim();
        if words.starts_with("failed to validate") || words.is_empty() {
            continue;
        }
        if let Some((check, meaning)) = MEANINGS.iter().find(|(check, _)| words.contains(check)) {
            evidence.push(line(format!("its check: {meaning}"), (number, text.to_owned())));
            return (Some((*check).to_owned()), Some(*meaning));
        }
    }
    (None, None)
}

/// What somebody found who dumped the BTF.
fn prose(case: &Case<'_>, evidence: &mut Vec<Evidence>) -> bool {
    let mut found = false;
    for (needle, says) in [
        ("zero-sized", "a zero-sized per-CPU variable is named"),
        ("size=0 vlen=1", "a struct of size 0 is among the types"),
        ("at the same offset", "two variables at one offset were found"),
        ("prior to 1.22", "pahole before 1.22 is named"),
        ("btf_vmlinux", "the kernel's own BTF"),
    ] {
        if let Some(quoted) = case.anywhere(needle) {
            evidence.push(line(says, quoted));
            found = true;
        }
    }
    // `type_id=27753 offset=163976 size=4 (VAR 'numa_node')`: the pair, when somebody dumped it.
    let dumped = case.everywhere("(VAR '");
    if let [first, second, ..] = dumped.as_slice()
        && super::number_after(&first.1, "offset=").is_some()
        && super::number_after(&first.1, "offset=") == super::number_after(&second.1, "offset=")
    {
        evidence.push(line("two variables share this offset: the first", first.clone()));
        evidence.push(line("and the second", second.clone()));
        found = true;
    }
    if !found {
        evidence.push(fact("nothing here names the two variables: `kvet btf dump` of this vmlinux does"));
    }
    found
}
