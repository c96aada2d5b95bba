//! The `Code:` line: bytes or words in memory order, and the marked one.

use crate::line::Line;
use crate::open::{Open, Taken};
use crate::report::{Arch, Code};
use crate::text::hex;

/// Bytes kept.
const MAX_BYTES: usize = 512;

/// Reads `Code: ...`, powerpc's `Instruction dump:` excepted.
pub(crate) fn read(open: &mut Open, line: &Line<'_>) -> Taken {
    let Some(rest) = line.text().strip_prefix("Code:") else { return Taken::No };
    let big_endian = matches!(open.report.arch, Some(Arch::S390));
    let Some(code) = parse(rest, big_endian) else { return Taken::No };
    let section = open.section();
    // The code of an exception inside the trace, or of user space, is not the section's.
    if !section.foreign_registers && (section.code.is_none() || open.last == Taken::Code) {
        open.section().code = Some(code);
    }
    Taken::Code
}

/// Reads what follows `Code:`.
pub(crate) fn parse(rest: &str, big_endian: bool) -> Option<Code> {
    let mut code = Code::default();
    for word in rest.split_ascii_whitespace() {
        let (digits, marked) = match word.as_bytes() {
            [b'<' | b'(', .., b'>' | b')'] => (&word[1..word.len() - 1], true),
            _ => (word, false),
        };
        let Some(value) = hex(digits).filter(|_| matches!(digits.len(), 2 | 4 | 8)) else {
            break;
        };
        let unit = digits.len() / 2;
        if marked {
            code.marked = Some(code.bytes.len());
            code.unit = u8::try_from(unit).ok()?;
        } else if code.unit == 0 {
            code.unit = u8::try_from(unit).ok()?;
        }
        if code.bytes.len() + unit > MAX_BYTES {
            break;
        }
        let bytes = value.to_le_bytes();
        if big_endian {
            code.bytes.extend(bytes[..unit].iter().rev());
        } else {
            code.bytes.extend(&bytes[..unit]);
        }
    }
    if code.bytes.is_empty() {
        let words = rest.trim();
        let known =
            words.starts_with("Bad ") || words.starts_with("Unable to access") || words.starts_with("bad PC");
        if !known {
            return None;
        }
        code.unreadable = Some(words.to_owned());
    }
    Some(code)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn forms() {
        let x86 = parse(" 8b 4f 20 66 <90> f7 c1", false).expect("bytes");
        assert_eq!((x86.bytes.len(), x86.marked, x86.unit, x86.bytes[4]), (7, Some(4), 1, 0x90));
        let arm64 = parse(" 39402e61 54fff500 (d4210000)", false).expect("words");
        assert_eq!((arm64.marked, arm64.unit, &arm64.bytes[8..]), (Some(8), 4, &[0, 0, 0x21, 0xd4][..]));
        let none = parse(" Bad RIP value.", false).expect("words");
        assert_eq!(none.unreadable.as_deref(), Some("Bad RIP value."));
        assert!(parse(" Unexpected prose", false).is_none());
    }
}
