//! What a collector of console output puts before each line: CI's dates and clocks, LAVA's YAML, names of streams and files.

/// Takes collectors' marks off.
pub(crate) fn strip(line: &str) -> &str {
    let mut rest = line;
    for _ in 0..3 {
        let trimmed = rest.trim_start();
        if !matches!(
            trimmed.as_bytes(),
            [b'-' | b'S' | b's' | b'c' | b't' | b'g' | b'q', ..]
                | [b'0'..=b'9', ..]
                | [b'[', b'0'..=b'9', ..]
        ) {
            break;
        }
        let next = lava(trimmed)
            .or_else(|| bracketed_date(trimmed))
            .or_else(|| plain_date(trimmed))
            .or_else(|| stream(trimmed));
        match next {
            Some(next) => rest = next,
            None => break,
        }
    }
    named(rest).unwrap_or(rest)
}

/// Whatever ends like a mark and stands right before printk's stamp: `guest_1  | ` of containers, `console.log:12:` of grep, `12: ` of
/// pagers, `00O ` and `01E ` of GitLab's streams, `<6>1 2026-11-21T... host kernel - - - ` of RFC 5424.
fn named(text: &str) -> Option<&str> {
    const LONGEST: usize = 100;
    if text.starts_with('[') {
        return None;
    }
    let at = super::printk::next_stamp(text).filter(|at| (1..LONGEST).contains(at))?;
    // syslog's tag tells whose message it is.
    if super::syslog::strip(super::Stripped::new(text)).is_some() {
        return None;
    }
    let mark = text[..at].trim_end();
    let stream = |word: &str| {
        matches!(
            word.as_bytes(),
            [b'0'..=b'9', b'0'..=b'9', b'O' | b'E'] | [b'0'..=b'9', b'0'..=b'9', b'O' | b'E', b'+']
        )
    };
    let is_mark = mark.ends_with(['|', ':'])
        || mark.ends_with(" -") && mark.starts_with('<')
        || mark.rsplit(' ').next().is_some_and(stream);
    is_mark.then(|| &text[at..])
}

/// LAVA's log: `- {"dt": "2024-02-20T10:11:12.1", "lvl": "target", "msg": "[    1.2] ..."}`.
fn lava(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("- {")?;
    let at = rest.find("\"msg\": \"").map(|i| i + 8).or_else(|| rest.find("msg: '").map(|i| i + 6))?;
    let message = &rest[at..];
    let end = message.rfind("\"}").or_else(|| message.rfind("'}")).unwrap_or(message.len());
    Some(&message[..end])
}

/// `[2024-02-20T10:11:12.123Z] `, `[10:11:12.123] `.
fn bracketed_date(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let close = inner.bytes().take(40).position(|b| b == b']')?;
    let date = inner.get(..close)?;
    let is_date = iso(date).is_some() || iso_day(date).is_some() || clock(date).is_some();
    is_date.then(|| inner[close + 1..].strip_prefix(' ').unwrap_or(&inner[close + 1..]))
}

/// `2024-02-20T10:11:12.123456Z `, `2024-02-20 10:11:12.123 `, `10:11:12.123 `; not where a host and a tag follow, which
/// are syslog's, nor a comma's fraction, which is dmesg's.
fn plain_date(text: &str) -> Option<&str> {
    if !text.as_bytes().first()?.is_ascii_digit() || has_tag(text) || super::dmesg::iso(text).is_some() {
        return None;
    }
    let rest = iso(text).or_else(|| {
        let day = iso_day(text)?;
        clock(day.trim_start())
    });
    let rest = rest.or_else(|| clock(text))?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let rest = rest.trim_start_matches(" |").strip_prefix('\t').unwrap_or(rest);
    Some(rest)
}

/// Whether a date is followed by `host tag:`.
fn has_tag(text: &str) -> bool {
    let Some(rest) = iso(text) else { return false };
    let mut words = rest.split(' ');
    let tagged = |w: &str| {
        w == "kernel:" || w.strip_suffix("]:").is_some_and(|w| w.contains('[') && !w.starts_with('['))
    };
    words.next().is_some_and(tagged) || words.next().is_some_and(tagged)
}

/// Names that test drivers put before the guest's lines.
fn stream(text: &str) -> Option<&str> {
    const NAMES: [&str; 7] =
        ["SERIAL> ", "serial: ", "console: ", "SERIAL-CPU> ", "target> ", "guest: ", "qemu: "];
    // Only where the kernel's own mark follows: they are common words.
    NAMES.iter().find_map(|n| text.strip_prefix(n)).filter(|rest| rest.trim_start().starts_with(['[', '<']))
}

/// The rest after `2024-02-20T10:11:12[.123456][Z|+00:00] `.
pub(crate) fn iso(text: &str) -> Option<&str> {
    let rest = iso_day(text)?.strip_prefix('T')?;
    let rest = clock(rest)?;
    let rest = rest.strip_prefix('Z').unwrap_or(rest);
    let zone = rest.strip_prefix(['+', '-']).and_then(|z| {
        let n = z.bytes().take_while(|b| b.is_ascii_digit() || *b == b':').count();
        (4..=5).contains(&n).then(|| &z[n..])
    });
    let rest = zone.unwrap_or(rest);
    if rest.is_empty() {
        return Some(rest);
    }
    rest.strip_prefix(' ').or_else(|| rest.strip_prefix(": "))
}

/// The rest after `2024-02-20`.
pub(crate) fn iso_day(text: &str) -> Option<&str> {
    let b = text.as_bytes();
    let digits =
        |from: usize, n: usize| b.get(from..from + n).is_some_and(|s| s.iter().all(u8::is_ascii_digit));
    let sep = |at: usize| matches!(b.get(at), Some(b'-' | b'/'));
    (digits(0, 4) && sep(4) && digits(5, 2) && sep(7) && digits(8, 2)).then(|| &text[10..])
}

/// The rest after `10:11:12`, with any fraction.
pub(crate) fn clock(text: &str) -> Option<&str> {
    let b = text.as_bytes();
    let digits = |from: usize| b.get(from..from + 2).is_some_and(|s| s.iter().all(u8::is_ascii_digit));
    if !(digits(0) && b.get(2) == Some(&b':') && digits(3) && b.get(5) == Some(&b':') && digits(6)) {
        return None;
    }
    let rest = &text[8..];
    let Some(fraction) = rest.strip_prefix('.') else { return Some(rest) };
    let n = fraction.bytes().take_while(u8::is_ascii_digit).count();
    (1..=9).contains(&n).then(|| &fraction[n..])
}

/// The rest after an English month's short name (in any case) and a space.
pub(crate) fn month(text: &str) -> Option<&str> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let name = text.get(..3)?;
    MONTHS.iter().any(|m| name.eq_ignore_ascii_case(m)).then(|| &text[3..])?.strip_prefix(' ')
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn forms() {
        let x = "[    1.000000] x";
        for prefix in [
            "2024-02-20T10:11:12.123456  ",
            "2024-02-20 10:11:12.123456: ",
            "[2024-02-20T10:11:12.123Z] ",
            "10:11:12.123 ",
            "SERIAL> ",
            "guest_1  | ",
            "console.log:12:",
            "12: ",
            "2026-11-21T06:24:12.123456Z 01O ",
            "<6>1 2026-11-21T06:24:12.123456+01:00 host kernel - - - ",
        ] {
            assert_eq!(strip(&format!("{prefix}{x}")).trim_start(), x, "{prefix}");
        }
        assert_eq!(
            strip(r#"- {"dt": "2024-02-20T10:11:12", "lvl": "target", "msg": "[    1.000000] x"}"#),
            x
        );
        for syslog in [
            "2026-11-21T03:15:42.123456+00:00 host kernel: x",
            "Nov 21 03:15:42 host sshd[12]: [    1.000000] x",
        ] {
            assert_eq!(strip(syslog), syslog);
        }
    }
}
