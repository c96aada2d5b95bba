//! The kernel's own words for its BUG()s in arch/arm64/kernel/alternative.c.

use crate::Context;

/// What the kernel prints when it stops at one of its three checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct BugLines {
    /// `BUG()` in `get_alt_insn()`: an instruction that the kernel does not relocate.
    pub(super) literal: String,
    /// `BUG_ON(alt->alt_len != 0)` of a callback.
    pub(super) callback: String,
    /// `BUG_ON(alt->alt_len != alt->orig_len)` of any other entry.
    pub(super) length: String,
}

/// The file as the kernel's makefiles name it.
const FILE: &str = "arch/arm64/kernel/alternative.c";

impl BugLines {
    /// Reads file and line from the image's bug table.
    ///
    /// The file has four unconditional BUGs, in this order in every version from 5.10 to 7.3: `get_alt_insn()`,
    /// the two of `__apply_alternatives()`, and `BUG_ON(all_alternatives_applied)`. A compiler that inlines a
    /// function twice repeats a line, never the order.
    pub(super) fn read(context: &Context<'_>) -> BugLines {
        let mut lines: Vec<(String, u16)> = bugs(context);
        lines.sort();
        lines.dedup();
        let line = |at: usize| match &lines[..] {
            [a, b, c, _] => {
                let (file, number) = [a, b, c][at];
                format!("kernel BUG at {file}:{number}!")
            }
            // lib/bug.c, report_bug(), when CONFIG_DEBUG_BUGVERBOSE gives no file.
            [] => format!("kernel BUG at {FILE}!"),
            [(file, _), ..] => format!("kernel BUG at {file}!"),
        };
        BugLines { literal: line(0), callback: line(1), length: line(2) }
    }
}

/// File and line of every BUG (no WARN) of that file, in the kernel that applies the alternatives.
fn bugs(context: &Context<'_>) -> Vec<(String, u16)> {
    let (image, table) = match context.kernel {
        Some(kernel) => (kernel, context.kernel_bugs()),
        None => (context.image, context.bugs()),
    };
    let entries = table.into_iter().flat_map(|table| table.entries(image));
    entries
        .filter(|bug| !bug.is_warning())
        .filter_map(|bug| Some((bug.file?.to_owned(), bug.line)))
        .filter(|(file, _)| file.ends_with(FILE))
        .collect()
}
