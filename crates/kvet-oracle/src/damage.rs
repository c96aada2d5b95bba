//! Damage to one entry of a table, drawn from a seed.

use kvet_image::{Arch, Image, VirtAddr};
use kvet_tables::Context;
use serde::Serialize;

use crate::random::Random;
use crate::shape::{Field, Shape};

/// What is done to a field or an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// One more.
    PlusOne,
    /// One less.
    MinusOne,
    /// Zero.
    Zero,
    /// All bits set.
    Ones,
    /// One bit flipped.
    Bit,
    /// Any value.
    Random,
    /// What the next entry has there, a distance still leading to where it led.
    Neighbour,
    /// A small number of bytes further.
    Near,
    /// The code at the site: of a jump label the nop for the jump or the jump for the nop, else its first byte.
    Code,
}

impl How {
    /// Its name on the command line and in output.
    pub fn word(self) -> &'static str {
        match self {
            How::PlusOne => "plus-one",
            How::MinusOne => "minus-one",
            How::Zero => "zero",
            How::Ones => "ones",
            How::Bit => "bit",
            How::Random => "random",
            How::Neighbour => "neighbour",
            How::Near => "near",
            How::Code => "code",
        }
    }
}

/// All of them.
pub const HOWS: [How; 9] = [
    How::PlusOne,
    How::MinusOne,
    How::Zero,
    How::Ones,
    How::Bit,
    How::Random,
    How::Neighbour,
    How::Near,
    How::Code,
];

/// Bytes to write over an image, and what that does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Damage {
    /// The table that it hurts.
    pub table: &'static str,
    /// The entry.
    pub index: u64,
    /// The field.
    pub field: &'static str,
    /// What was done to it.
    pub how: How,
    /// Where.
    #[serde(serialize_with = "hex")]
    pub at: VirtAddr,
    /// What stood there.
    pub old: Vec<u8>,
    /// What is written.
    pub new: Vec<u8>,
}

fn hex<S: serde::Serializer>(at: &VirtAddr, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{:#x}", at.0))
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entry {}, {}: {}", self.table, self.index, self.field, self.how.word())
    }
}

/// Damages any field of any entry of a table; `None` when this draw does not fit.
pub fn draw(context: &Context<'_>, shape: &Shape, random: &mut Random) -> Option<Damage> {
    let field = *shape.fields.get(random.below(shape.fields.len()))?;
    let how = HOWS[random.below(HOWS.len())];
    let index = random.below(usize::try_from(shape.count).ok()?) as u64;
    damage(context, shape, index, field, how, random)
}

/// Damages a field of an entry in a given way; `None` when that changes nothing or cannot be done there.
pub fn damage(
    context: &Context<'_>,
    shape: &Shape,
    index: u64,
    field: Field,
    how: How,
    random: &mut Random,
) -> Option<Damage> {
    let image = context.image;
    let at = shape.at(index)?.checked_add(field.offset)?;
    let (at, old, new) = match how {
        How::Code if field.site => code(context, shape, index, at)?,
        How::Code => return None,
        _ => {
            let old = number(image.bytes(at, field.size)?);
            let new = value(image, shape, index, field, how, old, random)?;
            let bytes = |value: u64| value.to_le_bytes()[..field.size].to_vec();
            (at, bytes(old), bytes(new))
        }
    };
    // The file must hold it: what the loader puts there (relocations) cannot be damaged in place.
    let range = image.file_range(at)?;
    (image.raw().get(range.start..range.start + old.len())? == old && old != new).then_some(Damage {
        table: shape.table,
        index,
        field: field.name,
        how,
        at,
        old,
        new,
    })
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn value(
    image: &Image,
    shape: &Shape,
    index: u64,
    field: Field,
    how: How,
    old: u64,
    random: &mut Random,
) -> Option<u64> {
    Some(match how {
        How::PlusOne => old.wrapping_add(1),
        How::MinusOne => old.wrapping_sub(1),
        How::Zero => 0,
        How::Ones => u64::MAX,
        How::Bit => old ^ (1 << random.below(field.size * 8)),
        How::Random => random.bits(),
        How::Near => old.wrapping_add(2 + random.below(14) as u64),
        How::Neighbour => {
            let next = shape.at((index + 1) % shape.count)?.checked_add(field.offset)?;
            let there = number(image.bytes(next, field.size)?);
            // A distance counts from its own place.
            let moved = next.0.wrapping_sub(shape.at(index)?.checked_add(field.offset)?.0);
            let is_distance = matches!(
                field.name,
                "site"
                    | "replacement"
                    | "target"
                    | "key"
                    | "fixup"
                    | "file"
                    | "function"
                    | "tracepoint"
                    | "value"
                    | "name"
            ) && shape.table != "parameters"
                && !(shape.table == "mcount" || shape.table == "paravirt");
            if is_distance { there.wrapping_add(moved) } else { there }
        }
        How::Code => return None,
    })
}

/// A jump label's other state; of other sites that the kernel decodes, a nop in place of the opcode.
fn code(
    context: &Context<'_>,
    shape: &Shape,
    index: u64,
    field: VirtAddr,
) -> Option<(VirtAddr, Vec<u8>, Vec<u8>)> {
    let image = context.image;
    let arm = image.arch() == Arch::Arm64;
    match shape.table {
        "jump-labels" => {
            let table = context.jump_labels().ok()?;
            let label = table.labels.get(usize::try_from(index).ok()?)?;
            let distance = label.target.wrapping_distance(label.code);
            let new = match (arm, image.bytes(label.code, 5)?) {
                (true, [0x1f, 0x20, 0x03, 0xd5, _]) => {
                    (0x1400_0000 | ((distance >> 2) as u32 & 0x03ff_ffff)).to_le_bytes().to_vec()
                }
                (true, _) => 0xd503_201f_u32.to_le_bytes().to_vec(),
                (false, [0x66, 0x90, ..]) => vec![0xeb, i8::try_from(distance - 2).ok()? as u8],
                (false, [0xeb, ..]) => vec![0x66, 0x90],
                (false, [0xe9, ..]) => vec![0x0f, 0x1f, 0x44, 0, 0],
                (false, [0x0f, 0x1f, ..]) => {
                    let [a, b, c, d] = i32::try_from(distance - 5).ok()?.to_le_bytes();
                    vec![0xe9, a, b, c, d]
                }
                _ => return None,
            };
            let old = image.bytes(label.code, new.len())?.to_vec();
            Some((label.code, old, new))
        }
        "static-calls" | "retpolines" | "returns" if !arm => {
            let site = image.rel32(field)?;
            Some((site, image.bytes(site, 1)?.to_vec(), vec![0x90]))
        }
        _ => None,
    }
}

/// A copy of an image's file with damage in it.
pub fn apply(image: &Image, damage: &Damage) -> Option<Vec<u8>> {
    let mut bytes = image.raw().to_vec();
    let at = image.file_range(damage.at)?.start;
    bytes.get_mut(at..at.checked_add(damage.new.len())?)?.copy_from_slice(&damage.new);
    Some(bytes)
}
