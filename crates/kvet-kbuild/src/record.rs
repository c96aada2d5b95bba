//! One `.target.cmd` file: what Kbuild wrote down when it made a target.
//!
//! The form is that of `scripts/basic/fixdep.c` and of `make-cmd` in `scripts/Kbuild.include`. Two forks:
//! `cmd_X` became `savedcmd_X` in 6.2 (92215e7a801d); the stamps of options were
//! `include/config/my/option.h` before 5.13 (0e0345b77ac4) and are `include/config/MY_OPTION` since.

use std::borrow::Cow;

/// What stands in the file. Paths are as written, relative to the build directory unless they are absolute.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record<'a> {
    /// What is made.
    pub target: &'a [u8],
    /// The command that made it, make's escapes undone.
    pub command: Cow<'a, [u8]>,
    /// The source file; a target that was linked or archived has none.
    pub source: Option<&'a [u8]>,
    /// Everything the compiler read, in order, without the options.
    pub inputs: Vec<&'a [u8]>,
    /// Stamp files of the options that the inputs mention.
    pub options: Vec<&'a [u8]>,
}

/// Reads a record; `None` when no command stands in it, as after a build that was killed.
pub fn parse(text: &[u8]) -> Option<Record<'_>> {
    let mut record = Record::default();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        let Some((name, value)) = assignment(line) else { continue };
        if let Some(target) = name.strip_prefix(b"savedcmd_").or_else(|| name.strip_prefix(b"cmd_")) {
            record.target = target;
            record.command = unescape(value);
        } else if name.starts_with(b"source_") {
            record.source = Some(value);
        } else if name.starts_with(b"deps_") {
            rest = list(value, after, &mut record);
        }
    }
    (!record.target.is_empty()).then_some(record)
}

/// Takes in a list that goes on over lines ending with a backslash; what follows it is returned.
fn list<'a>(first: &'a [u8], mut rest: &'a [u8], record: &mut Record<'a>) -> &'a [u8] {
    let mut line = first;
    loop {
        let (words, goes_on) = match line.strip_suffix(b"\\") {
            Some(words) => (words, true),
            None => (line, false),
        };
        words_of(words, record);
        if !goes_on || rest.is_empty() {
            return rest;
        }
        (line, rest) = next_line(rest);
    }
}

fn words_of<'a>(mut words: &'a [u8], record: &mut Record<'a>) {
    loop {
        words = words.trim_ascii_start();
        if words.is_empty() {
            return;
        }
        if let Some(inner) = words.strip_prefix(b"$(wildcard ") {
            let end = memchr::memchr(b')', inner).unwrap_or(inner.len());
            record.options.push(inner[..end].trim_ascii());
            words = inner.get(end + 1..).unwrap_or_default();
        } else {
            let end = memchr::memchr2(b' ', b'\t', words).unwrap_or(words.len());
            record.inputs.push(&words[..end]);
            words = &words[end..];
        }
    }
}

fn next_line(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'\n', text) {
        Some(end) => (text[..end].trim_ascii_end(), &text[end + 1..]),
        None => (text.trim_ascii_end(), &[]),
    }
}

/// `name := value`.
fn assignment(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if line.first().is_none_or(|c| !c.is_ascii_alphabetic()) {
        return None;
    }
    let at = memchr::memmem::find(line, b":=")?;
    Some((line[..at].trim_ascii(), line[at + 2..].trim_ascii()))
}

/// Undoes what `make-cmd` did: `$$` for `$`, `$(pound)` or `\#` for `#`.
fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'$', b'#', value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(&first) = rest.first() {
        let (piece, len): (u8, usize) = match rest {
            [b'$', b'$', ..] => (b'$', 2),
            [b'\\', b'#', ..] => (b'#', 2),
            _ if rest.starts_with(b"$(pound)") => (b'#', 8),
            _ => (first, 1),
        };
        out.push(piece);
        rest = &rest[len..];
    }
    Cow::Owned(out)
}

/// `CONFIG_MY_OPTION` for a stamp file, of either form.
///
/// The old form had lost the difference of `/` and `_`: `include/config/my/option.h` is MY_OPTION.
pub fn option_of_stamp(stamp: &[u8]) -> Option<String> {
    let name = stamp.strip_prefix(b"include/config/")?;
    let name = match name.strip_suffix(b".h") {
        Some(old) => old.to_ascii_uppercase(),
        None => name.to_vec(),
    };
    let name: Vec<u8> = name.into_iter().map(|c| if c == b'/' { b'_' } else { c }).collect();
    Some(format!("CONFIG_{}", String::from_utf8_lossy(&name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const OLD: &[u8] = b"cmd_lib/a.o := gcc -DX=$$1 -DY='\\#' -c -o lib/a.o lib/a.c\n\n\
        source_lib/a.o := lib/a.c\n\ndeps_lib/a.o := \\\n    $(wildcard include/config/arm64/mte.h) \\\n  \
        include/linux/a.h \\\n    $(wildcard include/config/foo.h) \\\n  lib/a.h \\\n\n\
        lib/a.o: $(deps_lib/a.o)\n\n$(deps_lib/a.o):\n";
    const NEW: &[u8] = b"savedcmd_lib/a.o := gcc -DY='$(pound)' -c -o lib/a.o lib/a.c\n\n\
        source_lib/a.o := lib/a.c\n\ndeps_lib/a.o := \\\n    $(wildcard include/config/ARM64_MTE) \\\n  lib/a.h \\\n";

    #[test]
    fn both_forms_are_read() {
        let old = parse(OLD).unwrap();
        assert_eq!(old.target, b"lib/a.o");
        assert_eq!(old.command.as_ref(), b"gcc -DX=$1 -DY='#' -c -o lib/a.o lib/a.c");
        assert_eq!(old.source, Some(&b"lib/a.c"[..]));
        assert_eq!(old.inputs, [&b"include/linux/a.h"[..], b"lib/a.h"]);
        assert_eq!(old.options.len(), 2);
        let new = parse(NEW).unwrap();
        assert_eq!(new.command.as_ref(), b"gcc -DY='#' -c -o lib/a.o lib/a.c");
        assert_eq!(new.inputs, [b"lib/a.h"]);
        for record in [old, new] {
            assert_eq!(option_of_stamp(record.options[0]).unwrap(), "CONFIG_ARM64_MTE");
        }
    }

    #[test]
    fn a_link_has_a_command_only() {
        let record =
            parse(b"cmd_lib/built-in.a := rm -f lib/built-in.a; ar cDPrST lib/built-in.a lib/a.o").unwrap();
        assert_eq!((record.source, record.inputs.len()), (None, 0));
    }

    #[test]
    fn what_is_cut_short_is_no_record_or_a_shorter_one() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"\0\0\0\0"), None);
        for end in 0..OLD.len() {
            parse(&OLD[..end]);
        }
    }
}
