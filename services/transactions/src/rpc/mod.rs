//! The RPCs: one file each, made of decode, handle and encode.

mod batch_get_balances;
mod capture_hold;
mod close_ledger_account;
mod close_period;
mod closing;
mod create_hold;
mod create_statement;
mod create_transaction;
mod create_transfer;
mod currencies;
mod decode;
mod draft;
mod encode;
mod execute_batch;
mod explain_balance;
mod extend_hold;
mod filters;
mod get_balance;
mod get_currency;
mod get_hold;
mod get_ledger_account;
mod get_statement;
mod get_transaction;
mod get_trial_balance;
mod increase_hold;
mod introduce;
mod list_currencies;
mod list_entries;
mod list_holds;
mod list_ledger_accounts;
mod list_mismatches;
mod list_periods;
mod list_statement_lines;
mod list_statements;
mod list_transactions;
mod orders;
mod periods;
mod redact_hold;
mod redact_transaction;
mod register_currency;
mod register_ledger_account;
mod release_hold;
mod render_statement;
mod reopen_ledger_account;
mod reopen_period;
mod replay;
mod resolve_mismatch;
mod reverse_transaction;
mod set_ledger_controls;
mod soft_close_period;
mod statements;
mod verify_books;

use std::sync::Arc;

use shared::clock::Clock;
use shared::db::Db;
use shared::grpc::Call;
use shared::lane::Lanes;
use shared::problem::Problem;
use shared::sequence::Nudge;
use strongroom_proto::transactions::v1 as wire;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use uuid::Uuid;
use wire::balance_service_server::{BalanceService, BalanceServiceServer};
use wire::books_service_server::{BooksService, BooksServiceServer};
use wire::currency_service_server::{CurrencyService, CurrencyServiceServer};
use wire::hold_service_server::{HoldService, HoldServiceServer};
use wire::ledger_service_server::{LedgerService, LedgerServiceServer};
use wire::statement_service_server::{StatementService, StatementServiceServer};
use wire::transaction_service_server::{TransactionService, TransactionServiceServer};

use crate::clients::Accounts;
use crate::domain::{AccountId, LedgerAccount};
use crate::engine::Engine;
use crate::store::ledger_accounts;

pub(crate) use currencies::Currencies;
pub(crate) use decode::account as decode_account;

/// What the RPCs work with.
#[derive(Debug, Clone)]
pub(crate) struct Rpc {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    /// The history that the database is in.
    pub(crate) timeline: Uuid,
    pub(crate) lanes: Lanes<Engine>,
    /// Who is told of what was posted outside the lanes.
    pub(crate) nudge: Nudge,
    /// The currencies that requests may name.
    pub(crate) currencies: Currencies,
    /// Who is asked about unknown accounts; nobody where the ledger is used alone.
    pub(crate) accounts: Option<Accounts>,
    /// As many verifications as may run at once.
    pub(crate) verifications: Arc<Semaphore>,
    /// Cancelled when the service shall end.
    pub(crate) shutdown: CancellationToken,
    /// The most bytes of a message.
    pub(crate) message_bytes_max: usize,
}

impl Rpc {
    /// An account of the caller's tenant as it stands now, or `RESOURCE_NOT_FOUND`.
    async fn account(&self, call: &Call, id: AccountId) -> Result<LedgerAccount, Problem> {
        let (tenant, now) = (call.tenant_id()?, self.clock.now());
        let read = self.db.read("get_ledger_account", call.scope(), move |conn| {
            ledger_accounts::select_now(conn, tenant, &[id].into(), now)
        });
        read.await?.remove(&id).ok_or_else(|| id.not_found())
    }

    /// The services as routes.
    pub(crate) fn routes(self) -> Routes {
        let limit = self.message_bytes_max;
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
                BalanceServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                HoldServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                StatementServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                BooksServiceServer::new(self.clone())
                    .max_decoding_message_size(limit)
                    .max_encoding_message_size(limit),
            )
            .add_service(
                CurrencyServiceServer::new(self)
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

    async fn redact_transaction(
        &self,
        request: Request<wire::RedactTransactionRequest>,
    ) -> Result<Response<wire::Transaction>, Status> {
        redact_transaction::call(self, request).await
    }

    async fn reverse_transaction(
        &self,
        request: Request<wire::ReverseTransactionRequest>,
    ) -> Result<Response<wire::Transaction>, Status> {
        reverse_transaction::call(self, request).await
    }

    async fn list_transactions(
        &self,
        request: Request<wire::ListTransactionsRequest>,
    ) -> Result<Response<wire::ListTransactionsResponse>, Status> {
        list_transactions::call(self, request).await
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

    async fn get_ledger_account(
        &self,
        request: Request<wire::GetLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        get_ledger_account::call(self, request).await
    }

    async fn list_ledger_accounts(
        &self,
        request: Request<wire::ListLedgerAccountsRequest>,
    ) -> Result<Response<wire::ListLedgerAccountsResponse>, Status> {
        list_ledger_accounts::call(self, request).await
    }

    async fn close_ledger_account(
        &self,
        request: Request<wire::CloseLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        close_ledger_account::call(self, request).await
    }

    async fn reopen_ledger_account(
        &self,
        request: Request<wire::ReopenLedgerAccountRequest>,
    ) -> Result<Response<wire::LedgerAccount>, Status> {
        reopen_ledger_account::call(self, request).await
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

    async fn get_trial_balance(
        &self,
        request: Request<wire::GetTrialBalanceRequest>,
    ) -> Result<Response<wire::TrialBalance>, Status> {
        get_trial_balance::call(self, request).await
    }

    async fn batch_get_balances(
        &self,
        request: Request<wire::BatchGetBalancesRequest>,
    ) -> Result<Response<wire::BatchGetBalancesResponse>, Status> {
        batch_get_balances::call(self, request).await
    }

    async fn list_entries(
        &self,
        request: Request<wire::ListEntriesRequest>,
    ) -> Result<Response<wire::ListEntriesResponse>, Status> {
        list_entries::call(self, request).await
    }

    async fn explain_balance(
        &self,
        request: Request<wire::ExplainBalanceRequest>,
    ) -> Result<Response<wire::BalanceExplanation>, Status> {
        explain_balance::call(self, request).await
    }
}

#[tonic::async_trait]
impl HoldService for Rpc {
    async fn create_hold(
        &self,
        request: Request<wire::CreateHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        create_hold::call(self, request).await
    }

    async fn capture_hold(
        &self,
        request: Request<wire::CaptureHoldRequest>,
    ) -> Result<Response<wire::CaptureHoldResponse>, Status> {
        capture_hold::call(self, request).await
    }

    async fn release_hold(
        &self,
        request: Request<wire::ReleaseHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        release_hold::call(self, request).await
    }

    async fn extend_hold(
        &self,
        request: Request<wire::ExtendHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        extend_hold::call(self, request).await
    }

    async fn increase_hold(
        &self,
        request: Request<wire::IncreaseHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        increase_hold::call(self, request).await
    }

    async fn redact_hold(
        &self,
        request: Request<wire::RedactHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        redact_hold::call(self, request).await
    }

    async fn get_hold(
        &self,
        request: Request<wire::GetHoldRequest>,
    ) -> Result<Response<wire::Hold>, Status> {
        get_hold::call(self, request).await
    }

    async fn list_holds(
        &self,
        request: Request<wire::ListHoldsRequest>,
    ) -> Result<Response<wire::ListHoldsResponse>, Status> {
        list_holds::call(self, request).await
    }
}

#[tonic::async_trait]
impl CurrencyService for Rpc {
    async fn register_currency(
        &self,
        request: Request<wire::RegisterCurrencyRequest>,
    ) -> Result<Response<wire::Currency>, Status> {
        register_currency::call(self, request).await
    }

    async fn get_currency(
        &self,
        request: Request<wire::GetCurrencyRequest>,
    ) -> Result<Response<wire::Currency>, Status> {
        get_currency::call(self, request).await
    }

    async fn list_currencies(
        &self,
        request: Request<wire::ListCurrenciesRequest>,
    ) -> Result<Response<wire::ListCurrenciesResponse>, Status> {
        list_currencies::call(self, request).await
    }
}

#[tonic::async_trait]
impl StatementService for Rpc {
    async fn create_statement(
        &self,
        request: Request<wire::CreateStatementRequest>,
    ) -> Result<Response<wire::Statement>, Status> {
        create_statement::call(self, request).await
    }

    async fn get_statement(
        &self,
        request: Request<wire::GetStatementRequest>,
    ) -> Result<Response<wire::Statement>, Status> {
        get_statement::call(self, request).await
    }

    async fn list_statements(
        &self,
        request: Request<wire::ListStatementsRequest>,
    ) -> Result<Response<wire::ListStatementsResponse>, Status> {
        list_statements::call(self, request).await
    }

    async fn list_statement_lines(
        &self,
        request: Request<wire::ListStatementLinesRequest>,
    ) -> Result<Response<wire::ListStatementLinesResponse>, Status> {
        list_statement_lines::call(self, request).await
    }

    type RenderStatementStream = render_statement::Pieces;

    async fn render_statement(
        &self,
        request: Request<wire::RenderStatementRequest>,
    ) -> Result<Response<render_statement::Pieces>, Status> {
        render_statement::call(self, request).await
    }

    async fn soft_close_period(
        &self,
        request: Request<wire::SoftClosePeriodRequest>,
    ) -> Result<Response<wire::Period>, Status> {
        soft_close_period::call(self, request).await
    }

    async fn close_period(
        &self,
        request: Request<wire::ClosePeriodRequest>,
    ) -> Result<Response<wire::Period>, Status> {
        close_period::call(self, request).await
    }

    async fn reopen_period(
        &self,
        request: Request<wire::ReopenPeriodRequest>,
    ) -> Result<Response<wire::Period>, Status> {
        reopen_period::call(self, request).await
    }

    async fn list_periods(
        &self,
        request: Request<wire::ListPeriodsRequest>,
    ) -> Result<Response<wire::ListPeriodsResponse>, Status> {
        list_periods::call(self, request).await
    }
}

#[tonic::async_trait]
impl BooksService for Rpc {
    type VerifyBooksStream = verify_books::Progress;

    async fn verify_books(
        &self,
        request: Request<wire::VerifyBooksRequest>,
    ) -> Result<Response<verify_books::Progress>, Status> {
        verify_books::call(self, &request)
    }

    async fn list_mismatches(
        &self,
        request: Request<wire::ListMismatchesRequest>,
    ) -> Result<Response<wire::ListMismatchesResponse>, Status> {
        list_mismatches::call(self, request).await
    }

    async fn resolve_mismatch(
        &self,
        request: Request<wire::ResolveMismatchRequest>,
    ) -> Result<Response<wire::Mismatch>, Status> {
        resolve_mismatch::call(self, request).await
    }
}
