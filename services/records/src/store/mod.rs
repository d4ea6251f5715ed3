//! The tables, one file for each kind of row. Plain functions inside a unit of work.

pub(crate) mod accesses;
pub(crate) mod keys;
pub(crate) mod records;
pub(crate) mod schema;
pub(crate) mod subjects;

use schema::{record_versions, records as record, subject_keys, subjects as subject, tenant_keys};

diesel::allow_tables_to_appear_in_same_query!(record_versions, record, subject);
diesel::allow_tables_to_appear_in_same_query!(subject_keys, tenant_keys);
