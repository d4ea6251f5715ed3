//! Writes of which the ledger has to know: what is known here is committed first, with the intent
//! to tell the ledger; then the ledger is told, and only then the caller. Whatever comes in
//! between, a repeat goes on, and so does the reconciler.

use diesel::PgConnection;
use shared::db::{DbError, Scope};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::grpc::call::Created;
use shared::ids::TenantId;
use shared::outcome::{self, Claim};
use shared::time::Timestamp;

use super::{RELEASE_TIMEOUT, Rpc};
use crate::deliverer::AT_ONCE;
use crate::domain::AccountId;
use crate::error::Error;
use crate::store::ledger_intents::{self, Cause};

/// The transaction of such a write.
pub(super) struct Begin<'a> {
    /// The tenant.
    pub(super) tenant: TenantId,
    request: &'a outcome::Request,
    /// When the reconciler takes over what the call began.
    due: Timestamp,
}

impl Begin<'_> {
    /// The time of the write.
    pub(super) fn now(&self) -> Timestamp {
        self.request.time
    }

    /// Who asks for it.
    pub(super) fn principal(&self) -> &str {
        &self.request.principal
    }

    /// Has the ledger told of what stops these accounts now.
    pub(super) fn change(&self, conn: &mut PgConnection, ids: &[AccountId]) -> Result<(), Error> {
        let (cause, now) = (Cause::of(self.request), self.now());
        Ok(ledger_intents::change(conn, self.tenant, ids, cause, now, self.due)?)
    }

    /// Has the ledger told of a new account.
    pub(super) fn register(&self, conn: &mut PgConnection, id: AccountId) -> Result<(), Error> {
        let (cause, now) = (Cause::of(self.request), self.now());
        let first = [(id, ledger_intents::REGISTRATION)];
        Ok(ledger_intents::insert(conn, self.tenant, &first, cause, now, self.due)?)
    }
}

impl Rpc {
    /// Does `act` in one transaction, once for its request id, and brings the ledger to what
    /// follows from it. Gives the name of the resource. It goes on when the caller hangs up.
    pub(super) async fn control<F>(
        &self,
        call: &Call,
        name: &'static str,
        request: outcome::Request,
        resource: String,
        act: F,
    ) -> Result<Created<String>, Error>
    where
        F: Fn(&mut PgConnection, &Begin<'_>) -> Result<(), Error> + Send + Sync + 'static,
    {
        let (rpc, call) = (self.clone(), call.clone());
        let work = async move {
            let (found, pending) =
                match rpc.begin(&call, name, request.clone(), resource, act).await {
                    Ok(found) => found,
                    Err(error) => return Err(rpc.refuse(&call, request, error).await),
                };
            if !pending.is_empty() {
                let told = rpc.deliverer.finish(&call, &request, pending).await;
                if let Err(error) = told {
                    rpc.hand_over(request).await;
                    return Err(error);
                }
            }
            Ok(found)
        };
        self.finish(work).await
    }

    /// The first transaction: the claim, the act, and the intents. Gives the name of the resource,
    /// and the first accounts of which the ledger has yet to be told.
    async fn begin<F>(
        &self,
        call: &Call,
        name: &'static str,
        request: outcome::Request,
        resource: String,
        act: F,
    ) -> Result<(Created<String>, Vec<AccountId>), Error>
    where
        F: Fn(&mut PgConnection, &Begin<'_>) -> Result<(), Error> + Send + Sync + 'static,
    {
        let (tenant, lease) = (request.tenant, call.deadline.remaining());
        let due = request.time.plus(lease);
        let begin = move |conn: &mut PgConnection| {
            let found = match outcome::begin::<Error>(conn, &request, &resource, lease)? {
                Claim::New => {
                    act(conn, &Begin { tenant, request: &request, due })?;
                    Created::Now(resource.clone())
                }
                Claim::Resumed(name) => Created::Now(name),
                Claim::Replayed(name) => return Ok((Created::Before(name), Vec::new())),
            };
            let cause = Cause::of(&request);
            let pending = ledger_intents::pending(conn, tenant, cause, AT_ONCE.into())?;
            if pending.is_empty() {
                let (operation, id) = (cause.operation, cause.request_id);
                outcome::succeed(conn, tenant, operation, id, request.time)?;
            }
            Ok((found, pending))
        };
        self.write(call, name, begin).await
    }

    /// Whether `act` would be done: it is, and is taken back, because it takes the same locks.
    pub(super) async fn would<F>(
        &self,
        call: &Call,
        name: &'static str,
        request: outcome::Request,
        act: F,
    ) -> Result<(), Error>
    where
        F: Fn(&mut PgConnection, &Begin<'_>) -> Result<(), Error> + Send + Sync + 'static,
    {
        let check = move |conn: &mut PgConnection| {
            let (tenant, due) = (request.tenant, request.time);
            act(conn, &Begin { tenant, request: &request, due })?;
            Err::<(), _>(Error::Checked)
        };
        match self.db.write(name, call.scope(), check).await {
            Ok(()) | Err(Error::Checked) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives the request id back to a repeat, and what is undelivered to the reconciler. The
    /// deadline may have passed, so this has one of its own.
    async fn hand_over(&self, request: outcome::Request) {
        let scope = Scope::tenant(request.tenant, Deadline::after(RELEASE_TIMEOUT));
        let now = self.clock.now();
        let hand_over = move |conn: &mut PgConnection| {
            outcome::release(conn, &request)?;
            ledger_intents::hand_over(conn, request.tenant, Cause::of(&request), now)?;
            Ok::<_, DbError>(())
        };
        if let Err(error) = self.db.write("hand_over", scope, hand_over).await {
            tracing::warn!(%error, "what is undelivered waits for the reconciler");
        }
    }
}
