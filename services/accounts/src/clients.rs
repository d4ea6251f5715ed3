//! The peers, as this service needs them: generated clients behind a few plain calls. Every write
//! has a request id that follows from the resource, so that every attempt is the same request.

mod ledger;
mod profile_type;
mod records;

pub(crate) use ledger::{Ledger, LedgerAccount};
pub(crate) use profile_type::{EMAIL_INDEX, PHONE_INDEX, TAX_ID_INDEX};
pub(crate) use records::{Records, subject_name};
