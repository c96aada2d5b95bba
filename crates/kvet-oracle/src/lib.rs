//! Asks real kernels whether kvet's predictions are right: damages one table entry, lets kvet say what will
//! happen, boots the copy, compares. A tool of kvet's developers; nothing that kvet ships depends on it.

pub mod boot;
pub mod damage;
pub mod random;
pub mod verdict;
