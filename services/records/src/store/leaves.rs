//! What the log says of changes, made anew from their rows, and when resources were made.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Text, Timestamptz, Uuid as SqlUuid};
use shared::changes::{Leaf, Subjects};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::access_lists;
use super::accesses::time_of;
use crate::domain::access::AccessId;
use crate::domain::access_leaf::{DENIED, PERMITTED};
use crate::domain::erasure::ErasureName;

/// The leaves of changes of one kind, in their order. A row that is gone has an empty leaf, which
/// is none that was ever written; all that is no access says its leaf itself.
pub(crate) fn describe(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subjects: &Subjects,
) -> Result<Vec<Leaf>, DbError> {
    let Subjects::Ids(ids) = subjects else { return Err(unknown(kind)) };
    if ![PERMITTED, DENIED].contains(&kind) {
        return Err(unknown(kind));
    }
    let found = access_lists::select_all(conn, tenant, ids)?.into_iter();
    let leaf = |row: access_lists::Row| Some((row.id(), row.entry().ok()?.leaf(tenant)?));
    let mut found: HashMap<AccessId, String> = found.filter_map(leaf).collect();
    let leaf = |id: &Uuid| {
        let id = AccessId::from_uuid(*id);
        Leaf { subject: id.name(), data: found.remove(&id).unwrap_or_default() }
    };
    Ok(ids.iter().map(leaf).collect())
}

fn unknown(kind: &str) -> DbError {
    DbError::Fault(format!("nobody knows changes of the kind {kind}"))
}

/// When a resource was made, near which its change is found; of an erasure, when it was done.
pub(crate) fn locate(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
) -> Result<Option<Timestamp>, DbError> {
    if let Ok(id) = AccessId::parse_name(resource) {
        return Ok(time_of(id.uuid()));
    }
    if let Ok(erasure) = ErasureName::parse(resource) {
        return made(conn, tenant, ERASURES, erasure.id.uuid());
    }
    let Some((collection, id)) = resource.split_once('/') else { return Ok(None) };
    if collection == "recordTypes" {
        return made_by_name(conn, tenant, id);
    }
    let select = TABLES.iter().find(|(name, _)| *name == collection);
    match (select, Uuid::try_parse(id)) {
        (Some((_, select)), Ok(id)) => made(conn, tenant, select, id),
        _ => Ok(None),
    }
}

macro_rules! select {
    ($table:literal) => {
        concat!("SELECT create_time AS time FROM ", $table, " WHERE tenant_id = $1 AND id = $2")
    };
}

const ERASURES: &str = "\
    SELECT coalesce(done_time, create_time) AS time FROM erasures WHERE tenant_id = $1 AND id = $2";

/// How it is read from each table when something was made.
const TABLES: [(&str, &str); 7] = [
    ("records", select!("records")),
    ("subjects", select!("subjects")),
    ("legalHolds", select!("legal_holds")),
    ("retentionInterests", select!("retention_interests")),
    ("consents", select!("consents")),
    ("breakGlassLeases", select!("break_glass_leases")),
    ("rotations", select!("rotations")),
];

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = Timestamptz)]
    time: Timestamp,
}

fn made(
    conn: &mut PgConnection,
    tenant: TenantId,
    select: &'static str,
    id: Uuid,
) -> Result<Option<Timestamp>, DbError> {
    let binds = (tenant.into_sql::<SqlUuid>(), id.into_sql::<SqlUuid>());
    let made: Option<Made> = statement(select, binds).get_result(conn).optional()?;
    Ok(made.map(|made| made.time))
}

fn made_by_name(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: &str,
) -> Result<Option<Timestamp>, DbError> {
    const SELECT: &str = select!("record_types");
    let binds = (tenant.into_sql::<SqlUuid>(), id.to_owned().into_sql::<Text>());
    let made: Option<Made> = statement(SELECT, binds).get_result(conn).optional()?;
    Ok(made.map(|made| made.time))
}
