//! `kallsyms`: the kernel's own symbols.
//!
//! The kernel checks none of this (kernel/kallsyms.c, 5.10 to 7.3): it indexes and expands what it finds. A wrong
//! entry therefore shows as wrong names in an oops, as kprobes, live patches and BPF programs that do not find
//! their function or, worse, find another. So each finding says which lookups go wrong, and none has a line at boot.

use std::ops::Range;

use kvet_finding::{Finding, Severity};
use kvet_image::kallsyms::{MARKER_STEP, Names, Order};
use kvet_image::{Image, Kallsyms as Tables, KallsymsAbsent, Kind, SymbolSource, VirtAddr};

use crate::{Context, LocatedBy, Table, TableReport};

const NAME: &str = "kallsyms";

/// How many findings of one rule are given in full: one wrong token makes thousands.
const MAX_PER_RULE: usize = 20;

/// The table `kallsyms`.
pub struct Kallsyms;

impl Table for Kallsyms {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, context: &Context<'_>) -> Option<TableReport> {
        let image = context.image;
        if image.kind() == Kind::Module {
            return None;
        }
        match image.kallsyms() {
            Ok(tables) => Some(check(image, tables)),
            Err(absent) => Some(report_absent(image, absent)),
        }
    }
}

fn report_absent(image: &Image, absent: &KallsymsAbsent) -> TableReport {
    let mut report = TableReport::absent(NAME, format!("kallsyms was not checked: {absent}"));
    if let KallsymsAbsent::Incomplete { token_table, missing } = absent {
        report.findings.push(
            Finding::new(
                "kallsyms/incomplete",
                Severity::Warning,
                format!("there is a kallsyms token table, but nothing near it reads as {missing}: the table is damaged, or of a layout that kvet does not know"),
            )
            .at(image, *token_table)
            .advice("compare with `cat /proc/kallsyms` of the same kernel; if that is right, please report the layout"),
        );
    }
    report
}

fn check(image: &Image, tables: Tables<'_>) -> TableReport {
    let located = if image.symbols().source() == SymbolSource::Elf && agrees_with_symbols(image, tables) {
        LocatedBy::Symbols("kallsyms_names".into(), SymbolSource::Elf)
    } else {
        LocatedBy::Scan
    };
    let mut report = TableReport::new(NAME, Some(located));
    report.entries = tables.len() as u64;
    report.layout = Some(layout(tables));
    let names = tables.decode();
    let mut findings = Findings { image, all: Vec::new() };
    check_count(tables, &mut findings);
    let tokens_sound = check_tokens(tables, &mut findings);
    let stream_sound = check_stream(tables, &mut findings);
    check_names(tables, &names, &mut findings);
    check_addresses(tables, &names, &mut findings);
    match tables.seqs_of_names() {
        None => report.skipped.push(
            "the order of names was not checked: this kernel has no kallsyms_seqs_of_names (before 6.2)"
                .into(),
        ),
        Some(seqs) => {
            check_seqs(tables, &names, seqs, tokens_sound && stream_sound, &mut findings, &mut report)
        }
    }
    if findings.all.is_empty() {
        report.proved = proved(tables);
    }
    report.findings = findings.all;
    report
}

fn agrees_with_symbols(image: &Image, tables: Tables<'_>) -> bool {
    image.symbol_addr("kallsyms_names") == Some(tables.names().start)
}

fn layout(tables: Tables<'_>) -> String {
    let order = match tables.order() {
        Order::AddressesFirst => "addresses before names",
        _ => "names before addresses",
    };
    let also = tables.also_fits().map(|e| format!(" ({e} fit as well)")).unwrap_or_default();
    format!("{}{also}, {order}", tables.encoding())
}

fn proved(tables: Tables<'_>) -> Vec<String> {
    let mut out = vec![
        "the count is that of the name stream".to_owned(),
        "every marker is where its block of 256 names starts".to_owned(),
        "every token index entry is where its token starts".to_owned(),
        "every name has a type letter and printable characters".to_owned(),
        "addresses ascend and lie in the image".to_owned(),
    ];
    if tables.seqs_of_names().is_some() {
        out.push("the list by name has every symbol once, in order".to_owned());
    }
    out
}

/// Collects findings, the first [`MAX_PER_RULE`] of a rule in full and the rest as one count.
struct Findings<'a> {
    image: &'a Image,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn many(&mut self, rule: &'static str, found: Vec<Finding>) {
        let more = found.len().saturating_sub(MAX_PER_RULE);
        self.all.extend(found.into_iter().take(MAX_PER_RULE));
        if more > 0 {
            self.all.push(Finding::new(
                rule,
                Severity::Error,
                format!("the same is wrong with {more} further entries"),
            ));
        }
    }

    fn error(&self, rule: &'static str, index: usize, at: VirtAddr, message: String) -> Finding {
        let mut finding = Finding::new(rule, Severity::Error, message).index(index as u64);
        // The place is an entry of these very tables, so naming it by them would help no one.
        finding.address = Some(at);
        finding.advice("rebuild vmlinux from clean: scripts/kallsyms.c writes all of these tables in one go, so nothing but later damage to the file (or a wrong last link pass) makes them disagree")
    }
}

fn check_count(tables: Tables<'_>, findings: &mut Findings<'_>) {
    if tables.num_syms() == tables.len() {
        return;
    }
    let finding = Finding::new(
        "kallsyms/count",
        Severity::Error,
        format!(
            "kallsyms_num_syms is {}, but kallsyms_names holds {} symbols: the kernel searches {}",
            tables.num_syms(),
            tables.len(),
            if tables.num_syms() < tables.len() {
                "only the first of them"
            } else {
                "past the end of every table"
            }
        ),
    )
    .at(findings.image, tables.names().start)
    .with("num_syms", tables.num_syms() as u64)
    .with("symbols", tables.len() as u64);
    findings.all.push(finding);
}

/// Each token starts where its index says, and is printable. Whether all do.
fn check_tokens(tables: Tables<'_>, findings: &mut Findings<'_>) -> bool {
    let index_at = |code: u8| VirtAddr(tables.token_index().start.0.wrapping_add(2 * u64::from(code)));
    let mut wrong_index = Vec::new();
    let mut wrong_token = Vec::new();
    let mut expected = 0usize;
    for code in 0..=255u8 {
        let offset = usize::from(tables.token_offset(code));
        // Where one entry is wrong, the next ones tell whether the tokens go on as before.
        let next_fits = code < 255
            && usize::from(tables.token_offset(code + 1))
                == expected + token_at(findings.image, tables, expected) + 1;
        if offset != expected && next_fits {
            wrong_index.push(findings.error(
                "kallsyms/token-index",
                usize::from(code),
                index_at(code),
                format!("kallsyms_token_index[{code}] is {offset:#x}, its token starts at {expected:#x}: every name with this token expands wrongly"),
            ));
            expected += token_at(findings.image, tables, expected) + 1;
            continue;
        }
        if offset != expected {
            wrong_token.push(findings.error(
                "kallsyms/token-table",
                usize::from(code),
                tables.token_table().start,
                format!("the token of code {code} should start at {expected:#x}, right behind the one before, but kallsyms_token_index has {offset:#x}: a token's NUL is lost or one too many, and names with it expand wrongly"),
            ));
        }
        let token = tables.token(code);
        if token.iter().any(|b| !b.is_ascii_graphic()) {
            wrong_token.push(findings.error(
                "kallsyms/token-table",
                usize::from(code),
                VirtAddr(tables.token_table().start.0.wrapping_add(offset as u64)),
                format!(
                    "the token of code {code} is \"{}\": no symbol has such characters",
                    token.escape_ascii()
                ),
            ));
        }
        expected = offset + token.len() + 1;
    }
    let sound = wrong_index.is_empty() && wrong_token.is_empty();
    findings.many("kallsyms/token-index", wrong_index);
    findings.many("kallsyms/token-table", wrong_token);
    sound
}

/// The length of the token at an offset of the token table.
fn token_at(image: &Image, tables: Tables<'_>, offset: usize) -> usize {
    let at = VirtAddr(tables.token_table().start.0.wrapping_add(offset as u64));
    let text = image.bytes_up_to(at, kvet_image::kallsyms::KSYM_NAME_LEN);
    memchr::memchr(0, text).unwrap_or(text.len())
}

/// Walks the stream block by block: each must end where the next one's marker says. Whether all do.
fn check_stream(tables: Tables<'_>, findings: &mut Findings<'_>) -> bool {
    let blocks = tables.len().div_ceil(MARKER_STEP);
    let in_block = |block: usize| MARKER_STEP.min(tables.len() - block * MARKER_STEP);
    let walk = |from: usize, count: usize| (0..count).try_fold(from, |at, _| Some(tables.codes(at)?.1));
    let stream = (tables.names().end.0 - tables.names().start.0) as usize;
    let marker = |block: usize| {
        if block < blocks { tables.marker(block).map(|m| m as usize) } else { Some(stream) }
    };
    let mut wrong_markers = Vec::new();
    let mut wrong_lengths = Vec::new();
    let mut start = 0;
    for block in 0..blocks {
        if block == 0 && marker(0) != Some(0) {
            wrong_markers.push(wrong_marker(findings, tables, 0, 0));
        }
        let end = walk(start, in_block(block));
        let goal = marker(block + 1);
        if end.is_some() && end == goal {
            start = stream.min(end.unwrap_or(stream));
            continue;
        }
        // The walk and the marker differ. If the walk goes on to the marker after, this marker is wrong.
        let goes_on = block + 1 < blocks
            && end.and_then(|e| walk(e, in_block(block + 1))).is_some_and(|e| Some(e) == marker(block + 2));
        match (goes_on, end, goal) {
            (true, Some(end), _) => {
                wrong_markers.push(wrong_marker(findings, tables, block + 1, end));
                start = end;
            }
            (_, _, goal) => {
                wrong_lengths.push(wrong_length(findings, tables, block, start, goal));
                start = goal.unwrap_or(stream);
            }
        }
    }
    let sound = wrong_markers.is_empty() && wrong_lengths.is_empty();
    findings.many("kallsyms/marker", wrong_markers);
    findings.many("kallsyms/name-length", wrong_lengths);
    sound
}

fn wrong_marker(findings: &Findings<'_>, tables: Tables<'_>, block: usize, expected: usize) -> Finding {
    let at = VirtAddr(tables.markers().start.0.wrapping_add(4 * block as u64));
    let symbols = block * MARKER_STEP..tables.len().min((block + 1) * MARKER_STEP);
    findings
        .error(
            "kallsyms/marker",
            block,
            at,
            format!(
                "kallsyms_markers[{block}] is {:#x}, but symbol {} starts at {expected:#x}: the kernel prints wrong names for symbols {} to {}",
                tables.marker(block).unwrap_or(0),
                symbols.start,
                symbols.start,
                symbols.end - 1
            ),
        )
        .with("marker", u64::from(tables.marker(block).unwrap_or(0)))
        .with("expected", expected as u64)
}

fn wrong_length(
    findings: &Findings<'_>,
    tables: Tables<'_>,
    block: usize,
    start: usize,
    goal: Option<usize>,
) -> Finding {
    // The first symbol that is none bounds where the wrong length is: at it or shortly before.
    let mut at = start;
    let mut first_bad = block * MARKER_STEP;
    let last = tables.len().min((block + 1) * MARKER_STEP);
    while first_bad < last {
        let Some((codes, next)) = tables.codes(at) else { break };
        let letter = codes.first().and_then(|c| tables.token(*c).first().copied());
        if !letter.is_some_and(is_type_letter) {
            break;
        }
        (at, first_bad) = (next, first_bad + 1);
    }
    let place = VirtAddr(tables.names().start.0.wrapping_add(at as u64));
    let goal = goal.map_or("nowhere".to_owned(), |g| format!("{g:#x}"));
    findings.error(
        "kallsyms/name-length",
        first_bad.min(last.saturating_sub(1)),
        place,
        format!(
            "the lengths of symbols {} to {} do not lead to offset {goal}, where the next block starts; symbol {} is the first that does not read as one, so its length or one shortly before it is wrong: the kernel prints wrong names from there to symbol {}",
            block * MARKER_STEP,
            last - 1,
            first_bad.min(last.saturating_sub(1)),
            last - 1
        ),
    )
}

/// The letters that nm gives to what kallsyms keeps.
fn is_type_letter(letter: u8) -> bool {
    letter.is_ascii_alphabetic() || letter == b'?'
}

fn check_names(tables: Tables<'_>, names: &Names, findings: &mut Findings<'_>) {
    let mut wrong = Vec::new();
    for i in 0..names.len() {
        let (Some(kind), Some(name)) = (names.kind(i), names.name(i)) else { continue };
        if is_type_letter(kind) && !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        let offset = tables.name_offset(i).unwrap_or(0) as u64;
        wrong.push(findings.error(
            "kallsyms/name",
            i,
            VirtAddr(tables.names().start.0.wrapping_add(offset)),
            format!(
                "symbol {i} expands to \"{}\": expected a type letter and a printable name",
                [&[kind], name].concat().escape_ascii()
            ),
        ));
    }
    findings.many("kallsyms/name", wrong);
}

/// Addresses lie in the image and ascend: `get_symbol_pos` searches them by halves.
fn check_addresses(tables: Tables<'_>, names: &Names, findings: &mut Findings<'_>) {
    let addresses: Vec<VirtAddr> = (0..tables.len()).map_while(|i| tables.address(i)).collect();
    let outside: Vec<usize> = (0..addresses.len()).filter(|i| !tables.is_plausible(addresses[*i])).collect();
    let falling = (1..addresses.len()).filter(|i| addresses[*i] < addresses[i - 1]);
    let name = |i: usize| names.name(i).map(|n| n.escape_ascii().to_string()).unwrap_or_default();
    let mut misplaced: Vec<usize> = falling
        .map(|i| culprit(&addresses, i, |a, b| a <= b))
        // One that lies outside the image is out of order as well, and is reported as the former.
        .filter(|i| outside.binary_search(i).is_err())
        .collect();
    misplaced.dedup();
    let outside = outside.into_iter().map(|i| {
        let message = format!("symbol {i} ({}) is at {}, outside the image: lookups of it give that address, and addresses near it get wrong names", name(i), addresses[i]);
        findings.error("kallsyms/address", i, tables.address_field(i), message)
    });
    let outside: Vec<_> = outside.collect();
    let misplaced = misplaced.into_iter().map(|i| {
        let neighbour = if i > 0 { i - 1 } else { i + 1 };
        let message = format!(
            "symbol {i} ({}) is at {}, out of order with symbol {neighbour} ({}) at {}: the kernel searches by halves, so addresses around here get wrong names",
            name(i), addresses[i], name(neighbour), addresses.get(neighbour).copied().unwrap_or_default()
        );
        findings.error("kallsyms/order", i, tables.address_field(i), message)
    });
    let misplaced: Vec<_> = misplaced.collect();
    findings.many("kallsyms/address", outside);
    findings.many("kallsyms/order", misplaced);
}

/// Which of two neighbours, `i - 1` and `i`, breaks the order: the former if the rest ascends without it and not
/// without the latter.
fn culprit<T>(list: &[T], i: usize, ascends: impl Fn(&T, &T) -> bool) -> usize {
    let without_former = i < 2 || ascends(&list[i - 2], &list[i]);
    let without_latter = list.get(i + 1).is_none_or(|next| ascends(&list[i - 1], next));
    if without_former && !without_latter { i - 1 } else { i }
}

/// `kallsyms_seqs_of_names` has every symbol once and in the order of names, which `kallsyms_lookup_names`
/// searches by halves.
fn check_seqs(
    tables: Tables<'_>,
    names: &Names,
    seqs: Range<VirtAddr>,
    names_sound: bool,
    findings: &mut Findings<'_>,
    report: &mut TableReport,
) {
    let place_at = |place: usize| VirtAddr(seqs.start.0.wrapping_add(3 * place as u64));
    let order: Vec<usize> = (0..tables.len()).map(|place| tables.seq(place).unwrap_or(usize::MAX)).collect();
    let name = |place: usize| {
        let name = order.get(place).and_then(|seq| names.name(*seq));
        name.map(|n| n.escape_ascii().to_string()).unwrap_or_default()
    };
    let misplaced = if names_sound {
        out_of_order(&order, names)
    } else {
        report.skipped.push("the order of names was not checked: names themselves are wrong".into());
        Vec::new()
    };
    let mut wrong: Vec<Finding> = misplaced
        .iter()
        .map(|place| {
            let neighbour = if *place > 0 { place - 1 } else { place + 1 };
            let message = format!(
                "kallsyms_seqs_of_names[{place}] is symbol {} ({}), out of order with {} at {neighbour}: kallsyms_lookup_name searches by halves and misses names around here",
                order[*place],
                name(*place),
                name(neighbour)
            );
            findings.error("kallsyms/seqs-of-names", *place, place_at(*place), message)
        })
        .collect();
    let mut first_place: Vec<Option<usize>> = vec![None; tables.len()];
    for (place, seq) in order.iter().enumerate() {
        let problem = match first_place.get_mut(*seq) {
            None => format!("there are {} symbols", tables.len()),
            // Of two places the one out of order is the wrong one, and is reported as such.
            Some(Some(first)) if [*first, place].iter().any(|p| misplaced.binary_search(p).is_ok()) => {
                continue;
            }
            Some(Some(first)) => format!("which stands at {first} as well"),
            Some(none) => {
                *none = Some(place);
                continue;
            }
        };
        let message = format!(
            "kallsyms_seqs_of_names[{place}] is symbol {seq}; {problem}: kallsyms_lookup_name may miss a symbol or give another's address"
        );
        wrong.push(findings.error("kallsyms/seqs-of-names", place, place_at(place), message));
    }
    wrong.sort_by_key(|f| f.index);
    findings.many("kallsyms/seqs-of-names", wrong);
}

/// The places whose names break the order, ascending. From 6.2 to 6.9 a CONFIG_LTO_CLANG kernel sorts by names
/// without their `.llvm.` suffix, so if there are such names, the reading with fewer faults counts.
fn out_of_order(order: &[usize], names: &Names) -> Vec<usize> {
    // Most neighbours differ in their first eight characters; comparing those touches far less memory.
    let prefix = |name: &[u8]| {
        let mut key = [0; 8];
        let len = name.len().min(8);
        key[..len].copy_from_slice(&name[..len]);
        u64::from_be_bytes(key)
    };
    let name = |seq: usize| names.name(seq).unwrap_or(&[]);
    let keys: Vec<u64> = (0..names.len()).map(|i| prefix(name(i))).collect();
    let plain = |a: usize, b: usize| match (keys.get(a), keys.get(b)) {
        (Some(ka), Some(kb)) if ka != kb => ka < kb,
        (Some(_), Some(_)) => name(a) <= name(b),
        // A number that is no symbol's is reported as that.
        _ => true,
    };
    let faults = breaks(order, plain);
    if faults.is_empty() {
        return faults;
    }
    let cut = |seq: usize| {
        let name = name(seq);
        &name[..memchr::memmem::find(name, b".llvm.").unwrap_or(name.len())]
    };
    let cleaned = breaks(order, |a, b| a >= names.len() || b >= names.len() || cut(a) <= cut(b));
    if cleaned.len() < faults.len() { cleaned } else { faults }
}

/// Where a list is not ascending: of each two neighbours in the wrong order the [`culprit`].
fn breaks(order: &[usize], ascends: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let falls = (1..order.len()).filter(|i| !ascends(order[i - 1], order[*i]));
    let mut places: Vec<usize> = falls.map(|i| culprit(order, i, |a, b| ascends(*a, *b))).collect();
    places.dedup();
    places
}

#[cfg(test)]
#[path = "../../kvet-image/src/kallsyms/testing.rs"]
mod testing;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::testing::{Built, Form, Spec, build};
    use super::*;

    const COUNT: usize = 2100;

    fn spec() -> Spec {
        Spec::new(Form::PcRelative, true, true, 4, COUNT)
    }

    fn report(bytes: &[u8]) -> TableReport {
        let image = Image::from_bytes(Path::new("test"), bytes.to_vec()).unwrap();
        Kallsyms.check(&Context::new(&image, None)).unwrap()
    }

    /// The rules and indices of what is found once `damage` has changed the file.
    fn found(spec: &Spec, damage: impl FnOnce(&mut Built)) -> Vec<(&'static str, Option<u64>)> {
        let mut built = build(spec);
        damage(&mut built);
        report(&built.elf).findings.iter().map(|f| (f.rule, f.index)).collect()
    }

    #[test]
    fn sound_tables_of_every_layout_have_no_finding() {
        for spec in Spec::layouts(COUNT) {
            let report = report(&build(&spec).elf);
            assert_eq!(report.findings, [], "{:?}", spec.form);
            assert_eq!(report.entries, spec.symbols.len() as u64);
            assert!(report.proved.len() >= 5);
            assert_eq!(report.skipped.is_empty(), spec.seqs, "what was not checked is said");
        }
    }

    #[test]
    fn a_wrong_count_is_found() {
        let found = found(&spec(), |b| b.elf[b.places["num_syms"].start] ^= 1);
        assert_eq!(found, [("kallsyms/count", None)]);
    }

    #[test]
    fn a_wrong_marker_is_found_at_its_block() {
        for block in [0, 4, 8] {
            let found = found(&spec(), |b| {
                let at = b.places["markers"].start + 4 * block;
                b.elf[at] = b.elf[at].wrapping_add(2);
            });
            assert_eq!(found, [("kallsyms/marker", Some(block as u64))]);
        }
    }

    #[test]
    fn a_wrong_token_index_is_found_at_its_code() {
        let found = found(&spec(), |b| b.elf[b.places["token_index"].start + 2 * 0x81] ^= 4);
        assert_eq!(found[0], ("kallsyms/token-index", Some(0x81)));
        assert!(
            found.iter().all(|(rule, _)| *rule == "kallsyms/token-index" || *rule == "kallsyms/name"),
            "{found:?}"
        );
    }

    #[test]
    fn an_unprintable_token_is_found_at_its_code() {
        let found = found(&spec(), |b| {
            let tokens = b.places["token_table"].clone();
            let at = memchr::memmem::find(&b.elf[tokens.clone()], b"Tfunc_").unwrap();
            b.elf[tokens.start + at + 2] = 0x07;
        });
        assert_eq!(found[0], ("kallsyms/token-table", Some(0x81)));
        assert_eq!(found[1].0, "kallsyms/name");
        assert_eq!(found.len(), 1 + MAX_PER_RULE + 1, "the rest is one count");
    }

    #[test]
    fn a_wrong_length_is_found_in_its_block() {
        let spec = spec();
        let found = found(&spec, |b| {
            // The length byte of the symbol at 700, found by walking as the kernel does.
            let mut at = b.places["names"].start;
            for _ in 0..700 {
                let (low, high) = (usize::from(b.elf[at]), usize::from(b.elf[at + 1]));
                at += if low & 0x80 == 0 { 1 + low } else { 2 + (low & 0x7f | high << 7) };
            }
            b.elf[at] += 1;
        });
        let (rule, index) = found[0];
        assert_eq!(rule, "kallsyms/name-length");
        assert!((700..703).contains(&index.unwrap()), "{index:?}");
    }

    #[test]
    fn an_address_out_of_order_is_found_at_its_symbol() {
        let found = found(&spec(), |b| {
            let at = b.places["addresses"].start + 4 * 1000;
            let value = i32::from_le_bytes(b.elf[at..at + 4].try_into().unwrap()) + 0x1000;
            b.elf[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
        assert_eq!(found, [("kallsyms/order", Some(1000))], "too high");
        let found = self::found(&spec(), |b| {
            let at = b.places["addresses"].start + 4 * 1000;
            let value = i32::from_le_bytes(b.elf[at..at + 4].try_into().unwrap()) - 0x1000;
            b.elf[at..at + 4].copy_from_slice(&value.to_le_bytes());
        });
        assert_eq!(found, [("kallsyms/order", Some(1000))], "too low");
    }

    #[test]
    fn an_address_outside_the_image_is_found_at_its_symbol() {
        let spec = spec();
        let last = spec.symbols.len() - 1;
        let found = found(&spec, |b| {
            let at = b.places["addresses"].start + 4 * last;
            b.elf[at..at + 4].copy_from_slice(&0x7000_0000u32.to_le_bytes());
        });
        assert_eq!(found, [("kallsyms/address", Some(last as u64))]);
    }

    #[test]
    fn a_repeated_symbol_in_the_list_by_name_is_found_at_its_place() {
        let found = found(&spec(), |b| {
            let at = b.places["seqs_of_names"].start;
            b.elf.copy_within(at + 3 * 9..at + 3 * 10, at + 3 * 10);
        });
        assert_eq!(found, [("kallsyms/seqs-of-names", Some(10))]);
    }

    #[test]
    fn an_impossible_symbol_in_the_list_by_name_is_found_at_its_place() {
        let found = found(&spec(), |b| b.elf[b.places["seqs_of_names"].start + 3 * 20] = 0xff);
        assert_eq!(found, [("kallsyms/seqs-of-names", Some(20))]);
    }

    #[test]
    fn two_exchanged_symbols_in_the_list_by_name_are_found() {
        let found = found(&spec(), |b| {
            let at = b.places["seqs_of_names"].start + 3 * 100;
            let (a, c) = (b.elf[at..at + 3].to_vec(), b.elf[at + 3..at + 6].to_vec());
            b.elf[at..at + 3].copy_from_slice(&c);
            b.elf[at + 3..at + 6].copy_from_slice(&a);
        });
        assert_eq!(found, [("kallsyms/seqs-of-names", Some(101))]);
    }

    #[test]
    fn tables_that_cannot_be_read_are_a_warning_and_said_to_be_unchecked() {
        let mut built = build(&spec());
        let names = built.places["num_syms"].start..built.places["markers"].end;
        built.elf[names].fill(0);
        let report = report(&built.elf);
        assert_eq!(report.findings[0].rule, "kallsyms/incomplete");
        assert_eq!(report.findings[0].severity, Severity::Warning);
        assert_eq!(report.skipped.len(), 1);
    }

    #[test]
    fn names_sorted_without_their_llvm_suffix_are_in_order() {
        let mut spec = spec();
        // "a.llvm.9" cut is "a", which sorts before "a.cold"; whole it sorts behind.
        spec.symbols.truncate(300);
        for (i, name) in ["zz.cold", "zz.llvm.9"].into_iter().enumerate() {
            let addr = spec.symbols[299].0;
            spec.symbols.push((addr + i as u64, 't', name.into()));
        }
        let mut built = build(&spec);
        let seqs = built.places["seqs_of_names"].clone();
        let find = |elf: &[u8], seq: u32| {
            let want = &seq.to_be_bytes()[1..];
            elf[seqs.clone()].chunks_exact(3).position(|c| c == want).unwrap() * 3 + seqs.start
        };
        let (cold, llvm) = (find(&built.elf, 300), find(&built.elf, 301));
        assert_eq!(llvm, cold + 3);
        for (at, seq) in [(cold, 301u32), (llvm, 300)] {
            built.elf[at..at + 3].copy_from_slice(&seq.to_be_bytes()[1..]);
        }
        assert_eq!(report(&built.elf).findings, []);
    }
}
