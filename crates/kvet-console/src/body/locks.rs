//! Held locks (kernel/locking/lockdep.c, `lockdep_print_held_locks`): ` #0: ffff888 (lock){+.+.}-{3:3}, at: f+0x1/0x2`.

use crate::line::Line;
use crate::open::{MAX_TEXT, Open, Taken};
use crate::text::{clip, take_dec};

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
    if memchr::memmem::find(text.as_bytes(), b" held by ").is_some()
        || text == "Showing all locks held in the system:"
    {
        let head = text.split(' ').next().unwrap_or("");
        if head == "no" || head == "Showing" || take_dec(head).is_some_and(|d| d.1.is_empty()) {
            return Taken::Mark;
        }
    }
    Taken::No
}
