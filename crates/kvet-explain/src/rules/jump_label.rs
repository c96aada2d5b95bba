//! `jump_label: Fatal kernel bug, unexpected op at %pS [%p] (%5ph != %5ph)) size:%d type:%d`.
//!
//! `__jump_label_patch` (arch/x86/kernel/jump_label.c, 5.14 to 7.3) found other bytes at a site than the ones it is
//! about to replace. It prints five bytes of both; the first `size` of them count. `type` is what it would have
//! written: 1 a jump (so a nop should have been there), 0 a nop (so the jump should).
//!
//! Since 5.14 the compiler emits a jump at every site (CONFIG_HAVE_JUMP_LABEL_HACK), and objtool rewrites those that
//! start as nops (tools/objtool/check.c `handle_jump_alt`). A site that still holds the short jump was not rewritten,
//! or its entry says the opposite of what the key was compiled as. With LTO, objtool sees the code only after the
//! link (vmlinux.o): code generation, and so the pairing of site, entry and key, is then the linker's.

use super::{Case, Confidence, Diagnosis, Evidence, fact, line, sentences, x86};

/// The message's numbers.
struct Message {
    found: Vec<u8>,
    expected: Vec<u8>,
    size: usize,
    writes_jump: bool,
    line: (u64, String),
}

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let message = message(case)?;
    let found = x86::site(message.found.get(..message.size)?)?;
    let expected = x86::site(message.expected.get(..message.size)?)?;
    let site = case
        .report
        .named
        .as_ref()
        .map_or_else(|| case.in_function(), |f| format!("{}+{:#x}", f.function, f.offset));
    let mut evidence = vec![line(
        format!(
            "at {site} memory holds {} where {} was expected; five bytes are printed, the first {} count",
            found.describe(),
            expected.describe(),
            message.size
        ),
        message.line.clone(),
    )];
    let would = if message.writes_jump {
        "type:1: the kernel was about to write a jump, so a nop had to be there"
    } else {
        "type:0: the kernel was about to write a nop, so the jump had to be there"
    };
    evidence.push(fact(would));
    let unwritten = message.writes_jump && matches!(found, x86::Site::Jump(..));
    let reversed = !message.writes_jump && matches!(found, x86::Site::Nop(_));
    let table = table(case);
    evidence.extend(table.as_ref().map(|(evidence, _)| evidence.clone()));
    let lto = toolchain(case);
    let has_lto = lto.iter().any(|evidence| evidence.says.contains("LTO"));
    evidence.extend(lto);
    let what = if unwritten {
        format!(
            "The site {site} still holds the compiler's {}, where the {} that objtool should have written is expected: either objtool did not rewrite this site (its nop rewrite is missing for it), or the entry's polarity disagrees with the key",
            found.describe(),
            expected.describe().trim_start_matches("a ")
        )
    } else if reversed {
        format!(
            "The site {site} holds {} where the jump should be: the key's value and the entry's branch bit disagree",
            found.describe()
        )
    } else {
        format!(
            "The site {site} holds {}, neither the nop nor the jump of its entry: the text or the entry's address is wrong",
            found.describe()
        )
    };
    let way = if has_lto {
        " The kernel was built with LTO, the usual way there: objtool sees the code only after the link, and code is moved between objects."
    } else if unwritten {
        " The usual way there is LTO, where objtool sees the code only after the link."
    } else {
        ""
    };
    let mut advice = Vec::new();
    if table.is_none() {
        advice.push("run `kvet check vmlinux`: the rule jump-labels/initial-state names every site whose bytes disagree with its key, with the key".to_owned());
    }
    advice.extend(sentences([
        "build without LTO (CONFIG_LTO_NONE=y) and compare: if the message goes, compare the site's bytes before and after objtool",
        "check that objtool ran on the object that holds the site (with LTO: on vmlinux.o), and with --hacks=jump_label",
        "try a newer compiler and linker: built-in code that is linked in from outside the tree goes through LTO too",
    ]));
    Some(Diagnosis {
        cause: "jump-label-mismatch",
        summary: format!("{what}.{way}"),
        confidence: if unwritten || reversed { Confidence::Likely } else { Confidence::Possible },
        evidence,
        advice,
    })
}

fn message(case: &Case<'_>) -> Option<Message> {
    let (number, text) = case.says("unexpected op at")?;
    let bytes = text.rsplit_once(" (").map(|(_, rest)| rest)?;
    let (found, rest) = bytes.split_once(" != ")?;
    let (expected, rest) = rest.split_once(')')?;
    let parse = |text: &str| {
        text.split_whitespace().map(|b| u8::from_str_radix(b, 16).ok()).collect::<Option<Vec<u8>>>()
    };
    let (found, expected) = (parse(found)?, parse(expected)?);
    // 5.13 and older print neither size nor type: their sites have five bytes.
    let size = super::number_after(rest, "size:").and_then(|n| usize::try_from(n).ok()).unwrap_or(5);
    let writes_jump = match super::number_after(rest, "type:") {
        Some(kind) => kind == 1,
        None => matches!(x86::site(&expected), Some(x86::Site::Nop(_))),
    };
    Some(Message { found, expected, size, writes_jump, line: (number, text.to_owned()) })
}

/// What the image's own table says of the site.
fn table(case: &Case<'_>) -> Option<(Evidence, String)> {
    let kernel = case.kernel?;
    let named = case.report.named.as_ref()?;
    let (label, key) = super::machine::jump_label_at(kernel, &named.function, named.size, named.offset)?;
    let initially = key
        .initially_enabled()
        .map_or("of unknown value", |on| if on { "initially true" } else { "initially false" });
    let shape = label.is_jump_when(key.initially_enabled().unwrap_or(false));
    let says = format!(
        "the image's jump table, entry {}: the site belongs to the key {} ({initially}), branch bit {}, so the site starts as a {}",
        label.index,
        key.label(),
        u8::from(label.branch),
        if shape { "jump" } else { "nop" }
    );
    Some((fact(says), key.label()))
}

/// Compiler and LTO, from the banner, the configuration, or what people wrote.
fn toolchain(case: &Case<'_>) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    let config = case.image().and_then(|image| image.config()).unwrap_or("");
    let banner =
        case.boot().and_then(|boot| boot.banner.as_deref()).or_else(|| case.image()?.banner()).unwrap_or("");
    if config.contains("CONFIG_LTO_CLANG=y") {
        evidence.push(fact("the image's configuration has CONFIG_LTO_CLANG=y: LTO"));
    } else if let Some(found) =
        ["ThinLTO", "Full LTO", "full LTO", "thinlto", "LTO"].iter().find_map(|word| case.anywhere(word))
    {
        evidence.push(line("the text around the log names LTO", found));
    }
    if banner.contains("clang") {
        evidence.push(fact("the kernel was built with Clang, as its banner says"));
    } else if let Some(found) = case.anywhere("Clang").or_else(|| case.anywhere("LLVM")) {
        evidence.push(line("the text around the log names Clang/LLVM as the compiler", found));
    }
    if let Some(found) = case.anywhere("ZFS").or_else(|| case.anywhere("zfs")) {
        evidence.push(line("code from outside the tree was built in (ZFS)", found));
    }
    evidence
}
