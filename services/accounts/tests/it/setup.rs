//! An accounts service of its own for each test.

use std::time::Duration;

use accounts::{Config, SERVICE, serve};
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::testing::{Bearer, Issuer, Proxy, Running, TestDatabase, config};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1 as outcomes;
use strongroom_proto::outcomes::v1::outcome_service_client::OutcomeServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Response, Status};
use uuid::Uuid;
use wire::account_service_client::AccountServiceClient;
use wire::customer_service_client::CustomerServiceClient;

use crate::fakes::Peers;

pub(crate) type Api = InterceptedService<Channel, Bearer>;

/// The clients of one caller.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) customers: CustomerServiceClient<Api>,
    pub(crate) accounts: AccountServiceClient<Api>,
    pub(crate) outcomes: OutcomeServiceClient<Api>,
}

/// A running service with its peers.
pub(crate) struct World {
    pub(crate) server: Running,
    pub(crate) peers: Peers,
    pub(crate) records: Proxy,
    pub(crate) transactions: Proxy,
    pub(crate) issuer: Issuer,
    pub(crate) tenant: TenantId,
    config: Config,
    // Last, because it is dropped last.
    pub(crate) database: TestDatabase,
}

async fn run(config: Config) -> Running {
    Running::start(|listener, shutdown| serve(listener, config, Clock::system(), shutdown)).await
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(more: &[&str]) -> Self {
        let (database, tenant) = tokio::task::block_in_place(|| {
            let database = TestDatabase::new(SERVICE.schema);
            let tenant = database.tenant();
            (database, tenant)
        });
        let issuer = Issuer::new(&[("accounts", &[])]);
        let peers = Peers::default();
        let (records, transactions) =
            (peers.serve_records().await, peers.serve_transactions().await);
        let addresses = (records.address.to_string(), transactions.address.to_string());
        let key = issuer.workload_key("accounts").to_string_lossy().into_owned();
        let mut arguments = database.arguments();
        arguments.extend(issuer.arguments());
        arguments.extend(["--workload-key", &key]);
        arguments.extend(["--records", &addresses.0, "--transactions", &addresses.1]);
        arguments.extend(["--reconcile-interval", "0.02", "--reconcile-backoff", "0.1"]);
        // What one that was restarted had taken up is taken up anew after twice this.
        arguments.extend(["--sweep-interval", "0.02", "--reconcile-timeout", "2"]);
        arguments.extend(more);
        let config: Config = config(&arguments);
        let server = run(config.clone()).await;
        Self { server, peers, records, transactions, issuer, tenant, config, database }
    }

    /// Ends the service and starts it again, on another port.
    pub(crate) async fn restart(&mut self) {
        let before = std::mem::replace(&mut self.server, run(self.config.clone()).await);
        let ended = tokio::time::timeout(Duration::from_secs(30), before.stop());
        ended.await.unwrap().unwrap();
    }

    /// A caller with every right in the first tenant.
    pub(crate) fn client(&self) -> Client {
        self.client_of(self.tenant, &["*"])
    }

    pub(crate) fn client_of(&self, tenant: TenantId, permissions: &[&str]) -> Client {
        self.client_with(&self.issuer.bearer(tenant, permissions))
    }

    /// A caller who is a customer, and has these permissions for what the customer holds.
    pub(crate) fn client_as(&self, customer: &str, permissions: &[&str]) -> Client {
        let mut claims = self.issuer.claims(self.tenant, permissions);
        claims.customer = Some(uuid_of(customer));
        self.client_with(&format!("Bearer {}", self.issuer.sign(&claims)))
    }

    fn client_with(&self, bearer: &str) -> Client {
        let api = InterceptedService::new(self.server.channel(), Bearer::new(bearer));
        Client {
            customers: CustomerServiceClient::new(api.clone()),
            accounts: AccountServiceClient::new(api.clone()),
            outcomes: OutcomeServiceClient::new(api),
        }
    }
}

pub(crate) fn request_id() -> String {
    Uuid::now_v7().to_string()
}

/// The UUID in a name.
pub(crate) fn uuid_of(name: &str) -> Uuid {
    name.split('/').nth(1).unwrap().parse().unwrap()
}

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..1_500 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen in half a minute");
}

/// A person of whom every text holds the marker.
pub(crate) const MARKER: &str = "Zq7marker";

pub(crate) fn profile() -> wire::Profile {
    wire::Profile {
        full_name: format!("Zoë {MARKER}"),
        birth_date: "1990-02-28".to_owned(),
        email: format!("{MARKER}@example.com"),
        phone: "+41446681800".to_owned(),
        addresses: vec![wire::Address {
            lines: vec![format!("{MARKER}strasse 1")],
            postal_code: "8001".to_owned(),
            city: MARKER.to_owned(),
            country: "CH".to_owned(),
        }],
        tax_ids: vec![wire::TaxId { country: "CH".to_owned(), number: MARKER.to_owned() }],
    }
}

pub(crate) fn new_customer() -> wire::CreateCustomerRequest {
    let customer = wire::Customer {
        kind: wire::customer::Kind::Person.into(),
        profile: Some(profile()),
        labels: [("segment".to_owned(), "retail".to_owned())].into(),
        ..Default::default()
    };
    wire::CreateCustomerRequest {
        customer: Some(customer),
        request_id: request_id(),
        ..Default::default()
    }
}

pub(crate) fn new_account(customer: &str) -> wire::CreateAccountRequest {
    let account = wire::Account {
        customer: customer.to_owned(),
        product: "current".to_owned(),
        currency: "EUR".to_owned(),
        ..Default::default()
    };
    wire::CreateAccountRequest {
        account: Some(account),
        request_id: request_id(),
        ..Default::default()
    }
}

impl Client {
    pub(crate) async fn create_customer(
        &mut self,
        request: wire::CreateCustomerRequest,
    ) -> Result<wire::Customer, Status> {
        self.customers.create_customer(request).await.map(Response::into_inner)
    }

    /// The name of a new customer.
    pub(crate) async fn customer(&mut self) -> String {
        self.create_customer(new_customer()).await.unwrap().name
    }

    pub(crate) async fn create_account(
        &mut self,
        request: wire::CreateAccountRequest,
    ) -> Result<wire::Account, Status> {
        self.accounts.create_account(request).await.map(Response::into_inner)
    }

    /// The name of a new account.
    pub(crate) async fn account(&mut self, customer: &str) -> String {
        self.create_account(new_account(customer)).await.unwrap().name
    }

    pub(crate) async fn get_customer(&mut self, name: &str) -> Result<wire::Customer, Status> {
        let request = wire::GetCustomerRequest { name: name.to_owned(), ..Default::default() };
        self.customers.get_customer(request).await.map(Response::into_inner)
    }

    pub(crate) async fn get_account(&mut self, name: &str) -> Result<wire::Account, Status> {
        let request = wire::GetAccountRequest { name: name.to_owned() };
        self.accounts.get_account(request).await.map(Response::into_inner)
    }

    pub(crate) async fn list(
        &mut self,
        page_size: i32,
        page_token: &str,
        filter: &str,
    ) -> Result<wire::ListAccountsResponse, Status> {
        let (page_token, filter) = (page_token.to_owned(), filter.to_owned());
        let request = wire::ListAccountsRequest { page_size, page_token, filter };
        self.accounts.list_accounts(request).await.map(Response::into_inner)
    }

    pub(crate) async fn outcome(&mut self, operation: &str, request_id: &str) -> outcomes::Outcome {
        let request = outcomes::GetOutcomeRequest {
            operation: operation.to_owned(),
            request_id: request_id.to_owned(),
            fence: false,
        };
        self.outcomes.get_outcome(request).await.unwrap().into_inner()
    }
}
