//! What a kernel's text should be once it has patched itself: the bytes, by the features of a processor, the states
//! of keys, and what the variables hold that patching reads.
//!
//! Every table that patches is applied in the kernel's own order to a copy of the text, with the kernel's own
//! arithmetic, so that the result is exact to the byte. [`Machine`] is asked for what the file does not decide; a
//! guest's memory answers it, or a description of a processor.
//!
//! Followed: arch/x86/kernel/alternative.c, jump_label.c, static_call.c, paravirt.c and arch/arm64/kernel/alternative.c
//! of 6.1, 6.12 and 7.3, with the callbacks of proton-pack.c, mte.c and va_layout.c.

mod arm64;
mod described;
mod difference;
mod nops;
mod owner;
mod x86;

use kvet_image::{Arch, Image, VirtAddr};

pub use described::{Described, WithFeatures, WithKeys, initially_enabled};
pub use difference::{Difference, differences};
pub use owner::{Class, Owner, Touched};
pub use x86::Dialect;

use crate::Context;

/// What patching depends on beside the file.
pub trait Machine {
    /// Whether an x86-64 feature or bug, or an applied arm64 capability, is there.
    fn has(&self, feature: u16) -> bool;
    /// Whether a static key is enabled; `None` where that is not known, and its sites stay as they are in the file.
    fn key_enabled(&self, key: VirtAddr) -> Option<bool>;
    /// A pointer in the kernel's data at a link-time address, as a link-time address where it points into the image.
    fn pointer(&self, at: VirtAddr) -> Option<u64>;
    /// Bytes at a link-time address as they are at run time: of data, and of text where a value stands nowhere else.
    fn raw(&self, at: VirtAddr, into: &mut [u8]) -> bool;
    /// How far patching has come.
    fn stage(&self) -> Stage;
    /// What KASLR added to link-time addresses.
    fn slide(&self) -> u64;
}

/// How far the kernel has come in patching itself, as its own variables say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Alternatives, retpolines, returns, paravirt (x86-64 `alternatives_patched`, arm64
    /// `all_alternatives_applied`).
    pub alternatives: bool,
    /// `static_call_initialized`.
    pub static_calls: bool,
    /// `static_key_initialized`.
    pub static_keys: bool,
    /// The system runs: everything that is patched once has been.
    pub running: bool,
    /// Lock prefixes have been taken away (`uniproc_patched`).
    pub uniprocessor: bool,
}

/// One section of text, patched.
#[derive(Clone, Debug)]
pub struct TextPart {
    /// The section's name.
    pub name: String,
    /// Its first link-time address.
    pub start: VirtAddr,
    /// The bytes that should stand there.
    pub bytes: Vec<u8>,
    /// The bytes that should have stood there before the last of the tables that are applied once, where patching has
    /// not ended yet: each byte then may be the file's, one of these, or the last.
    pub before: Option<Vec<u8>>,
}

/// The text as it should be.
#[derive(Clone, Debug, Default)]
pub struct PatchedText {
    /// By address.
    pub parts: Vec<TextPart>,
    /// What was patched, by address; several where tables share a place.
    pub touched: Vec<Touched>,
    /// What could not be told, in sentences.
    pub skipped: Vec<String>,
}

impl PatchedText {
    /// Applies every table of an image.
    pub fn of(context: &Context<'_>, machine: &dyn Machine) -> PatchedText {
        let dialect = Dialect::of(context);
        PatchedText::with_dialect(context, machine, dialect)
    }

    /// The same with a given dialect of x86-64's patching.
    pub fn with_dialect(context: &Context<'_>, machine: &dyn Machine, dialect: Dialect) -> PatchedText {
        let mut text = PatchedText { parts: parts(context.image), ..PatchedText::default() };
        match context.image.arch() {
            Arch::X86_64 => x86::apply(&mut text, context, machine, dialect),
            Arch::Arm64 => arm64::apply(&mut text, context, machine),
        }
        text.touched.sort_by_key(|t| (t.start, t.len));
        text
    }

    /// The text as it is in the file.
    pub fn of_file(image: &Image) -> PatchedText {
        PatchedText { parts: parts(image), ..PatchedText::default() }
    }

    /// The part that holds an address.
    pub fn part_at(&self, addr: VirtAddr) -> Option<&TextPart> {
        let after = self.parts.partition_point(|p| p.start <= addr);
        let part = self.parts.get(after.checked_sub(1)?)?;
        (addr.0 - part.start.0 < part.bytes.len() as u64).then_some(part)
    }

    /// The bytes that should stand at an address.
    pub fn bytes(&self, addr: VirtAddr, len: usize) -> Option<&[u8]> {
        let part = self.part_at(addr)?;
        let at = usize::try_from(addr.0 - part.start.0).ok()?;
        part.bytes.get(at..at.checked_add(len)?)
    }

    /// What was patched at an address: every entry whose bytes hold it.
    pub fn touched_at(&self, addr: VirtAddr) -> impl Iterator<Item = &Touched> {
        // No site is longer than an x86 alternative can be.
        let from = addr.0.saturating_sub(255);
        let first = self.touched.partition_point(|t| t.start.0 < from);
        self.touched[first..]
            .iter()
            .take_while(move |t| t.start <= addr)
            .filter(move |t| addr.0 < t.start.0.saturating_add(t.len.into()))
    }

    fn put(&mut self, at: VirtAddr, new: &[u8], owner: Owner) -> Option<()> {
        self.write(at, new)?;
        self.touched.push(Touched { start: at, len: u8::try_from(new.len()).ok()?, owner });
        Some(())
    }

    fn write(&mut self, at: VirtAddr, new: &[u8]) -> Option<()> {
        let after = self.parts.partition_point(|p| p.start <= at);
        let part = self.parts.get_mut(after.checked_sub(1)?)?;
        let start = usize::try_from(at.0 - part.start.0).ok()?;
        part.bytes.get_mut(start..start.checked_add(new.len())?)?.copy_from_slice(new);
        Some(())
    }

    fn remember(&mut self) {
        for part in &mut self.parts {
            part.before = Some(part.bytes.clone());
        }
    }
}

/// The text of an image: its executable sections; of a flat image, which has none, what the symbols `_stext` to
/// `_etext` and `_sinittext` to `_einittext` bound.
fn parts(image: &Image) -> Vec<TextPart> {
    let part = |name: &str, start: VirtAddr, bytes: &[u8]| TextPart {
        name: name.to_owned(),
        start,
        bytes: bytes.to_vec(),
        before: None,
    };
    let bounds = [("_stext", "_etext", ".text"), ("_sinittext", "_einittext", ".init.text")];
    let mut parts = Vec::new();
    if image.arch() == Arch::Arm64 {
        for (start, end, name) in bounds {
            let (Some(start), Some(end)) = (image.symbol_addr(start), image.symbol_addr(end)) else {
                continue;
            };
            let len = usize::try_from(end.0.saturating_sub(start.0)).unwrap_or(0);
            parts.extend(image.bytes(start, len).map(|bytes| part(name, start, bytes)));
        }
    }
    if parts.is_empty() {
        // A linker script may mark data that shares a segment with text; only init text is writable and is text.
        let is_text = |s: &&kvet_image::Section| {
            s.access.execute && s.addr.0 >= 1 << 63 && (!s.access.write || s.name.contains("text"))
        };
        let sections = image.sections().iter().filter(is_text);
        parts.extend(sections.map(|s| part(&s.name, s.addr, image.section_bytes(s))));
        parts.retain(|p| !p.bytes.is_empty());
    }
    parts.sort_by_key(|p| p.start);
    parts
}

/// The value that is there most often.
fn most_common<T: Ord>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    let (_, end) = values
        .chunk_by(|a, b| a == b)
        .scan(0, |end, same| {
            *end += same.len();
            Some((same.len(), *end))
        })
        .max_by_key(|(count, _)| *count)?;
    values.truncate(end);
    values.pop()
}
