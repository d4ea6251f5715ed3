//! What follows without a call: who is erased in the records service is redacted here, approvals
//! that have passed are written down as EXPIRED, and the records service is told for how long the
//! data of closed customers is needed. For all tenants, until the shutdown.

use std::sync::Arc;
use std::time::Duration;

use diesel::PgConnection;
use shared::clock::Clock;
use shared::config::seconds;
use shared::db::{Db, DbError, Scope};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::{Problem, Reason};
use shared::sequence::Nudge;
use shared::tenants::{TenantInfo, Tenants};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clients::Records;
use crate::domain::CustomerId;
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{customers, erasures};

/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// Approvals of one transaction.
const EXPIRED_MAX: i64 = 100;
/// Closed customers of one round.
const RETAINED_MAX: i64 = 100;

/// How eagerly.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Sweeper")]
pub struct Config {
    /// Seconds between looks for erasures and for approvals that have passed, half of it by chance
    #[arg(long, env = "STRONGROOM_SWEEP_INTERVAL", default_value = "2", value_parser = seconds)]
    pub sweep_interval: Duration,
    /// Seconds that each step of it may take
    #[arg(long, env = "STRONGROOM_SWEEP_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub sweep_timeout: Duration,
}

/// The background worker.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// How eagerly.
    pub(crate) config: Config,
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Clock,
    /// The tenants.
    pub(crate) tenants: Tenants,
    /// Who says who was erased.
    pub(crate) records: Records,
    /// To be told of every tenant for whom something was committed.
    pub(crate) nudge: Nudge,
}

impl Sweeper {
    /// Works until the shutdown. Whatever that interrupts is taken up again at the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                self.round().await;
                let full = self.config.sweep_interval.max(INTERVAL_MIN);
                tokio::time::sleep(full.mul_f64(rand::random_range(0.5..=1.0))).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = work => {}
        }
    }

    /// One look at every tenant.
    async fn round(&self) {
        let tenants = match self.tenants.all(self.deadline()).await {
            Ok(tenants) => tenants,
            Err(error) => {
                tracing::warn!(%error, "the sweeper cannot read the tenants");
                return;
            }
        };
        for id in tenants {
            let span = tracing::info_span!("sweep", tenant = %id);
            if let Err(problem) = self.tenant(id).instrument(span).await {
                tracing::warn!(%problem, tenant = %id, "cannot sweep");
            }
        }
    }

    async fn tenant(&self, id: TenantId) -> Result<(), Problem> {
        let tenant = self.tenants.get(id, self.deadline()).await?;
        if tenant.allow(false).is_err() {
            return Ok(());
        }
        self.expire(id).await?;
        self.retain(&tenant).await?;
        let followed = self.follow(&tenant).await;
        match followed {
            // After a restore of records, or a long time away: begin anew.
            Err(problem)
                if matches!(problem.reason, Reason::TimelineChanged | Reason::CursorExpired) =>
            {
                self.begin(&tenant).await
            }
            followed => followed,
        }
    }

    /// Writes down that approvals have passed.
    async fn expire(&self, tenant: TenantId) -> Result<(), Error> {
        loop {
            let now = self.clock.now();
            let expire = move |conn: &mut PgConnection| {
                let expired = customers::expire(conn, tenant, now, EXPIRED_MAX)?;
                for customer in &expired {
                    let name = customer.id.name();
                    let event = Event::new(tenant, "customer.kycExpired", name, now)
                        .with("state", customer.state.name())
                        .with("version", customer.version)
                        .with("level", customer.kyc.level);
                    events::record(conn, tenant, &event)?;
                }
                Ok::<_, Error>(expired.len())
            };
            let scope = Scope::tenant(tenant, self.deadline());
            let count = self.db.write("expire_kyc", scope, expire).await?;
            if count > 0 {
                self.nudge.tenant(tenant);
            }
            if i64::try_from(count).is_ok_and(|count| count < EXPIRED_MAX) {
                return Ok(());
            }
        }
    }

    /// Tells the records service for how long the data of closed customers is needed.
    async fn retain(&self, tenant: &Arc<TenantInfo>) -> Result<(), Problem> {
        let (id, now) = (tenant.id, self.clock.now());
        let until = now.plus(self.config.sweep_timeout * 2);
        let take = move |conn: &mut PgConnection| {
            Ok::<_, DbError>(customers::take_retained(conn, id, now, until, RETAINED_MAX)?)
        };
        let scope = Scope::tenant(id, self.deadline());
        for (customer, closed) in self.db.write("take_retained", scope, take).await? {
            match self.records.retain(&self.call(tenant), customer, closed).await {
                // Of an erased subject, and of one that never was, nothing is kept.
                Err(problem)
                    if matches!(
                        problem.reason,
                        Reason::SubjectErased | Reason::ResourceNotFound
                    ) => {}
                told => told?,
            }
            let done = move |conn: &mut PgConnection| {
                Ok::<_, DbError>(customers::retained(conn, id, customer)?)
            };
            let scope = Scope::tenant(id, self.deadline());
            self.db.write("retained", scope, done).await?;
        }
        Ok(())
    }

    /// Redacts who was erased since the last look.
    async fn follow(&self, tenant: &Arc<TenantInfo>) -> Result<(), Problem> {
        let id = tenant.id;
        let read = move |conn: &mut PgConnection| Ok::<_, DbError>(erasures::cursor(conn, id)?);
        let scope = Scope::tenant(id, self.deadline());
        let cursor = self.db.read("get_erasure_cursor", scope, read).await?;
        let Some(mut cursor) = cursor else {
            return self.begin(tenant).await;
        };
        loop {
            let told = self.records.erased_since(&self.call(tenant), cursor.clone()).await?;
            self.redact(id, told.customers).await?;
            if told.next != cursor {
                self.set_cursor(id, told.next.clone()).await?;
            }
            if !told.more {
                return Ok(());
            }
            cursor = told.next;
        }
    }

    /// Begins to follow: first the place from which on all is told, then whoever is erased by then.
    async fn begin(&self, tenant: &Arc<TenantInfo>) -> Result<(), Problem> {
        let cursor = self.records.latest_cursor(&self.call(tenant)).await?;
        let mut page = String::new();
        loop {
            let told = self.records.erased(&self.call(tenant), page).await?;
            self.redact(tenant.id, told.customers).await?;
            if !told.more {
                return Ok(self.set_cursor(tenant.id, cursor).await?);
            }
            page = told.next;
        }
    }

    async fn set_cursor(&self, tenant: TenantId, cursor: String) -> Result<(), DbError> {
        let now = self.clock.now();
        let set = move |conn: &mut PgConnection| {
            Ok::<_, DbError>(erasures::set_cursor(conn, tenant, &cursor, now)?)
        };
        let scope = Scope::tenant(tenant, self.deadline());
        self.db.write("set_erasure_cursor", scope, set).await
    }

    /// Redacts customers, each in a transaction of its own. Of one that is redacted nothing is left
    /// to do, and of a subject that is no customer neither.
    async fn redact(&self, tenant: TenantId, ids: Vec<CustomerId>) -> Result<(), Error> {
        for id in ids {
            let now = self.clock.now();
            let redact = move |conn: &mut PgConnection| {
                let Some(mut customer) = customers::lock(conn, tenant, id)? else {
                    return Ok(false);
                };
                erasures::redact(conn, tenant, id)?;
                if customer.erase_time.is_some() {
                    return Ok(false);
                }
                customer.erase_time = Some(now);
                customer.change(now);
                customers::update(conn, tenant, &customer)?;
                let event = Event::of_customer(tenant, "customer.redacted", &customer);
                events::record(conn, tenant, &event)?;
                Ok::<_, Error>(true)
            };
            let scope = Scope::tenant(tenant, self.deadline());
            if self.db.write("redact_customer", scope, redact).await? {
                self.nudge.tenant(tenant);
            }
        }
        Ok(())
    }

    fn call(&self, tenant: &Arc<TenantInfo>) -> Call {
        Call::of_worker("sweeper", Arc::clone(tenant), self.config.sweep_timeout)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.config.sweep_timeout)
    }
}
