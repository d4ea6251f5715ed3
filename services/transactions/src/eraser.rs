//! Who is erased in the records service has what people wrote redacted here: the texts of every
//! transaction and hold that an account of that customer takes part in. For all tenants, until the
//! shutdown.
//!
//! A text belongs to both sides of a posting, and may name the person whichever side wrote it. So
//! it goes for both: what a counterparty must keep is the posting, and that stays.
//!
//! What is written afterwards, on an account that is still open, stays until it is redacted by
//! name.

mod writer;

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

use self::writer::Writer;
use crate::clients::{Records, Told};
use crate::store::erasures;

/// An interval of nothing would be a loop without a pause.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// How eagerly.
#[derive(Debug, Clone, clap::Args)]
// Several structs of this name are flattened into one command line.
#[group(skip)]
#[command(next_help_heading = "Erasures")]
pub struct Config {
    /// Seconds between looks for who was erased
    #[arg(long, env = "STRONGROOM_SWEEP_INTERVAL", default_value = "2", value_parser = seconds)]
    pub sweep_interval: Duration,
    /// Seconds that each step of it may take
    #[arg(long, env = "STRONGROOM_SWEEP_TIMEOUT", default_value = "10", value_parser = seconds)]
    pub sweep_timeout: Duration,
    /// Entries or holds whose texts go in one database transaction
    #[arg(
        long,
        env = "STRONGROOM_ERASURE_BATCH",
        default_value = "100",
        value_parser = clap::value_parser!(u16).range(1..=1000)
    )]
    pub erasure_batch: u16,
}

/// The background worker.
#[derive(Debug)]
pub(crate) struct Eraser {
    /// How eagerly.
    pub(crate) config: Config,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) tenants: Tenants,
    /// Who says who was erased.
    pub(crate) records: Records,
    /// To be told of every tenant for whom something was committed.
    pub(crate) nudge: Nudge,
}

impl Eraser {
    /// Works until the shutdown. Whatever that interrupts is taken up again at the next start.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let work = async {
            loop {
                self.round().await;
                tokio::time::sleep(self.config.sweep_interval.max(INTERVAL_MIN)).await;
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
                tracing::warn!(%error, "the eraser cannot read the tenants");
                return;
            }
        };
        for id in tenants {
            let span = tracing::info_span!("erase", tenant = %id);
            if let Err(problem) = self.tenant(id).instrument(span).await {
                tracing::warn!(%problem, tenant = %id, "cannot follow erasures");
            }
        }
    }

    async fn tenant(&self, id: TenantId) -> Result<(), Problem> {
        let tenant = self.tenants.get(id, self.deadline()).await?;
        if tenant.allow(false).is_err() {
            return Ok(());
        }
        let followed = match self.follow(&tenant).await {
            // After a restore of records, or a long time away: begin anew.
            Err(problem)
                if matches!(problem.reason, Reason::TimelineChanged | Reason::CursorExpired) =>
            {
                self.begin(&tenant).await
            }
            followed => followed,
        };
        // What is known already is done also while records is away.
        while self.redact(&tenant).await? {}
        followed
    }

    /// Takes down who was erased since the last look.
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
            let (next, more) = (told.next.clone(), told.more);
            if next != cursor {
                self.store(id, told, Some(next.clone())).await?;
            }
            if !more {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Begins to follow: first the place from which on all is told, then whoever is erased by then.
    async fn begin(&self, tenant: &Arc<TenantInfo>) -> Result<(), Problem> {
        let cursor = self.records.latest_cursor(&self.call(tenant)).await?;
        let mut page = String::new();
        loop {
            let told = self.records.erased(&self.call(tenant), page).await?;
            let (next, more) = (told.next.clone(), told.more);
            let reached = (!more).then(|| cursor.clone());
            self.store(tenant.id, told, reached).await?;
            if !more {
                return Ok(());
            }
            page = next;
        }
    }

    /// Takes down who is to be redacted, and in the same transaction up to where that is known.
    async fn store(
        &self,
        tenant: TenantId,
        told: Told,
        cursor: Option<String>,
    ) -> Result<(), DbError> {
        let now = self.clock.now();
        let store = move |conn: &mut PgConnection| {
            erasures::begin(conn, tenant, &told.customers)?;
            if let Some(cursor) = &cursor {
                erasures::set_cursor(conn, tenant, cursor, now)?;
            }
            Ok::<_, DbError>(())
        };
        let scope = Scope::tenant(tenant, self.deadline());
        self.db.write("begin_erasures", scope, store).await
    }

    /// Redacts a page of one of the walks; false where none is left. The walk moves on in the same
    /// transaction, so that a kill costs no more than a page.
    async fn redact(&self, tenant: &Arc<TenantInfo>) -> Result<bool, DbError> {
        let (id, limit) = (tenant.id, i64::from(self.config.erasure_batch));
        let (now, call) = (self.clock.now(), self.call(tenant));
        let redact = move |conn: &mut PgConnection| {
            let Some(walk) = erasures::take(conn, id)? else { return Ok(false) };
            let page = erasures::advance(conn, &walk, limit)?;
            let writer = Writer { tenant: id, principal: &call.principal.subject, now };
            for (transaction, hold, time) in page.transactions {
                writer.transaction(conn, transaction, hold, time)?;
            }
            for (hold, time) in page.holds {
                writer.hold(conn, hold, time)?;
            }
            Ok::<_, DbError>(true)
        };
        let scope = Scope::tenant(id, self.deadline());
        let any = self.db.write("redact_erased", scope, redact).await?;
        if any {
            self.nudge.tenant(id);
        }
        Ok(any)
    }

    fn call(&self, tenant: &Arc<TenantInfo>) -> Call {
        Call::of_worker("eraser", Arc::clone(tenant), self.config.sweep_timeout)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.config.sweep_timeout)
    }
}
