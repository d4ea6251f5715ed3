//! Purges records whose retention has ended, unless somebody still needs them.

use std::sync::Arc;

use diesel::PgConnection;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::TenantInfo;
use shared::time::Timestamp;

use super::scope;
use crate::domain::access::Action;
use crate::domain::record::{Record, RecordId, RecordState};
use crate::domain::subject::SubjectId;
use crate::erasing;
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::events::{self, Event};
use crate::store::{
    accesses, expired, legal_holds, purges, record_changes, retention_interests, subjects,
};

/// Records of one look.
const BATCH: i64 = 100;

/// Looks at some records whose retention has ended, from where the last look has stopped. True
/// where some were purged: then the next look is worth it at once. What is held is looked at again
/// when all others have been.
pub(super) async fn step(
    rpc: &Rpc,
    tenant: &Arc<TenantInfo>,
    cursor: &mut Option<(Timestamp, RecordId)>,
) -> Result<bool, Problem> {
    let (id, now, after) = (tenant.id, rpc.clock.now(), *cursor);
    let find =
        move |conn: &mut PgConnection| Ok::<_, Error>(expired::list(conn, id, now, after, BATCH)?);
    let found = rpc.db.read("find_expired_records", scope(id), find).await?;
    let is_end = i64::try_from(found.len()) != Ok(BATCH);
    let mut purged = false;
    for one in &found {
        purged |= purge(rpc, tenant, one.id, one.subject_id).await?;
    }
    *cursor = found.last().filter(|_| !is_end).map(|last| (last.expire_time, last.id));
    if purged {
        rpc.nudge.tenant(id);
    }
    Ok(purged && !is_end)
}

/// Purges a record, if it still may be.
async fn purge(
    rpc: &Rpc,
    tenant: &Arc<TenantInfo>,
    record: RecordId,
    subject: SubjectId,
) -> Result<bool, Error> {
    let (call, id, now) = (erasing::worker(tenant), tenant.id, rpc.clock.now());
    let mut access = rpc.access(&call, Action::PURGE_RECORD);
    (access.subject, access.record) = (Some(subject), Some(record));
    let act = move |conn: &mut PgConnection| {
        subjects::lock_state(conn, id, subject)?;
        let Some(found) = record_changes::lock(conn, id, record)? else { return Ok(false) };
        if !may_end(conn, id, &found, now)? {
            return Ok(false);
        }
        purges::purge(conn, id, &found, now)?;
        accesses::insert(conn, id, &access)?;
        let event = Event::new(id, "record.purged", record.name(), now)
            .with("subject", subject.name())
            .with("reason", "RETENTION");
        events::record(conn, id, &event)?;
        Ok::<_, Error>(true)
    };
    rpc.db.write("end_retention", call.scope(), act).await
}

fn may_end(
    conn: &mut PgConnection,
    tenant: TenantId,
    record: &Record,
    now: Timestamp,
) -> Result<bool, Error> {
    let is_over = record.expire_time.is_some_and(|time| time <= now);
    if !is_over || record.state == RecordState::Purged {
        return Ok(false);
    }
    let held = legal_holds::blocking(conn, tenant, record.subject, Some(record.id))?;
    let needed = retention_interests::blocking(conn, tenant, record.subject, now)?;
    Ok(held.is_empty() && needed.is_empty())
}
