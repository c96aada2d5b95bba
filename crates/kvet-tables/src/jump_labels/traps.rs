//! Which file and line the kernel names when it stops at a jump label: from its own bug table.

use crate::Context;
use crate::bugs::bugs_in_function;

/// The `kernel BUG at FILE:LINE!` lines of arch/x86/kernel/jump_label.c, where the image has them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Traps {
    /// After `unexpected op at ...`: the BUG() of `__jump_label_patch` (5.10: of `bug_at`).
    pub(super) unexpected: Option<String>,
    /// `BUG_ON(insn.length != 2 && insn.length != 5)`, the first in the file.
    pub(super) length: Option<String>,
    /// The BUG_ON of `__text_gen_insn`, inlined from asm/text-patching.h.
    pub(super) reach: Option<String>,
}

impl Traps {
    /// Reads those of the image, or of a module's kernel.
    pub(super) fn read(context: &Context<'_>) -> Traps {
        let mut own = Vec::new();
        let mut reach = Vec::new();
        for function in ["__jump_label_patch", "arch_jump_entry_size", "bug_at"] {
            for bug in bugs_in_function(context, function).into_iter().filter(|bug| !bug.is_warning()) {
                let Some(file) = bug.file else { continue };
                let line = (bug.line, format!("kernel BUG at {file}:{}!", bug.line));
                if file.ends_with("x86/kernel/jump_label.c") {
                    own.push(line);
                } else if file.ends_with("asm/text-patching.h") {
                    reach.push(line);
                }
            }
        }
        own.sort();
        own.dedup();
        let length = if own.len() > 1 { own.first() } else { None };
        Traps {
            unexpected: own.last().map(|(_, line)| line.clone()),
            length: length.map(|(_, line)| line.clone()),
            reach: reach.into_iter().max().map(|(_, line)| line),
        }
    }
}
