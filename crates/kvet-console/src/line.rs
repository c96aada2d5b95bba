//! From the raw bytes of one physical line to the kernel's message: escapes, quoting, prefixes, time stamps,
//! caller ids taken off.
//!
//! A physical line may hold several messages: user space prints without a line feed and the kernel follows, or two
//! CPUs write at once. Each message that has its own time stamp becomes a [`Part`].

use std::borrow::Cow;

use crate::prefix;
use crate::text::trim;

/// Who printed a message, `CONFIG_PRINTK_CALLER`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Caller {
    /// `[T12]`
    Task(u32),
    /// `[C3]`: an interrupt on that CPU.
    Cpu(u32),
}

/// Whose message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// It bears a mark of printk: a time stamp, a level, syslog's `kernel:`.
    Kernel,
    /// Nothing tells.
    Unknown,
    /// It bears the mark of somebody else.
    User,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// The message without prefix, without white space around it.
    pub text: &'a str,
    /// Seconds since boot.
    pub timestamp: Option<f64>,
    /// Who printed it.
    pub caller: Option<Caller>,
    /// Whose it is.
    pub origin: Origin,
    /// Depth of mail quoting.
    pub quote: u8,
    /// Length of the whole line without its quoting: a mailer that wraps counts these.
    pub width: usize,
}

/// A message and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// Number, from 1.
    pub number: u64,
    /// Byte offset of the physical line.
    pub start: u64,
    /// Byte offset after its line feed.
    pub end: u64,
    /// The message.
    pub part: Part<'a>,
}

impl<'a> Line<'a> {
    /// The message.
    pub fn text(&self) -> &'a str {
        self.part.text
    }
}

/// `raw` (one line without its line feed) without terminal escapes, NULs and other controls, as text. Lone `\r`s
/// stay: the caller splits at them.
pub(crate) fn sanitize(raw: &[u8]) -> Cow<'_, str> {
    // No early exit: so the compiler can look at many bytes at once.
    let control = raw.iter().fold(false, |any, &b| any | ((b < 0x20) & (b != b'\t')) | (b == 0x7f));
    let text = match std::str::from_utf8(raw) {
        Ok(text) if !control => Cow::Borrowed(text),
        Err(_) if !control => String::from_utf8_lossy(raw),
        _ => Cow::Owned(without_controls(raw)),
    };
    if memchr::memchr(b'&', text.as_bytes()).is_some()
        && let Some(decoded) = prefix::html::decode(&text)
    {
        return Cow::Owned(decoded);
    }
    text
}

/// A line that needs no cleaning, as nearly all do: no control, and no character entity of a mail archive.
pub(crate) fn clean(raw: &[u8]) -> Option<&str> {
    let dirty =
        raw.iter().fold(false, |any, &b| any | ((b < 0x20) & (b != b'\t')) | (b == 0x7f) | (b == b'&'));
    if dirty { None } else { std::str::from_utf8(raw).ok() }
}

fn without_controls(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut i = 0;
    while i < raw.len() {
        let b = raw[i];
        if b == 0x1b {
            i += escape_length(&raw[i..]);
            continue;
        }
        if b == b'\t' || (b >= 0x20 && b != 0x7f) {
            out.push(b);
        }
        i += 1;
    }
    match String::from_utf8(out) {
        Ok(s) => s,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    }
}

/// Length of the escape sequence at the start of `s` (ECMA-48: CSI, OSC, or two bytes), at least 1.
fn escape_length(s: &[u8]) -> usize {
    match s.get(1) {
        Some(b'[') => {
            let body = s[2..].iter().take(64).take_while(|b| (0x20..0x40).contains(*b)).count();
            (2 + body + usize::from(s.get(2 + body).is_some_and(|b| (0x40..0x7f).contains(b)))).min(s.len())
        }
        Some(b']') => {
            let body = s[2..].iter().take(256).take_while(|b| **b != 7 && **b != 0x1b).count();
            (2 + body + usize::from(s.get(2 + body) == Some(&7))).min(s.len())
        }
        Some(b'(' | b')' | b'#') => 3.min(s.len()),
        Some(b) if (0x30..0x7f).contains(b) => 2,
        _ => 1,
    }
}

/// Gives each message of a sanitised line to `give`.
pub(crate) fn parts<'a>(line: &'a str, mut give: impl FnMut(Part<'a>)) {
    let (quote, body) = prefix::quote::strip(line);
    let width = body.len();
    let mut rest = body;
    let mut first = true;
    // Each round takes one message; a stamp further on begins the next one.
    while first || !rest.is_empty() {
        let here = match prefix::stamped(rest) {
            Some(here) => here,
            None if first => prefix::strip(prefix::strip_collector(rest)),
            None => prefix::strip(rest),
        };
        let next = prefix::printk::next_stamp(here.text);
        let (text, tail) = here.text.split_at(next.unwrap_or(here.text.len()));
        let text = trim(text);
        if (first || !text.is_empty()) && !(text.is_empty() && next.is_some()) {
            give(Part {
                text,
                timestamp: here.timestamp,
                caller: here.caller,
                origin: here.origin,
                quote,
                width,
            });
        }
        first = false;
        if next.is_none() {
            break;
        }
        rest = tail;
    }
}

/// The message of one raw line as text for a person: escapes, quoting, time stamp and prefixes taken off.
///
/// ```
/// assert_eq!(kvet_console::clean_line(b"> > [    0.100000][    T1] Oops: 0000\r\n"), "Oops: 0000");
/// ```
pub fn clean_line(raw: &[u8]) -> String {
    let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
    let raw = &prefix::json::message(&raw[..raw.len().min(MAX_LINE)]);
    let mut out = String::new();
    for piece in pieces(raw) {
        parts(&sanitize(piece), |part| {
            if !part.text.is_empty() {
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(part.text);
            }
        });
    }
    out
}

/// What a physical line shows one after the other: a lone `\r` goes back to its beginning, and a terminal that is reset or cleared (`ESC c`,
/// `ESC [ 2 J`, of firmware and of x86's boot code) begins anew.
pub(crate) fn pieces(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(raw);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let cut = memchr::memchr3_iter(b'\n', b'\r', 0x1b, bytes).find_map(|at| match &bytes[at..] {
            // A line feed that was wrapped up in JSON.
            [b'\r' | b'\n', ..] => Some((at, 1)),
            [0x1b, b'c', ..] => Some((at, 2)),
            [0x1b, b'[', b'2', b'J', ..] => Some((at, 4)),
            _ => None,
        });
        let Some((at, length)) = cut else {
            rest = None;
            return Some(bytes);
        };
        rest = Some(&bytes[at + length..]);
        Some(&bytes[..at])
    })
}

/// Lines of `bytes` (a whole log) within `span`: number and cleaned text.
pub fn lines(bytes: &[u8], span: crate::Span) -> impl Iterator<Item = (u64, String)> + '_ {
    let clamp = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let start = clamp(span.start);
    let slice = &bytes[start..clamp(span.end).max(start)];
    let slice = slice.strip_suffix(b"\n").unwrap_or(slice);
    slice.split(|b| *b == b'\n').zip(span.first_line..).map(|(raw, number)| (number, clean_line(raw)))
}

/// A physical line longer than this is taken as several.
pub(crate) const MAX_LINE: usize = 16 << 10;
