//! What the kernel takes for a name.
//!
//! Source: kernel/bpf/btf.c (`btf_name_valid_identifier`, `btf_name_valid_section`) and lib/ctype.c, whose
//! table is Latin-1: bytes from 0xc0 are letters there.

/// The bytes before the first NUL, or all.
#[inline]
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Names are short: eight bytes at a time beat a vector search's set-up. The lowest high bit that is set
    // marks the first zero byte; borrows reach only the bytes above it.
    let (words, _) = bytes.as_chunks::<8>();
    for (i, word) in words.iter().enumerate().take(8) {
        let word = u64::from_le_bytes(*word);
        let zero = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zero != 0 {
            return &bytes[..i * 8 + zero.trailing_zeros() as usize / 8];
        }
    }
    match memchr::memchr(0, bytes) {
        Some(end) => &bytes[..end],
        None => bytes,
    }
}

const FIRST: u8 = 1;
const REST: u8 = 2;
const PRINT: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let c = i as u8;
        let letter = c.is_ascii_alphabetic() || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
        let mark = c == b'_' || c == b'.';
        let mut class = 0;
        if letter || mark {
            class |= FIRST;
        }
        if letter || mark || c.is_ascii_digit() {
            class |= REST;
        }
        if (c >= 0x20 && c < 0x7f) || c >= 0xa0 {
            class |= PRINT;
        }
        table[i] = class;
        i += 1;
    }
    table
}

/// Whether the string that starts here is an identifier of at most `limit` bytes.
#[inline]
pub(crate) fn is_identifier(bytes: &[u8], limit: usize) -> bool {
    let Some((&first, rest)) = bytes.split_first() else { return false };
    if CLASS[usize::from(first)] & FIRST == 0 {
        return false;
    }
    limit > 0 && run_ends(rest, limit - 1, REST)
}

/// Whether the string that starts here is printable and of 1 to `limit` bytes.
#[inline]
pub(crate) fn is_printable(bytes: &[u8], limit: usize) -> bool {
    bytes.first().is_some_and(|&c| c != 0) && run_ends(bytes, limit, PRINT)
}

/// Whether a NUL follows after at most `limit` bytes of a class.
#[inline]
fn run_ends(bytes: &[u8], limit: usize, class: u8) -> bool {
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = 0;
    // Whatever follows the limit decides nothing any more.
    for word in words.iter().take(limit / 8 + 1) {
        let other = not_plain(u64::from_le_bytes(*word));
        if other != 0 {
            at += other.trailing_zeros() as usize / 8;
            break;
        }
        at += 8;
    }
    for (i, &c) in bytes.iter().enumerate().skip(at) {
        if c == 0 {
            return i <= limit;
        }
        if i >= limit || CLASS[usize::from(c)] & class == 0 {
            return false;
        }
    }
    false
}

/// The top bits of those of eight bytes that are no ASCII letter, digit, underscore or dot, which are of every class here
/// and most of what names are made of.
#[inline]
fn not_plain(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOP: u64 = ONES << 7;
    // With the top bits out of the way no sum reaches the next byte.
    let low = word & !TOP;
    let at_least = |bytes: u64, c: u8| bytes + ONES * u64::from(0x80 - c);
    let between = |bytes: u64, first: u8, last: u8| at_least(bytes, first) & !at_least(bytes, last + 1);
    let equal = |c: u8| !((low ^ (ONES * u64::from(c))) + !TOP);
    let plain =
        between(low | (ONES * 0x20), b'a', b'z') | between(low, b'0', b'9') | equal(b'_') | equal(b'.');
    (!plain | word) & TOP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_at_the_first_nul() {
        for len in 0..80 {
            let mut text = vec![b'a'; len];
            assert_eq!(until_nul(&text).len(), len);
            text.extend_from_slice(b"\0\x01\0\x80tail");
            assert_eq!(until_nul(&text).len(), len);
        }
    }

    #[test]
    fn bytes_are_plain_at_any_place() {
        for c in 0..=255_u8 {
            let plain = c.is_ascii_alphanumeric() || c == b'_' || c == b'.';
            for at in 0..8 {
                let mut word = *b"az09_.AZ";
                word[at] = c;
                let expected = if plain { 0 } else { 0x80 << (at * 8) };
                assert_eq!(not_plain(u64::from_le_bytes(word)), expected, "{c:#x} at {at}");
            }
        }
    }

    #[test]
    fn names_are_latin_1_and_limited() {
        assert!(is_identifier(b"_a.1\0", 4) && is_identifier(b"\xc0\xff\0", 512));
        assert!(
            !is_identifier(b"1a\0", 512) && !is_identifier(b"\xd7\0", 512) && !is_identifier(b"a b\0", 512)
        );
        assert!(!is_identifier(b"abcde\0", 4) && !is_identifier(b"\0", 4) && !is_identifier(b"", 4));
        for len in 1..40 {
            let mut name = vec![b'n'; len];
            assert!(!is_identifier(&name, 512), "without its NUL");
            name.extend_from_slice(b"\0more");
            assert!(is_identifier(&name, len) && !is_identifier(&name, len - 1));
            for at in 0..len {
                let wrong = [&name[..at], b"-", &name[at + 1..]].concat();
                assert!(!is_identifier(&wrong, 512));
            }
        }
        assert!(
            is_printable(b".data/x y\xa0\0", 512)
                && !is_printable(b"a\x7f\0", 512)
                && !is_printable(b"\0", 1)
        );
    }
}
