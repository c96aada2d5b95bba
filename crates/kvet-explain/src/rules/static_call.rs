//! `unexpected static_call insn opcode 0x%x at %pS` and `trampoline signature fail`: arch/x86/kernel/static_call.c
//! `__static_call_validate`, 5.11 on.

use super::{Case, Confidence, Diagnosis, fact, line, sentences};

pub fn rule(case: &Case<'_>) -> Option<Diagnosis> {
    let (number, text) = case
        .says("static_call insn opcode")
        .or_else(|| case.says("trampoline signature fail"))
        .or_else(|| case.says("unexpected call insn opcode"))?;
    let mut evidence =
        vec![line("the kernel stopped before it patched a static call", (number, text.to_owned()))];
    let opcode = super::hex_after(text, "opcode ");
    let what = match opcode {
        Some(0xe8) => "a call where a tail call's jump is expected, or the reverse",
        Some(0xe9) => {
            "a jump where a call is expected: the compiler made a tail call of a site that is not marked as one"
        }
        Some(0x0f) => "a conditional jump or a nop",
        Some(0xcc) => "an int3",
        Some(_) => "no call, jump, ret or nop of five bytes",
        None => "no trampoline of this kernel",
    };
    if let Some(opcode) = opcode {
        evidence.push(fact(format!("opcode {opcode:#04x}: {what}")));
    }
    let site = text.split_once(" at ").map_or("the site", |(_, site)| site.trim());
    Some(Diagnosis {
        cause: "static-call-opcode",
        summary: format!(
            "A static call site ({site}) holds {what}: its entry in .static_call_sites is wrong, or the text was changed after objtool wrote it."
        ),
        confidence: Confidence::Likely,
        evidence,
        advice: sentences([
            "run `kvet check vmlinux`: the table static-calls names the site and its key",
            "rebuild with one compiler and objtool; check what rewrote the text in between (LTO, a linker's relaxation, a live patch)",
        ]),
    })
}
