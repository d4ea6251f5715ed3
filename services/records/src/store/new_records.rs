//! What a batch of new records adds: records, first versions and labels in one statement.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{
    Array, BigInt, Binary, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use shared::db::statement;
use shared::ids::TenantId;

use super::records::column as state_column;
use super::schema::records;
use crate::domain::record::{Record, RecordId};
use crate::vault::{Loose, Wraps};

/// A new record with its sealed content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRecord<'a> {
    /// The record.
    pub(crate) record: &'a Record,
    /// Its content.
    pub(crate) content: &'a Loose,
    /// The wraps of the keys of its content.
    pub(crate) wraps: &'a Wraps,
}

/// Inserts records with their first versions and their labels. An id that is in use is a unique
/// violation.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    new: &[NewRecord<'_>],
) -> QueryResult<()> {
    if !new.is_empty() {
        statement(INSERT, insertion(tenant, new)).execute(conn)?;
    }
    Ok(())
}

/// What is referred to is looked for at the end of the statement.
pub(super) const INSERT: &str = "\
    , headers AS ( \
        INSERT INTO records (tenant_id, id, subject_id, kind, event_time, version, revision, \
            create_time, update_time, state, expire_time) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS n), \
    labels AS ( \
        INSERT INTO record_labels (tenant_id, record_id, key, value) \
        SELECT $1, n.* FROM unnest($12, $13, $14) AS n) \
    INSERT INTO record_versions (tenant_id, record_id, version, create_time, content_type, \
        size_bytes, body, data_key_id, subject_key_generation, data_key, commitment_salt, \
        commitment) \
    SELECT $1, n.* FROM unnest($2, $6, $9, $15, $16, $17, $18, $19, $20, $21, $22) AS n";

pub(super) fn insertion(tenant: TenantId, new: &[NewRecord<'_>]) -> impl QueryFragment<Pg> {
    fn column<'a, T>(new: &[NewRecord<'a>], value: impl Fn(&NewRecord<'a>) -> T) -> Vec<T> {
        new.iter().map(value).collect()
    }
    let record = |value: fn(&Record) -> _| column(new, |one| value(one.record));
    let headers = (
        tenant.into_sql::<SqlUuid>(),
        column(new, |one| one.record.id).into_sql::<Array<SqlUuid>>(),
        column(new, |one| one.record.subject).into_sql::<Array<SqlUuid>>(),
        column(new, |one| one.record.kind.clone()).into_sql::<Array<Text>>(),
        column(new, |one| one.record.event_time).into_sql::<Array<Nullable<Timestamptz>>>(),
        record(|record| record.version).into_sql::<Array<BigInt>>(),
        record(|record| record.revision).into_sql::<Array<BigInt>>(),
        column(new, |one| one.record.create_time).into_sql::<Array<Timestamptz>>(),
        column(new, |one| one.record.update_time).into_sql::<Array<Timestamptz>>(),
        column(new, |one| state_column(one.record.state)).into_sql::<Array<SmallInt>>(),
        column(new, |one| one.record.expire_time).into_sql::<Array<Nullable<Timestamptz>>>(),
    );
    let labels =
        || new.iter().flat_map(|one| one.record.labels.iter().map(|label| (one.record.id, label)));
    let ids: Vec<RecordId> = labels().map(|(id, _)| id).collect();
    let keys: Vec<String> = labels().map(|(_, (key, _))| key.clone()).collect();
    let values: Vec<String> = labels().map(|(_, (_, value))| value.clone()).collect();
    let labels = (
        ids.into_sql::<Array<SqlUuid>>(),
        keys.into_sql::<Array<Text>>(),
        values.into_sql::<Array<Text>>(),
    );
    let versions = (
        column(new, |one| one.record.content_type.to_string()).into_sql::<Array<Text>>(),
        record(|record| record.size).into_sql::<Array<BigInt>>(),
        column(new, |one| one.content.body.as_slice()).into_sql::<Array<Binary>>(),
        column(new, |one| one.content.data_key_id).into_sql::<Array<SqlUuid>>(),
        column(new, |one| one.wraps.generation).into_sql::<Array<Integer>>(),
        column(new, |one| one.wraps.data_key.as_slice()).into_sql::<Array<Binary>>(),
        column(new, |one| one.wraps.salt.as_slice()).into_sql::<Array<Binary>>(),
        column(new, |one| one.content.commitment.as_slice()).into_sql::<Array<Binary>>(),
    );
    (headers, labels, versions)
}

/// Those of some ids that are in use.
pub(crate) fn taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<RecordId>,
) -> QueryResult<Vec<RecordId>> {
    #[derive(QueryableByName)]
    #[diesel(table_name = records)]
    struct Taken {
        id: RecordId,
    }
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let binds = (tenant.into_sql::<SqlUuid>(), ids.into_sql::<Array<SqlUuid>>());
    let rows: Vec<Taken> = statement(TAKEN, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

pub(super) const TAKEN: &str = "\
    SELECT r.id FROM unnest($2) AS n (id), LATERAL ( \
        SELECT id FROM records WHERE tenant_id = $1 AND id = n.id LIMIT 1) r";
