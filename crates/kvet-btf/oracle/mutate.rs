//! Damage, systematic and random.

use super::Random;
use super::blob::Blob;
use super::seeds::{Builder, id_slots, name_slots};
use kvet_btf::Kind;

/// The values that a check may turn on.
pub fn boundary(old: u32, types: u32, strings: u32) -> Vec<u32> {
    let mut values = vec![
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        12,
        15,
        16,
        17,
        24,
        31,
        32,
        33,
        63,
        64,
        65,
        127,
        128,
        129,
        255,
        256,
        0xffff,
        0x1_0000,
        0xf_fffe,
        0xf_ffff,
        0x10_0000,
        0xff_fffe,
        0xff_ffff,
        0x100_0000,
        0x100_0001,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_fff8,
        0xffff_fffe,
        0xffff_ffff,
    ];
    values.extend([types.wrapping_sub(1), types, types + 1, strings.wrapping_sub(1), strings, strings + 1]);
    values.extend([old.wrapping_add(1), old.wrapping_sub(1), old.wrapping_mul(2), old / 2, old ^ 1 << 31]);
    values.extend([
        old.wrapping_add(8),
        old.wrapping_sub(8),
        old | 1 << 16,
        old | 1 << 23,
        old | 1 << 29,
        old | 1 << 30,
    ]);
    values.extend((0..32).map(|kind| old & 0x80ff_ffff | kind << 24));
    values.retain(|&v| v != old);
    values.sort_unstable();
    values.dedup();
    values
}

/// Every word of every type set to every boundary value, then the header's.
pub fn systematic(seed: &Blob, mut each: impl FnMut(&Blob)) {
    let strings = seed.strings.len() as u32;
    for t in 0..seed.types.len() {
        for w in 0..seed.types[t].len() {
            for value in boundary(seed.types[t][w], seed.types.len() as u32, strings) {
                let mut b = seed.clone();
                b.types[t][w] = value;
                each(&b);
            }
        }
    }
    let len = seed.bytes().len() as u32;
    for at in (0..24).step_by(4) {
        let old = u32::from_le_bytes(*seed.bytes()[at..].first_chunk().unwrap_or(&[0; 4]));
        for value in boundary(old, len, len - 24).into_iter().chain([len - strings, len - strings - 24]) {
            let mut b = seed.clone();
            b.patches.push((at, value, 4));
            each(&b);
        }
    }
    for at in 0..24 {
        for value in [0, 1, 2, 0x7f, 0x80, 0xeb, 0x9f, 0xff] {
            let mut b = seed.clone();
            b.patches.push((at, value, 1));
            each(&b);
        }
    }
    for header_words in 2..12 {
        for extra in [0, 1, 255] {
            let mut b = seed.clone();
            b.header_words = header_words;
            if extra != 0 {
                b.patches.push((header_words * 4 - 1, extra, 1));
            }
            each(&b);
        }
    }
    for cut in 0..=len as usize {
        let mut b = seed.clone();
        b.cut = cut;
        each(&b);
    }
    for at in 0..seed.strings.len() {
        for value in [0, 1, b' ', b'.', b'_', b'0', b'a', b'/', b'~', 0x7f, 0x80, 0xa0, 0xc0, 0xd7, 0xff] {
            let mut b = seed.clone();
            b.strings[at] = value;
            each(&b);
        }
    }
    for t in 0..seed.types.len() {
        let mut b = seed.clone();
        b.types.remove(t);
        each(&b);
        let mut b = seed.clone();
        b.types.insert(t, seed.types[t].clone());
        each(&b);
        for u in 0..t {
            let mut b = seed.clone();
            b.types.swap(t, u);
            each(&b);
        }
    }
}

/// One random change.
pub fn random(blob: &mut Blob, random: &mut Random) {
    let n = blob.types.len();
    let t = random.below(n);
    match random.below(24) {
        0..=6 if n > 0 => {
            let w = random.below(blob.types[t].len());
            let values = boundary(blob.types[t][w], n as u32, blob.strings.len() as u32);
            blob.types[t][w] = random.pick(&values);
        }
        7..=12 if n > 0 => {
            let slots = id_slots(&blob.types[t]);
            if !slots.is_empty() {
                let slot = random.pick(&slots);
                blob.types[t][slot] = random.below(n + 1) as u32;
            }
        }
        13 if n > 0 => {
            let slots = name_slots(&blob.types[t]);
            let slot = random.pick(&slots);
            blob.types[t][slot] = random.below(blob.strings.len() + 1) as u32;
        }
        14 if n > 0 => blob.types[t][1] ^= 1 << 31,
        15 if n > 0 => element(&mut blob.types[t], random),
        16 if n > 0 => {
            let u = random.below(n);
            blob.types.swap(t, u);
        }
        17 if n > 0 => {
            let copy = blob.types[t].clone();
            let at = random.below(n);
            blob.types.insert(at, copy);
        }
        18 if n > 1 => {
            blob.types.remove(t);
        }
        19 => string(blob, random),
        20 => {
            let at = random.below(24) & !3;
            let bytes = blob.bytes();
            let old = bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |w| u32::from_le_bytes(*w));
            let values = boundary(old, bytes.len() as u32, blob.strings.len() as u32);
            blob.patches.push((at, random.pick(&values), 4));
        }
        21 => blob.cut = random.below(40),
        22 if n > 0 => {
            // A reference of a size or number rather than to a type: small changes.
            let w = 2 + random.below(blob.types[t].len() - 2);
            let by = random.pick(&[1_u32, 4, 8, 16, 32, 64, u32::MAX, 0xffff_fff8]);
            blob.types[t][w] = blob.types[t][w].wrapping_add(by);
        }
        _ => insert(blob, random),
    }
}

/// Adds, removes or exchanges one element of a type.
fn element(t: &mut Vec<u32>, random: &mut Random) {
    let kind = Kind::from_number((t[1] >> 24 & 0x1f) as u8).unwrap_or(Kind::Void);
    let each = kind.tail().1 / 4;
    if each == 0 {
        return;
    }
    let count = (t.len() - 3) / each;
    let at = 3 + random.below(count) * each;
    match random.below(3) {
        0 if count > 0 => {
            let other = 3 + random.below(count) * each;
            for i in 0..each {
                t.swap(at + i, other + i);
            }
        }
        1 if count > 0 => {
            t.drain(at..at + each);
            t[1] = t[1].wrapping_sub(1);
        }
        _ if count > 0 => {
            let copy = t[at..at + each].to_vec();
            for (i, word) in copy.into_iter().enumerate() {
                t.insert(at + i, word);
            }
            t[1] = t[1].wrapping_add(1);
        }
        _ => {}
    }
}

fn string(blob: &mut Blob, random: &mut Random) {
    let at = random.below(blob.strings.len());
    match random.below(6) {
        0 => {
            // A name as long as the limit, or one more.
            let len = random.pick(&[126, 127, 128, 129, 510, 511, 512, 513, 1022, 1100]);
            let start = blob.strings.len() as u32;
            blob.strings.extend(std::iter::repeat_n(b'n', len));
            blob.strings.push(0);
            let t = random.below(blob.types.len());
            if let Some(t) = blob.types.get_mut(t) {
                t[0] = start;
            }
        }
        1 => {
            blob.strings.pop();
        }
        _ => {
            if let Some(slot) = blob.strings.get_mut(at) {
                *slot = random
                    .pick(&[0, 1, b' ', b'.', b'0', b'Z', b':', 0x7f, 0x80, 0xa0, 0xc0, 0xd7, 0xf7, 0xff]);
            }
        }
    }
}

fn insert(blob: &mut Blob, random: &mut Random) {
    let n = blob.types.len() + 1;
    let to = random.below(n + 1) as u32;
    let kind = Kind::from_number(1 + random.below(19) as u8).unwrap_or(Kind::Int);
    let names = [0, 0, random.below(blob.strings.len()) as u32];
    let name = random.pick(&names);
    let mut b = Builder::new();
    let count = random.below(4) as u32;
    let mut tail: Vec<u32> = vec![0; (kind.tail().0 + kind.tail().1 * count as usize) / 4];
    for word in &mut tail {
        *word = random.pick(&[0, 1, 4, 8, 32, 64, to, random_id(n)]);
    }
    let third = random.pick(&[0, 1, 4, 8, 64, to]);
    b.add("", (kind as u32) << 24 | if kind.tail().1 > 0 { count } else { 0 }, third, &tail);
    if let Some(mut t) = b.blob().types.pop() {
        t[0] = name;
        let at = random.below(n);
        blob.types.insert(at, t);
    }
}

fn random_id(n: usize) -> u32 {
    n as u32 / 2
}
