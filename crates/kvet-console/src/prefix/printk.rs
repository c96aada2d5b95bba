//! printk's own prefix: `[    1.234567]`, and `[    T1]` or `[    C0]` of CONFIG_PRINTK_CALLER
//! (kernel/printk/printk.c: `print_time`, `print_caller`).

use super::Stripped;
use crate::line::{Caller, Origin};
use crate::text::{take_dec, trim_start};

/// Takes time stamp and caller off.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let (timestamp, rest) = match stamp(here.text) {
        Some((t, rest)) => (Some(t), rest),
        None => (here.timestamp, here.text),
    };
    let (caller, rest) = match caller(trim_start(rest)) {
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
    let inner = s.as_bytes().strip_prefix(b"[")?;
    let spaces = inner.iter().take(11).take_while(|b| **b == b' ').count();
    let mut seconds = 0u64;
    let mut digits = 0;
    for digit in inner[spaces..].iter().take(13).take_while(|b| b.is_ascii_digit()) {
        seconds = seconds * 10 + u64::from(digit - b'0');
        digits += 1;
    }
    let fraction = inner[spaces + digits..].strip_prefix(b".").filter(|_| (1..=12).contains(&digits))?;
    let micros: &[u8; 6] = fraction.first_chunk().filter(|micros| micros.iter().all(u8::is_ascii_digit))?;
    let micros = micros.iter().fold(0, |micros, digit| micros * 10 + u32::from(digit - b'0'));
    let close = match fraction.get(6)? {
        b']' => 6,
        // Vendors add the CPU or the wall clock: `[    1.234567,0]`, `[1.234567@2]`, `[1.234567 / 01-01 00:00]`.
        b',' | b'@' | b' ' | b'/' | b'<' => 6 + fraction[6..].iter().take(40).position(|b| *b == b']')?,
        _ => return None,
    };
    #[allow(clippy::cast_precision_loss)]
    let time = seconds as f64 + f64::from(micros) / 1e6;
    Some((time, &s[1 + spaces + digits + 1 + close + 1..]))
}

/// The caller at the start of `s`, and the rest.
fn caller(s: &str) -> Option<(Caller, &str)> {
    let rest = s.strip_prefix('[')?.trim_start_matches(' ');
    let caller: fn(u32) -> Caller = match rest.as_bytes().first()? {
        b'T' => Caller::Task,
        b'C' => Caller::Cpu,
        _ => return None,
    };
    let (number, rest) = take_dec(&rest[1..])?;
    let tail = rest.strip_prefix(']')?;
    Some((caller(u32::try_from(number).ok()?), tail))
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
