//! `external_ids`: the callers' own ids of transactions and holds.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, SmallInt, Text, Uuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::external_ids;
use super::{column, texts};
use crate::domain::{Collection, ExternalId};

#[derive(Debug, QueryableByName)]
#[diesel(table_name = external_ids)]
struct Row {
    collection: i16,
    kind: String,
    value: Option<String>,
    holder_id: uuid::Uuid,
    salt: Option<Vec<u8>>,
    commitment: Vec<u8>,
}

/// The external ids of one holder, by kind. Of what has been redacted only the commitment is left.
#[derive(Debug, Default)]
pub(crate) struct Given {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) commitments: BTreeMap<String, Commitment>,
}

pub(super) fn collection_column(collection: Collection) -> i16 {
    match collection {
        Collection::Transactions => 1,
        Collection::Holds => 2,
    }
}

/// Those of the ids that are in use, with their holders.
pub(crate) fn taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    wanted: &BTreeSet<ExternalId>,
) -> QueryResult<BTreeMap<ExternalId, uuid::Uuid>> {
    const TAKEN: &str = "\
        SELECT e.* FROM unnest($2, $3, $4) AS n (collection, kind, value), LATERAL ( \
            SELECT collection, kind, value, holder_id, salt, commitment FROM external_ids \
            WHERE tenant_id = $1 AND collection = n.collection AND kind = n.kind \
                AND value = n.value LIMIT 1) e";
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<&ExternalId> = wanted.iter().collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&wanted, |id| collection_column(id.0)).into_sql::<Array<SmallInt>>(),
        column(&wanted, |id| id.1.clone()).into_sql::<Array<Text>>(),
        column(&wanted, |id| id.2.clone()).into_sql::<Array<Text>>(),
    );
    let rows: Vec<Row> = statement(TAKEN, binds).load(conn)?;
    let taken = rows.into_iter().filter_map(|row| {
        let holds = row.collection == collection_column(Collection::Holds);
        let collection = if holds { Collection::Holds } else { Collection::Transactions };
        Some(((collection, row.kind, row.value?), row.holder_id))
    });
    Ok(taken.collect())
}

/// Inserts ids. One that is in use is a unique violation.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[(ExternalId, uuid::Uuid, Commitment)],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO external_ids (tenant_id, collection, kind, value, holder_id, salt, \
            commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7) AS n";
    if ids.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(ids, |id| collection_column(id.0.0)).into_sql::<Array<SmallInt>>(),
        column(ids, |id| id.0.1.clone()).into_sql::<Array<Text>>(),
        column(ids, |id| id.0.2.clone()).into_sql::<Array<Text>>(),
        column(ids, |id| id.1).into_sql::<Array<Uuid>>(),
        column(ids, |id| id.2.salt.clone()).into_sql::<Array<Binary>>(),
        column(ids, |id| id.2.value.clone()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// The external ids of these holders. Those that have none are left out.
pub(crate) fn of_holders(
    conn: &mut PgConnection,
    tenant: TenantId,
    collection: Collection,
    holders: Vec<uuid::Uuid>,
) -> QueryResult<BTreeMap<uuid::Uuid, Given>> {
    const READ: &str = "\
        SELECT e.* FROM unnest($3) AS n (id), LATERAL ( \
            SELECT collection, kind, value, holder_id, salt, commitment FROM external_ids \
            WHERE tenant_id = $1 AND collection = $2 AND holder_id = n.id OFFSET 0) e";
    let binds = (
        tenant.into_sql::<Uuid>(),
        collection_column(collection).into_sql::<SmallInt>(),
        holders.into_sql::<Array<Uuid>>(),
    );
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    let mut found: BTreeMap<uuid::Uuid, Given> = BTreeMap::new();
    for row in rows {
        let given = found.entry(row.holder_id).or_default();
        given.values.extend(row.value.map(|value| (row.kind.clone(), value)));
        let commitment = texts::stored(row.salt, Some(row.commitment));
        given.commitments.extend(commitment.map(|one| (row.kind, one)));
    }
    Ok(found)
}

/// The one that has all of these ids, if any.
pub(super) fn holder(
    conn: &mut PgConnection,
    tenant: TenantId,
    collection: Collection,
    ids: &BTreeMap<String, String>,
) -> QueryResult<Option<uuid::Uuid>> {
    let wanted = ids.iter().map(|(kind, value)| (collection, kind.clone(), value.clone()));
    let found = taken(conn, tenant, &wanted.collect())?;
    let holders: BTreeSet<uuid::Uuid> = found.values().copied().collect();
    let is_one = found.len() == ids.len() && holders.len() == 1;
    Ok(holders.into_iter().next().filter(|_| is_one))
}
