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

/// File and line of every BUG (no WARN) of that file.
fn bugs(context: &Context<'_>) -> Vec<(String, u16)> {
    const WARNING: u16 = 1;
    const SIZE: u64 = 12;
    let image = context.kernel.unwrap_or(context.image);
    let Some(bounds) =
        crate::Bounds::locate(image, "__bug_table", "__start___bug_table", "__stop___bug_table")
    else {
        return Vec::new();
    };
    (0..bounds.len() / SIZE)
        .filter_map(|i| {
            let at = bounds.start.checked_add(i * SIZE)?;
            let (line, flags) = (image.u16(at.checked_add(8)?)?, image.u16(at.checked_add(10)?)?);
            let file = image.cstr(image.rel32(at.checked_add(4)?)?, 256)?;
            (flags & WARNING == 0 && file.ends_with(FILE)).then(|| (file.to_owned(), line))
        })
        .collect()
}
