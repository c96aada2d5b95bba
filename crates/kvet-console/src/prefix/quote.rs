//! Mail quoting: `> `, `> > `, `>>`, `| `, at any depth.

/// The depth of quoting and the line without it.
pub(crate) fn strip(line: &str) -> (u8, &str) {
    if !line.starts_with(['>', ' ']) {
        return (0, line);
    }
    let mut rest = line;
    let mut depth = 0u8;
    loop {
        let trimmed = rest.trim_start_matches(' ');
        // `>ffff8801d3701080: fc fc`: KASAN marks the row of the bad byte so; a quote is not followed by hex.
        let Some(inner) = trimmed.strip_prefix('>') else { break };
        if depth == 0 && inner.len() > 9 && inner.as_bytes()[..8].iter().all(u8::is_ascii_hexdigit) {
            break;
        }
        depth = depth.saturating_add(1);
        rest = inner;
    }
    (depth, rest)
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn depths() {
        assert_eq!(strip("> > [ 0.1] x"), (2, " [ 0.1] x"));
        assert_eq!(strip(">>> x"), (3, " x"));
        assert_eq!(strip("  x"), (0, "  x"));
        assert_eq!(strip(">ffff8801d3701080: fc fc fb"), (0, ">ffff8801d3701080: fc fc fb"));
    }
}
