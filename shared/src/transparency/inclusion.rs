//! The way from one leaf to what was signed last, for documents that are proved offline.

use diesel::PgConnection;

use super::store::{Signed, signed};
use super::{Hash, tree};
use crate::boot::Service;
use crate::db::DbError;
use crate::ids::TenantId;
use crate::sequence::events::{Query, read};
use crate::sequence::located;

/// That a change is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inclusion {
    /// The position of its leaf.
    pub index: u64,
    /// The bytes of the leaf.
    pub data: String,
    /// The size of the log that was signed.
    pub tree_size: u64,
    /// The audit path (RFC 6962 2.1.1).
    pub hashes: Vec<Hash>,
    /// The signed note of the checkpoint.
    pub note: String,
}

/// Proves that the change that made a resource is in the log under its latest checkpoint; `None`
/// where that does not cover it yet.
pub fn inclusion(
    conn: &mut PgConnection,
    tenant: TenantId,
    service: Service,
    resource: &str,
) -> Result<Option<Inclusion>, DbError> {
    let Some(Signed { size, note, .. }) = signed(conn, tenant, None)? else { return Ok(None) };
    let Some(time) = (service.locate)(conn, tenant, resource)? else { return Ok(None) };
    let index = located(conn, tenant, resource, time)?.filter(|index| *index < size);
    let Some(index) = index else { return Ok(None) };
    let query = Query {
        from: Some(index),
        limit: 1,
        bytes_max: usize::MAX,
        types: Vec::new(),
        since: None,
    };
    let leaf = read(conn, tenant, service.describe, &query)?.events.pop();
    let data = leaf.map(|event| event.leaf.data).unwrap_or_default();
    let hashes = tree::prove_inclusion(conn, tenant, index, size)?;
    Ok(Some(Inclusion { index, data, tree_size: size, hashes, note }))
}
