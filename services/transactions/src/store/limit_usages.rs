//! `limit_usages`: what limits have counted.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, SmallInt, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;

use super::column;
use super::schema::limit_usages;
use crate::domain::{Scope, Usage, UsageKey};
use crate::error::Error;

#[derive(Debug, QueryableByName)]
#[diesel(table_name = limit_usages)]
struct Row {
    scope: i16,
    holder_id: uuid::Uuid,
    name: String,
    steps: String,
}

fn scope_column(scope: Scope) -> i16 {
    match scope {
        Scope::Account => 1,
        Scope::Customer => 2,
    }
}

/// Reads counts, and locks them in the order of their keys where they will be written: those of
/// customers are shared by accounts. Unknown ones are left out.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    keys: &BTreeSet<UsageKey>,
    lock: bool,
) -> Result<BTreeMap<UsageKey, Usage>, Error> {
    const READ: &str = "\
        SELECT u.* FROM unnest($2, $3, $4) AS n (scope, holder, name), LATERAL ( \
            SELECT scope, holder_id, name, steps FROM limit_usages \
            WHERE tenant_id = $1 AND scope = n.scope AND holder_id = n.holder \
                AND name = n.name) u";
    const LOCK: &str = "\
        SELECT u.* FROM unnest($2, $3, $4) AS n (scope, holder, name), LATERAL ( \
            SELECT scope, holder_id, name, steps FROM limit_usages \
            WHERE tenant_id = $1 AND scope = n.scope AND holder_id = n.holder \
                AND name = n.name FOR NO KEY UPDATE) u";
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: Vec<&UsageKey> = keys.iter().collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&keys, |key| scope_column(key.scope)).into_sql::<Array<SmallInt>>(),
        column(&keys, |key| key.holder).into_sql::<Array<Uuid>>(),
        column(&keys, |key| key.name.clone()).into_sql::<Array<Text>>(),
    );
    let rows: Vec<Row> = statement(if lock { LOCK } else { READ }, binds).load(conn)?;
    let usage = |row: Row| {
        let fault = |_| DbError::Fault(format!("the count of {} is not readable", row.name));
        let steps = serde_json::from_str(&row.steps).map_err(fault)?;
        let scope = if row.scope == 1 { Scope::Account } else { Scope::Customer };
        Ok((UsageKey { scope, holder: row.holder_id, name: row.name }, Usage(steps)))
    };
    rows.into_iter().map(usage).collect()
}

/// Writes counts, new ones and those that were locked. One that another transaction has begun
/// meanwhile is a unique violation.
pub(crate) fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    new: &[(&UsageKey, &Usage)],
    known: &[(&UsageKey, &Usage)],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO limit_usages (tenant_id, scope, holder_id, name, steps) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5) AS n";
    const UPDATE: &str = "\
        UPDATE limit_usages u SET steps = n.steps \
        FROM (SELECT n.*, \
                  (SELECT ctid FROM limit_usages WHERE tenant_id = $1 AND scope = n.scope \
                      AND holder_id = n.holder AND name = n.name) AS place \
              FROM unnest($2, $3, $4, $5) AS n (scope, holder, name, steps) OFFSET 0) n \
        WHERE u.tenant_id = $1 AND u.ctid = n.place";
    for (body, rows) in [(INSERT, new), (UPDATE, known)] {
        if rows.is_empty() {
            continue;
        }
        let steps = |usage: &Usage| serde_json::to_string(&usage.0).unwrap_or_default();
        let binds = (
            tenant.into_sql::<Uuid>(),
            column(rows, |row| scope_column(row.0.scope)).into_sql::<Array<SmallInt>>(),
            column(rows, |row| row.0.holder).into_sql::<Array<Uuid>>(),
            column(rows, |row| row.0.name.clone()).into_sql::<Array<Text>>(),
            column(rows, |row| steps(row.1)).into_sql::<Array<Text>>(),
        );
        if statement(body, binds).execute(conn)? != rows.len() {
            return Err(diesel::result::Error::NotFound);
        }
    }
    Ok(())
}
