//! The services of the contract: one struct, and one file for each RPC.

mod create_account;
mod create_customer;
pub(crate) mod encode;
mod filter;
mod get_account;
mod get_customer;
mod list_accounts;
mod profile;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::time::Duration;

use shared::clock::Clock;
use shared::db::Db;
use shared::grpc::Call;
use shared::outcome;
use shared::principal::Scope as Grant;
use shared::problem::{Problem, Reason};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::accounts::v1::account_service_server::{
    AccountService, AccountServiceServer,
};
use strongroom_proto::accounts::v1::customer_service_server::{
    CustomerService, CustomerServiceServer,
};
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use crate::clients::Records;
use crate::domain::CustomerId;
use crate::error::Error;
use crate::registrar::Registrar;

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
    /// What brings accounts to the ledger.
    pub(crate) registrar: Registrar,
    /// The work of calls that goes on when their callers hang up.
    pub(crate) tasks: TaskTracker,
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

    /// Stores a decision of business with the request id, so that a repeat gets the same answer.
    async fn freeze(&self, call: &Call, request: outcome::Request, problem: Problem) -> Problem {
        let decided = problem.clone();
        let refuse = move |_: &mut diesel::PgConnection| {
            Err::<Infallible, _>(Error::Problem(decided.clone()))
        };
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

/// The customer to whom a grant of scope OWN limits the caller; none for the whole tenant.
fn own_customer(call: &Call) -> Result<Option<CustomerId>, Problem> {
    match (call.grant, call.principal.customer) {
        (Grant::Tenant, _) => Ok(None),
        (Grant::Own, Some(customer)) => Ok(Some(CustomerId::from_uuid(customer))),
        // The server stack lets no such call through.
        (Grant::Own, None) => Err(Problem::internal()),
    }
}

#[tonic::async_trait]
impl CustomerService for Rpc {
    async fn create_customer(
        &self,
        request: Request<wire::CreateCustomerRequest>,
    ) -> Result<Response<wire::Customer>, Status> {
        create_customer::call(self, request).await
    }

    async fn get_customer(
        &self,
        request: Request<wire::GetCustomerRequest>,
    ) -> Result<Response<wire::Customer>, Status> {
        get_customer::call(self, request).await
    }
}

#[tonic::async_trait]
impl AccountService for Rpc {
    async fn create_account(
        &self,
        request: Request<wire::CreateAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        create_account::call(self, request).await
    }

    async fn get_account(
        &self,
        request: Request<wire::GetAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        get_account::call(self, request).await
    }

    async fn list_accounts(
        &self,
        request: Request<wire::ListAccountsRequest>,
    ) -> Result<Response<wire::ListAccountsResponse>, Status> {
        list_accounts::call(self, request).await
    }
}
