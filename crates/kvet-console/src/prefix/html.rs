//! Archives of mailing lists: character entities that were left in the text.

/// `text` with its entities decoded, or `None` when there are none.
pub(crate) fn decode(text: &str) -> Option<String> {
    const ENTITIES: [(&str, char); 7] = [
        ("&lt;", '<'),
        ("&gt;", '>'),
        ("&amp;", '&'),
        ("&quot;", '"'),
        ("&#39;", '\''),
        ("&#x27;", '\''),
        ("&nbsp;", ' '),
    ];
    if !ENTITIES.iter().any(|(e, _)| text.contains(e)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((entity, c)) = ENTITIES.iter().find(|(e, _)| rest.starts_with(e)) {
            out.push(*c);
            rest = &rest[entity.len()..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    #[test]
    fn decodes() {
        assert_eq!(super::decode("&lt;TASK&gt; &amp;x->lock &y").as_deref(), Some("<TASK> &x->lock &y"));
        assert_eq!(super::decode("&sb->s_type"), None);
    }
}
