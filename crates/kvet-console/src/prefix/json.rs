//! Lines of JSON, one message each: LAVA's and KernelCI's logs, containers' log files, `journalctl -o json`.

use std::borrow::Cow;

use memchr::memmem;

/// Names that collectors give to the message.
const MESSAGE: [&str; 5] = ["\"msg\"", "\"message\"", "\"MESSAGE\"", "\"log\"", "\"line\""];

/// The message of a line that is an object of JSON (in a list of YAML or of JSON, or by itself), its escapes decoded; all
/// else as it is.
pub(crate) fn message(raw: &[u8]) -> Cow<'_, [u8]> {
    let object = match raw {
        [b'{', ..] => raw,
        [b'[' | b',', b'{', ..] => &raw[1..],
        [b'-', b' ', b'{', ..] => &raw[2..],
        _ => return Cow::Borrowed(raw),
    };
    let Some(text) = MESSAGE.iter().find_map(|name| value(object, name)) else { return Cow::Borrowed(raw) };
    // The journal has its own field for who speaks.
    let of_kernel =
        value(object, "\"_TRANSPORT\"").is_some_and(|transport| transport.starts_with(b"kernel\""));
    let mut out = if of_kernel { b"kernel: ".to_vec() } else { Vec::new() };
    decode(text, &mut out);
    let end = out.trim_ascii_end().len();
    out.truncate(end);
    Cow::Owned(out)
}

/// What follows the opening quote of a name's value.
fn value<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let rest = &object[memmem::find(object, name.as_bytes())? + name.len()..];
    rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")
}

/// Decodes a string up to its closing quote (RFC 8259, section 7).
fn decode(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some((&byte, rest)) = text.split_first() {
        text = rest;
        match byte {
            b'"' => return,
            b'\\' => {
                let Some((&escape, rest)) = text.split_first() else { return };
                text = rest;
                match escape {
                    b'n' => out.push(b'\n'),
                    b'r' => out.push(b'\r'),
                    b't' => out.push(b'\t'),
                    b'b' | b'f' => {}
                    b'u' => text = unicode(text, out),
                    other => out.push(other),
                }
            }
            other => out.push(other),
        }
    }
}

/// Decodes the four digits behind `\u`; halves of a pair are shown as what is no character.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let digits = text.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
    let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else { return text };
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    &text[4..]
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn forms() {
        for line in [
            r#"- {"dt": "2024-02-20T10:11:12.123456", "lvl": "target", "msg": "[    1.000000] a \"b\" \u0041\tc\r"}"#,
            r#"{"ts":"2024-02-20T10:11:12","level":"info","msg":"[    1.000000] a \"b\" \u0041\tc\r"}"#,
            r#"[{"dt":"x","msg":"[    1.000000] a \"b\" \u0041\tc\r"},"#,
            r#"{"log":"[    1.000000] a \"b\" \u0041\tc\r\n","stream":"stdout"}"#,
        ] {
            let told = message(line.as_bytes());
            assert_eq!(String::from_utf8_lossy(&told), "[    1.000000] a \"b\" A\tc", "{line}");
        }
        let journal = r#"{"_TRANSPORT":"kernel","PRIORITY":"4","MESSAGE":"Oops: 0000 [#1]"}"#;
        assert_eq!(&*message(journal.as_bytes()), b"kernel: Oops: 0000 [#1]");
        for other in ["{.+.+}-{3:3}", "[{x}]", "- {no: json}", "{ 1.2 } \"msg\" none", r#"{"msg": 7}"#] {
            assert_eq!(&*message(other.as_bytes()), other.as_bytes());
        }
        // Cut, or hostile: what there is, and no panic.
        assert_eq!(&*message(br#"{"msg":"a\"#), b"a");
        assert_eq!(&*message(br#"{"msg":"a\u12"#), b"a12");
        assert_eq!(&*message(br#"{"msg":"\ud800"}"#), "\u{fffd}".as_bytes());
    }
}
