//! The tables, one file for each. Every function assumes a transaction and names the tenant.

pub(crate) mod account_external_ids;
pub(crate) mod account_holders;
pub(crate) mod account_labels;
pub(crate) mod account_lists;
pub(crate) mod accounts;
pub(crate) mod customer_external_ids;
pub(crate) mod customer_labels;
pub(crate) mod customer_lists;
pub(crate) mod customers;
pub(crate) mod erasures;
pub(crate) mod events;
pub(crate) mod freezes;
pub(crate) mod kyc_decisions;
pub(crate) mod ledger_intents;
pub(crate) mod positions;
pub(crate) mod relationships;
pub(crate) mod schema;

use shared::time::Timestamp;

/// Before and behind every time that there is: the years 1 to 9999.
const EARLIEST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
const LATEST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);
