//! `mismatches`: what the auditor found, and what became of it.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, SmallInt, Text, Timestamptz, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::LATEST;
use super::schema::mismatches;
use crate::domain::{AccountId, Check, Finding, Mismatch, MismatchId, Resolution};

/// The most bytes of what was found, and of what was expected: a damaged row may say anything.
const TEXT_MAX: usize = 256;

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) resource: Option<String>,
    pub(crate) is_open: Option<bool>,
}

/// A place in a list: the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    create_time: Timestamp,
    id: MismatchId,
}

impl Place {
    /// Where a mismatch is.
    pub(crate) fn of(mismatch: &Mismatch) -> Self {
        Self { create_time: mismatch.create_time, id: mismatch.id }
    }
}

#[derive(Debug, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = mismatches)]
struct Row {
    id: MismatchId,
    kind: i16,
    resource: String,
    found: String,
    expected: String,
    accounts: Vec<AccountId>,
    create_time: Timestamp,
    resolve_time: Option<Timestamp>,
    resolution_code: Option<String>,
    resolver: Option<String>,
}

impl TryFrom<Row> for Mismatch {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let check = Check::from_number(row.kind)
            .ok_or_else(|| DbError::Fault(format!("{} has no usable kind", row.id)))?;
        let finding = Finding {
            check,
            resource: row.resource,
            found: row.found,
            expected: row.expected,
            accounts: row.accounts.into_iter().collect(),
        };
        let resolution = row.resolve_time.map(|time| Resolution {
            time,
            code: row.resolution_code.unwrap_or_default(),
            resolver: row.resolver.unwrap_or_default(),
        });
        Ok(Self { id: row.id, finding, create_time: row.create_time, resolution })
    }
}

/// Writes a finding down; `None` where one of its kind is open for its resource already.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    finding: &Finding,
    time: Timestamp,
) -> QueryResult<Option<MismatchId>> {
    const INSERT: &str = "\
        INSERT INTO mismatches (tenant_id, id, kind, resource, found, expected, accounts, \
            create_time) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
        ON CONFLICT (tenant_id, resource, kind) WHERE resolve_time IS NULL DO NOTHING";
    let id = MismatchId::generate();
    let accounts: Vec<AccountId> = finding.accounts.iter().copied().collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        id.into_sql::<Uuid>(),
        finding.check.number().into_sql::<SmallInt>(),
        finding.resource.as_str().into_sql::<Text>(),
        cut(&finding.found).into_sql::<Text>(),
        cut(&finding.expected).into_sql::<Text>(),
        accounts.into_sql::<Array<Uuid>>(),
        time.into_sql::<Timestamptz>(),
    );
    let inserted = statement(INSERT, binds).execute(conn)?;
    Ok((inserted == 1).then_some(id))
}

fn cut(text: &str) -> &str {
    let end = (0..=TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// Reads a mismatch.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: MismatchId,
) -> Result<Option<Mismatch>, DbError> {
    let row = mismatches::table.find((tenant, id)).select(Row::as_select());
    row.first(conn).optional()?.map(Row::try_into).transpose()
}

/// Reads a mismatch, and locks it.
pub(crate) fn select_locked(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: MismatchId,
) -> Result<Option<Mismatch>, DbError> {
    let row = mismatches::table.find((tenant, id)).select(Row::as_select()).for_no_key_update();
    row.first(conn).optional()?.map(Row::try_into).transpose()
}

/// Writes down how a mismatch was dealt with.
pub(crate) fn resolve(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: MismatchId,
    resolution: &Resolution,
) -> QueryResult<()> {
    diesel::update(mismatches::table.find((tenant, id)))
        .set((
            mismatches::resolve_time.eq(resolution.time),
            mismatches::resolution_code.eq(&resolution.code),
            mismatches::resolver.eq(&resolution.resolver),
        ))
        .execute(conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Exists {
    #[diesel(sql_type = Bool)]
    exists: bool,
}

/// Whether a mismatch that casts doubt on an account is open.
pub(crate) fn is_doubtful(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
) -> QueryResult<bool> {
    const READ: &str = "\
        SELECT EXISTS (SELECT FROM mismatches WHERE tenant_id = $1 AND resolve_time IS NULL \
            AND accounts @> ARRAY[$2]) AS exists";
    let binds = (tenant.into_sql::<Uuid>(), account.into_sql::<Uuid>());
    let row: Exists = statement(READ, binds).get_result(conn)?;
    Ok(row.exists)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Integer)]
    count: i32,
}

/// How many mismatches are open, and no more than `limit`.
pub(crate) fn open_count(
    conn: &mut PgConnection,
    tenant: TenantId,
    limit: i64,
) -> QueryResult<i32> {
    const READ: &str = "\
        SELECT count(*)::integer AS count FROM (SELECT FROM mismatches \
            WHERE tenant_id = $1 AND resolve_time IS NULL LIMIT (SELECT $2)) m";
    let binds = (tenant.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let row: Count = statement(READ, binds).get_result(conn)?;
    Ok(row.count)
}

/// The limit is a query, so that the planner does not know it.
const BY_TIME: &str = "\
    SELECT id, kind, resource, found, expected, accounts, create_time, resolve_time, \
        resolution_code, resolver FROM mismatches \
    WHERE tenant_id = $1 AND create_time <= $2 AND (create_time < $2 OR id < $3) \
        AND create_time IS NOT NULL \
    ORDER BY create_time DESC FETCH FIRST (SELECT $4) ROWS WITH TIES";
const BY_RESOURCE: &str = "\
    SELECT id, kind, resource, found, expected, accounts, create_time, resolve_time, \
        resolution_code, resolver FROM mismatches \
    WHERE tenant_id = $1 AND resource = $5 AND create_time <= $2 \
        AND (create_time < $2 OR id < $3) \
    ORDER BY create_time DESC FETCH FIRST (SELECT $4) ROWS WITH TIES";

/// Reads candidates behind a place in the order of the list, along one index whatever the filter:
/// fewer than `limit` where there are no more, else as many and those that share the last one's
/// time.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Mismatch>, DbError> {
    let end = Place { create_time: LATEST, id: MismatchId::from_uuid(uuid::Uuid::max()) };
    let after = after.unwrap_or(&end);
    let (tenant, time) = (tenant.into_sql::<Uuid>(), after.create_time.into_sql::<Timestamptz>());
    let (id, limit) = (after.id.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let mut rows: Vec<Row> = match &filter.resource {
        Some(resource) => {
            let binds = (tenant, time, id, limit, resource.as_str().into_sql::<Text>());
            statement(BY_RESOURCE, binds).load(conn)?
        }
        None => statement(BY_TIME, (tenant, time, id, limit)).load(conn)?,
    };
    rows.sort_by_key(|row| std::cmp::Reverse((row.create_time, row.id)));
    rows.into_iter().map(Row::try_into).collect()
}
