//! Many subjects at once, locked against a change of their states and keys.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid};
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::subjects;
use super::subjects::from_column;
use crate::domain::subject::{SubjectId, SubjectState};

#[derive(QueryableByName)]
#[diesel(table_name = subjects)]
struct Row {
    id: SubjectId,
    state: i16,
}

/// Reads the states of subjects and keeps them as they are until the end of the transaction, in the
/// order of their ids. Unknown ids are left out.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<SubjectId>,
) -> QueryResult<BTreeMap<SubjectId, SubjectState>> {
    let ids: Vec<SubjectId> = ids.iter().copied().collect();
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    let rows: Vec<Row> = statement(LOCK, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, from_column(row.state))).collect())
}

pub(super) const LOCK: &str = "\
    SELECT s.* FROM unnest($2) AS n (id), LATERAL ( \
        SELECT id, state FROM subjects WHERE tenant_id = $1 AND id = n.id FOR SHARE) s";
