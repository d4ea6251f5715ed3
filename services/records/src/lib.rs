//! Sealed records.

pub mod seal;
