//! `missing return thunk: %pS-%pS: %*ph`: `apply_returns` (arch/x86/kernel/alternative.c, 5.19 on) found a site of
//! .return_sites that is no `jmp __x86_return_thunk`.

use super::{Case, Confidence, Diagnosis, fact, line, sentences, x86};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let (number, text) = case.says("missing return thunk")?;
    let rest = text.split_once("missing return thunk:")?.1.trim();
    let site = rest.split(['-', ' ']).next().unwrap_or(rest).trim_end_matches(':');
    let mut evidence = vec![line("a return site is no jump to the return thunk", (number, text.to_owned()))];
    let bytes: Vec<u8> = rest
        .rsplit(": ")
        .next()
        .unwrap_or("")
        .split_whitespace()
        .map_while(|b| u8::from_str_radix(b, 16).ok())
        .collect();
    let found = bytes.first().and_then(|first| match first {
        0xc3 | 0xcc => Some("a plain ret, already patched or never a thunk".to_owned()),
        0xe8 => Some("a call".to_owned()),
        _ => x86::site(&bytes).map(|site| site.describe()),
    });
    if let Some(found) = &found {
        evidence.push(fact(format!("the bytes there are {found}")));
    }
    let what = found.unwrap_or_else(|| "something else".to_owned());
    Some(Diagnosis {
        cause: "missing-return-thunk",
        summary: format!(
            "The table of return sites names {site}, which holds {what} instead of `jmp __x86_return_thunk`: the table and the text do not belong together, or the site was patched before (another mechanism owns it)."
        ),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([
            "run `kvet check vmlinux` (or the module): the table `returns` names every such site",
            "build the object that holds it again, with one objtool and one compiler; an object file from outside the build (a blob, assembly with its own ret) is the usual one",
            "the mitigation against return speculation is incomplete until then",
        ]),
    })
}
