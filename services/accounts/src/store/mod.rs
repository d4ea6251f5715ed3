//! The tables, one file for each. Every function assumes a transaction and names the tenant.

pub(crate) mod account_labels;
pub(crate) mod accounts;
pub(crate) mod customer_labels;
pub(crate) mod customers;
pub(crate) mod ledger_intents;
pub(crate) mod schema;
