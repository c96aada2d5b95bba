//! How many sites and bytes each table and each feature changes.

use std::collections::BTreeMap;

use kvet_image::{Arch, Image};
use kvet_tables::Context;
use kvet_tables::expected::{Class, Difference, Owner, PatchedText, Touched};
use kvet_tables::features::x86::Features;

/// Counts of one table, or of one feature's alternatives.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Count {
    /// Sites that the kernel looks at.
    pub sites: u64,
    /// Those whose bytes are not the file's in the end.
    pub changed: u64,
    /// Bytes in them that are not the file's.
    pub bytes: u64,
}

/// The sums. A byte that two tables share is counted for both; `bytes` counts each once.
#[derive(Default)]
pub struct Summary {
    /// Bytes of text.
    pub text: u64,
    /// Bytes that are not the file's.
    pub bytes: u64,
    /// By table.
    pub tables: BTreeMap<Class, Count>,
    /// Alternatives by their feature, and whether it is its absence that they are for.
    pub features: BTreeMap<(u16, bool), Count>,
}

impl Summary {
    /// Counts a text against the file.
    pub fn of(file: &PatchedText, patched: &PatchedText) -> Summary {
        let mut sum = Summary::default();
        for (old, new) in file.parts.iter().zip(&patched.parts) {
            sum.text += old.bytes.len() as u64;
            sum.bytes += changed(&old.bytes, &new.bytes);
        }
        for touched in &patched.touched {
            let bytes = changed_at(file, patched, touched);
            let one = |count: &mut Count| {
                count.sites += 1;
                count.changed += u64::from(bytes > 0);
                count.bytes += bytes;
            };
            one(sum.tables.entry(touched.owner.class).or_default());
            if let Some(feature) = touched.owner.feature {
                one(sum.features.entry(feature).or_default());
            }
        }
        sum
    }
}

fn changed(old: &[u8], new: &[u8]) -> u64 {
    old.iter().zip(new).filter(|(a, b)| a != b).count() as u64
}

fn changed_at(file: &PatchedText, patched: &PatchedText, touched: &Touched) -> u64 {
    let len = touched.len.into();
    match (file.bytes(touched.start, len), patched.bytes(touched.start, len)) {
        (Some(old), Some(new)) => changed(old, new),
        _ => 0,
    }
}

/// Features by name, without their numbers where there is a name.
pub struct Names<'a> {
    image: &'a Image,
    context: &'a Context<'a>,
    x86: Features,
}

impl<'a> Names<'a> {
    /// The names of an image.
    pub fn new(context: &'a Context<'a>) -> Names<'a> {
        Names { image: context.image, context, x86: Features::read(context.image) }
    }

    /// A feature or capability.
    pub fn of(&self, feature: u16) -> String {
        match self.image.arch() {
            Arch::X86_64 => self.x86.name(self.image, feature),
            Arch::Arm64 => self.context.arm64_alternatives().capabilities.describe(feature),
        }
    }

    /// Whose a place is, in a clause.
    pub fn owner(&self, owner: &Owner) -> String {
        let mut words = format!("{} entry {}", owner.class.as_str(), owner.index);
        if let Some((feature, absent)) = owner.feature {
            words += if absent { ", for the absence of " } else { ", for " };
            words += &self.of(feature);
        }
        if let Some(key) = owner.key.and_then(|key| self.image.symbolize(key)) {
            words += ", key ";
            // A key's size says nothing.
            words += key
                .split_once("/0x")
                .map_or(key.as_str(), |(name, _)| name.strip_suffix("+0x0").unwrap_or(name));
        }
        words
    }
}

/// Differences by table and feature.
pub fn by_owner(found: &[Difference]) -> BTreeMap<(Option<Class>, Option<u16>), u64> {
    let mut counts = BTreeMap::new();
    for difference in found {
        let class = difference.owner.map(|o| o.class);
        let feature = difference.owner.and_then(|o| o.feature).map(|(feature, _)| feature);
        *counts.entry((class, feature)).or_default() += 1;
    }
    counts
}
