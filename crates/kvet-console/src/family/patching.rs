//! The kernel's own words about the tables that it patches itself by.
//!
//! x86 `jump_label: Fatal kernel bug, unexpected op at f+0x1/0x2 [...] (...)` (arch/x86/kernel/jump_label.c, `bug_at`); arm64 `alternatives: Bad alt
//! region ...` of a debugging patch; x86 `Unpatched return thunk in use. This should not happen!` and `missing return thunk: f+0x1/0x2-f+0x3/0x2: ...`
//! (arch/x86/kernel/cpu/bugs.c, alternative.c); `static_call: unexpected op`, `unexpected static_call insn opcode 0x.. at f+0x1/0x2`
//! (arch/x86/kernel/static_call.c, `__static_call_validate`).

use super::{Family, Start, Sure};
use crate::body::frame;
use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::Kind;

pub(crate) static FAMILY: Family = Family {
    anchors: &["jump_label: ", "alternatives: ", "return thunk", "static_call", "nexpected "],
    begin,
    line,
};

fn begin(line: &Line<'_>) -> Option<Start> {
    let text = line.text();
    let (sure, mark) = match () {
        () if text.starts_with("jump_label: Fatal kernel bug") => (Sure::Certain, " at "),
        () if text.starts_with("alternatives: Bad alt region at") => (Sure::Certain, ""),
        () if text.starts_with("missing return thunk: ") => (Sure::Certain, "thunk: "),
        () if text.contains("Unpatched return thunk in use") => (Sure::Kernel, ""),
        () if text.contains("unexpected static_call insn opcode") => (Sure::Certain, " at "),
        () if text.starts_with("jump_label: ") && text.contains("unexpected op") => (Sure::Certain, " at "),
        () if text.starts_with("static_call: ") && text.contains("nexpected") => (Sure::Certain, " at "),
        () if text.starts_with("Unexpected kernel BRK exception at") => (Sure::Certain, ""),
        () => return None,
    };
    let mut start = Start::new(
        if text.starts_with("Unexpected kernel BRK") { Kind::Breakpoint } else { Kind::Patching },
        line,
        sure,
    );
    if !mark.is_empty() {
        start.report.named =
            frame::after_mark(text, mark).filter(|f| f.size.is_some() || f.address.is_some());
    }
    Some(start)
}

fn line(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix("alternatives: ptr = ") {
        open.report.named = crate::text::after(rest, ", ").and_then(frame::at_start);
    }
    if text.starts_with("alternatives: Bad alt region at") {
        return Taken::No;
    }
    super::detail_of(open, line, &["alternatives: ", "kernel BUG at ", "------------[ cut here ]"])
}
