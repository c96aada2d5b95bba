//! The lines of a log that people want to see of a report.

use kvet_explain::{Explained, Text};

/// So many lines are shown of a report at most.
const MAX: usize = 40;

/// So long a report is looked through.
const LOOK: usize = 400;

/// Lines of a log with their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// Number from 1, text cleaned of prefixes; not safe for a terminal yet.
    pub lines: Vec<(u64, String)>,
    /// So many lines of the report are not shown.
    pub left_out: u64,
}

impl Excerpt {
    /// The telling lines of a report: no registers, no module list, no second copy.
    pub fn of(explained: &Explained, text: Text<'_>) -> Excerpt {
        let report = &explained.report;
        if text.0.is_empty() {
            let told = std::iter::once((report.span.first_line, report.headline.clone()))
                .chain(report.details.iter().cloned());
            return Excerpt { lines: told.take(MAX).collect(), left_out: 0 };
        }
        let total = report.span.last_line.saturating_sub(report.span.first_line) + 1;
        let mut lines: Vec<(u64, String)> = Vec::new();
        let mut ended = false;
        let fault = matches!(report.kind, kvet_console::Kind::PageFault | kvet_console::Kind::DoubleFault);
        for (number, line) in text.lines(&report.span).take(LOOK) {
            ended |= line.contains("---[ end ");
            // After the end mark x86 prints registers and code once more.
            let repeated = ended && !line.contains("panic");
            let aside = line.starts_with("CR2:") && !fault;
            if is_telling(&line) && !repeated && !aside && lines.len() < MAX {
                lines.push((number, line));
            }
        }
        let left_out = total.saturating_sub(lines.len() as u64);
        Excerpt { lines, left_out }
    }
}

/// Not a register, a mark of the trace, or a list that fills the screen.
fn is_telling(line: &str) -> bool {
    const NOISE: &[&str] = &[
        "Modules linked in",
        "RSP: ",
        "RAX: ",
        "RDX: ",
        "RBP: ",
        "R10: ",
        "R13: ",
        "FS: ",
        "CS: ",
        "PKRU: ",
        "DR0: ",
        "DR3: ",
        "------------[ cut here",
        "---[ end ",
        "<TASK>",
        "</TASK>",
        "Hardware name:",
        "pstate: ",
        "=====",
        "Memory state around",
    ];
    let register = |line: &str| {
        let mut words = line.split_whitespace();
        matches!((words.next(), words.next()), (Some(name), Some(value))
            if name.starts_with('x') && name[1..].trim_end_matches(':').bytes().all(|b| b.is_ascii_digit()) && (value == ":" || name.ends_with(':') && value.len() >= 8))
    };
    let line = line.trim();
    !line.is_empty()
        && !NOISE.iter().any(|noise| line.starts_with(noise))
        && !register(line)
        && !line.starts_with("? ")
}

#[cfg(test)]
mod tests {
    use super::is_telling;

    #[test]
    fn registers_and_marks_are_left_out() {
        for noise in [
            "RAX: 0000",
            "x29: ffff0000093abce0 x28: ffff000008ea9000",
            "x9 : 000000007eff9000",
            "<TASK>",
            "",
            "? die+0x31/0x80",
        ] {
            assert!(!is_telling(noise), "{noise}");
        }
        for telling in [
            "RIP: 0010:f+0x1/0x2",
            "Code: 00",
            "x25_connect+0x1/0x2",
            "int3: 0000 [#1]",
            "sp : ffff0000093a80e0",
        ] {
            assert!(is_telling(telling), "{telling}");
        }
    }
}
