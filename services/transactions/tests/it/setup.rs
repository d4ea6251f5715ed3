//! A ledger of its own for each test.

use shared::clock::Clock;
use shared::ids::TenantId;
use shared::testing::{Bearer, Issuer, MockClock, Running, TestDatabase, config};
use shared::token::Claims;
use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use strongroom_proto::transactions::v1 as wire;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use transactions::{Config, SERVICE, serve};
use uuid::Uuid;
use wire::balance_service_client::BalanceServiceClient;
use wire::books_service_client::BooksServiceClient;
use wire::hold_service_client::HoldServiceClient;
use wire::ledger_service_client::LedgerServiceClient;
use wire::statement_service_client::StatementServiceClient;
use wire::transaction_service_client::TransactionServiceClient;

pub(crate) type Api = InterceptedService<Channel, Bearer>;

/// The clients of one caller.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) transactions: TransactionServiceClient<Api>,
    pub(crate) holds: HoldServiceClient<Api>,
    pub(crate) ledger: LedgerServiceClient<Api>,
    pub(crate) balances: BalanceServiceClient<Api>,
    pub(crate) statements: StatementServiceClient<Api>,
    pub(crate) books: BooksServiceClient<Api>,
    pub(crate) outcomes: OutcomeServiceClient<Api>,
}

/// A running ledger.
pub(crate) struct Ledger {
    pub(crate) server: Running,
    pub(crate) database: TestDatabase,
    pub(crate) issuer: Issuer,
    pub(crate) tenant: TenantId,
    clock: Clock,
    /// What replicas are told beside where the database is and who is believed.
    arguments: Vec<String>,
}

impl Ledger {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_at(Clock::system(), arguments).await
    }

    /// A ledger whose time a test moves. Nobody records an expiry that nothing asks for.
    pub(crate) async fn start_in(clock: &MockClock) -> Self {
        Self::start_at(clock.clock(), &["--expiry-interval", "3600"]).await
    }

    pub(crate) async fn start_at(clock: Clock, arguments: &[&str]) -> Self {
        let (database, tenant) = tokio::task::block_in_place(|| {
            let database = TestDatabase::new(SERVICE.schema);
            let tenant = database.tenant();
            (database, tenant)
        });
        let issuer = Issuer::new(&[("transactions", &[])]);
        let mut all = database.arguments();
        all.extend(issuer.arguments());
        let key = issuer.workload_key("transactions").to_string_lossy().into_owned();
        all.extend(["--workload-key", &key, "--log-key", &key]);
        all.extend(arguments);
        let server = run(&all, &clock).await;
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { server, database, issuer, tenant, clock, arguments }
    }

    /// Another replica of the service, on the same database.
    pub(crate) async fn replica(&self) -> Running {
        self.replica_at(&self.clock).await
    }

    /// Another replica, whose clock says something else.
    pub(crate) async fn replica_at(&self, clock: &Clock) -> Running {
        let mut arguments = self.database.arguments();
        arguments.extend(self.issuer.arguments());
        arguments.extend(self.arguments.iter().map(String::as_str));
        run(&arguments, clock).await
    }

    /// Another replica, which is told more, and can say who it is.
    pub(crate) async fn replica_with(&self, more: &[&str]) -> Running {
        let key = self.issuer.workload_key("transactions").to_string_lossy().into_owned();
        let mut arguments = self.database.arguments();
        arguments.extend(self.issuer.arguments());
        arguments.extend(["--workload-key", &key]);
        arguments.extend(more);
        run(&arguments, &self.clock).await
    }

    /// A caller with every right in the ledger's own tenant.
    pub(crate) fn client(&self) -> Client {
        self.client_of(self.tenant, &["*"])
    }

    pub(crate) fn client_of(&self, tenant: TenantId, permissions: &[&str]) -> Client {
        self.client_at(&self.server, tenant, permissions)
    }

    /// A caller of one of the replicas. The token outlives every clock that a test moves.
    pub(crate) fn client_at(
        &self,
        server: &Running,
        tenant: TenantId,
        permissions: &[&str],
    ) -> Client {
        let claims = Claims { exp: 4_000_000_000, ..self.issuer.claims(tenant, permissions) };
        let bearer = Bearer::new(&format!("Bearer {}", self.issuer.sign(&claims)));
        let api = InterceptedService::new(server.channel(), bearer);
        Client {
            transactions: TransactionServiceClient::new(api.clone()),
            holds: HoldServiceClient::new(api.clone()),
            ledger: LedgerServiceClient::new(api.clone()),
            balances: BalanceServiceClient::new(api.clone()),
            statements: StatementServiceClient::new(api.clone()),
            books: BooksServiceClient::new(api.clone()),
            outcomes: OutcomeServiceClient::new(api),
        }
    }
}

async fn run(arguments: &[&str], clock: &Clock) -> Running {
    let (config, clock): (Config, Clock) = (config(arguments), clock.clone());
    Running::start(|listener, shutdown| serve(listener, config, clock, shutdown)).await
}

pub(crate) fn eur(amount: &str) -> Money {
    Money { currency: "EUR".to_owned(), amount: amount.to_owned() }
}

pub(crate) fn unbounded() -> wire::Overdraft {
    wire::Overdraft { bound: Some(wire::overdraft::Bound::Unbounded(true)) }
}

pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn transfer(from: &str, to: &str, amount: &str) -> wire::CreateTransferRequest {
    wire::CreateTransferRequest {
        from: from.to_owned(),
        to: to.to_owned(),
        amount: Some(eur(amount)),
        request_id: request_id(),
        ..Default::default()
    }
}

pub(crate) fn entry(account: &str, direction: wire::Direction, amount: Money) -> wire::Entry {
    wire::Entry {
        account: account.to_owned(),
        direction: direction.into(),
        amount: Some(amount),
        ..Default::default()
    }
}

impl Client {
    /// A liability account, as a customer's is.
    pub(crate) async fn account(&mut self, overdraft: Option<wire::Overdraft>) -> String {
        self.account_in("EUR", overdraft).await
    }

    pub(crate) async fn account_in(
        &mut self,
        currency: &str,
        overdraft: Option<wire::Overdraft>,
    ) -> String {
        let account = wire::LedgerAccount {
            currency: currency.to_owned(),
            class: wire::AccountClass::Liability.into(),
            overdraft,
            ..Default::default()
        };
        let request =
            wire::RegisterLedgerAccountRequest { account: Some(account), ..Default::default() };
        self.ledger.register_ledger_account(request).await.unwrap().into_inner().name
    }

    /// An account with money on it, from an account without a bound.
    pub(crate) async fn funded(&mut self, amount: &str) -> (String, String) {
        let (house, account) = (self.account(Some(unbounded())).await, self.account(None).await);
        self.pay(&house, &account, amount).await.unwrap();
        (house, account)
    }

    pub(crate) async fn pay(
        &mut self,
        from: &str,
        to: &str,
        amount: &str,
    ) -> Result<wire::Transaction, Status> {
        let request = transfer(from, to, amount);
        self.transactions.create_transfer(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn balance(&mut self, account: &str) -> wire::Balance {
        let request = wire::GetBalanceRequest { account: account.to_owned(), as_of: None };
        self.balances.get_balance(request).await.unwrap().into_inner()
    }

    pub(crate) async fn posted(&mut self, account: &str) -> String {
        self.balance(account).await.posted.unwrap().amount
    }

    pub(crate) async fn control(
        &mut self,
        account: &str,
        controls: wire::Controls,
    ) -> Result<wire::LedgerAccount, Status> {
        let request = wire::SetLedgerControlsRequest {
            name: account.to_owned(),
            controls: Some(controls),
            ..Default::default()
        };
        self.ledger.set_ledger_controls(request).await.map(tonic::Response::into_inner)
    }
}

/// Controls of the accounts service with one block.
pub(crate) fn block(version: i64, effect: wire::block::Effect) -> wire::Controls {
    let block = wire::Block {
        effect: effect.into(),
        reason_code: "COURT_ORDER".to_owned(),
        ..Default::default()
    };
    wire::Controls {
        source: "accounts".to_owned(),
        version,
        blocks: vec![block],
        limits: vec![],
        timeline: String::new(),
    }
}
