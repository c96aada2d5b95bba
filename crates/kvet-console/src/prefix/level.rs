//! Levels: `<4>` of the ring buffer, `4,123,5678901,-;` of /dev/kmsg and extended netconsole, `kern  :warn  : ` of
//! `dmesg -x`.

use super::Stripped;
use crate::line::{Caller, Origin};
use crate::text::{dec32, take_dec};

/// Takes a level off.
pub(crate) fn strip(here: Stripped<'_>) -> Option<Stripped<'_>> {
    angle(here).or_else(|| kmsg(here)).or_else(|| words(here))
}

/// `<4>`, and `<12>` with a facility. Facilities other than the kernel's (0) are somebody else's words.
fn angle(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let rest = here.text.strip_prefix('<')?;
    let (level, rest) = take_dec(rest)?;
    let rest = rest.strip_prefix('>')?;
    if level > 191 {
        return None;
    }
    let origin = if level < 8 { Origin::Kernel } else { Origin::User };
    Some(Stripped { text: rest.trim_start(), origin, ..here })
}

/// `level,sequence,microseconds,flag[,caller=T1];message`.
fn kmsg(here: Stripped<'_>) -> Option<Stripped<'_>> {
    if !here.text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (level, rest) = take_dec(here.text)?;
    let (_, rest) = take_dec(rest.strip_prefix(',')?)?;
    let (micros, rest) = take_dec(rest.strip_prefix(',')?)?;
    let rest = rest.strip_prefix(',')?;
    let (flags, text) = rest.split_once(';')?;
    if level > 191 || flags.len() > 96 {
        return None;
    }
    let caller =
        flags.split(',').find_map(|f| f.strip_prefix("caller=")).and_then(|c| match c.as_bytes().first() {
            Some(b'T') => Some(Caller::Task(dec32(&c[1..])?)),
            Some(b'C') => Some(Caller::Cpu(dec32(&c[1..])?)),
            _ => None,
        });
    let origin = if level < 8 { Origin::Kernel } else { Origin::User };
    #[allow(clippy::cast_precision_loss)]
    let timestamp = Some(micros as f64 / 1e6);
    Some(Stripped { text, timestamp, caller, origin })
}

/// `kern  :warn  : message`.
fn words(here: Stripped<'_>) -> Option<Stripped<'_>> {
    let rest = here.text.strip_prefix("kern")?;
    let (level, text) = rest.trim_start().strip_prefix(':')?.split_once(':')?;
    let known = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
    known.contains(&level.trim()).then(|| Stripped {
        text: text.trim_start(),
        origin: Origin::Kernel,
        ..here
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Stripped<'_>> {
        strip(Stripped::new(text))
    }

    #[test]
    fn forms() {
        assert_eq!(of("<4>[ 1.0] x").map(|s| s.text), Some("[ 1.0] x"));
        let k = of("3,12,5000001,-,caller=C2;BUG: x").expect("is kmsg's");
        assert_eq!((k.text, k.timestamp, k.caller), ("BUG: x", Some(5.000001), Some(Caller::Cpu(2))));
        assert_eq!(of("kern  :err   : [ 1.0] x").map(|s| s.text), Some("[ 1.0] x"));
        assert_eq!(of("<30>systemd: x").map(|s| s.origin), Some(Origin::User));
        assert!(of("<TASK>").is_none());
    }
}
