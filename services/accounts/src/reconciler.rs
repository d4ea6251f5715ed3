//! Delivers to the ledger what calls could not, for all tenants, until the ledger has it; and
//! compares all accounts with the ledger now and then, because either side may have been restored.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared::config::seconds;
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::{TenantInfo, Tenants};
use shared::time::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::deliverer::{Delivered, Deliverer};
use crate::domain::AccountId;
use crate::store::ledger_intents::{self, Intent};

/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// How eagerly the ledger is told again.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Reconciler")]
pub struct Config {
    /// Seconds between looks for what the ledger does not have yet, half of it by chance
    #[arg(long, env = "STRONGROOM_RECONCILE_INTERVAL", default_value = "1", value_parser = seconds)]
    pub reconcile_interval: Duration,
    /// Seconds at most until something that could not be delivered is tried again
    #[arg(long, env = "STRONGROOM_RECONCILE_BACKOFF", default_value = "30", value_parser = seconds)]
    pub reconcile_backoff: Duration,
    /// Seconds that one delivery may take
    #[arg(long, env = "STRONGROOM_RECONCILE_TIMEOUT", default_value = "5", value_parser = seconds)]
    pub reconcile_timeout: Duration,
    /// Deliveries at once
    #[arg(
        long,
        env = "STRONGROOM_RECONCILE_BATCH",
        default_value_t = 64,
        value_parser = clap::value_parser!(u16).range(1..=1_000)
    )]
    pub reconcile_batch: u16,
    /// Seconds between two comparisons of all accounts with the ledger; the first is at the start
    #[arg(
        long,
        env = "STRONGROOM_COMPARE_INTERVAL",
        default_value = "3600",
        value_parser = seconds
    )]
    pub compare_interval: Duration,
}

/// The background worker.
#[derive(Debug)]
pub(crate) struct Reconciler {
    /// How eagerly.
    pub(crate) config: Config,
    /// The tenants.
    pub(crate) tenants: Tenants,
    /// What delivers.
    pub(crate) deliverer: Deliverer,
}

impl Reconciler {
    /// Works until the shutdown. Whatever that interrupts is taken up again at the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async {
            let mut compared: BTreeMap<TenantId, Instant> = BTreeMap::new();
            loop {
                let more = self.round(&mut compared).await;
                if !more {
                    let pause = self.config.reconcile_interval.max(INTERVAL_MIN);
                    tokio::time::sleep(jittered(pause)).await;
                }
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// One look at every tenant. True where more can be delivered at once.
    async fn round(&self, compared: &mut BTreeMap<TenantId, Instant>) -> bool {
        let tenants = match self.tenants.all(Deadline::after(self.config.reconcile_timeout)).await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "the reconciler cannot read the tenants");
                return false;
            }
        };
        let mut more = false;
        for id in tenants {
            let span = tracing::info_span!("reconcile", tenant = %id);
            let work = async {
                let full = self.tenant(id).await?;
                let is_due = |last: &Instant| last.elapsed() >= self.config.compare_interval;
                if compared.get(&id).is_none_or(is_due) {
                    self.compare(id).await?;
                    compared.insert(id, Instant::now());
                }
                Ok::<_, Problem>(full)
            };
            match work.instrument(span).await {
                Ok(full) => more |= full,
                Err(problem) => tracing::warn!(%problem, tenant = %id, "cannot reconcile"),
            }
        }
        more
    }

    /// Delivers one batch of a tenant. True where the batch was full and all of it was delivered.
    async fn tenant(&self, id: TenantId) -> Result<bool, Problem> {
        let config = &self.config;
        let tenant = self.tenants.get(id, Deadline::after(config.reconcile_timeout)).await?;
        if tenant.allow(false).is_err() {
            return Ok(false);
        }
        let now = self.deliverer.clock.now();
        // Twice the time of a delivery: no other replica takes one that may still succeed here.
        let (until, limit) = (now.plus(config.reconcile_timeout * 2), config.reconcile_batch);
        let scope = Scope::tenant(id, Deadline::after(config.reconcile_timeout));
        let take = move |conn: &mut diesel::PgConnection| {
            let due = ledger_intents::take_due(conn, id, now, until, limit.into());
            Ok::<_, DbError>(due?)
        };
        let due = self.deliverer.db.write("take_intents", scope, take).await?;
        let count = due.len();
        let failed = self.deliver(&tenant, due).await?;
        Ok(count == usize::from(limit) && failed == 0)
    }

    /// Delivers intents, and puts off those that failed. Gives how many did.
    async fn deliver(&self, tenant: &Arc<TenantInfo>, due: Vec<Intent>) -> Result<usize, Problem> {
        let (id, timeout) = (tenant.id, self.config.reconcile_timeout);
        let call = Call::of_worker("reconciler", Arc::clone(tenant), timeout);
        let accounts: BTreeSet<AccountId> = due.iter().map(|intent| intent.account_id).collect();
        let told = self.deliverer.deliver(&call, id, accounts.into_iter().collect()).await;
        let mut done = BTreeSet::new();
        let mut first = None;
        for (account, told) in told {
            match told {
                Ok(Delivered::Yes) => _ = done.insert(account),
                // Whoever brought the newer one says so; where nobody does, it is repaired.
                Ok(Delivered::No) => {}
                Err(error) => first = first.or(Some(Problem::from(error))),
            }
        }
        let failed: Vec<Intent> =
            due.into_iter().filter(|intent| !done.contains(&intent.account_id)).collect();
        let count = failed.len();
        if let Some(problem) = first {
            tracing::warn!(failed = count, %problem, "the ledger did not take accounts");
        }
        let now = self.deliverer.clock.now();
        let failed: Vec<(Intent, Timestamp)> = failed
            .into_iter()
            .map(|mut intent| {
                intent.attempts = intent.attempts.saturating_add(1);
                let due = now.plus(self.backoff(intent.attempts));
                (intent, due)
            })
            .collect();
        let put_off = move |conn: &mut diesel::PgConnection| {
            for (intent, due) in &failed {
                ledger_intents::put_off(conn, id, intent, *due)?;
            }
            Ok::<_, DbError>(())
        };
        if count > 0 {
            let scope = Scope::tenant(id, Deadline::after(timeout));
            self.deliverer.db.write("put_off_intents", scope, put_off).await?;
        }
        Ok(count)
    }

    /// One interval, two, four .. and no more than the configuration says, half of it by chance.
    fn backoff(&self, attempts: i32) -> Duration {
        let doublings = u32::try_from(attempts.clamp(1, 20) - 1).unwrap_or_default();
        let full = self.config.reconcile_interval.max(INTERVAL_MIN) * 2_u32.pow(doublings);
        jittered(full.min(self.config.reconcile_backoff))
    }
}

fn jittered(full: Duration) -> Duration {
    full.mul_f64(rand::random_range(0.5..=1.0))
}
