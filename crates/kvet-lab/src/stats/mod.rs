//! Statistics of rare failures: every estimate with its interval, every decision with its error.

mod exact;
mod interval;
mod ratio;
mod sequential;

pub use exact::{Comparison, barnard, compare, fisher, holm};
pub use interval::{Rate, boots_without_failure};
pub use ratio::ratio_interval;
pub use sequential::{Decision, Sprt};
