//! Keys on their way to another epoch of the tenant's key.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::statement;
use shared::ids::TenantId;

use super::keys::SubjectKeyRow;
use super::schema::{index_keys, subject_keys};
use crate::domain::subject::SubjectId;

/// A place among the keys of subjects: by the epoch above them, then by subject and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    epoch: i32,
    subject: SubjectId,
    generation: i32,
}

impl Place {
    /// Before every key.
    pub(crate) const START: Self =
        Self { epoch: 0, subject: SubjectId::from_uuid(uuid::Uuid::nil()), generation: 0 };

    /// The place of a key.
    pub(crate) fn of(row: &SubjectKeyRow) -> Self {
        let (epoch, subject) = (row.tenant_key_epoch, row.subject_id);
        Self { epoch, subject, generation: row.generation }
    }
}

/// How many keys of subjects and indexes are wrapped by epochs before one.
pub(crate) fn count_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    target: i32,
) -> QueryResult<i64> {
    let subjects: i64 = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::tenant_key_epoch.lt(target))
        .count()
        .get_result(conn)?;
    let indexes: i64 = index_keys::table
        .filter(index_keys::tenant_id.eq(tenant))
        .filter(index_keys::tenant_key_epoch.lt(target))
        .count()
        .get_result(conn)?;
    Ok(subjects + indexes)
}

// The limit is a query, so that the planner does not know it: it would else sort what it takes for
// a few rows.
pub(super) const UNMOVED: &str = "\
    SELECT tenant_id, subject_id, generation, tenant_key_epoch, wrapped, create_time, \
        first_epoch, made_epoch \
    FROM subject_keys \
    WHERE tenant_id = $1 AND tenant_key_epoch < $2 \
        AND (tenant_key_epoch, subject_id, generation) > ($3, $4, $5) \
    ORDER BY tenant_key_epoch, subject_id, generation LIMIT (SELECT $6)";

/// Reads at most `limit` keys of subjects that epochs before `target` wrap, behind a place.
pub(crate) fn subject_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    target: i32,
    after: Place,
    limit: usize,
) -> QueryResult<Vec<SubjectKeyRow>> {
    let binds = (
        tenant.into_sql::<Uuid>(),
        target.into_sql::<Integer>(),
        after.epoch.into_sql::<Integer>(),
        after.subject.into_sql::<Uuid>(),
        after.generation.into_sql::<Integer>(),
        i64::try_from(limit).unwrap_or(i64::MAX).into_sql::<BigInt>(),
    );
    statement(UNMOVED, binds).load(conn)
}

pub(super) const MOVE: &str = "\
    UPDATE subject_keys k SET tenant_key_epoch = $2, wrapped = n.after, \
        first_epoch = coalesce(k.first_epoch, k.tenant_key_epoch) \
    FROM unnest($3, $4, $5, $6) AS n (subject_id, generation, before, after) \
    WHERE k.tenant_id = $1 AND k.subject_id = n.subject_id AND k.generation = n.generation \
        AND k.wrapped = n.before";

/// Puts keys of subjects under another epoch, each with its new wrap, and gives how many that were:
/// one that is not any more as it was read stays as it is.
pub(crate) fn move_subject_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    target: i32,
    moves: &[(SubjectKeyRow, Vec<u8>)],
) -> QueryResult<usize> {
    if moves.is_empty() {
        return Ok(0);
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        target.into_sql::<Integer>(),
        column(moves, |(row, _)| row.subject_id).into_sql::<Array<Uuid>>(),
        column(moves, |(row, _)| row.generation).into_sql::<Array<Integer>>(),
        column(moves, |(row, _)| row.wrapped.as_slice()).into_sql::<Array<Binary>>(),
        column(moves, |(_, after)| after.as_slice()).into_sql::<Array<Binary>>(),
    );
    statement(MOVE, binds).execute(conn)
}

fn column<'a, T>(
    moves: &'a [(SubjectKeyRow, Vec<u8>)],
    value: impl Fn(&'a (SubjectKeyRow, Vec<u8>)) -> T,
) -> Vec<T> {
    moves.iter().map(value).collect()
}
