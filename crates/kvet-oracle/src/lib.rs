//! Asks real kernels whether kvet's predictions are right: damages one table entry, lets kvet say what will
//! happen, boots the copy, compares. A tool of kvet's developers; nothing that kvet ships depends on it.

pub mod boot;
pub mod campaign;
pub mod damage;
pub mod equality;
pub mod random;
pub mod reference;
pub mod score;
pub mod shape;
pub mod verdict;
