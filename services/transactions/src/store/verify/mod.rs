//! What verifying the books reads: every statement is a range of one index, with a bound on how
//! many rows it reads, or a look-up for each of some rows. They run on sessions whose settings keep
//! Postgres to that.

pub(crate) mod accounts;
pub(crate) mod entries;
pub(crate) mod log;
pub(crate) mod transactions;
