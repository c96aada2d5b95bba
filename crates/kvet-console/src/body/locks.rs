//! Held locks (kernel/locking/lockdep.c, `lockdep_print_held_locks`): ` #0: ffff888 (lock){+.+.}-{3:3}, at: f+0x1/0x2`.

use crate::line::Line;
use crate::open::{MAX_TEXT, Open, Taken};
use crate::text::{before, clip, contains, take_dec};

/// Locks kept of one report.
const MAX_LOCKS: usize = 256;

/// Reads held locks.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if let Some(rest) = text.strip_prefix('#') {
        let Some((_, rest)) = take_dec(rest) else { return Taken::No };
        if !rest.starts_with(':') {
            return Taken::No;
        }
        if open.report.locks.len() < MAX_LOCKS {
            open.report.locks.push(clip(text, MAX_TEXT).to_owned());
        }
        return Taken::Facts;
    }
    // `no locks held by`, `2 locks held by`, `Showing all locks held in the system:`.
    let head = before(text, " ");
    let counted = || head == "no" || take_dec(head).is_some_and(|d| d.1.is_empty());
    let held = counted() && contains(text, " held by ")
        || head == "Showing"
            && (text == "Showing all locks held in the system:" || contains(text, " held by "));
    if held { Taken::Mark } else { Taken::No }
}
