//! The services of the contract: one struct, and one file for each RPC.

mod account_turning;
mod activate_customer;
mod add_holder;
mod add_relationship;
mod approve_kyc;
mod batch_get_accounts;
mod batch_get_customers;
mod close_account;
mod close_customer;
mod control;
mod create_account;
mod create_customer;
mod customer_filter;
pub(crate) mod encode;
mod expire_kyc;
mod external_ids;
mod filter;
mod freeze_account;
mod freeze_customer;
mod freezing;
mod get_account;
mod get_customer;
mod get_freeze;
mod holders;
mod kyc;
mod lifting;
mod limits;
mod list_accounts;
mod list_customers;
mod list_freezes;
mod list_holders;
mod list_kyc_decisions;
mod list_relationships;
mod list_undelivered_controls;
mod lookup_customer;
mod mark_dormant;
mod profile;
mod reactivate_account;
mod reinstate_customer;
mod reject_kyc;
mod remove_holder;
mod remove_relationship;
mod reopen_account;
mod services;
mod set_limits;
mod submit_kyc;
mod suspend_customer;
#[cfg(test)]
mod tests;
mod turning;
mod unfreeze_account;
mod unfreeze_customer;
mod update_account;
mod update_customer;
mod update_holder;

use std::convert::Infallible;
use std::time::Duration;

use diesel::PgConnection;
use shared::clock::Clock;
use shared::db::{Db, DbError};
use shared::deadline::Deadline;
use shared::grpc::Call;
use shared::outcome::{self, Once};
use shared::principal::Scope as Grant;
use shared::problem::{Problem, Reason};
use shared::sequence::Nudge;
use strongroom_proto::accounts::v1::account_service_server::AccountServiceServer;
use strongroom_proto::accounts::v1::customer_service_server::CustomerServiceServer;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tracing::Instrument as _;

use crate::clients::Records;
use crate::deliverer::Deliverer;
use crate::domain::{AccountId, Customer, CustomerId, Position};
use crate::error::Error;
use crate::store::{customers, positions};

/// What a failed call may still take to say so in the database.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the RPCs share.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    /// The database.
    pub(crate) db: Db,
    /// The time.
    pub(crate) clock: Clock,
    /// The records service.
    pub(crate) records: Records,
    /// To be told of every tenant for whom something was committed.
    pub(crate) nudge: Nudge,
    /// What brings accounts to the ledger.
    pub(crate) deliverer: Deliverer,
    /// The work of calls that goes on when their callers hang up.
    pub(crate) tasks: TaskTracker,
    /// How long after it was closed an account may be reopened.
    pub(crate) reopen_window: Duration,
    /// The most bytes of a message.
    pub(crate) message_bytes_max: usize,
}

impl Rpc {
    /// The services as routes.
    pub(crate) fn routes(self) -> Routes {
        let limit = self.message_bytes_max;
        let accounts = AccountServiceServer::new(self.clone())
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let customers = CustomerServiceServer::new(self)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        Routes::new(accounts).add_service(customers)
    }

    /// Runs a write that takes several steps to its end, also when the caller hangs up between two
    /// of them. Each step is bounded by the deadline of the call.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        match self.tasks.spawn(work.in_current_span()).await {
            Ok(result) => result,
            Err(panic) => {
                tracing::error!(%panic, "a write did not end");
                Err(Problem::internal().into())
            }
        }
    }

    /// Runs a write that is complete in one transaction, once for its request id, and tells the
    /// sequencer of it.
    async fn once<T, F>(
        &self,
        call: &Call,
        name: &'static str,
        request: outcome::Request,
        resource: String,
        act: F,
    ) -> Result<Once<T>, Problem>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Error> + Send + Sync + 'static,
    {
        let done = outcome::once(&self.db, name, call.scope(), Some(request), resource, act).await;
        self.nudge.tenant(call.tenant_id()?);
        done
    }

    /// Runs a write and tells the sequencer of it.
    async fn write<T, F>(&self, call: &Call, name: &'static str, act: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Error> + Send + Sync + 'static,
    {
        let done = self.db.write(name, call.scope(), act).await;
        self.nudge.tenant(call.tenant_id()?);
        done
    }

    /// A customer, or `RESOURCE_NOT_FOUND`.
    async fn customer(&self, call: &Call, id: CustomerId) -> Result<Customer, Error> {
        let tenant = call.tenant_id()?;
        let read = move |conn: &mut PgConnection| customers::select(conn, tenant, id);
        let customer = self.db.read("get_customer", call.scope(), read).await?;
        Ok(customer.ok_or_else(|| id.not_found())?)
    }

    /// An account with all that stops it, or `RESOURCE_NOT_FOUND`.
    async fn position(&self, call: &Call, id: AccountId) -> Result<Position, Error> {
        let (tenant, now) = (call.tenant_id()?, self.clock.now());
        let read = move |conn: &mut PgConnection| positions::select(conn, tenant, id, now);
        let position = self.db.read("get_account", call.scope(), read).await?;
        Ok(position.ok_or_else(|| id.not_found())?)
    }

    /// Gives a request id back, so that a repeat goes on at once. The deadline may have passed, so
    /// this has one of its own.
    async fn release(&self, request: outcome::Request) {
        let scope = shared::db::Scope::tenant(request.tenant, Deadline::after(RELEASE_TIMEOUT));
        let release = move |conn: &mut PgConnection| {
            outcome::release(conn, &request)?;
            Ok::<_, DbError>(())
        };
        if let Err(error) = self.db.write("release_request", scope, release).await {
            tracing::warn!(%error, "a request id stays claimed until its lease ends");
        }
    }

    /// Whether a request id has been used, by whatever request.
    async fn is_known(&self, call: &Call, request: &outcome::Request) -> Result<bool, Error> {
        let (tenant, request) = (request.tenant, request.clone());
        let read = move |conn: &mut PgConnection| {
            let found = outcome::select(conn, tenant, &request.operation, &request.request_id)?;
            Ok::<_, Error>(found.is_some())
        };
        self.db.read("get_outcome", call.scope(), read).await
    }

    /// What to answer where a write that goes on in other services was refused before it began: a
    /// decision of business is stored with the request id.
    async fn refuse(&self, call: &Call, request: outcome::Request, error: Error) -> Error {
        let problem = Problem::from(error);
        match problem.is_frozen() {
            true => self.freeze(call, request, problem).await.into(),
            false => problem.into(),
        }
    }

    /// Stores a decision of business with the request id, so that a repeat gets the same answer.
    async fn freeze(&self, call: &Call, request: outcome::Request, problem: Problem) -> Problem {
        let decided = problem.clone();
        let refuse =
            move |_: &mut PgConnection| Err::<Infallible, _>(Error::Problem(decided.clone()));
        let (scope, request) = (call.scope(), Some(request));
        match outcome::once(&self.db, "refuse", scope, request, String::new(), refuse).await {
            Err(problem) => problem,
            // A repeat that ran at the same time was let through in between.
            Ok(_) => Problem::new(
                Reason::Contention,
                "Another request with this request_id ran at the same time.",
            ),
        }
    }
}

/// How a request id was found.
enum Begun<T> {
    /// There is work to do on this resource.
    Unfinished(T),
    /// An earlier call did it.
    Finished(T),
}

/// `SUBJECT_ERASED` of somebody who is erased: nobody writes about them any more.
fn check_not_erased(customer: &Customer) -> Result<(), Problem> {
    if customer.erase_time.is_none() {
        return Ok(());
    }
    Err(Problem::new(Reason::SubjectErased, format!("{} is erased.", customer.id)))
}

/// The customer to whom a grant of scope OWN limits the caller; none for the whole tenant.
fn own_customer(call: &Call) -> Result<Option<CustomerId>, Problem> {
    match (call.grant, call.principal.customer) {
        (Grant::Tenant, _) => Ok(None),
        (Grant::Own, Some(customer)) => Ok(Some(CustomerId::from_uuid(customer))),
        // The server stack lets no such call through.
        (Grant::Own, None) => Err(Problem::internal()),
    }
}
