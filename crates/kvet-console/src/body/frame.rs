//! One line of a call trace, in the forms that kernels since 2.6 print, of every architecture.

use crate::report::{Frame, Name};
use crate::text::{after, hex, take_dec, take_hex};

/// How certain a line without `+0x` may be taken as a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Inside a trace: decoded forms (`f file.c:1 [inline]`) count too.
    Trace,
    /// Anywhere: only `f+0x1/0x2`.
    Anywhere,
}

/// The frames of a line (arm's old form holds two), innermost first.
pub(crate) fn parse(text: &str, place: Place) -> Option<(Frame, Option<Box<Frame>>)> {
    if text.len() > 1024 {
        return None;
    }
    if let Some(frame) = plain(text) {
        return Some((frame, None));
    }
    if let Some(pair) = arm_from(text) {
        return Some(pair);
    }
    let (address, mut rest) = addresses(text);
    // s390 puts reliable and unreliable ones apart by parentheses: `([<000>] f+0x1/0x2)`.
    let parenthesised = text.starts_with("([");
    if parenthesised {
        rest = rest.strip_suffix(')').unwrap_or(rest);
    }
    let (unreliable, rest) = match rest.strip_prefix("? ") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let mut frame = symbol(rest, place, address.is_some())?;
    frame.address = frame.address.or(address);
    frame.reliable &= !(unreliable || parenthesised);
    Some((frame, None))
}

/// `f+0x1/0x2`, with `? ` in front and ` [module]` behind: nearly all frames, read at once.
fn plain(text: &str) -> Option<Frame> {
    let (reliable, rest) = match text.strip_prefix("? ") {
        Some(rest) => (false, rest),
        None => (true, text),
    };
    let plus = rest.bytes().position(|b| !is_name_byte(b)).filter(|plus| (1..=512).contains(plus))?;
    if rest.starts_with('.') {
        return None;
    }
    let (offset, tail) = take_hex(rest[plus..].strip_prefix('+').filter(|r| r.starts_with("0x"))?)?;
    let (size, tail) = take_hex(tail.strip_prefix('/').filter(|r| r.starts_with("0x"))?)?;
    let module = match tail.strip_prefix(" [") {
        Some(module) => Some(module.strip_suffix(']').filter(|m| is_module(m) && *m != "inline")?),
        None if tail.is_empty() => None,
        None => return None,
    };
    let mut frame = named(&rest[..plus]);
    frame.reliable = reliable;
    (frame.offset, frame.size) = (offset, Some(size));
    frame.module = module.map(Name::from);
    Some(frame)
}

/// Bracketed addresses at the start of a line; powerpc prints the stack pointer first: the last one counts.
fn addresses(text: &str) -> (Option<u64>, &str) {
    let mut rest = text.strip_prefix('(').filter(|r| r.starts_with('[')).unwrap_or(text);
    let mut address = None;
    for _ in 0..2 {
        let Some(inner) = rest.strip_prefix('[') else { break };
        let (inner, close) = match inner.strip_prefix('<') {
            Some(i) => (i, ">]"),
            None => (inner, "]"),
        };
        let Some(end) = inner.bytes().take(24).position(|b| b == b'>' || b == b']') else { break };
        let digits = inner[..end].trim();
        // `[<(ptrval)>]`, `[<    (null)>]`: hidden, and an address all the same.
        let value = take_hex(digits).filter(|v| v.1.is_empty());
        let hidden = digits.starts_with('(') || digits.starts_with("null");
        if (value.is_none() && !hidden) || !inner[end..].starts_with(close) {
            break;
        }
        if value.is_some() && close == "]" && digits.len() < 8 {
            break;
        }
        address = value.map(|v| v.0).or(address);
        rest = inner[end + close.len()..].trim_start();
    }
    (address, rest)
}

/// `symbol+0x1/0x2 [module buildid] (file:line)` and its kin.
fn symbol(text: &str, place: Place, with_address: bool) -> Option<Frame> {
    // powerpc's first ABI: a function's code has a dot in front.
    let text = text.strip_prefix('.').unwrap_or(text);
    let plus = memchr::memchr_iter(b'+', text.as_bytes()).find(|p| text[*p..].starts_with("+0x"));
    let Some(plus) = plus else { return bare(text, place, with_address) };
    let name = &text[..plus];
    if !is_symbol(name) {
        return None;
    }
    let (offset, rest) = take_hex(&text[plus + 1..])?;
    let (size, rest) = match rest.strip_prefix("/0x") {
        Some(r) => {
            let (v, r) = take_hex(r)?;
            (Some(v), r)
        }
        None => (None, rest),
    };
    let mut frame = named(name);
    frame.offset = offset;
    frame.size = size;
    tail(rest, &mut frame, place == Place::Trace).then_some(frame)
}

/// A frame of a name, its suffixes taken off.
pub(crate) fn named(name: &str) -> Frame {
    let symbol = Name::from(name);
    let function = match without_suffix(name) {
        whole if whole.len() == name.len() => symbol.clone(),
        stem => Name::from(stem),
    };
    Frame {
        function,
        symbol,
        offset: 0,
        size: None,
        address: None,
        module: None,
        build_id: None,
        reliable: true,
        inlined: false,
        source: None,
        context: None,
        line: 0,
    }
}

/// `f+0x1/0x2 [mod]` anywhere at the start of `text`, whatever follows.
pub(crate) fn at_start(text: &str) -> Option<Frame> {
    let (address, rest) = addresses(text);
    let rest = rest.strip_prefix("? ").unwrap_or(rest);
    // A demangled Rust name holds spaces.
    let plus = rest.find("+0x");
    let Some(plus) = plus.filter(|p| is_symbol(&rest[..*p])) else {
        // Without an offset only where an address stood in front, or the word looks like a function's name.
        let word = rest.split([' ', ',']).next().unwrap_or("");
        if word.starts_with("0x") {
            let (value, tail) = take_hex(word)?;
            return tail.is_empty().then(|| Frame {
                address: Some(value),
                reliable: true,
                ..Frame::default()
            });
        }
        if address.is_some() || (is_symbol(word) && !word.is_empty()) {
            let mut f =
                if is_symbol(word) { named(word) } else { Frame { reliable: true, ..Frame::default() } };
            f.address = address;
            return Some(f);
        }
        return None;
    };
    let mut frame = named(&rest[..plus]);
    frame.address = address;
    let (offset, tail_text) = take_hex(&rest[plus + 1..])?;
    frame.offset = offset;
    let mut tail_text = tail_text;
    if let Some(r) = tail_text.strip_prefix("/0x") {
        let (size, r) = take_hex(r)?;
        frame.size = Some(size);
        tail_text = r;
    }
    if let Some(module) = tail_text.trim_start().strip_prefix('[').and_then(|m| m.split_once(']')) {
        set_module(module.0, &mut frame);
    } else if let Some((source, _)) = crate::text::take_source(tail_text.trim_start()) {
        frame.source = Some(source);
    }
    Some(frame)
}

/// What may follow the symbol. False when it is no frame's.
fn tail(mut rest: &str, frame: &mut Frame, in_trace: bool) -> bool {
    for _ in 0..5 {
        rest = rest.trim_start();
        if rest.is_empty() {
            return true;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((word, r)) = inner.split_once(']') else { return in_trace };
            if word == "inline" {
                frame.inlined = true;
            } else {
                set_module(word, frame);
            }
            rest = r;
        } else if let Some(inner) = rest.strip_prefix('(') {
            let Some((word, r)) = inner.split_once(')') else { return in_trace };
            if word == "unreliable" {
                frame.reliable = false;
            } else if let Some((source, _)) = crate::text::take_source(word) {
                frame.source = Some(source);
            }
            rest = r;
        } else if let Some((source, r)) = crate::text::take_source(rest) {
            frame.source = Some(source);
            // A column, `:5`.
            let column = r.strip_prefix(':').and_then(take_dec).map(|c| c.1);
            rest = column.unwrap_or(r);
        } else if let Some((_, r)) = rest.strip_prefix("(discriminator ").and_then(|r| r.split_once(')')) {
            rest = r;
        } else {
            // Another line was glued to it.
            return in_trace && rest.len() < 200 && !rest.starts_with(['!', ',', ';', ':', '=']);
        }
    }
    true
}

fn set_module(word: &str, frame: &mut Frame) {
    let mut words = word.split(' ');
    let Some(module) = words.next().filter(|m| is_module(m)) else { return };
    frame.module = Some(Name::from(module));
    frame.build_id = words.next().filter(|b| hex_string(b)).map(str::to_owned);
}

fn hex_string(s: &str) -> bool {
    s.len() >= 8 && s.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_module(s: &str) -> bool {
    !s.is_empty() && s.len() < 64 && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Lines without `+0x`: a bare address, a decoded frame.
fn bare(text: &str, place: Place, with_address: bool) -> Option<Frame> {
    let digits =
        text.strip_prefix("0x").or_else(|| text.strip_prefix("(0x").and_then(|t| t.strip_suffix(')')));
    if let Some(value) = digits.and_then(|d| hex(before_space(d))) {
        return Some(Frame { address: Some(value), reliable: true, ..Frame::default() });
    }
    if place != Place::Trace {
        return None;
    }
    let (name, rest) = match text.find(' ') {
        Some(at) => (&text[..at], text[at..].trim_start()),
        None => (text, ""),
    };
    if !is_symbol(name) || name.as_bytes()[0].is_ascii_digit() {
        return None;
    }
    let mut frame = named(name);
    // `f file.c:12 [inline]`, `f (file.c:12)`, `[<addr>] f`.
    let decoded =
        rest.contains(".c:") || rest.contains(".h:") || rest.contains(".S:") || rest.contains(".rs:");
    if decoded {
        return tail(rest, &mut frame, true).then_some(frame);
    }
    (with_address && rest.is_empty()).then_some(frame)
}

fn before_space(s: &str) -> &str {
    s.split(' ').next().unwrap_or(s)
}

/// arm: `[<c0101010>] (f) from [<c0202020>] (g+0x6c/0x120)`, and since 5.18 `f from g+0x6c/0x120`.
fn arm_from(text: &str) -> Option<(Frame, Option<Box<Frame>>)> {
    let at = memchr::memmem::find(text.as_bytes(), b" from ")?;
    let (left, right) = (&text[..at], &text[at + 6..]);
    let (inner_address, left) = addresses(left);
    let (address, right) = addresses(right);
    let strip = |s: &'_ str| -> Option<Frame> {
        let s = s.trim();
        let s = s.strip_prefix('(').map_or(s, |s| s.strip_suffix(')').unwrap_or(s));
        let frame = symbol(s, Place::Trace, true)?;
        (!frame.symbol.is_empty()).then_some(frame)
    };
    let mut callee = strip(left)?;
    let mut caller = strip(right)?;
    callee.address = inner_address;
    caller.address = address;
    (caller.size.is_some() || caller.offset != 0 || address.is_some())
        .then(|| (callee, Some(Box::new(caller))))
}

/// Whether a byte can be part of a C symbol's name, or of what compilers append to one.
fn is_name_byte(byte: u8) -> bool {
    const NAME: [bool; 256] = {
        let mut name = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let b = byte as u8;
            name[byte] = b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'$');
            byte += 1;
        }
        name
    };
    NAME[usize::from(byte)]
}

/// Whether a word can be a symbol's name: C's, mangled, or Rust's demangled one.
pub(crate) fn is_symbol(name: &str) -> bool {
    let b = name.as_bytes();
    if b.is_empty() || b.len() > 512 {
        return false;
    }
    if b.iter().all(|b| is_name_byte(*b)) {
        return true;
    }
    // `<T as kernel::X>::f`, `core::fmt::write`, `kernel::f::<u8>`: parts in balance, no sentence.
    name.contains("::")
        && !name.contains(": ")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.$<>:, &*()[]{}#'+-=;!".contains(&b))
        && (name.starts_with('<') || !before_space(name).is_empty() && before_space(name).contains("::"))
}

/// A function's name without what compilers append to it.
pub(crate) fn without_suffix(name: &str) -> &str {
    match name.bytes().skip(1).position(|b| b == b'.') {
        Some(at) if !name.contains("::") => &name[..=at],
        _ => name,
    }
}

/// The function of `... in f+0x1/0x2` and of `... at f+0x1/0x2 file`: what follows the last `mark`.
pub(crate) fn after_mark(text: &str, mark: &str) -> Option<Frame> {
    at_start(after(text, mark)?.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Frame {
        parse(text, Place::Trace).unwrap_or_else(|| panic!("{text} is a frame")).0
    }

    #[test]
    fn forms_of_today() {
        let f = one("ext4_foo.isra.0+0x12/0x340 [ext4 0123456789abcdef0123] (fs/ext4/x.c:12)");
        assert_eq!((f.function.as_str(), f.symbol.as_str()), ("ext4_foo", "ext4_foo.isra.0"));
        assert_eq!((f.offset, f.size, f.module.as_deref()), (0x12, Some(0x340), Some("ext4")));
        assert_eq!(f.build_id.as_deref(), Some("0123456789abcdef0123"));
        assert_eq!(f.source, Some(("fs/ext4/x.c".to_owned(), 12)));
        assert!(!one("? f+0x1/0x2").reliable);
        assert!(one("el1_abort+0x40/0x60 (P)").reliable);
        let rust = one("<ashmem_rust::Ashmem as kernel::miscdevice::MiscDevice>::mmap+0x1/0x2");
        assert_eq!(rust.function, "<ashmem_rust::Ashmem as kernel::miscdevice::MiscDevice>::mmap");
    }

    #[test]
    fn older_forms() {
        let f = one("[<ffffffff81c62af5>] ? mac_partition+0x3a5/0x580");
        assert_eq!((f.address, f.reliable), (Some(0xffff_ffff_81c6_2af5), false));
        let f = one("[c0000000012a3b40] [c000000000a1b2c3] .do_it+0x10/0x20 (unreliable)");
        assert_eq!(
            (f.address, f.function.as_str(), f.reliable),
            (Some(0xc000_0000_00a1_b2c3), "do_it", false)
        );
        let f = one("([<000000000012a3b4>] show_trace+0x10/0x20)");
        assert!(!f.reliable);
        let (callee, caller) = parse("[<c010>] (f) from [<c020>] (g+0x6c/0x120)", Place::Trace).expect("arm");
        assert_eq!((callee.function.as_str(), caller.map(|c| c.offset)), ("f", Some(0x6c)));
        assert!(parse("f from g+0x6c/0x120", Place::Trace).is_some_and(|p| p.1.is_some()));
        assert_eq!(one("0xffffffffc0001234").address, Some(0xffff_ffff_c000_1234));
        assert!(one("__dump_stack lib/dump_stack.c:77 [inline]").inlined);
        assert_eq!(
            one("dump_stack_lvl (lib/dump_stack.c:107 (discriminator 1))").source.map(|s| s.1),
            Some(107)
        );
    }

    #[test]
    fn sentences_are_no_frames() {
        for text in [
            "WARNING: CPU: 0 PID: 1 at f.c:1 f+0x1/0x2",
            "initcall f+0x0/0x1 returned 0 after 0 usecs",
            "Call Trace:",
            "",
            "random text",
        ] {
            assert!(parse(text, Place::Trace).is_none(), "{text}");
        }
    }
}
