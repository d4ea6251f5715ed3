//! What the log says of changes, made anew from their rows.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use shared::changes::{Leaf, Subjects};
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::{external_ids, hold_events, hold_texts, holds, statements, transactions};
use crate::domain::{
    Collection, Commitments, HELD, HoldId, POSTED, PostedTransaction, TransactionId, held_leaf,
    posted_leaf,
};
use crate::error::Error;

/// The leaves of changes of one kind, in their order. A row that is gone has an empty leaf, which
/// is none that was ever written.
pub(crate) fn describe(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subjects: &Subjects,
) -> Result<Vec<Leaf>, DbError> {
    match (kind, subjects) {
        (POSTED, Subjects::Ids(ids)) => posted(conn, tenant, ids),
        (HELD, Subjects::Names(names)) => held(conn, tenant, names),
        _ => Err(DbError::Fault(format!("nobody knows changes of the kind {kind}"))),
    }
}

fn posted(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[uuid::Uuid],
) -> Result<Vec<Leaf>, DbError> {
    let ids: Vec<TransactionId> = ids.iter().map(|id| TransactionId::from_uuid(*id)).collect();
    let found = transactions::select_all(conn, tenant, &ids).map_err(fault)?;
    let found: BTreeMap<TransactionId, PostedTransaction> =
        found.into_iter().map(|posted| (posted.id, posted)).collect();
    let leaf = |id: &TransactionId| Leaf {
        subject: id.name(),
        data: found.get(id).map(|posted| posted_leaf(tenant, posted)).unwrap_or_default(),
    };
    Ok(ids.iter().map(leaf).collect())
}

fn held(conn: &mut PgConnection, tenant: TenantId, names: &[String]) -> Result<Vec<Leaf>, DbError> {
    let read = |name: &String| {
        let (hold, seq) = name.split_once('/')?;
        Some((HoldId::from_uuid(hold.parse().ok()?), seq.parse().ok()?))
    };
    let events: Vec<Option<(HoldId, i32)>> = names.iter().map(read).collect();
    let ids: BTreeSet<HoldId> = events.iter().flatten().map(|(hold, _)| *hold).collect();
    let found = holds::select_all(conn, tenant, &ids).map_err(fault)?;
    let places: Vec<(HoldId, i32)> = events.iter().flatten().copied().collect();
    let happened = hold_events::select_all(conn, tenant, &places)?;
    let texts = hold_texts::commitments(conn, tenant, ids.iter().copied().collect())?;
    let holders = ids.iter().map(|id| id.uuid()).collect();
    let mut given = external_ids::of_holders(conn, tenant, Collection::Holds, holders)?;
    let mut leaf = |place: &(HoldId, i32)| {
        let (hold, event) = (found.get(&place.0)?, happened.get(place)?);
        // What was written when the hold was made is in the leaf of its making.
        let is_first = event.seq == 1;
        let from = if is_first { 0 } else { event.seq };
        let texts = texts.range((place.0, from)..=(place.0, event.seq));
        let commitments = Commitments {
            texts: texts.map(|((_, seq), one)| (*seq, one.clone())).collect(),
            external_ids: match is_first {
                true => given.remove(&place.0.uuid()).unwrap_or_default().commitments,
                false => BTreeMap::new(),
            },
            ..Commitments::default()
        };
        Some(held_leaf(tenant, hold, event, &commitments))
    };
    let leaves = names.iter().zip(&events).map(|(name, place)| Leaf {
        subject: format!("holds/{name}"),
        data: place.as_ref().and_then(&mut leaf).unwrap_or_default(),
    });
    Ok(leaves.collect())
}

fn fault(error: Error) -> DbError {
    match error {
        Error::Db(error) => error,
        other => DbError::Fault(other.to_string()),
    }
}

/// When a resource was made, near which its change is found.
pub(crate) fn locate(
    conn: &mut PgConnection,
    tenant: TenantId,
    resource: &str,
) -> Result<Option<Timestamp>, DbError> {
    if let Ok(id) = TransactionId::parse_name(resource) {
        return Ok(transactions::record_time(conn, tenant, id)?);
    }
    statements::create_time(conn, tenant, resource)
}
