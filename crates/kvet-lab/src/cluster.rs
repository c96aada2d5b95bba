//! Boots that failed alike, by signature.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::stats::Rate;
use crate::voice::Diagnosis;

/// Boots with one outcome and one signature.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// What they have in common.
    pub signature: String,
    /// Their outcome.
    pub outcome: Outcome,
    /// Their kind.
    pub kind: String,
    /// The title of the first.
    pub title: String,
    /// How many.
    pub count: u64,
    /// How often this failure comes.
    pub rate: Rate,
    /// What explains the first.
    pub diagnosis: Option<Diagnosis>,
    /// The boots' numbers, the first few.
    pub boots: Vec<u64>,
    /// How many of each variant.
    pub by_variant: Vec<u64>,
}
