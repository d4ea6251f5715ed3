//! Records the expiry of holds on accounts where nothing else happens. Nobody's balance waits for
//! it: every posting and every read looks at the clock itself.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::Clock;
use shared::db::{Db, DbError, Scope};
use shared::deadline::Deadline;
use shared::ids::TenantId;
use shared::lane::{Lanes, Priority};
use shared::problem::Problem;
use shared::tenants::Tenants;
use tokio_util::sync::CancellationToken;

use crate::engine::{Ask, Engine, Job, submit};
use crate::store::holds;

/// Holds that are looked at at once.
const BATCH: i64 = 500;
/// How long one look may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// The background worker.
#[derive(Debug)]
pub(crate) struct Expirer {
    /// Between two looks.
    pub(crate) interval: Duration,
    pub(crate) tenants: Tenants,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) lanes: Lanes<Engine>,
}

impl Expirer {
    /// Works until the shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                tokio::time::sleep(self.interval.max(INTERVAL_MIN)).await;
                if let Err(problem) = self.round().await {
                    tracing::warn!(%problem, "cannot look for expired holds");
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    async fn round(&self) -> Result<(), Problem> {
        for tenant in self.tenants.all(Deadline::after(TIMEOUT)).await? {
            if let Err(problem) = self.tenant(tenant).await {
                tracing::warn!(%problem, %tenant, "cannot record expired holds");
            }
        }
        Ok(())
    }

    /// Settles what has expired of a tenant, batch by batch.
    async fn tenant(&self, id: TenantId) -> Result<(), Problem> {
        let mut before = BTreeSet::new();
        loop {
            let deadline = Deadline::after(TIMEOUT);
            let (scope, now) = (Scope::tenant(id, deadline), self.clock.now());
            let find = move |conn: &mut diesel::PgConnection| {
                Ok::<_, DbError>(holds::accounts_with_expired(conn, id, now, BATCH)?)
            };
            let accounts = self.db.read("find_expired_holds", scope, find).await?;
            // What could not be settled is for the next round.
            if accounts.is_empty() || accounts == before {
                return Ok(());
            }
            before.clone_from(&accounts);
            let tenant = Arc::clone(&self.tenants.get(id, deadline).await?);
            let job = Job { tenant, ask: Ask::Expire(accounts) };
            submit(&self.lanes, job, deadline, Priority::Bulk).await?;
        }
    }
}
