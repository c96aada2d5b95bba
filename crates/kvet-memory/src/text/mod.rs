//! The text in memory against the tables: are the bytes those that this processor's features and the keys' states ask
//! for?
//!
//! [`kvet_tables::expected`] says what every byte should be; here memory is held against it. A byte that differs is
//! forgiven for one of these reasons only: KASLR moved an address; patching has not ended, and it is a byte of a state
//! on the way; a site is being switched at this very moment, and the kernel's own variables say so; ftrace is on.

mod compare;
mod machine;
mod poke;
mod verdict;

use std::collections::BTreeMap;

use kvet_image::VirtAddr;
use kvet_tables::Context;
use kvet_tables::expected::{Class, Owner, PatchedText, Stage};

pub use machine::GuestMachine;
pub use poke::{Poke, PokeSite, Step, poke};

use crate::Guest;

/// What is wrong with a piece of text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// The file's bytes, where the table has changed them by now.
    Unpatched,
    /// An int3 that `text_poke` has left.
    HalfPatched {
        /// What the bytes behind it tell.
        step: Step,
    },
    /// A key's site that is the other way round.
    WrongState,
    /// What another processor's features ask for.
    WrongFeature {
        /// The feature or capability that the bytes are for, or for the absence of.
        feature: u16,
        /// They are for its absence.
        not: bool,
    },
    /// Bytes that no table makes.
    Nobody,
}

impl Kind {
    /// The name in output.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::Unpatched => "unpatched",
            Kind::HalfPatched { .. } => "half-patched",
            Kind::WrongState => "wrong-state",
            Kind::WrongFeature { .. } => "wrong-feature",
            Kind::Nobody => "nobody",
        }
    }
}

/// One piece of text that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Oddity {
    /// What is wrong.
    pub kind: Kind,
    /// The kernel is at this place at this moment: no fault, when it goes on.
    pub in_progress: bool,
    /// The first byte.
    pub start: VirtAddr,
    /// The bytes in the file.
    pub file: Vec<u8>,
    /// The bytes that should be there.
    pub expected: Vec<u8>,
    /// The bytes that are.
    pub memory: Vec<u8>,
    /// Whose place it is.
    pub owner: Option<Owner>,
    /// More than one byte of it is not told alone: how many bytes in all differ without an explanation.
    pub len: u64,
}

/// A piece of text that was compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// The section's name.
    pub name: String,
    /// Its first link-time address.
    pub start: VirtAddr,
    /// Its length in bytes.
    pub len: u64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// Bytes of text that were compared.
    pub bytes: u64,
    /// What was compared, by link-time address.
    pub parts: Vec<Part>,
    /// Sites that are as they should be, by table.
    pub as_expected: BTreeMap<Class, u64>,
    /// Sites that are on the way, while patching has not ended.
    pub on_the_way: u64,
    /// Fields that KASLR moved.
    pub relocated: u64,
    /// Calls of ftrace's, with tracing on.
    pub traced: u64,
    /// What is not as it should be, by address.
    pub oddities: Vec<Oddity>,
    /// More of them than are kept.
    pub more: u64,
    /// What was being switched.
    pub poke: Option<Poke>,
    /// How far patching had come.
    pub stage: Option<Stage>,
    /// What could not be checked, in sentences.
    pub skipped: Vec<String>,
}

/// Oddities that are kept; a wrong image would give millions.
const MOST_ODDITIES: usize = 4096;

impl Audit {
    /// Those that are faults, not moments.
    pub fn faults(&self) -> impl Iterator<Item = &Oddity> {
        self.oddities.iter().filter(|o| !o.in_progress)
    }
}

/// Compares the text of a guest.
///
/// # Errors
/// What patching depends on is not known: the sentence that says so.
pub fn audit(guest: &Guest<'_>, context: &Context<'_>) -> Result<Audit, String> {
    let machine = GuestMachine::new(guest, context)?;
    let stage = kvet_tables::expected::Machine::stage(&machine);
    if let Some(why) = guest.not_begun() {
        let why = format!("{why}, so its text is not judged");
        return Ok(Audit { stage: Some(stage), skipped: vec![why], ..Audit::default() });
    }
    let text = PatchedText::of(context, &machine);
    let ahead = (!stage.alternatives).then(|| PatchedText::of(context, &machine.ahead()));
    let mut audit = Audit { stage: Some(stage), poke: poke(guest, context), ..Audit::default() };
    audit.skipped.extend(text.skipped.iter().cloned());
    compare::run(guest, context, &text, ahead.as_ref(), stage, &mut audit);
    Ok(audit)
}
