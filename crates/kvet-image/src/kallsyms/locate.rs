//! Finds the kallsyms tables of an image by their content.
//!
//! The way: every name has letters and digits, and each character that is used keeps a token of its own under its
//! own code; so the token table holds "0\01\02\0...9\0". The index of 16-bit offsets that names those ten places
//! follows it. The name stream stands before the token table: the one 32-bit count and stream of that many
//! symbols that decode to printable text, with the markers right behind it. Addresses stand in one of two places
//! and four encodings: the one under which they ascend and lie in the image.
//!
//! Each step tolerates single wrong entries, so that a damaged table is still found and can be reported.

use std::ops::Range;
use std::sync::OnceLock;

use memchr::memmem;

use super::{Encoding, KallsymsAbsent, MARKER_STEP, Order, Tables, u32_at};
use crate::relocate::word;
use crate::{Image, VirtAddr};

/// Offsets of 256 tokens.
const INDEX_SIZE: usize = 512;

/// Absolute per-CPU addresses start at 0 and end with the per-CPU section; none is near this.
pub(super) const PERCPU_LIMIT: u64 = 64 << 20;

/// How far outside all sections a symbol may stand: linker scripts reserve page tables and early stacks and align
/// `_end` behind the last section (arm64's `init_pg_dir` and `early_init_stack` in 7.3).
pub(super) const MARGIN: u64 = 16 << 20;

/// The longest token table that a 16-bit index reaches.
const MAX_TOKEN_TABLE: usize = 1 << 16;

/// How many symbols of a candidate stream must decode before all are walked.
const PROBE: usize = 16;

/// How many candidates are walked in full; a hostile file may hold many that begin well.
const MAX_WALKS: usize = 16;

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    bytes.get(at..end)?.try_into().ok().map(u16::from_le_bytes)
}

/// The codes of the symbol at `offset` of a name stream, and the offset of the next. `None` for a length of 0
/// (there is no such symbol) and at the stream's end.
pub(crate) fn symbol_codes(names: &[u8], offset: usize) -> Option<(&[u8], usize)> {
    let first = *names.get(offset)?;
    let (len, start) = if first & 0x80 == 0 {
        (usize::from(first), offset + 1)
    } else {
        let second = *names.get(offset.checked_add(1)?)?;
        (usize::from(first & 0x7f) | usize::from(second) << 7, offset + 2)
    };
    let end = start.checked_add(len).filter(|_| len > 0)?;
    Some((names.get(start..end)?, end))
}

/// Finds the tables.
pub(crate) fn locate(image: &Image) -> Result<Tables, KallsymsAbsent> {
    let mut problem = KallsymsAbsent::NoTokenTable;
    // scripts/kallsyms.c writes them to .rodata; other sections are tried for images that call it otherwise.
    let (first, rest): (Vec<_>, Vec<_>) =
        image.sections().iter().filter(|s| !s.file.is_empty()).partition(|s| s.name == ".rodata");
    let lowest = image.sections().first().map_or(0, |s| s.addr.0);
    let highest = image.sections().iter().map(|s| s.end().0).max().unwrap_or(0);
    let span = lowest..highest;
    for section in first.into_iter().chain(rest) {
        let delta = section.addr.0.wrapping_sub(section.file.start as u64);
        match locate_in(image.raw(), section.file.clone(), delta, span.clone()) {
            Ok(tables) => return Ok(tables),
            Err(p @ KallsymsAbsent::Incomplete { .. }) => problem = p,
            Err(KallsymsAbsent::NoTokenTable) => {}
        }
    }
    Err(problem)
}

/// Finds the tables in one section's bytes.
pub(super) fn locate_in(
    raw: &[u8],
    within: Range<usize>,
    delta: u64,
    span: Range<u64>,
) -> Result<Tables, KallsymsAbsent> {
    let region = raw.get(within.clone()).unwrap_or(&[]);
    let mut problem = KallsymsAbsent::NoTokenTable;
    let anchors: [(u8, &[u8]); 2] = [
        (b'0', b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00"),
        (b'a', b"a\0b\0c\0d\0e\0f\0g\0h\0i\0j\0k\0l\0m\0n\0o\0p\0"),
    ];
    for (code, text) in anchors {
        for at in memmem::find_iter(region, text).take(MAX_WALKS) {
            let found = find_tokens(raw, &within, within.start + at, code, text.len() / 2);
            let Some(tokens) = found else { continue };
            let missing = |missing| KallsymsAbsent::Incomplete {
                token_table: VirtAddr((tokens.table.start as u64).wrapping_add(delta)),
                missing,
            };
            let Some(names) = find_names(raw, &within, &tokens) else {
                problem = missing("kallsyms_names");
                continue;
            };
            let Some(addresses) = find_addresses(raw, &within, &tokens, &names, delta, &span) else {
                problem = missing("kallsyms_offsets");
                continue;
            };
            let seqs_of_names = find_seqs(raw, &within, &tokens, &names, &addresses);
            return Ok(Tables {
                delta,
                span,
                order: addresses.order,
                encoding: addresses.encoding,
                also_fits: addresses.also_fits,
                num_syms: names.num_syms,
                count: names.count,
                names: names.stream,
                markers: names.markers,
                token_table: tokens.table,
                token_index: tokens.index,
                addresses: addresses.range,
                relative_base: addresses.relative_base,
                seqs_of_names,
                strips_llvm: OnceLock::new(),
                named: OnceLock::new(),
            });
        }
    }
    Err(problem)
}

struct Tokens {
    table: Range<usize>,
    index: Range<usize>,
    /// For each code, the token's place in the file.
    places: Vec<Range<usize>>,
}

/// From the tokens of `run` consecutive characters starting with `code` at `at`, the table and its index.
fn find_tokens(raw: &[u8], within: &Range<usize>, at: usize, code: u8, run: usize) -> Option<Tokens> {
    let end = within.end.min(at.saturating_add(MAX_TOKEN_TABLE));
    let first = at.checked_add(2 * run)?.checked_next_multiple_of(4)?;
    for index in (first..end.saturating_sub(INDEX_SIZE - 1)).step_by(4) {
        let entry = |code: usize| u16_at(raw, index + 2 * code).map(usize::from);
        let start = entry(usize::from(code))?;
        // Single-character tokens are two bytes apart; one of them may be damaged.
        let steps = (0..run).filter(|i| entry(usize::from(code) + i) == Some(start + 2 * i)).count();
        if steps + 2 < run || start == 0 || start > at - within.start {
            continue;
        }
        let table = at - start..index;
        let places = |code| {
            let start = table.start + entry(code)?;
            let text = raw.get(start..table.end)?;
            let text = &text[..text.len().min(super::KSYM_NAME_LEN)];
            Some(start..start + memchr::memchr(0, text).unwrap_or(text.len()))
        };
        let places: Vec<_> = (0..256).map(|code| places(code).unwrap_or(0..0)).collect();
        // Each token but the first starts behind the NUL of the one before.
        let linked = places.windows(2).filter(|w| w[0].end + 1 == w[1].start).count();
        if linked >= 240 {
            return Some(Tokens { table, index: index..index + INDEX_SIZE, places });
        }
    }
    None
}

struct NameStream {
    num_syms: usize,
    num_syms_at: usize,
    count: usize,
    stream: Range<usize>,
    markers: Range<usize>,
}

impl NameStream {
    /// What scripts/kallsyms.c aligned its tables to, as the room between the count and the names shows: 8 (`ALGN`
    /// of a 64-bit kernel), or 4 where no table holds an address any more (7.3).
    fn align(&self) -> usize {
        self.stream.start - self.num_syms_at
    }
}

/// The name stream and its markers, before the token table: by the count before the stream, or by the markers
/// behind it where that count is wrong or a length in the stream is.
fn find_names(raw: &[u8], within: &Range<usize>, tokens: &Tokens) -> Option<NameStream> {
    find_names_by_count(raw, within, tokens).or_else(|| find_names_by_markers(raw, within, tokens))
}

fn find_names_by_count(raw: &[u8], within: &Range<usize>, tokens: &Tokens) -> Option<NameStream> {
    let end = tokens.table.start;
    let mut walks = 0;
    let lowest = within.start.next_multiple_of(4);
    let mut at = (end & !3).checked_sub(4)?;
    while at >= lowest {
        let num_syms = u32_at(raw, at)? as usize;
        // A symbol takes two bytes at least, so this alone rejects nearly every word of the stream.
        if num_syms >= PROBE && num_syms <= (end - at) / 2 {
            for align in [4, 8] {
                let start = at + align;
                if walks >= MAX_WALKS
                    || !has_markers(raw, start, end, num_syms, align)
                    || !reads_as_names(raw, start, end, tokens)
                {
                    continue;
                }
                walks += 1;
                if let Some(names) = walk_names(raw, at, start, end, num_syms) {
                    return Some(names);
                }
            }
        }
        let Some(next) = at.checked_sub(4) else { break };
        at = next;
    }
    None
}

/// Whether markers for `count` symbols stand where they would end before the token table, or before the list by
/// name before it: a sample of them ascends. The stream's inside has many words that could be a count, and this
/// tells without a walk that they are none.
fn has_markers(raw: &[u8], start: usize, end: usize, count: usize, align: usize) -> bool {
    let blocks = count.div_ceil(MARKER_STEP);
    let seqs = end.checked_sub(3 * count).map(|s| s / align * align);
    [Some(end), seqs].into_iter().flatten().any(|behind| {
        // The markers' own end is aligned to 4, what follows them to `align`.
        (0..align).step_by(4).any(|padding| {
            let Some(first) = behind.checked_sub(padding + 4 * blocks).filter(|f| *f >= start) else {
                return false;
            };
            let marker = |i: usize| u32_at(raw, first + 4 * i).map(|m| m as usize);
            let step = (blocks / 16).max(1);
            let sampled = (0..blocks.saturating_sub(1)).step_by(step);
            let pairs = sampled.clone().count();
            let ascending = sampled.filter(|i| match (marker(*i), marker(i + 1)) {
                (Some(a), Some(b)) => a < b && b - a >= 2 * MARKER_STEP && b < first - start,
                _ => false,
            });
            // One wrong marker spoils two pairs.
            ascending.count() + 2 >= pairs
        })
    })
}

/// Whether the first symbols at `start` decode to a type letter and printable text.
fn reads_as_names(raw: &[u8], start: usize, end: usize, tokens: &Tokens) -> bool {
    let Some(stream) = raw.get(start..end) else { return false };
    let mut offset = 0;
    for _ in 0..PROBE {
        let Some((codes, next)) = symbol_codes(stream, offset) else { return false };
        if !reads_as_symbol(raw, codes, tokens) {
            return false;
        }
        offset = next;
    }
    true
}

fn reads_as_symbol(raw: &[u8], codes: &[u8], tokens: &Tokens) -> bool {
    let text = |code: &u8| raw.get(tokens.places[usize::from(*code)].clone()).unwrap_or(&[]);
    let kind = codes.first().and_then(|c| text(c).first());
    kind.is_some_and(|k| k.is_ascii_alphabetic() || *k == b'?')
        && codes.len() < super::KSYM_NAME_LEN
        && codes.iter().all(|c| !text(c).is_empty() && text(c).iter().all(|b| b.is_ascii_graphic()))
}

/// Walks `count` symbols from `start` and compares the markers behind them.
fn walk_names(raw: &[u8], num_syms_at: usize, start: usize, end: usize, count: usize) -> Option<NameStream> {
    let stream = raw.get(start..end)?;
    let mut offset = 0;
    let mut expected = Vec::with_capacity(count.div_ceil(MARKER_STEP));
    for i in 0..count {
        if i % MARKER_STEP == 0 {
            expected.push(offset);
        }
        offset = symbol_codes(stream, offset)?.1;
    }
    let names_end = start + offset;
    let markers = names_end.checked_next_multiple_of(start - num_syms_at)?;
    let markers = markers..markers.checked_add(4 * expected.len()).filter(|e| *e <= end)?;
    // The token table follows, or the list by name and then it; without this a few bytes anywhere that read as a
    // handful of names would do.
    let between = end - markers.end;
    if between >= 8 && !(3 * count..3 * count + 16).contains(&between) {
        return None;
    }
    let agrees =
        |(i, want): &(usize, &usize)| u32_at(raw, markers.start + 4 * i).map(|m| m as usize) == Some(**want);
    // More than half of them, so that no single wrong one hides the stream.
    (expected.iter().enumerate().filter(agrees).count() * 2 > expected.len()).then(|| NameStream {
        num_syms: count,
        num_syms_at,
        count,
        stream: start..names_end,
        markers: markers.clone(),
    })
}

/// The markers first: a 0, then 32-bit offsets that grow by what 256 names can take; then the stream before them
/// that they cut into blocks of 256 symbols.
fn find_names_by_markers(raw: &[u8], within: &Range<usize>, tokens: &Tokens) -> Option<NameStream> {
    let end = tokens.table.start;
    let mut at = (end & !3).checked_sub(4)?;
    let mut walks = 0;
    while at >= within.start {
        if u32_at(raw, at) == Some(0) {
            let markers = marker_run(raw, at, end);
            if markers.len() >= 8 && walks < MAX_WALKS && markers_fit(&markers, end) {
                walks += 1;
                if let Some(names) = names_before_markers(raw, within, &markers) {
                    return Some(names);
                }
            }
        }
        at = at.checked_sub(4)?;
    }
    None
}

/// The marker run that starts at `at`; single wrong ones inside it are passed over.
fn marker_run(raw: &[u8], at: usize, end: usize) -> Range<usize> {
    let plausible = |last: u32, marker: u32, blocks: u32| {
        marker.checked_sub(last).is_some_and(|step| {
            step >= blocks * 2 * MARKER_STEP as u32 && step <= blocks * 128 * MARKER_STEP as u32
        })
    };
    let (mut last, mut stop, mut next, mut wrong) = (0, at + 4, at + 4, 0);
    while next + 4 <= end && wrong < 2 {
        let Some(marker) = u32_at(raw, next) else { break };
        next += 4;
        if plausible(last, marker, wrong + 1) {
            (last, stop, wrong) = (marker, next, 0);
        } else {
            wrong += 1;
        }
    }
    at..stop
}

/// Behind the markers come the token table, or 3 bytes for each symbol and then it.
fn markers_fit(markers: &Range<usize>, end: usize) -> bool {
    let blocks = markers.len() / 4;
    let between = end - markers.end;
    let seqs = 3 * MARKER_STEP * (blocks - 1)..=3 * MARKER_STEP * (blocks + 1) + 8;
    between < 8 || seqs.contains(&between)
}

fn names_before_markers(raw: &[u8], within: &Range<usize>, markers: &Range<usize>) -> Option<NameStream> {
    let blocks = markers.len() / 4;
    let marker = |i: usize| u32_at(raw, markers.start + 4 * i).map(|m| m as usize);
    let last = marker(blocks - 1)?;
    let block_ends = |start: usize, block: usize| {
        let stream = raw.get(start..markers.start)?;
        let mut offset = marker(block)?;
        for _ in 0..MARKER_STEP {
            offset = symbol_codes(stream, offset)?.1;
        }
        Some(marker(block + 1)? == offset)
    };
    // The last block has at most 256 symbols of at most 130 bytes on average.
    let high = markers.start.checked_sub(last)? & !3;
    let low = high.saturating_sub(MARKER_STEP * 130).max(within.start + 8);
    let tested: Vec<usize> = (0..8).map(|i| i * (blocks - 1) / 8).collect();
    let start = (low..=high).rev().step_by(4).find(|start| {
        let fit = tested.iter().filter(|b| block_ends(*start, **b) == Some(true)).count();
        fit * 2 > tested.len()
    })?;
    let stream = raw.get(start..markers.start)?;
    let (mut offset, mut tail) = (last, 0);
    while tail < MARKER_STEP {
        let Some((_, next)) = symbol_codes(stream, offset) else { break };
        (offset, tail) = (next, tail + 1);
    }
    // Before 7.x the tables are aligned to 8, and the count leaves 4 bytes free.
    let (near, far) = (u32_at(raw, start - 4)?, u32_at(raw, start - 8)?);
    let padded = near == 0 && start.is_multiple_of(8);
    Some(NameStream {
        num_syms: if padded { far } else { near } as usize,
        num_syms_at: if padded { start - 8 } else { start - 4 },
        count: (blocks - 1) * MARKER_STEP + tail,
        stream: start..start + offset,
        markers: markers.clone(),
    })
}

struct Addresses {
    order: Order,
    encoding: Encoding,
    also_fits: Option<Encoding>,
    range: Range<usize>,
    relative_base: Option<usize>,
}

/// The address array: of all places and encodings the one under which a sample ascends and lies in the image.
fn find_addresses(
    raw: &[u8],
    within: &Range<usize>,
    tokens: &Tokens,
    names: &NameStream,
    delta: u64,
    span: &Range<u64>,
) -> Option<Addresses> {
    let count = names.count;
    let in_image = |addr: u64| span.start <= addr && addr <= span.end;
    let behind = || {
        let start = tokens.index.end.checked_next_multiple_of(names.align())?;
        let end = start.checked_add(4 * count).filter(|e| *e <= within.end)?;
        Some((start..end, end.checked_next_multiple_of(8)?))
    };
    let before = || {
        let base = names.num_syms_at.checked_sub(8)?;
        let start = base.checked_sub((4 * count).next_multiple_of(8)).filter(|s| *s >= within.start)?;
        Some((start..start + 4 * count, base))
    };
    let absolute = || {
        let start = names.num_syms_at.checked_sub(8 * count).filter(|s| *s >= within.start)?;
        Some(start..start + 8 * count)
    };
    let mut candidates = Vec::new();
    let mut add = |order, encoding, range: Range<usize>, relative_base: Option<usize>| {
        if relative_base.is_none_or(|at| word(raw, at).is_some_and(in_image)) {
            candidates.push(Addresses { order, encoding, also_fits: None, range, relative_base });
        }
    };
    if let Some((range, base)) = behind() {
        add(Order::NamesFirst, Encoding::AbsolutePercpu, range.clone(), Some(base));
        add(Order::NamesFirst, Encoding::BaseRelative, range.clone(), Some(base));
        add(Order::NamesFirst, Encoding::PcRelative, range, None);
    }
    if let Some((range, base)) = before() {
        add(Order::AddressesFirst, Encoding::AbsolutePercpu, range.clone(), Some(base));
        add(Order::AddressesFirst, Encoding::BaseRelative, range, Some(base));
    }
    if let Some(range) = absolute() {
        add(Order::AddressesFirst, Encoding::Absolute, range, None);
    }
    let mut scored: Vec<(usize, Addresses)> =
        candidates.into_iter().map(|c| (score(raw, &c, count, delta, span), c)).collect();
    scored.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    let mut scored = scored.into_iter();
    let (best, mut chosen) = scored.next()?;
    let runner_up = scored.find(|(_, c)| c.range != chosen.range || c.encoding != chosen.encoding);
    chosen.also_fits =
        runner_up.filter(|(s, c)| *s == best && c.encoding != chosen.encoding).map(|(_, c)| c.encoding);
    // Half of a sample, so that no single wrong entry hides the table.
    (best * 2 > sample(count).count()).then_some(chosen)
}

fn sample(count: usize) -> impl Iterator<Item = usize> {
    (0..count.saturating_sub(1)).step_by(count.div_ceil(512).max(1))
}

/// How many of a sample of neighbours ascend within the image.
fn score(raw: &[u8], candidate: &Addresses, count: usize, delta: u64, span: &Range<u64>) -> usize {
    let tables = Tables {
        delta,
        span: span.clone(),
        order: candidate.order,
        encoding: candidate.encoding,
        also_fits: None,
        num_syms: count,
        count,
        names: 0..0,
        markers: 0..0,
        token_table: 0..0,
        token_index: 0..0,
        addresses: candidate.range.clone(),
        relative_base: candidate.relative_base,
        seqs_of_names: None,
        strips_llvm: OnceLock::new(),
        named: OnceLock::new(),
    };
    let in_image = |a: u64| span.start <= a && a <= span.end;
    let (mut good, mut inside) = (0, 0);
    for i in sample(count) {
        let (Some(a), Some(b)) = (tables.address(raw, i), tables.address(raw, i + 1)) else { continue };
        good += usize::from(a <= b && tables.is_plausible(a, 0) && tables.is_plausible(b, 0));
        inside += usize::from(in_image(a));
    }
    // Small offsets would all do as absolute ones: a kernel whose symbols are mostly per-CPU does not exist.
    if inside * 2 < sample(count).count() { 0 } else { good }
}

/// `kallsyms_seqs_of_names`: behind the markers or behind the addresses, where most of its entries are numbers of
/// symbols.
fn find_seqs(
    raw: &[u8],
    within: &Range<usize>,
    tokens: &Tokens,
    names: &NameStream,
    addresses: &Addresses,
) -> Option<Range<usize>> {
    let size = 3 * names.count;
    let (from, limit) = match addresses.order {
        Order::AddressesFirst => (names.markers.end, tokens.table.start),
        Order::NamesFirst => (addresses.relative_base.map_or(addresses.range.end, |b| b + 8), within.end),
    };
    let start = from.checked_next_multiple_of(names.align())?;
    let range = start..start.checked_add(size).filter(|end| *end <= limit)?;
    let valid =
        |c: &&[u8]| (usize::from(c[0]) << 16 | usize::from(c[1]) << 8 | usize::from(c[2])) < names.count;
    let fits = raw.get(range.clone())?.chunks_exact(3).filter(valid).count();
    (fits * 10 > names.count * 9).then_some(range)
}
