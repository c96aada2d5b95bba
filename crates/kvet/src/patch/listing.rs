//! One function before and after, instruction by instruction.

use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::disasm;
use kvet_tables::expected::{Owner, PatchedText};

/// One instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Where it stands.
    pub at: VirtAddr,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its text.
    pub text: String,
}

/// A stretch of code between two places where both versions have an instruction's start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The file's instructions.
    pub before: Vec<Line>,
    /// The patched ones; `None` where they are the same.
    pub after: Option<Vec<Line>>,
    /// Whose bytes the changed ones are.
    pub owners: Vec<Owner>,
}

/// A function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// Its first address.
    pub start: VirtAddr,
    /// Its length in bytes.
    pub len: usize,
    /// All of it, in order.
    pub stretches: Vec<Stretch>,
}

/// A function's code is rarely longer than this; more is not shown.
const LONGEST: u64 = 1 << 20;

/// A function's listing.
pub fn of(image: &Image, file: &PatchedText, patched: &PatchedText, name: &str) -> Result<Listing, String> {
    let start = image
        .symbol_addr(name)
        .ok_or_else(|| format!("--function {name}: this kernel has no such symbol"))?;
    let part = file
        .part_at(start)
        .ok_or_else(|| format!("--function {name}: {start} is not in the text that is patched"))?;
    let part_end = part.start.0.saturating_add(part.bytes.len() as u64);
    let symbols = image.symbols();
    let next = symbols.get(symbols.upper_bound(start)).map_or(part_end, |s| s.addr.0);
    let len =
        usize::try_from(next.min(part_end).min(start.0.saturating_add(LONGEST)).saturating_sub(start.0))
            .unwrap_or(0);
    let bytes = |text: &PatchedText| text.bytes(start, len).map(<[u8]>::to_vec).unwrap_or_default();
    let before = lines(image, start, &bytes(file));
    let after = lines(image, start, &bytes(patched));
    Ok(Listing { start, len, stretches: stretches(&before, &after, patched) })
}

fn lines(image: &Image, start: VirtAddr, bytes: &[u8]) -> Vec<Line> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let at = start.wrapping_offset(offset as i64);
        let rest = &bytes[offset..];
        let len = match image.arch() {
            Arch::X86_64 => disasm::x86::decode_one(at, rest).map_or(1, |i| i.len()),
            Arch::Arm64 => 4,
        };
        let bytes = rest[..len.min(rest.len())].to_vec();
        let text = disasm::code(image, at, &bytes).lines.join("; ");
        offset += bytes.len();
        found.push(Line { at, bytes, text });
    }
    found
}

fn stretches(before: &[Line], after: &[Line], patched: &PatchedText) -> Vec<Stretch> {
    let mut found = Vec::new();
    let (mut b, mut a) = (0, 0);
    while b < before.len() || a < after.len() {
        let (b0, a0) = (b, a);
        b += 1;
        a += 1;
        // Until both are at an instruction's start again.
        loop {
            match (before.get(b), after.get(a)) {
                (Some(x), Some(y)) if x.at == y.at => break,
                (Some(x), Some(y)) if x.at < y.at => b += 1,
                (Some(_), Some(_)) | (None, Some(_)) => a += 1,
                (Some(_), None) => b += 1,
                (None, None) => break,
            }
        }
        let old = before[b0..b.min(before.len())].to_vec();
        let new = &after[a0..a.min(after.len())];
        let same = old.iter().map(|l| &l.bytes).eq(new.iter().map(|l| &l.bytes));
        let mut owners = Vec::new();
        if !same {
            for line in &old {
                for byte in 0..line.bytes.len() as i64 {
                    for touched in patched.touched_at(line.at.wrapping_offset(byte)) {
                        if !owners.contains(&touched.owner) {
                            owners.push(touched.owner);
                        }
                    }
                }
            }
        }
        found.push(Stretch { before: old, after: (!same).then(|| new.to_vec()), owners });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, bytes: &[u8]) -> Line {
        Line { at: VirtAddr(at), bytes: bytes.to_vec(), text: String::new() }
    }

    #[test]
    fn a_stretch_ends_where_both_have_an_instruction() {
        let before = [line(0, &[0x55]), line(1, &[0xe8, 1, 2, 3, 4]), line(6, &[0xc3])];
        let after = [line(0, &[0x55]), line(1, &[0x90]), line(2, &[0x0f, 0x1f, 0x40, 0]), line(6, &[0xc3])];
        let found = stretches(&before, &after, &PatchedText::default());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].after, None);
        assert_eq!(found[1].after.as_ref().map(Vec::len), Some(2));
        assert_eq!(found[2].after, None);
    }
}
