//! What decides about reads, read for many of them at once: a look-up by key for each thing that
//! counts, whatever the planner believes of the tables.

mod consents;
mod row;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::key_chains::KeyChain;
use super::record_index::IndexRow;
use super::records::Sealed;
use crate::domain::break_glass::LeaseId;
use crate::domain::record::{Record, RecordId};
use crate::domain::subject::{SubjectId, SubjectState};

pub(crate) use consents::consents;
#[cfg(test)]
pub(super) use consents::{CONSENTS, of_readers};
use row::Row;

/// Bodies of more content than this are not read with the rest: a batch holds as many bodies as it
/// has targets.
const BODY_MAX: i64 = 16 * 1024;

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The record.
    pub(crate) id: RecordId,
    /// The version; the last where it is 0.
    pub(crate) version: i64,
    /// Who reads.
    pub(crate) principal: &'a str,
    /// Whether the reader wants content.
    pub(crate) wants_content: bool,
}

/// A record that somebody wants to read.
#[derive(Debug)]
pub(crate) struct Found {
    /// The record, as of the version that is wanted.
    pub(crate) record: Record,
    /// The state of its subject.
    pub(crate) subject_state: SubjectState,
    /// Whether its type asks for a consent.
    pub(crate) requires_consent: bool,
    /// Whether its subject has any consents.
    pub(crate) has_consents: bool,
    /// The reader's open lease.
    pub(crate) lease: Option<LeaseId>,
    /// The sealed content, where content is wanted. The body is left out where it is large.
    pub(crate) sealed: Option<Sealed>,
    /// The key chain, where content is wanted; none once it is destroyed.
    pub(crate) chain: Option<KeyChain>,
    /// What stands for its content in indexes, where content of the last version is wanted.
    pub(crate) index: Vec<IndexRow>,
}

/// A record or a version that is not there; the subject where the record is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Missing(pub(crate) Option<SubjectId>);

/// Finds what somebody wants to read, in the order of the targets. Takes no locks.
pub(crate) fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    targets: &[Target<'_>],
    now: Timestamp,
) -> QueryResult<Vec<Result<Found, Missing>>> {
    let mut found: Vec<_> = targets.iter().map(|_| Err(Missing(None))).collect();
    if targets.is_empty() {
        return Ok(found);
    }
    let rows: Vec<Row> = statement(FIND, asked(tenant, targets, now)).load(conn)?;
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or(usize::MAX);
        if let (Some(target), Some(slot)) = (targets.get(place), found.get_mut(place)) {
            *slot = row.found(target.wants_content);
        }
    }
    Ok(found)
}

pub(super) fn asked(
    tenant: TenantId,
    targets: &[Target<'_>],
    now: Timestamp,
) -> impl QueryFragment<Pg> + use<> {
    fn column<'a, T>(targets: &[Target<'a>], value: impl Fn(&Target<'a>) -> T) -> Vec<T> {
        targets.iter().map(value).collect()
    }
    (
        tenant.into_sql::<SqlUuid>(),
        column(targets, |target| target.id).into_sql::<Array<SqlUuid>>(),
        column(targets, |target| target.version).into_sql::<Array<BigInt>>(),
        column(targets, |target| target.principal.to_owned()).into_sql::<Array<Text>>(),
        column(targets, |target| target.wants_content).into_sql::<Array<Bool>>(),
        now.into_sql::<Timestamptz>(),
        BODY_MAX.into_sql::<BigInt>(),
    )
}

/// Without content nobody asks for keys, consents and leases.
pub(super) const FIND: &str = "\
    SELECT n.place, r.*, s.state AS subject_state, \
        coalesce(y.requires_consent, false) AS requires_consent, \
        c.subject_id IS NOT NULL AS has_consents, g.id AS lease, \
        l.keys AS label_keys, l.values AS label_values, v.*, k.generation, k.subject_key, \
        t.epoch, t.tenant_key, i.* \
    FROM unnest($2, $3, $4, $5) WITH ORDINALITY \
        AS n (id, version, principal, wants_content, place), LATERAL ( \
        SELECT tenant_id, id, subject_id, kind, event_time, version, revision, create_time, \
            update_time, state, delete_time, purge_time, expire_time \
        FROM records WHERE tenant_id = $1 AND id = n.id LIMIT 1) r, LATERAL ( \
        SELECT state FROM subjects WHERE tenant_id = $1 AND id = r.subject_id LIMIT 1) s \
    LEFT JOIN LATERAL ( \
        SELECT version AS read_version, content_type, size_bytes, \
            CASE WHEN n.wants_content AND size_bytes <= $7 THEN body END AS body, data_key_id, \
            subject_key_generation, data_key, commitment_salt, commitment, segments \
        FROM record_versions WHERE tenant_id = $1 AND record_id = r.id \
            AND version = CASE n.version WHEN 0 THEN r.version ELSE n.version END \
        LIMIT 1) v ON true \
    LEFT JOIN LATERAL ( \
        SELECT generation, tenant_key_epoch, wrapped AS subject_key FROM subject_keys \
        WHERE tenant_id = $1 AND subject_id = r.subject_id \
            AND generation = v.subject_key_generation AND n.wants_content LIMIT 1) k ON true \
    LEFT JOIN LATERAL ( \
        SELECT epoch, wrapped AS tenant_key FROM tenant_keys \
        WHERE tenant_id = $1 AND epoch = k.tenant_key_epoch LIMIT 1) t ON true \
    LEFT JOIN LATERAL ( \
        SELECT requires_consent FROM record_types \
        WHERE tenant_id = $1 AND id = r.kind AND n.wants_content LIMIT 1) y ON true \
    LEFT JOIN LATERAL ( \
        SELECT subject_id FROM consents \
        WHERE tenant_id = $1 AND subject_id = r.subject_id AND n.wants_content \
        LIMIT 1) c ON true \
    LEFT JOIN LATERAL ( \
        SELECT id FROM break_glass_leases \
        WHERE tenant_id = $1 AND subject_id = r.subject_id AND principal = n.principal \
            AND create_time <= $6 AND $6 < end_time AND n.wants_content LIMIT 1) g ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(key) AS keys, array_agg(value) AS values FROM record_labels \
        WHERE tenant_id = $1 AND record_id = r.id) l ON true \
    LEFT JOIN LATERAL ( \
        SELECT array_agg(kind) AS kinds, array_agg(name) AS names, \
            array_agg(key_version) AS key_versions, array_agg(rules) AS rules, \
            array_agg(token) AS tokens \
        FROM record_index WHERE tenant_id = $1 AND record_id = r.id AND n.wants_content \
            AND v.read_version = r.version) i ON true";
