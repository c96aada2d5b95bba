//! printk's own prefix: `[    1.234567]`, and `[    T1]` or `[    C0]` of CONFIG_PRINTK_CALLER
//! (kernel/printk/printk.c: `print_time`, `print_caller`).

use super::Stripped;
use crate::line::{Caller, Origin};
use crate::text::dec32;

/// Takes time stamp and caller off.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let (timestamp, rest) = match stamp(here.text) {
        Some((t, rest)) => (Some(t), rest),
        None => (here.timestamp, here.text),
    };
    let (caller, rest) = match caller(rest.trim_start()) {
        Some((c, rest)) => (Some(c), rest),
        None => (here.caller, rest),
    };
    if rest.len() == here.text.len() {
        return None;
    }
    // ttyprintk: user space's own words, put into the kernel's log.
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let origin = if rest.starts_with("[U]") { Origin::User } else { Origin::Kernel };
    Some(Stripped { text: rest, timestamp, caller, origin })
}

/// The time stamp at the start of `s`, and the rest.
pub(crate) fn stamp(s: &str) -> Option<(f64, &str)> {
    let b = s.as_bytes();
    if b.first() != Some(&b'[') {
        return None;
    }
    let mut i = 1;
    while i < 12 && b.get(i) == Some(&b' ') {
        i += 1;
    }
    let mut seconds = 0u64;
    let digits = i;
    while let Some(d) = b.get(i).filter(|d| d.is_ascii_digit()) {
        seconds = seconds * 10 + u64::from(d - b'0');
        i += 1;
        if i - digits > 12 {
            return None;
        }
    }
    if i == digits || b.get(i) != Some(&b'.') {
        return None;
    }
    i += 1;
    let mut micros = 0u64;
    for k in 0..6 {
        let d = b.get(i + k).filter(|d| d.is_ascii_digit())?;
        micros = micros * 10 + u64::from(d - b'0');
    }
    i += 6;
    match b.get(i) {
        Some(b']') => i += 1,
        // Vendors add the CPU or the wall clock: `[    1.234567,0]`, `[1.234567@2]`, `[1.234567 / 01-01 00:00]`.
        Some(b',' | b'@' | b' ' | b'/' | b'<') => {
            let close = b[i..].iter().take(40).position(|c| *c == b']')?;
            i += close + 1;
        }
        _ => return None,
    }
    #[allow(clippy::cast_precision_loss)]
    let time = seconds as f64 + micros as f64 / 1e6;
    Some((time, &s[i..]))
}

/// The caller at the start of `s`, and the rest.
fn caller(s: &str) -> Option<(Caller, &str)> {
    let rest = s.strip_prefix('[')?.trim_start_matches(' ');
    let close = rest.bytes().take(12).position(|b| b == b']')?;
    let (inner, tail) = (rest.get(..close)?, rest.get(close + 1..)?);
    let number = inner.get(1..)?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let caller = match inner.as_bytes()[0] {
        b'T' => Caller::Task(dec32(number)?),
        b'C' => Caller::Cpu(dec32(number)?),
        _ => return None,
    };
    Some((caller, tail))
}

/// Offset of the next time stamp in a message: what follows is another message that was glued to it.
pub(crate) fn next_stamp(s: &str) -> Option<usize> {
    memchr::memchr_iter(b'[', s.as_bytes()).find(|&i| {
        // A frame's `[<ffffffff81000000>]` and a register dump's `[c000]` never have a dot and six digits.
        stamp(&s[i..]).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps() {
        let s = strip(Stripped::new("[    1.250000][   T12]  x")).expect("has both");
        assert_eq!((s.timestamp, s.caller, s.text), (Some(1.25), Some(Caller::Task(12)), " x"));
        let s = strip(Stripped::new("[   T12] x")).expect("caller only");
        assert_eq!((s.timestamp, s.caller, s.text), (None, Some(Caller::Task(12)), "x"));
        assert_eq!(stamp("[ 1.5] x"), None);
        assert_eq!(stamp("[   12.345678@2] x").map(|x| x.1), Some(" x"));
        assert_eq!(stamp("[<ffffffff81000000>] x"), None);
        assert_eq!(next_stamp("dropped ** [   50.671305] Call"), Some(11));
    }

    #[test]
    fn tty_printk_is_not_the_kernels() {
        assert_eq!(
            strip(Stripped::new("[  460.963095][ T3167] [U] BUG: x")).map(|s| s.origin),
            Some(Origin::User)
        );
    }
}
