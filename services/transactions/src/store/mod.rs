//! The tables. Every function assumes a transaction, names the tenant, and is set-based where a
//! batch may be large.

pub(crate) mod ledger_accounts;
pub(crate) mod postings;
pub(crate) mod schema;
pub(crate) mod transactions;
