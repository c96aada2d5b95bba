//! syslog and the journal: `Nov 21 03:15:42 host kernel: `, `2026-11-21T03:15:42.123456+00:00 host kernel[1]: `. A tag
//! other than `kernel` is somebody else's.

use super::{Stripped, collector};
use crate::line::Origin;

/// Takes date, host and tag off.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let text = here.text;
    if let Some(rest) = text.strip_prefix("kernel: ") {
        return Some(Stripped { text: rest, origin: Origin::Kernel, ..here });
    }
    let (rest, classic) = date(text)?;
    let mut words = rest.splitn(3, ' ');
    let (first, second) = (words.next()?, words.next()?);
    if let Some(tag) = tag(first).filter(|t| *t == "kernel" || first.ends_with("]:")) {
        // No host: `kernel: message`.
        let text = rest[first.len()..].trim_start();
        return Some(Stripped { text, origin: origin(tag), ..here });
    }
    let tag = tag(second)?;
    if first.contains(['[', ']', '=', '(', ':']) {
        return None;
    }
    // Without a process id, `Call Trace:` after a collector's date looks like `host tag:`; syslog's own date and small letters tell.
    let small = |w: &str| !w.bytes().any(|b| b.is_ascii_uppercase());
    let sure = second.ends_with("]:")
        || tag.eq_ignore_ascii_case("kernel")
        || (classic && small(first) && small(tag));
    if !sure {
        return None;
    }
    let text = rest[first.len() + 1 + second.len()..].strip_prefix(' ').unwrap_or("");
    Some(Stripped { text, origin: origin(tag), ..here })
}

fn origin(tag: &str) -> Origin {
    // syzkaller's guests print facility and severity before the tag.
    if tag.eq_ignore_ascii_case("kernel") { Origin::Kernel } else { Origin::User }
}

/// `name:` or `name[123]:` without the mark.
fn tag(word: &str) -> Option<&str> {
    let word = word.strip_suffix(':')?;
    let name = match word.split_once('[') {
        Some((name, pid)) if pid.strip_suffix(']').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit())) => {
            name
        }
        Some(_) => return None,
        None => word,
    };
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'@' | b'(' | b')');
    (!name.is_empty() && name.len() < 64 && name.bytes().all(plain)).then_some(name)
}

/// The rest after a date, ISO's or `Nov 21 03:15:42 `, and whether it was the latter, which only syslog has.
fn date(text: &str) -> Option<(&str, bool)> {
    if let Some(rest) = collector::iso(text) {
        return Some((rest, false));
    }
    let rest = collector::month(text)?.trim_start();
    let n = rest.bytes().take_while(u8::is_ascii_digit).count();
    if n == 0 || n > 2 {
        return None;
    }
    let rest = rest[n..].trim_start();
    Some((collector::clock(rest)?.trim_start(), true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(&str, Origin)> {
        strip(Stripped::new(text)).map(|s| (s.text, s.origin))
    }

    #[test]
    fn forms() {
        assert_eq!(of("Nov 21 03:15:42 host kernel: [ 1.0] x"), Some(("[ 1.0] x", Origin::Kernel)));
        assert_eq!(of("Nov  1 03:15:42 host sshd[12]: BUG: x"), Some(("BUG: x", Origin::User)));
        assert_eq!(of("2026-11-21T03:15:42.123456+00:00 host kernel: x"), Some(("x", Origin::Kernel)));
        assert_eq!(of("kernel: x"), Some(("x", Origin::Kernel)));
        assert_eq!(of("BUG: unable to handle"), None);
        assert_eq!(of("2026-11-21T03:15:42.123456 Call Trace:"), None);
        assert_eq!(of("2026-11-21T03:15:42.123456 BUG: unable to handle"), None);
    }
}
