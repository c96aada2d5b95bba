//! Vendors' kernels tell CPU and task between time stamp and message: `(0)[123:kworker/0:1]`, ` [0:  swapper/0:    1] `,
//! `I[0:      swapper/0:    1] `, `c0     1 (swapper/0) `, `c0      1 `.

use super::Stripped;
use crate::line::{Caller, Origin};
use crate::text::{dec32, take_dec, trim_start};

/// Takes the vendor's mark off; only after printk's own.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    if here.origin != Origin::Kernel || here.timestamp.is_none() {
        return None;
    }
    let text = trim_start(here.text);
    if !matches!(text.as_bytes(), [b'(' | b'[' | b'c', ..] | [b'A'..=b'Z', b'[', ..]) {
        return None;
    }
    let (pid, rest) = mediatek(text).or_else(|| samsung(text)).or_else(|| spreadtrum(text))?;
    let caller = here.caller.or(pid.map(Caller::Task));
    Some(Stripped { text: rest.strip_prefix(' ').unwrap_or(rest), caller, ..here })
}

/// `(0)[123:comm]`.
fn mediatek(text: &str) -> Option<(Option<u32>, &str)> {
    let rest = text.strip_prefix('(')?;
    let (_, rest) = take_dec(rest)?;
    let rest = rest.strip_prefix(")[")?;
    let close = rest.bytes().take(40).position(|b| b == b']')?;
    Some((Some(dec32(rest)?), &rest[close + 1..]))
}

/// `[0:      swapper/0:    1]`, with a level's letter in front on some.
fn samsung(text: &str) -> Option<(Option<u32>, &str)> {
    let body = match text.as_bytes() {
        [b'A'..=b'Z', b'[', ..] => &text[1..],
        _ => text,
    };
    let rest = body.strip_prefix('[')?;
    let (_, after) = take_dec(rest)?;
    let inner = after.strip_prefix(':')?;
    let close = inner.bytes().take(48).position(|b| b == b']')?;
    let fields = inner.get(..close)?;
    let (_, pid) = fields.rsplit_once(':')?;
    Some((Some(dec32(pid.trim())?), &inner[close + 1..]))
}

/// `c0     1 (swapper/0) `, and without the name where the number is padded to five places.
fn spreadtrum(text: &str) -> Option<(Option<u32>, &str)> {
    let rest = text.strip_prefix('c')?;
    let (_, rest) = take_dec(rest)?;
    let padded = rest.strip_prefix(' ')?;
    let (pid, rest) = take_dec(padded.trim_start())?;
    let pid = u32::try_from(pid).ok();
    if let Some(named) = rest.strip_prefix(" (") {
        let close = named.bytes().take(32).position(|b| b == b')')?;
        return Some((pid, &named[close + 1..]));
    }
    (padded.len() - rest.len() >= 5 && rest.starts_with(' ')).then_some((pid, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prefix;

    #[test]
    fn forms() {
        for text in [
            "[   12.345678]  (0)[123:kworker/0:1]x",
            "<6>[   12.345678] [0:      swapper/0:  123] x",
            "<6>[   12.345678] I[0:      swapper/0:  123] x",
            "[   12.345678] c0   123 (swapper/0) x",
            "[   12.345678] c0    123 x",
        ] {
            let s = prefix::strip(text);
            assert_eq!((s.text, s.caller), ("x", Some(Caller::Task(123))), "{text}");
        }
    }
}
