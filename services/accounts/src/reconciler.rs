//! Delivers to the ledger what calls could not, for all tenants, until the ledger has it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shared::config::seconds;
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::Problem;
use shared::tenants::{self, TenantInfo, Tenants};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::domain::later;
use crate::error::Error;
use crate::registrar::Registrar;
use crate::store::accounts;
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
        default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=1_000)
    )]
    pub reconcile_batch: u16,
}

/// The background worker.
#[derive(Debug)]
pub(crate) struct Reconciler {
    /// How eagerly.
    pub(crate) config: Config,
    /// The tenants.
    pub(crate) tenants: Tenants,
    /// What delivers.
    pub(crate) registrar: Registrar,
}

impl Reconciler {
    /// Works until the shutdown. Whatever that interrupts is taken up again at the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                let more = self.round().await;
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
    async fn round(&self) -> bool {
        let scope = Scope::tenantless(Deadline::after(self.config.reconcile_timeout));
        let all = |conn: &mut diesel::PgConnection| Ok::<_, DbError>(tenants::all(conn)?);
        let tenants = match self.registrar.db.read("list_tenants", scope, all).await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "the reconciler cannot read the tenants");
                return false;
            }
        };
        let mut more = false;
        for id in tenants {
            let span = tracing::info_span!("reconcile", tenant = %id);
            match self.tenant(id).instrument(span).await {
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
        let now = self.registrar.clock.now();
        // Twice the time of a delivery: no other replica takes one that may still succeed here.
        let (until, limit) = (later(now, config.reconcile_timeout * 2), config.reconcile_batch);
        let scope = Scope::tenant(id, Deadline::after(config.reconcile_timeout));
        let take = move |conn: &mut diesel::PgConnection| {
            let due = ledger_intents::take_due(conn, id, now, until, limit.into());
            Ok::<_, DbError>(due?)
        };
        let due = self.registrar.db.write("take_intents", scope, take).await?;
        let count = due.len();
        let deliver = |intent| self.deliver(Arc::clone(&tenant), intent);
        let results = join_all(due.into_iter().map(deliver)).await;
        let failed: Vec<Problem> = results.into_iter().filter_map(Result::err).collect();
        if let Some(problem) = failed.first() {
            tracing::warn!(failed = failed.len(), %problem, "the ledger did not take accounts");
        }
        Ok(count == usize::from(limit) && failed.is_empty())
    }

    /// Delivers one intent, or puts it off.
    async fn deliver(&self, tenant: Arc<TenantInfo>, intent: Intent) -> Result<(), Problem> {
        let id = tenant.id;
        let call = Call::of_worker("reconciler", tenant, self.config.reconcile_timeout);
        let Err(error) = self.attempt(&call, id, intent.clone()).await else {
            return Ok(());
        };
        let intent = Intent { attempts: intent.attempts.saturating_add(1), ..intent };
        let due = later(self.registrar.clock.now(), self.backoff(intent.attempts));
        let scope = Scope::tenant(id, Deadline::after(self.config.reconcile_timeout));
        let put_off = move |conn: &mut diesel::PgConnection| {
            ledger_intents::put_off(conn, id, &intent, due)?;
            Ok::<_, DbError>(())
        };
        self.registrar.db.write("put_off_intent", scope, put_off).await?;
        Err(error.into())
    }

    async fn attempt(&self, call: &Call, tenant: TenantId, intent: Intent) -> Result<(), Error> {
        let id = intent.account_id;
        let read = move |conn: &mut diesel::PgConnection| accounts::select(conn, tenant, id);
        let account = self.registrar.db.read("get_account", call.scope(), read).await?;
        let account = account.ok_or_else(|| id.not_found())?;
        self.registrar.register(call, &account, intent).await.map(drop)
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
