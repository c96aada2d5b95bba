//! Lines that a mailer or a terminal has wrapped.

use super::Scanner;
use crate::anchors::ANCHORS;
use crate::line::{Line, Origin, Part};
use crate::open::{Open, Taken};
use crate::{body, family, relate};

impl Scanner {
    /// The rest of a line that a mailer has wrapped.
    pub(super) fn rejoin(&mut self, index: usize, line: &Line<'_>) -> bool {
        if !is_wrapped(&self.open[index], line) {
            return false;
        }
        let open = &mut self.open[index];
        let text = format!("{} {}", open.last_text, line.text());
        let part = Part {
            text: &text,
            timestamp: open.last_stamped.then_some(0.0),
            width: line.part.width,
            ..line.part
        };
        let joined = Line { part, ..*line };
        let taken = match open.last {
            Taken::Headline => {
                let timestamp = open.report.timestamp;
                let part = Part {
                    origin: if open.last_stamped { Origin::Kernel } else { line.part.origin },
                    ..part
                };
                let joined = Line { part, ..*line };
                let families = ANCHORS.families(&text);
                if let Some((start, _)) = families.and_then(|families| family::begin(&joined, families)) {
                    relate::same_headline(&mut open.report, start.report);
                } else {
                    open.report.headline = text.clone();
                }
                open.report.timestamp = timestamp;
                Taken::Headline
            }
            Taken::Frame => {
                open.section().frames.pop();
                body::read(open, &joined)
            }
            Taken::Detail => {
                open.report.details.pop();
                let taken = body::read(open, &joined);
                if taken == Taken::No {
                    open.detail(&joined);
                }
                Taken::Detail
            }
            _ => body::read(open, &joined),
        };
        if taken == Taken::No {
            return false;
        }
        open.extend_to(line);
        open.remember(&joined, taken);
        true
    }
}

/// Whether a line is the wrapped rest of the report's last one: no time stamp where the log has them, and the first word would not have fit.
fn is_wrapped(open: &Open, line: &Line<'_>) -> bool {
    let part = &line.part;
    let text = part.text;
    if !open.adjacent
        || open.last_text.is_empty()
        || text.is_empty()
        || part.timestamp.is_some()
        || part.caller.is_some()
    {
        return false;
    }
    if part.quote != open.last_quote || !(open.last_stamped || part.quote > 0) || open.last_text.len() > 2048
    {
        return false;
    }
    let word = text.split(' ').next().unwrap_or(text).len();
    if !(30..=82).contains(&open.last_width) || open.last_width + 1 + word < 68 {
        return false;
    }
    match open.last {
        Taken::Title | Taken::Mark | Taken::End | Taken::No => false,
        // In a log that is not quoted, a word may be user space's.
        Taken::Identity => part.quote > 0 || text.starts_with(|c: char| c.is_ascii_digit() || c == '#'),
        Taken::Registers | Taken::Code => {
            part.quote > 0 || text.starts_with(|c: char| c.is_ascii_hexdigit() || c == '(')
        }
        _ => true,
    }
}
