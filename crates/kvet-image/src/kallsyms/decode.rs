//! Expands all names at once.

use super::locate::symbol_codes;
use super::{KSYM_NAME_LEN, MARKER_STEP, Names, Tables, u32_at};
use crate::VirtAddr;
use crate::symbol::{SymbolKind, SymbolSource, SymbolTable, SymbolTableBuilder};

/// Nearly all tokens are no longer than this; they are copied as one block of fixed size.
const SHORT: usize = 16;

/// A token's place in a copy of the token table that has [`SHORT`] bytes to spare at its end.
#[derive(Clone, Copy, Default)]
struct Token {
    start: u32,
    len: u32,
}

/// Expands every symbol of the stream, block by block from the markers where these are right, as the kernel does.
pub(super) fn names(tables: &Tables, raw: &[u8]) -> Names {
    let stream = raw.get(tables.names.clone()).unwrap_or(&[]);
    let (tokens, text) = token_copy(tables, raw);
    // A real table expands to about twice its length; the limit keeps a hostile one from more.
    let limit = stream.len().saturating_mul(16).min(u32::MAX as usize - KSYM_NAME_LEN);
    let mut names = Names {
        text: vec![0; stream.len().saturating_mul(5) / 2 + KSYM_NAME_LEN + SHORT],
        ends: Vec::with_capacity(tables.count),
        stream_end: 0,
    };
    let (mut at, mut offset) = (0, 0);
    for index in 0..tables.count {
        if index % MARKER_STEP == 0 {
            offset = block_start(tables, raw, stream, index / MARKER_STEP, offset);
        }
        let Some((codes, next)) = symbol_codes(stream, offset) else {
            // A wrong length led here: the rest of this block has no names, the next marker leads back.
            names.ends.push(at as u32);
            offset = stream.len();
            continue;
        };
        if names.text.len() < at + KSYM_NAME_LEN + SHORT {
            names.text.resize((names.text.len() * 3 / 2).max(at + KSYM_NAME_LEN + SHORT), 0);
        }
        at = expand(codes, &tokens, &text, &mut names.text, at);
        if at > limit {
            break;
        }
        offset = next;
        names.ends.push(at as u32);
    }
    names.stream_end = offset;
    names.text.truncate(names.ends.last().map_or(0, |e| *e as usize));
    names
}

/// Where a block of symbols starts: where the block before it ended, which is what its marker says. Where these
/// differ one of them is wrong; the one from which the next marker is reached is right.
fn block_start(tables: &Tables, raw: &[u8], stream: &[u8], block: usize, walked: usize) -> usize {
    let blocks = tables.markers.len() / 4;
    let marker = |block: usize| {
        let at = tables.markers.start + 4 * block;
        u32_at(raw, at).filter(|_| block < blocks).map(|m| m as usize)
    };
    let Some(marked) = marker(block) else { return walked };
    if marked == walked {
        return walked;
    }
    let (left, goal) = match marker(block + 1) {
        Some(next) => (MARKER_STEP, next),
        None => (tables.count.saturating_sub(block * MARKER_STEP), stream.len()),
    };
    let reaches = |start: usize| {
        (0..left).try_fold(start, |at, _| symbol_codes(stream, at).map(|(_, next)| next)) == Some(goal)
    };
    if reaches(walked) || !reaches(marked) && symbol_codes(stream, marked).is_none() {
        walked
    } else {
        marked
    }
}

fn token_copy(tables: &Tables, raw: &[u8]) -> ([Token; 256], Vec<u8>) {
    let mut tokens = [Token::default(); 256];
    let mut text = Vec::with_capacity(tables.token_table.len() + SHORT);
    for code in 0..=255u8 {
        let token = tables.token(raw, code);
        tokens[usize::from(code)] = Token { start: text.len() as u32, len: token.len() as u32 };
        text.extend_from_slice(token);
    }
    text.extend_from_slice(&[0; SHORT]);
    (tokens, text)
}

/// Expands one symbol to `out[at..]`, where [`KSYM_NAME_LEN`] + [`SHORT`] bytes are free; cuts it at the kernel's
/// limit. Returns where it ends.
fn expand(codes: &[u8], tokens: &[Token; 256], text: &[u8], out: &mut [u8], at: usize) -> usize {
    let start = at;
    let mut at = at;
    for code in codes {
        let Token { start: from, len } = tokens[usize::from(*code)];
        let (from, len) = (from as usize, len as usize);
        if len <= SHORT {
            out[at..at + SHORT].copy_from_slice(&text[from..from + SHORT]);
            at += len;
        } else {
            let len = len.min(start + KSYM_NAME_LEN - at);
            out[at..at + len].copy_from_slice(&text[from..from + len]);
            at += len;
        }
        if at >= start + KSYM_NAME_LEN {
            return start + KSYM_NAME_LEN;
        }
    }
    at
}

/// The symbols as a table: names, addresses and what the type letters tell.
pub(crate) fn symbol_table(tables: &Tables, raw: &[u8]) -> SymbolTable {
    let mut names = names(tables, raw);
    if !names.text.is_ascii() {
        // No compiler makes such names; each stray byte becomes one character, so that places stay.
        names.text.iter_mut().filter(|b| !b.is_ascii()).for_each(|b| *b = b'?');
    }
    let Names { text, ends, .. } = names;
    let text = String::from_utf8(text).unwrap_or_default();
    let mut builder = SymbolTableBuilder::from_names(text, ends.len());
    let mut start = 0usize;
    for (index, end) in ends.into_iter().enumerate() {
        let end = end as usize;
        if let (Some(addr), true) = (tables.address(raw, index), end > start + 1) {
            let letter = builder.names().as_bytes()[start];
            let kind = kind_of(letter, &builder.names().as_bytes()[start + 1..end]);
            builder.push_range(start + 1..end, VirtAddr(addr), 0, kind, letter.is_ascii_uppercase());
        }
        start = end;
    }
    builder.finish(SymbolSource::Kallsyms)
}

/// What nm's type letter stands for. Marks of the linker script have the letter of the section that they stand in
/// but are neither functions nor objects.
fn kind_of(letter: u8, name: &[u8]) -> SymbolKind {
    match letter {
        _ if is_linker_symbol(letter, name) => SymbolKind::Other,
        b't' | b'T' | b'w' | b'W' | b'i' => SymbolKind::Function,
        // Per-CPU symbols that were made absolute; scripts/kallsyms.c drops all other absolute ones.
        b'A' | b'd' | b'D' | b'b' | b'B' | b'r' | b'R' | b'v' | b'V' | b'g' | b'G' | b's' | b'S' | b'u' => {
            SymbolKind::Object
        }
        _ => SymbolKind::Other,
    }
}

/// Boundary symbols of include/asm-generic/vmlinux.lds.h and the architectures' linker scripts. In text only exact
/// names count: `__start_tty` is a function.
fn is_linker_symbol(letter: u8, name: &[u8]) -> bool {
    if name.first() != Some(&b'_') {
        return false;
    }
    let exact = matches!(
        name,
        b"_text"
            | b"_stext"
            | b"_etext"
            | b"_sinittext"
            | b"_einittext"
            | b"_sdata"
            | b"_data"
            | b"_edata"
            | b"_end"
            | b"__inittext_begin"
            | b"__inittext_end"
            | b"__initdata_begin"
            | b"__initdata_end"
            | b"__init_begin"
            | b"__init_end"
            | b"__exittext_begin"
            | b"__exittext_end"
            | b"__head_text_start"
    );
    let in_text = matches!(letter, b't' | b'T' | b'w' | b'W');
    let text_mark = name.ends_with(b"_text_start") || name.ends_with(b"_text_end");
    let data_mark = name.starts_with(b"__start_") || name.starts_with(b"__stop_");
    exact || if in_text { text_mark && name.starts_with(b"__") } else { data_mark }
}
