//! What the reports of a console log mean: which one is the cause, which function is at fault, what explains it.
//!
//! The way of data: a [`kvet_console::Log`] (and an image, where there is one) in, [`Explained`] reports out.

pub mod explained;
pub mod symbols;

pub use explained::{Confidence, Diagnosis, Evidence, Explained};
