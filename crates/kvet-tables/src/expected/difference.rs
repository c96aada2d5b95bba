//! Where two patched texts of one image differ, site by site.

use kvet_image::VirtAddr;

use super::{Class, Owner, PatchedText, TextPart, Touched};

/// A site, or a run of bytes that is no table's, that two texts have otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The first byte.
    pub start: VirtAddr,
    /// How many bytes: the whole of the sites that share a byte which differs.
    pub len: usize,
    /// Whose it is: where tables share a place, the one that is switched while the system runs, else the last.
    pub owner: Option<Owner>,
}

/// All differences, by address.
pub fn differences(a: &PatchedText, b: &PatchedText) -> Vec<Difference> {
    let mut found = Vec::new();
    for (ours, theirs) in a.parts.iter().zip(&b.parts) {
        let len = ours.bytes.len().min(theirs.bytes.len());
        let mut at = 0;
        while let Some(next) = next_difference(&ours.bytes[..len], &theirs.bytes[..len], at) {
            let addr = ours.start.wrapping_offset(next as i64);
            let sites: Vec<Touched> = a.touched_at(addr).chain(b.touched_at(addr)).copied().collect();
            let (from, to) = extent(ours, &sites).unwrap_or((next, next + 1));
            let (from, to) = (from.clamp(at, next), to.clamp(next + 1, len));
            let start = ours.start.wrapping_offset(from as i64);
            found.push(Difference { start, len: to - from, owner: owner(&sites) });
            at = to;
        }
    }
    found
}

/// Bytes that are compared at once.
const BLOCK: usize = 256;

fn next_difference(a: &[u8], b: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while at < a.len() {
        let end = (at + BLOCK).min(a.len());
        if a[at..end] != b[at..end] {
            return a[at..end].iter().zip(&b[at..end]).position(|(a, b)| a != b).map(|i| at + i);
        }
        at = end;
    }
    None
}

/// The bytes that these sites have together, as offsets of their part.
fn extent(part: &TextPart, sites: &[Touched]) -> Option<(usize, usize)> {
    let offset = |addr: u64| usize::try_from(addr.checked_sub(part.start.0)?).ok();
    let start = sites.iter().map(|t| t.start.0).min()?;
    let end = sites.iter().map(|t| t.start.0.saturating_add(t.len.into())).max()?;
    Some((offset(start)?, offset(end)?))
}

fn owner(sites: &[Touched]) -> Option<Owner> {
    let of = |class: Class| sites.iter().rev().find(|t| t.owner.class == class);
    let live =
        of(Class::JumpLabel).or_else(|| of(Class::StaticCall)).or_else(|| of(Class::StaticCallTrampoline));
    live.or(sites.last()).map(|t| t.owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], touched: &[(u64, u8, Class)]) -> PatchedText {
        let site = |(start, len, class): &(u64, u8, Class)| Touched {
            start: VirtAddr(*start),
            len: *len,
            owner: Owner::of(*class, 0),
        };
        PatchedText {
            parts: vec![TextPart {
                name: ".text".into(),
                start: VirtAddr(0x1000),
                bytes: bytes.to_vec(),
                before: None,
            }],
            touched: touched.iter().map(site).collect(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn a_difference_is_the_whole_site() {
        let sites = [(0x1002, 5, Class::Alternative), (0x1003, 2, Class::JumpLabel)];
        let mut bytes = vec![0x90; 600];
        let a = text(&bytes, &sites);
        bytes[4] = 1;
        bytes[599] = 2;
        let b = text(&bytes, &sites);
        let found = differences(&a, &b);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].start, found[0].len), (VirtAddr(0x1002), 5));
        assert_eq!(found[0].owner.map(|o| o.class), Some(Class::JumpLabel));
        assert_eq!(found[1], Difference { start: VirtAddr(0x1000 + 599), len: 1, owner: None });
        assert!(differences(&a, &a).is_empty());
    }
}
