//! What callers call beside what `world` has.

pub(crate) mod records;
