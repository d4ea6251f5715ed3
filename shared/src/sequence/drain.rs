//! One tenant: what committed gets its positions.

use diesel::PgConnection;

use super::store::{self, Change};
use super::{Describe, leaves};
use crate::db::DbError;
use crate::ids::TenantId;
use crate::time::Timestamp;
use crate::transparency::{Hash, leaf_hash, tree};

/// Changes that are taken at once.
const CHANGES_MAX: i64 = 256;
/// Leaves that are taken at once, unless a single change has more.
const LEAVES_MAX: usize = 8_192;
const HASH_BYTES: usize = 32;

/// What was done for a tenant.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// How many leaves the log has now.
    pub(super) size: u64,
    /// How many events each change had, and when it was made.
    pub(super) events: Vec<(u64, Timestamp)>,
    /// There is more to do.
    pub(super) more: bool,
}

/// Gives positions to what has none, in one transaction that is not yet committed. `None` where
/// another replica is at it.
pub(super) fn drain(
    conn: &mut PgConnection,
    tenant: TenantId,
    describe: Describe,
) -> Result<Option<Drained>, DbError> {
    let Some(size) = store::lock(conn, tenant)? else {
        return Ok(None);
    };
    // A statement of its own: it sees all that was committed before the lock was given.
    let mut changes = store::unsequenced(conn, tenant, CHANGES_MAX)?;
    let found = changes.len();
    changes.truncate(fitting(&changes));
    if changes.is_empty() {
        return Ok(Some(Drained { size, ..Drained::default() }));
    }
    let hashes = hashes(conn, tenant, describe, &changes)?;
    let (mut end, mut placed, mut events) = (size, Vec::new(), Vec::new());
    for (change, hashes) in changes.iter().zip(&hashes) {
        let count = hashes.len() as u64;
        placed.push((change, end));
        events.push((count, change.time));
        end += count;
    }
    let edge = tree::load(conn, tenant, &tree::edge(size))?;
    let tiles = tree::append(edge, size, &hashes.concat());
    store::advance(conn, tenant, end, &placed, &tiles)?;
    let more = changes.len() < found || found == usize::try_from(CHANGES_MAX).unwrap_or_default();
    Ok(Some(Drained { size: end, events, more }))
}

/// How many of the changes are taken at once.
fn fitting(changes: &[Change]) -> usize {
    let mut leaves = 0;
    let fits = |change: &&Change| {
        leaves += change.subjects.len();
        leaves <= LEAVES_MAX
    };
    changes.iter().take_while(fits).count().max(1).min(changes.len())
}

/// The hashes of the leaves of each change: made by its writer, or of what the change says, or of
/// what its service says, which is asked once for each kind.
fn hashes(
    conn: &mut PgConnection,
    tenant: TenantId,
    describe: Describe,
    changes: &[Change],
) -> Result<Vec<Vec<Hash>>, DbError> {
    let silent: Vec<&Change> = changes.iter().filter(|one| one.leaves.is_none()).collect();
    let mut described = leaves::of_changes(conn, tenant, describe, &silent)?.into_iter();
    let mut hashes: Vec<Vec<Hash>> = Vec::with_capacity(changes.len());
    for change in changes {
        let made = change.leaves.as_ref();
        let made = made.map(|made| made.chunks_exact(HASH_BYTES).filter_map(hash).collect());
        hashes.push(made.unwrap_or_else(|| {
            let leaves = described.next().unwrap_or_default();
            leaves.iter().map(|leaf| leaf_hash(&leaf.data)).collect()
        }));
    }
    let whole = |(change, hashes): (&Change, &Vec<Hash>)| {
        hashes.len() == change.subjects.len() && !hashes.is_empty()
    };
    match changes.iter().zip(&hashes).all(whole) {
        true => Ok(hashes),
        false => Err(DbError::Fault("a change has not as many leaves as subjects".to_owned())),
    }
}

fn hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok()
}
