//! The table of policies: one row for each tenant that has decided something.

use std::time::Duration;

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::policies;
use crate::domain::policy::Policy;

#[derive(Queryable, Insertable, Selectable, AsChangeset)]
#[diesel(table_name = policies)]
struct Row {
    tenant_id: TenantId,
    erasure_delay_seconds: i64,
    backup_retention_seconds: i64,
    break_glass_blocks: bool,
    revision: i64,
    update_time: Timestamp,
}

impl From<Row> for Policy {
    fn from(row: Row) -> Self {
        Self {
            erasure_delay: duration(row.erasure_delay_seconds),
            backup_retention: duration(row.backup_retention_seconds),
            break_glass_blocks: row.break_glass_blocks,
            revision: row.revision,
            update_time: Some(row.update_time),
        }
    }
}

fn duration(seconds: i64) -> Duration {
    Duration::from_secs(seconds.max(0).unsigned_abs())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// The tenant's policy: the default where it has decided nothing.
pub(crate) fn get(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Policy> {
    let row: Option<Row> =
        policies::table.find(tenant).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(Row::into).unwrap_or_default())
}

/// Replaces the policy that has this revision; false where it has another by now.
pub(crate) fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    policy: &Policy,
    now: Timestamp,
) -> QueryResult<bool> {
    let row = Row {
        tenant_id: tenant,
        erasure_delay_seconds: seconds(policy.erasure_delay),
        backup_retention_seconds: seconds(policy.backup_retention),
        break_glass_blocks: policy.break_glass_blocks,
        revision: policy.revision,
        update_time: now,
    };
    let first = policy.revision == 1;
    let count = if first {
        let inserted = diesel::insert_into(policies::table).values(row).on_conflict_do_nothing();
        inserted.execute(conn)?
    } else {
        let before = policies::revision.eq(policy.revision - 1);
        diesel::update(policies::table.find(tenant)).filter(before).set(row).execute(conn)?
    };
    Ok(count == 1)
}
