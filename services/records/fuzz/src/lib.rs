//! Fuzz targets for what is read from the store and from strangers. Each module is a target: its
//! `check` panics where what it says of itself does not hold.
//!
//! Keys are random, because no key can be made from chosen bytes from outside. What is checked
//! holds for every key, so that a finding repeats nevertheless.

pub mod body;
pub mod context;
mod edit;
pub mod proof;
#[cfg(test)]
mod tests;
pub mod wrapped;
