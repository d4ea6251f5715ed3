//! `external_ids`: the callers' own ids of transactions and holds.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, SmallInt, Text, Uuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;

use super::column;
use super::schema::external_ids;
use crate::domain::{Collection, ExternalId};

#[derive(Debug, QueryableByName)]
#[diesel(table_name = external_ids)]
struct Row {
    collection: i16,
    kind: String,
    value: String,
    holder_id: uuid::Uuid,
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
            SELECT collection, kind, value, holder_id FROM external_ids \
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
    let taken = rows.into_iter().map(|row| {
        let holds = row.collection == collection_column(Collection::Holds);
        let collection = if holds { Collection::Holds } else { Collection::Transactions };
        ((collection, row.kind, row.value), row.holder_id)
    });
    Ok(taken.collect())
}

/// Inserts ids. One that is in use is a unique violation.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[(ExternalId, uuid::Uuid)],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO external_ids (tenant_id, collection, kind, value, holder_id, salt, \
            commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7) AS n";
    if ids.is_empty() {
        return Ok(());
    }
    let commitments = column(ids, |((_, kind, value), _)| {
        Commitment::new(&format!("external_ids/{kind}"), value)
    });
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(ids, |id| collection_column(id.0.0)).into_sql::<Array<SmallInt>>(),
        column(ids, |id| id.0.1.clone()).into_sql::<Array<Text>>(),
        column(ids, |id| id.0.2.clone()).into_sql::<Array<Text>>(),
        column(ids, |id| id.1).into_sql::<Array<Uuid>>(),
        column(&commitments, |c| c.salt.clone()).into_sql::<Array<Binary>>(),
        column(&commitments, |c| c.value.clone()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// The external ids of these holders.
pub(crate) fn of_holders(
    conn: &mut PgConnection,
    tenant: TenantId,
    collection: Collection,
    holders: Vec<uuid::Uuid>,
) -> QueryResult<BTreeMap<uuid::Uuid, BTreeMap<String, String>>> {
    const READ: &str = "\
        SELECT e.* FROM unnest($3) AS n (id), LATERAL ( \
            SELECT collection, kind, value, holder_id FROM external_ids \
            WHERE tenant_id = $1 AND collection = $2 AND holder_id = n.id OFFSET 0) e";
    let binds = (
        tenant.into_sql::<Uuid>(),
        collection_column(collection).into_sql::<SmallInt>(),
        holders.into_sql::<Array<Uuid>>(),
    );
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    let mut found: BTreeMap<uuid::Uuid, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows {
        found.entry(row.holder_id).or_default().insert(row.kind, row.value);
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
