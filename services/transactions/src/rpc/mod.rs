//! The RPCs: one file each, made of decode, handle and encode.

mod create_transaction;
mod create_transfer;
mod decode;
mod encode;
mod execute_batch;
mod get_balance;
mod get_transaction;
mod introduce;
mod post;
mod register_ledger_account;
mod set_ledger_controls;

use shared::clock::Clock;
use shared::db::Db;
use shared::lane::Lane;
use strongroom_proto::transactions::v1 as wire;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use wire::balance_service_server::{BalanceService, BalanceServiceServer};
use wire::ledger_service_server::{LedgerService, LedgerServiceServer};
use wire::transaction_service_server::{TransactionService, TransactionServiceServer};

use crate::clients::Accounts;
use crate::engine::Engine;

pub(crate) use decode::account as decode_account;

/// What the RPCs work with.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) lane: Lane<Engine>,
    /// Who is asked about unknown accounts; nobody where the ledger is used alone.
    pub(crate) accounts: Option<Accounts>,
}

impl Rpc {
    /// The services, each with the limit of a message in bytes.
    pub(crate) fn routes(self, limit: usize) -> Routes {
        Routes::default()
            .add_service(
                TransactionServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                LedgerServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                BalanceServiceServer::new(self)
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
    }
}

#[tonic::async_trait]
impl TransactionService for Rpc {
    async fn create_transaction(
        &self,
        request: Request<wire::CreateTransactionRequest>,
    ) -> Result<Response<wire::Transaction>, Status> {
        create_transaction::call(self, request).await
    }

    async fn create_transfer(
        &self,
        request: Request<wire::CreateTransferRequest>,
    ) -> Result<Response<wire::Transaction>, Status> {
        create_transfer::call(self, request).await
    }

    async fn execute_batch(
        &self,
        request: Request<wire::ExecuteBatchRequest>,
    ) -> Result<Response<wire::ExecuteBatchResponse>, Status> {
        execute_batch::call(self, request).await
    }

    async fn get_transaction(
        &self,
        request: Request<wire::GetTransactionRequest>,
    ) -> Result<Response<wire::Transaction>, Status> {
        get_transaction::call(self, request).await
    }
}

#[tonic::async_trait]
impl LedgerService for Rpc {
    async fn register_ledger_account(
        &self,
        request: Request<wire::RegisterLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        register_ledger_account::call(self, request).await
    }

    async fn set_ledger_controls(
        &self,
        request: Request<wire::SetLedgerControlsRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        set_ledger_controls::call(self, request).await
    }
}

#[tonic::async_trait]
impl BalanceService for Rpc {
    async fn get_balance(
        &self,
        request: Request<wire::GetBalanceRequest>,
    ) -> Result<Response<wire::Balance>, Status> {
        get_balance::call(self, request).await
    }
}
