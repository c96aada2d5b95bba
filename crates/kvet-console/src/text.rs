//! Small readers of text: numbers and words, always checked, never allocating.

/// Value of `digits` in base 16; `None` when empty, too long, or not all hex digits.
pub(crate) fn hex(digits: &str) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.bytes().try_fold(0u64, |v, b| Some((v << 4) | u64::from(hex_digit(b)?)))
}

/// Value of a hex digit.
pub(crate) fn hex_digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

/// The leading hex digits (after an optional `0x`), their value, and the rest.
pub(crate) fn take_hex(s: &str) -> Option<(u64, &str)> {
    let digits = s.strip_prefix("0x").unwrap_or(s);
    let mut value = 0u64;
    let mut n = 0;
    for digit in digits.bytes().map_while(hex_digit) {
        value = value << 4 | u64::from(digit);
        n += 1;
    }
    (1..=16).contains(&n).then(|| (value, &digits[n..]))
}

/// The leading decimal digits' value, and the rest.
pub(crate) fn take_dec(s: &str) -> Option<(u64, &str)> {
    let n = s.bytes().take_while(u8::is_ascii_digit).count();
    if n == 0 || n > 19 {
        return None;
    }
    Some((s[..n].parse().ok()?, &s[n..]))
}

/// Value of the decimal digits with which `s` starts, if it fits in 32 bits.
pub(crate) fn dec32(s: &str) -> Option<u32> {
    u32::try_from(take_dec(s)?.0).ok()
}

/// Offset of `mark` in `s`. For the short texts of a log's lines this is faster than `str::find`, which prepares itself
/// for long ones.
pub(crate) fn find(s: &str, mark: &str) -> Option<usize> {
    let (text, mark) = (s.as_bytes(), mark.as_bytes());
    let Some((first, rest)) = mark.split_first() else { return Some(0) };
    let last = text.len().checked_sub(mark.len())?;
    memchr::memchr_iter(*first, &text[..=last]).find(|at| text[at + 1..].starts_with(rest))
}

/// Whether `s` starts with `mark`. Most lines differ in the first byte from most marks: that is looked at before any call.
#[inline]
pub(crate) fn starts_with(s: &str, mark: &str) -> bool {
    s.as_bytes().first() == mark.as_bytes().first() && s.starts_with(mark)
}

/// Whether `mark` stands in `s`, as [`find`] finds it.
pub(crate) fn contains(s: &str, mark: &str) -> bool {
    find(s, mark).is_some()
}

/// `s.trim_start()`, at once where nothing is to be trimmed.
pub(crate) fn trim_start(s: &str) -> &str {
    match s.as_bytes() {
        [b'!'..=b'~', ..] => s,
        [b' ', b'!'..=b'~', ..] => &s[1..],
        _ => s.trim_start(),
    }
}

/// `s.trim()`, at once where nothing is to be trimmed.
pub(crate) fn trim(s: &str) -> &str {
    let s = trim_start(s);
    if s.as_bytes().last().is_some_and(u8::is_ascii_graphic) { s } else { s.trim_end() }
}

/// What stands after the first `mark` in `s`.
pub(crate) fn after<'a>(s: &'a str, mark: &str) -> Option<&'a str> {
    find(s, mark).map(|i| &s[i + mark.len()..])
}

/// What stands in `s` before the first `mark`, or all.
pub(crate) fn before<'a>(s: &'a str, mark: &str) -> &'a str {
    find(s, mark).map_or(s, |i| &s[..i])
}

/// What stands between the first `open` and the next `close`.
pub(crate) fn between<'a>(s: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let rest = after(s, open)?;
    find(rest, close).map(|i| &rest[..i])
}

/// `file.c:123` at the start of `s` (also `/path/file.rs:60:5:`), and the rest after the line number.
pub(crate) fn take_source(s: &str) -> Option<((String, u32), &str)> {
    let colon = s
        .bytes()
        .enumerate()
        .position(|(i, b)| b == b':' && s.as_bytes().get(i + 1).is_some_and(u8::is_ascii_digit))?;
    let file = &s[..colon];
    if file.is_empty()
        || file.len() > 512
        || file.bytes().any(|b| b.is_ascii_whitespace())
        || !file.contains('.')
    {
        return None;
    }
    let (line, rest) = take_dec(&s[colon + 1..])?;
    Some(((file.to_owned(), u32::try_from(line).ok()?), rest))
}

/// `s` cut to at most `max` bytes at a character's boundary.
pub(crate) fn clip(s: &str, max: usize) -> &str {
    if s.len() <= max {
        return s;
    }
    let mut end = max;
    while !s.is_char_boundary(end) {
        end -= 1;
    }
    &s[..end]
}

/// `name:pid` or `name/pid` at the end of `s`, as `task:pid` of the kernel's headlines.
pub(crate) fn comm_pid(s: &str, separator: char) -> Option<(&str, u32)> {
    let at = s.rfind(separator)?;
    let (pid, rest) = take_dec(&s[at + separator.len_utf8()..])?;
    if !rest.is_empty() {
        return None;
    }
    Some((&s[..at], u32::try_from(pid).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(take_hex("0x1f/0x2"), Some((0x1f, "/0x2")));
        assert_eq!(take_hex("zz"), None);
        assert_eq!(hex("11112222333344445"), None);
        assert_eq!(take_dec("12s!"), Some((12, "s!")));
        assert_eq!(comm_pid("kworker/0:1:17", ':'), Some(("kworker/0:1", 17)));
    }

    #[test]
    fn sources() {
        assert_eq!(take_source("fs/x.c:12 f+0x1").map(|x| x.0), Some(("fs/x.c".to_owned(), 12)));
        assert_eq!(take_source("a b.c:1"), None);
    }
}
