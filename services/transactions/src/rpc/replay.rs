//! What an earlier request with the same id has made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use diesel::PgConnection;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::time::Timestamp;

use super::Rpc;
use crate::domain::{BatchId, Hold, HoldId, Made, PostedTransaction, TransactionId};
use crate::error::Error;
use crate::store::{hold_events, holds, transactions};

/// Reads what a resource's name stands for: transactions as they were posted, holds as they are
/// now. With `captures` a transaction comes with its hold.
pub(super) async fn replay(
    rpc: &Rpc,
    call: &Call,
    name: &str,
    captures: bool,
) -> Result<Vec<Made>, Problem> {
    let (tenant, now, name) = (call.tenant_id()?, rpc.clock.now(), name.to_owned());
    let read = rpc.db.read("replay", call.scope(), move |conn| {
        if let Ok(id) = HoldId::parse_name(&name) {
            return Ok(vec![Made::Hold(hold(conn, tenant, id, now)?.into())]);
        }
        if let Ok(id) = BatchId::parse_name(&name) {
            return batch(conn, tenant, id, now);
        }
        let id = TransactionId::parse_name(&name)?;
        let posted = transactions::select(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
        Ok::<_, Error>(vec![made(conn, tenant, posted, captures, now)?])
    });
    Ok(read.await?)
}

/// A hold as it is now, or `RESOURCE_NOT_FOUND`.
pub(super) fn hold(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: HoldId,
    now: Timestamp,
) -> Result<Hold, Error> {
    let hold = holds::select_all(conn, tenant, &[id].into())?.remove(&id);
    Ok(hold.ok_or_else(|| id.not_found())?.at(now))
}

fn made(
    conn: &mut PgConnection,
    tenant: TenantId,
    posted: PostedTransaction,
    captures: bool,
    now: Timestamp,
) -> Result<Made, Error> {
    match posted.hold {
        Some(id) if captures => {
            Ok(Made::Capture(hold(conn, tenant, id, now)?.into(), posted.into()))
        }
        _ => Ok(Made::Transaction(posted.into())),
    }
}

/// What the items of a batch made, in their order. A transaction that captures a hold was an item
/// of its own.
fn batch(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: BatchId,
    now: Timestamp,
) -> Result<Vec<Made>, Error> {
    let ids = transactions::of_batch(conn, tenant, id)?;
    let mut by_index: BTreeMap<i32, Made> = BTreeMap::new();
    for posted in transactions::select_all(conn, tenant, &ids)? {
        let index = posted.batch.map_or(0, |(_, index)| index);
        by_index.insert(index, made(conn, tenant, posted, true, now)?);
    }
    for (index, id) in hold_events::of_batch(conn, tenant, id)? {
        if let Entry::Vacant(place) = by_index.entry(index) {
            place.insert(Made::Hold(hold(conn, tenant, id, now)?.into()));
        }
    }
    Ok(by_index.into_values().collect())
}
