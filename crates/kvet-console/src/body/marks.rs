//! Lines that frame a report, and what may follow its end.

use crate::arch;
use crate::line::Line;
use crate::open::{Open, Taken};

/// `---[ end trace 0000000000000000 ]---` and other last lines; marks without content.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if text.starts_with("---[ end ") {
        open.ended = true;
        return Taken::End;
    }
    match text.as_bytes()[0] {
        b'=' if ruler(text, b'=') => {
            if open.frame_count() > 0 {
                open.ended = true;
                return Taken::End;
            }
            Taken::Mark
        }
        b'-' if ruler(text, b'-') => Taken::Mark,
        b'D' if text.starts_with("Dumping ftrace buffer:") => Taken::Mark,
        b'(' if text == "(ftrace buffer empty)" => Taken::Mark,
        _ => Taken::No,
    }
}

/// Whether the line is a ruler of one character.
pub(crate) fn ruler(text: &str, c: u8) -> bool {
    text.len() >= 8 && text.bytes().all(|b| b == c)
}

/// After the end of a report: the registers again (x86 since 4.20), the note of the dead task, the offset of the
/// kernel, the reboot.
pub(crate) fn after_end(open: &mut Open, line: &Line<'_>) -> Taken {
    let text = line.text();
    if text.starts_with("Kernel Offset: ")
        || text.starts_with("Rebooting in ")
        || text.starts_with("---[ end ")
        || text.starts_with("note: ")
        || text.starts_with("Fixing recursive fault")
        || text.starts_with("SMP: stopping secondary CPUs")
        || text.starts_with("Memory Limit: ")
        || text.starts_with("PHYS_OFFSET: ")
        || text.starts_with("CPU features: 0x")
        || text.starts_with("Modules linked in:")
        || (text.starts_with("RIP: ") || text.starts_with("RIP [") || text.starts_with("RIP  ["))
        || (text.starts_with("Code: ") && open.strange < 4)
        || (open.strange < 4 && arch::x86::is_registers(text))
    {
        return Taken::Mark;
    }
    Taken::No
}
