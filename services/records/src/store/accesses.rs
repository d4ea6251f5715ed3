//! The access log. It is only ever appended to, and every entry is a leaf of the tenant's log.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{
    Array, BigInt, Binary, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use shared::changes;
use shared::db::statement;
use shared::ids::{Id, TenantId};
use shared::problem::reason_name;
use shared::time::Timestamp;
use shared::transparency::leaf_hash;
use uuid::Uuid;

use crate::domain::access::Access;
use crate::domain::access_leaf::{self, DENIED, PERMITTED};
use crate::domain::purpose::Purpose;
use crate::domain::record::View;

pub(super) const PERMIT: i16 = 1;
pub(super) const DENY: i16 = 2;

pub(super) fn view(view: View) -> i16 {
    match view {
        View::Basic => 1,
        View::Masked => 2,
        View::Full => 3,
    }
}

/// Appends an entry.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    access: &Access,
) -> QueryResult<()> {
    append(conn, tenant, std::slice::from_ref(access))
}

/// Appends entries, and the changes that bring them into the log: one statement for all.
pub(crate) fn append(
    conn: &mut PgConnection,
    tenant: TenantId,
    accesses: &[Access],
) -> QueryResult<()> {
    let Some(time) = accesses.iter().map(|access| access.time).max() else {
        return Ok(());
    };
    statement(APPEND, insertion(tenant, accesses, time)).execute(conn)?;
    Ok(())
}

pub(super) const APPEND: &str = "\
    , entries AS ( \
        INSERT INTO accesses (tenant_id, time, id, principal, principal_salt, \
            principal_commitment, workload, action, subject_id, record_id, version, resource, \
            view, purpose, decision, reason, grounds, trace_id) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
            $16, $17, $18) AS n) \
    INSERT INTO changes (tenant_id, id, kind, ids, leaves, create_time) \
    SELECT $1, c.id, c.kind, c.ids, c.leaves, $19 \
    FROM (VALUES ('access.permitted', $20, $21, $22), ('access.denied', $23, $24, $25)) \
        AS c (kind, id, ids, leaves) \
    WHERE cardinality(c.ids) > 0";

pub(super) fn insertion(
    tenant: TenantId,
    accesses: &[Access],
    time: Timestamp,
) -> impl QueryFragment<Pg> {
    fn column<'a, T>(accesses: &'a [Access], value: impl Fn(&'a Access) -> T) -> Vec<T> {
        accesses.iter().map(value).collect()
    }
    let decision = |a: &Access| if a.refusal.is_none() { PERMIT } else { DENY };
    let change = |kind: &str| {
        let of_kind = || accesses.iter().filter(|access| access_leaf::kind(access) == kind);
        let ids: Vec<Uuid> = of_kind().map(|access| access.id.uuid()).collect();
        let leaf = |access| leaf_hash(&access_leaf::leaf(tenant, access));
        let leaves: Vec<u8> = of_kind().flat_map(leaf).collect();
        (
            changes::id(time).into_sql::<SqlUuid>(),
            ids.into_sql::<Array<SqlUuid>>(),
            leaves.into_sql::<Binary>(),
        )
    };
    let entries = (
        tenant.into_sql::<SqlUuid>(),
        column(accesses, |a| a.time).into_sql::<Array<Timestamptz>>(),
        column(accesses, |a| a.id.uuid()).into_sql::<Array<SqlUuid>>(),
        column(accesses, |a| a.principal.as_str()).into_sql::<Array<Text>>(),
        column(accesses, |a| a.commitment.salt.as_slice()).into_sql::<Array<Binary>>(),
        column(accesses, |a| a.commitment.value.as_slice()).into_sql::<Array<Binary>>(),
        column(accesses, |a| a.workload.as_deref()).into_sql::<Array<Nullable<Text>>>(),
        column(accesses, |a| a.action.permission()).into_sql::<Array<Text>>(),
        column(accesses, |a| a.subject.map(Id::uuid)).into_sql::<Array<Nullable<SqlUuid>>>(),
        column(accesses, |a| a.record.map(Id::uuid)).into_sql::<Array<Nullable<SqlUuid>>>(),
        column(accesses, |a| a.version).into_sql::<Array<Nullable<BigInt>>>(),
        column(accesses, |a| a.resource.as_deref()).into_sql::<Array<Nullable<Text>>>(),
        column(accesses, |a| a.view.map(view)).into_sql::<Array<Nullable<SmallInt>>>(),
        column(accesses, |a| a.purpose.map(Purpose::code)).into_sql::<Array<Nullable<Text>>>(),
        column(accesses, decision).into_sql::<Array<SmallInt>>(),
        column(accesses, |a| a.refusal.map(reason_name)).into_sql::<Array<Nullable<Text>>>(),
        column(accesses, |a| a.grounds.as_deref()).into_sql::<Array<Nullable<Text>>>(),
        column(accesses, |a| a.trace_id.as_str()).into_sql::<Array<Text>>(),
        time.into_sql::<Timestamptz>(),
    );
    (entries, change(PERMITTED), change(DENIED))
}

/// When an access was logged, which its id says (RFC 9562): to the millisecond.
pub(crate) fn time_of(id: Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    let seconds = i64::try_from(seconds).ok()?;
    Some(Timestamp::from_micros(seconds * 1_000_000 + i64::from(nanos) / 1_000))
}
