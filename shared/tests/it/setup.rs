//! A schema with a table of things, and a server whose handlers do as they are told.

use std::time::Duration;

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use shared::boot::{BootError, Service, run_service, undescribed, unlocated};
use shared::clock::Clock;
use shared::config::Common;
use shared::db::Schema;
use shared::testing::{Running, TestDatabase, config};
use strongroom_proto::transactions::v1 as wire;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use wire::balance_service_server::{BalanceService, BalanceServiceServer};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("tests/migrations");

/// The roles of one service serve for these tests.
pub(crate) const SCHEMA: Schema =
    Schema { name: "transactions", migrations: &MIGRATIONS, binary: 1 };

const SERVICE: Service = Service {
    schema: SCHEMA,
    port: 0,
    admin_port: 0,
    operations: &["x", "y"],
    describe: undescribed,
    locate: unlocated,
};

pub(crate) async fn database() -> TestDatabase {
    tokio::task::block_in_place(|| TestDatabase::new(SCHEMA))
}

/// Answers balances as the account's name tells it to.
#[derive(Clone)]
pub(crate) struct Obedient;

#[tonic::async_trait]
impl BalanceService for Obedient {
    async fn get_balance(
        &self,
        request: Request<wire::GetBalanceRequest>,
    ) -> Result<Response<wire::Balance>, Status> {
        match request.get_ref().account.as_str() {
            "sleep" => tokio::time::sleep(Duration::from_secs(60)).await,
            "panic" => panic!("as told"),
            _ => {}
        }
        Ok(Response::new(wire::Balance {
            account: request.get_ref().account.clone(),
            ..Default::default()
        }))
    }

    async fn batch_get_balances(
        &self,
        _: Request<wire::BatchGetBalancesRequest>,
    ) -> Result<Response<wire::BatchGetBalancesResponse>, Status> {
        Err(Status::unimplemented("nobody tells it to"))
    }

    async fn list_entries(
        &self,
        _: Request<wire::ListEntriesRequest>,
    ) -> Result<Response<wire::ListEntriesResponse>, Status> {
        Err(Status::unimplemented("nobody tells it to"))
    }

    async fn get_trial_balance(
        &self,
        _: Request<wire::GetTrialBalanceRequest>,
    ) -> Result<Response<wire::TrialBalance>, Status> {
        Err(Status::unimplemented("nobody tells it to"))
    }

    async fn explain_balance(
        &self,
        _: Request<wire::ExplainBalanceRequest>,
    ) -> Result<Response<wire::BalanceExplanation>, Status> {
        Err(Status::unimplemented("nobody tells it to"))
    }
}

/// A server over a database, with these arguments beside the database's own.
pub(crate) async fn server(database: &TestDatabase, arguments: &[&str]) -> Running {
    server_of(common(database, arguments)).await
}

/// A server with this configuration.
pub(crate) async fn server_of(common: Common) -> Running {
    Running::start(|listener, shutdown| serve(listener, common, shutdown)).await
}

/// The configuration of a server over a database.
pub(crate) fn common(database: &TestDatabase, arguments: &[&str]) -> Common {
    let mut all = database.arguments();
    all.extend(arguments);
    config(&all)
}

/// Serves until the shutdown, or says why not.
pub(crate) async fn serve(
    listener: TcpListener,
    common: Common,
    shutdown: CancellationToken,
) -> Result<(), BootError> {
    let limit = common.server.max_message_bytes;
    let build = async |_| {
        Ok(Routes::new(BalanceServiceServer::new(Obedient).max_decoding_message_size(limit)))
    };
    run_service(SERVICE, listener, &common, Clock::system(), shutdown, build).await
}

/// Asks for the balance of an account that tells the server what to do.
pub(crate) async fn tell(
    server: &Running,
    account: &str,
    timeout: Option<Duration>,
) -> Result<wire::Balance, Status> {
    let mut client = wire::balance_service_client::BalanceServiceClient::new(server.channel());
    let mut request =
        Request::new(wire::GetBalanceRequest { account: account.to_owned(), as_of: None });
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    client.get_balance(request).await.map(Response::into_inner)
}
