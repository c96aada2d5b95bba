//! Text for people: numbers, plurals, and strings out of a kernel made safe for a terminal.

use std::fmt::{self, Write as _};

/// Text that came from a file, for a terminal: what a terminal would obey (control characters) or what would
/// show another order than is there (bidirectional and invisible formatting) is written as an escape.
pub struct Safe<'a>(pub &'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut clean = 0;
        for (at, c) in self.0.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            f.write_str(&self.0[clean..at])?;
            match c {
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                c if u32::from(c) < 0x100 => write!(f, "\\x{:02x}", u32::from(c))?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
            clean = at + c.len_utf8();
        }
        f.write_str(&self.0[clean..])
    }
}

/// Characters that must not reach a terminal or a page as they are: C0, DEL and C1 controls, line and
/// paragraph separators, and the formatting characters that reorder or hide text.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// [`Safe`], but lines stay lines: for messages of our own that quote several lines of another program.
pub struct Lines<'a>(pub &'a str);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, line) in self.0.lines().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}", Safe(line))?;
        }
        Ok(())
    }
}

/// [`Safe`] as a string.
pub fn safe(text: &str) -> String {
    Safe(text).to_string()
}

/// A line that the kernel printed, as a terminal shows it: its tabs as blanks, its end without any.
pub fn printed(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for (i, piece) in line.split('\t').enumerate() {
        if i > 0 {
            let column = out.chars().count();
            out.extend(std::iter::repeat_n(' ', 8 - column % 8));
        }
        out.push_str(&safe(piece));
    }
    out.truncate(out.trim_end().len());
    out
}

/// A path for a terminal; what is not UTF-8 in it shows as U+FFFD.
pub fn path(path: &std::path::Path) -> String {
    safe(&path.to_string_lossy())
}

/// A number with its thousands apart: `46,299`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 error`, `2 errors`, `1 entry`, `3 entries`.
pub fn count(n: u64, word: &str) -> String {
    let plural = match word.strip_suffix('y') {
        Some(_) if n == 1 => word.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None if n == 1 => word.to_owned(),
        None => format!("{word}s"),
    };
    format!("{} {plural}", number(n))
}

/// Bytes as the kernel's `%ph` prints them: `66 90`.
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 3);
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Bytes without spaces, as a build id is written.
pub fn hex_id(bytes: &[u8]) -> String {
    hex(bytes).replace(' ', "")
}

/// Seconds and milliseconds as one reads them: `38 ms`, `1.42 s`.
pub fn duration(time: std::time::Duration) -> String {
    match time.as_secs_f64() {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_never_sees_a_control_character() {
        let hostile = "a\x1b[31mred\x07\r\n\u{9b}2J\u{202e}evil\u{2028}é\u{7f}";
        let shown = safe(hostile);
        assert_eq!(shown, "a\\x1b[31mred\\x07\\x0d\\n\\x9b2J\\u{202e}evil\\u{2028}é\\x7f");
        assert!(!shown.chars().any(is_unsafe));
    }

    #[test]
    fn printed_lines_keep_their_columns() {
        assert_eq!(printed("BPF: \t type_id=6\x1b "), "BPF:     type_id=6\\x1b");
        assert_eq!(printed("BPF: "), "BPF:");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(count(1, "entry"), "1 entry");
        assert_eq!(count(0, "entry"), "0 entries");
        assert_eq!(count(4023, "module"), "4,023 modules");
        assert_eq!(hex(&[0x66, 0x90]), "66 90");
        assert_eq!(hex_id(&[0xde, 0xad]), "dead");
        assert_eq!(hex(&[]), "");
    }
}
