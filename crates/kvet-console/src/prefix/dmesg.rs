//! Dates of the tool dmesg: `-T`, `-e`, `-d`, `--time-format iso`.

use super::{Stripped, collector};
use crate::line::Origin;

/// Takes a date off. The time since boot is not told by it.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let rest = ctime(here.text).or_else(|| relative(here.text)).or_else(|| iso(here.text))?;
    Some(Stripped { text: rest.strip_prefix(' ').unwrap_or(rest), origin: Origin::Kernel, ..here })
}

/// `[Tue Nov 21 03:15:42 2026]`, `[Nov21 03:15]`.
fn ctime(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let close = inner.bytes().take(32).position(|b| b == b']')?;
    let date = inner.get(..close)?;
    let rest = &inner[close + 1..];
    let weekday = date.get(..4).is_some_and(|d| d.ends_with(' ') && d.as_bytes()[0].is_ascii_uppercase());
    if weekday && collector::month(&date[4..]).is_some() {
        return Some(rest);
    }
    let short = date.len() == 11 && date.as_bytes()[5] == b' ' && date.as_bytes()[8] == b':';
    (short && date.as_bytes()[3].is_ascii_digit()).then_some(rest)
}

/// `[  +0.000012]`, and `[<    0.000012>]` of `dmesg -d`.
fn relative(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let close = inner.bytes().take(40).position(|b| b == b']')?;
    let body = inner.get(..close)?.trim_start_matches(['<', ' ']).trim_end_matches('>');
    let number = body.strip_prefix('+').or_else(|| inner.starts_with('<').then_some(body))?;
    let (whole, fraction) = number.split_once('.')?;
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (digits(whole) && digits(fraction)).then(|| &inner[close + 1..])
}

/// `2026-11-21T03:15:42,123456+00:00 `: the comma is dmesg's.
pub(crate) fn iso(text: &str) -> Option<&str> {
    let rest = collector::iso_day(text)?.strip_prefix('T')?;
    let rest = collector::clock(rest)?.strip_prefix(',')?;
    let n = rest.bytes().take_while(u8::is_ascii_digit).count();
    let zone = rest[n..].strip_prefix(['+', '-'])?;
    let m = zone.bytes().take_while(|b| b.is_ascii_digit() || *b == b':').count();
    (n == 6 && m > 0).then(|| &zone[m..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for text in [
            "[Tue Nov 21 03:15:42 2026] x",
            "[Tue Nov  1 03:15:42 2026] x",
            "[Nov21 03:15] x",
            "[  +0.000012] x",
            "2026-11-21T03:15:42,123456+00:00 x",
        ] {
            let s = strip(Stripped::new(text)).expect("is dmesg's");
            assert_eq!((s.text, s.origin), ("x", Origin::Kernel), "{text}");
        }
        assert!(strip(Stripped::new("[<ffffffff81000000>] f+0x1/0x2")).is_none());
    }
}
