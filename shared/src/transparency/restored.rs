//! Whether a database is the one that its checkpoints were signed in.

use std::time::Duration;

use uuid::Uuid;

use super::{Folder, PublishError, store, tree};
use crate::db::{Db, DbError, Scope};
use crate::deadline::Deadline;
use crate::ids::TenantId;
use crate::task;

/// How long the look at one tenant may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a database is not served.
#[derive(Debug, thiserror::Error)]
pub enum RestoredError {
    /// It lacks what was signed.
    #[error(
        "the log of {tenant} has {size} leaves, and its checkpoints outside the database know of \
         {signed}: the database is an earlier state of timeline {timeline}. Where it was restored \
         on purpose, run `restore --confirm` as the owner, which begins a new timeline"
    )]
    Behind {
        /// Whose log.
        tenant: TenantId,
        /// How many leaves it has.
        size: u64,
        /// How many it had.
        signed: u64,
        /// The timeline in force.
        timeline: Uuid,
    },
    /// It has something else where that was signed.
    #[error(
        "the first {signed} of the {size} leaves of the log of {tenant} are not those that its \
         checkpoints outside the database were signed for: the database is not the one of timeline \
         {timeline}. Where it was restored on purpose, run `restore --confirm` as the owner, which \
         begins a new timeline"
    )]
    Differs {
        /// Whose log.
        tenant: TenantId,
        /// How many leaves it has.
        size: u64,
        /// How many were signed.
        signed: u64,
        /// The timeline in force.
        timeline: Uuid,
    },
    /// Checkpoints were signed in a later timeline than it knows.
    #[error(
        "checkpoints outside the database were signed in timeline {later}, and the database is in \
         {timeline}, which is earlier: it was restored to a state from before. Where that was done \
         on purpose, run `restore --confirm` as the owner, which begins a new timeline"
    )]
    Earlier {
        /// The latest that the checkpoints know.
        later: Uuid,
        /// The timeline in force.
        timeline: Uuid,
    },
    /// The checkpoints cannot be read.
    #[error("checkpoints: {0}")]
    Files(#[from] PublishError),
    /// The log cannot be read.
    #[error("the log: {0}")]
    Database(#[from] DbError),
}

/// Compares the log of every tenant with the largest checkpoint in the files of the timeline.
pub(crate) async fn check(db: &Db, folder: &Folder, timeline: Uuid) -> Result<(), RestoredError> {
    let files = folder.clone();
    let read =
        task::blocking(move || Ok::<_, PublishError>((files.latest_timeline()?, files.latest()?)));
    let (later, latest) = read.await.map_err(|panic| DbError::Fault(panic.to_string()))??;
    if let Some(later) = later.filter(|later| *later > timeline) {
        return Err(RestoredError::Earlier { later, timeline });
    }
    for (tenant, checkpoint) in latest {
        let signed = checkpoint.size;
        let read = move |conn: &mut diesel::PgConnection| {
            let size = store::size(conn, tenant)?;
            let root = if size < signed { None } else { Some(tree::root(conn, tenant, signed)?) };
            Ok::<_, DbError>((size, root))
        };
        let scope = Scope::tenant(tenant, Deadline::after(TIMEOUT));
        let (size, root) = db.read("check_log", scope, read).await?;
        match root {
            None => return Err(RestoredError::Behind { tenant, size, signed, timeline }),
            Some(root) if root != checkpoint.root => {
                return Err(RestoredError::Differs { tenant, size, signed, timeline });
            }
            Some(_) => {}
        }
    }
    Ok(())
}
