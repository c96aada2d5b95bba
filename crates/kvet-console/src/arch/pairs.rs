//! Lines of `name: value` pairs.

use crate::text::take_hex;

/// Gives each `name : hex` of a line, in whatever spacing (`x9 : 00..`, `r10: 96..`, `pc : [<80..>]`). A value of letters
/// that hide it (`xxxxxxxx`) is `None`. False when the line is not made of pairs.
pub(crate) fn each(text: &str, mut give: impl FnMut(&str, Option<u64>)) -> bool {
    let mut rest = text.trim();
    let mut found = false;
    while !rest.is_empty() {
        let n = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'$').count();
        if n == 0 || n > 12 {
            return found;
        }
        let (name, after) = rest.split_at(n);
        let Some(after) = after.trim_start().strip_prefix(':') else { return found };
        let after = after.trim_start();
        let bracketed = after.strip_prefix("[<");
        let body = bracketed.unwrap_or(after);
        let (value, after) = match take_hex(body) {
            Some((v, r)) => (Some(v), r),
            None => {
                let hidden = body.bytes().take_while(|b| *b == b'x' || *b == b'X').count();
                if hidden < 4 {
                    return found;
                }
                (None, &body[hidden..])
            }
        };
        let after = if bracketed.is_some() { after.strip_prefix(">]").unwrap_or(after) } else { after };
        if !after.is_empty() && !after.starts_with([' ', '\t', '(', '<', ',']) {
            return found;
        }
        found = true;
        give(name, value);
        rest = after.trim_start();
        // `604000c5 (nZcv daIF ...)`: flags.
        if rest.starts_with('(') || rest.starts_with('<') {
            return true;
        }
        rest = rest.trim_start_matches(',').trim_start();
    }
    found
}

#[cfg(test)]
mod tests {
    #[test]
    fn spacing() {
        let mut got = Vec::new();
        assert!(super::each("x11: 0000000005f5e0ff x10: ffffffc01020b8c0 x9 : xxxxxxxxffff", |n, v| {
            got.push((n.to_owned(), v));
        }));
        assert_eq!(got[0], ("x11".to_owned(), Some(0x05f5_e0ff)));
        assert_eq!(got[1].0, "x10");
        assert!(super::each("pc : [<80b10c70>]    lr : [<00000000>]    psr: 200d0013", |_, _| {}));
        assert!(!super::each("Not a register line", |_, _| {}));
    }
}
