//! pstore's records (fs/pstore/platform.c, `pstore_dump`): each begins with `Panic#1 Part3`, and part 1 holds the newest lines, so files that
//! are put together by name tell the end first.

/// Bytes of one dump that are kept to put its parts in order; larger ones than any store are read as they stand.
pub(crate) const MAX_DUMP: usize = 1 << 20;

/// One part of a dump.
#[derive(Debug)]
pub(crate) struct Part {
    pub number: u64,
    /// Offset and number of the line before its first.
    pub offset: u64,
    pub line: u64,
    pub bytes: Vec<u8>,
}

/// A dump whose parts are being collected.
#[derive(Debug)]
pub(crate) struct Dump {
    pub id: String,
    pub parts: Vec<Part>,
    pub size: usize,
}

/// `Panic#1 Part3`: what makes the dump's parts one, and the part's number.
pub(crate) fn header(text: &[u8]) -> Option<(&str, u64)> {
    if text.len() > 40 || !text.first()?.is_ascii_uppercase() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim_end();
    let (id, part) = text.split_once(" Part")?;
    let (reason, count) = id.split_once('#')?;
    let number = |s: &str| !s.is_empty() && s.len() < 10 && s.bytes().all(|b| b.is_ascii_digit());
    let known = ["Panic", "Oops", "Emergency", "Shutdown", "Unknown", "Restart", "Halt", "Poweroff"];
    if !known.contains(&reason) || !number(count) || !number(part) {
        return None;
    }
    Some((id, part.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn headers() {
        assert_eq!(super::header(b"Panic#2 Part13"), Some(("Panic#2", 13)));
        assert_eq!(super::header(b"Oops#1 Part1\r"), Some(("Oops#1", 1)));
        assert_eq!(super::header(b"Part1"), None);
        assert_eq!(super::header(b"Oops#1 Partx"), None);
    }
}
