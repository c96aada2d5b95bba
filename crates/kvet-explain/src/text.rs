//! The log's own lines, for quoting as evidence.

use kvet_console::Span;

/// A quoted line is not longer than this; consoles have no longer ones that anybody reads.
const MAX_QUOTE: usize = 400;

/// The bytes of a log, as they were given to the parser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Text<'a>(pub &'a [u8]);

impl<'a> Text<'a> {
    /// The lines of a span with their numbers, cleaned of prefixes.
    pub fn lines(self, span: &Span) -> impl Iterator<Item = (u64, String)> + 'a {
        let len = self.0.len() as u64;
        let start = usize::try_from(span.start.min(len)).unwrap_or(0);
        let end = usize::try_from(span.end.min(len)).unwrap_or(0).max(start);
        let numbers = span.first_line..;
        let lines = self.0[start..end].split(|&byte| byte == b'\n');
        numbers.zip(lines).map(|(number, line)| (number, clean(line)))
    }

    /// Whether the raw bytes of a span hold a text.
    pub fn holds(self, span: &Span, needle: &str) -> bool {
        self.place(span, needle).is_some()
    }

    /// Where a span begins, and where in the log the first text of it stands.
    fn place(self, span: &Span, needle: &str) -> Option<(usize, usize)> {
        let len = self.0.len() as u64;
        let start = usize::try_from(span.start.min(len)).ok()?;
        let end = usize::try_from(span.end.min(len)).ok()?.max(start);
        let at = memchr::memmem::find(&self.0[start..end], needle.as_bytes())?;
        Some((start, start + at))
    }

    /// The first line of a span that holds a text.
    pub fn find_in(self, span: &Span, needle: &str) -> Option<(u64, String)> {
        let (start, at) = self.place(span, needle)?;
        let number = span.first_line + memchr::memchr_iter(b'\n', &self.0[start..at]).count() as u64;
        Some((number, clean(self.line_around(at))))
    }

    /// The first line of the whole log that holds a text.
    pub fn find(self, needle: &str) -> Option<(u64, String)> {
        let all = Span { start: 0, end: self.0.len() as u64, first_line: 1, last_line: u64::MAX };
        self.find_in(&all, needle)
    }

    /// Every line of the whole log that holds a text, up to a number of them.
    pub fn find_all(self, needle: &str, max: usize) -> Vec<(u64, String)> {
        let mut found: Vec<(u64, String)> = Vec::new();
        let (mut number, mut counted) = (1, 0);
        for at in memchr::memmem::find_iter(self.0, needle.as_bytes()) {
            number += memchr::memchr_iter(b'\n', &self.0[counted..at]).count() as u64;
            counted = at;
            if found.last().is_none_or(|(last, _)| *last != number) {
                found.push((number, clean(self.line_around(at))));
            }
            if found.len() >= max {
                break;
            }
        }
        found
    }

    /// The time stamp of a line of a span.
    pub fn stamp(self, span: &Span, number: u64) -> Option<f64> {
        let line = self.raw_line(span, number)?;
        let text = String::from_utf8_lossy(line);
        let (stamp, _) = text.split_once('[')?.1.split_once(']')?;
        stamp.split_whitespace().next()?.parse().ok()
    }

    /// The part of a span from one line to another.
    pub fn sub_span(self, span: &Span, first: u64, last: u64) -> Span {
        let offset = |line: Option<&[u8]>, end: bool| {
            let line = line?;
            let at = (line.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize)?;
            Some((at + if end { line.len() } else { 0 }) as u64)
        };
        Span {
            start: offset(self.raw_line(span, first), false).unwrap_or(span.start),
            end: offset(self.raw_line(span, last), true).unwrap_or(span.end),
            first_line: first,
            last_line: last,
        }
    }

    fn raw_line(self, span: &Span, number: u64) -> Option<&'a [u8]> {
        let start = usize::try_from(span.start).ok().filter(|start| *start <= self.0.len())?;
        let skip = usize::try_from(number.checked_sub(span.first_line)?).ok()?;
        self.0[start..].split(|&byte| byte == b'\n').nth(skip)
    }

    fn line_around(self, at: usize) -> &'a [u8] {
        let start = memchr::memrchr(b'\n', &self.0[..at]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &self.0[at..]).map_or(self.0.len(), |newline| at + newline);
        &self.0[start..end]
    }
}

/// A line without quoting, level, time stamp and caller, cut to a length that one reads.
fn clean(line: &[u8]) -> String {
    let text = kvet_console::clean_line(&line[..line.len().min(4 * MAX_QUOTE)]);
    match text.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_and_text_stays() {
        assert_eq!(clean(b"> > [    0.273303] kernel BUG at a.c:1!\r"), "kernel BUG at a.c:1!");
        assert_eq!(clean(b"<4>[    1.200000][    T1] x"), "x");
        assert_eq!(clean(b"[  153.100000][ T12345]  f+0x1/0x2"), "f+0x1/0x2");
        assert_eq!(clean(b"[ffff0000093abce0] pgd=1"), "[ffff0000093abce0] pgd=1");
        assert_eq!(clean(b"<TASK>"), "<TASK>");
    }

    #[test]
    fn lines_are_found_with_their_numbers() {
        let text = Text(b"a\nb one\n> [    0.100000] c one\nd\n");
        assert_eq!(text.find("one"), Some((2, "b one".to_owned())));
        assert_eq!(text.find_all("one", 9), [(2, "b one".to_owned()), (3, "c one".to_owned())]);
        let span = Span { start: 8, end: 33, first_line: 3, last_line: 4 };
        assert_eq!(text.find_in(&span, "one"), Some((3, "c one".to_owned())));
        assert_eq!(text.lines(&span).next(), Some((3, "c one".to_owned())));
        assert_eq!(text.find("nothing"), None);
    }

    #[test]
    fn a_span_past_the_end_is_no_panic() {
        let span = Span { start: 90, end: 20, first_line: 1, last_line: 2 };
        assert_eq!(Text(b"abc").find_in(&span, "a"), None);
        assert_eq!(Text(b"abc").lines(&span).count(), 1);
    }
}
