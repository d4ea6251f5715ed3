//! The tables, one file for each kind of row. Plain functions inside a unit of work.

pub(crate) mod access_lists;
pub(crate) mod accesses;
pub(crate) mod break_glass_leases;
pub(crate) mod consents;
pub(crate) mod erasures;
pub(crate) mod events;
pub(crate) mod expired;
#[cfg(test)]
mod governance_plans;
pub(crate) mod index_keys;
pub(crate) mod key_chains;
pub(crate) mod key_moves;
pub(crate) mod keys;
pub(crate) mod latest;
pub(crate) mod leaves;
pub(crate) mod legal_holds;
pub(crate) mod new_records;
pub(crate) mod object_deletes;
#[cfg(test)]
mod plans;
pub(crate) mod policies;
pub(crate) mod purges;
pub(crate) mod reading;
pub(crate) mod record_changes;
pub(crate) mod record_index;
pub(crate) mod record_lists;
pub(crate) mod record_types;
pub(crate) mod record_versions;
pub(crate) mod records;
pub(crate) mod reindexes;
pub(crate) mod reseals;
pub(crate) mod retention_interests;
#[cfg(test)]
mod rotation_plans;
pub(crate) mod rotations;
pub(crate) mod schema;
pub(crate) mod subject_locks;
pub(crate) mod subjects;
pub(crate) mod sweeps;
pub(crate) mod uploads;

use schema::{
    index_keys as index_key, record_versions as version, records as record, subject_keys,
    subjects as subject, tenant_keys,
};

diesel::allow_tables_to_appear_in_same_query!(version, record, subject);
diesel::allow_tables_to_appear_in_same_query!(index_key, subject_keys, tenant_keys);
