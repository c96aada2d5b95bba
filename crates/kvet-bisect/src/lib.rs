//! Search for a cause when the failure shows only sometimes.
//!
//! The engine knows nothing of kernels: an axis of candidates, a noisy verdict, costs. Its policy is Bayesian with
//! both failure rates unknown, as measured best in simulation ([`simulate`]).

mod journal;
pub mod minimise;
mod policy;
mod posterior;
mod rates;
mod search;
pub mod simulate;
mod sprt;

pub use journal::{Journal, JournalError};
pub use posterior::{Segment, Tally};
pub use search::{Answer, Problem, ProblemError, Search, Step, Verdict, Why};
pub use simulate::information_bound_of;
pub use sprt::{Decision, Sprt};
