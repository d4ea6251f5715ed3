//! HTTP/JSON through a real Envoy with the configuration that is shipped: every RPC of the
//! contracts answers on the path that it declares, and refusals arrive as they left.
//!
//! The paths are written out, so that a change of one in the contracts is a change here as well.

mod accounts;
mod contract;
mod customers;
mod gateway;
mod http;
mod ledger;
mod log;
mod refusals;
mod story;
mod vault;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use shared::clock::Clock;
use shared::ids::TenantId;
use shared::postgres::Durability;
use shared::principal::Grants;
use shared::testing::config;
use shared::token::Claims;
use suite::{DEFAULT_TENANT, Databases, ISSUER, Options, Ports, Progress, Suite};
use tempfile::TempDir;
use uuid::Uuid;

use gateway::Envoy;
use http::Http;

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_answers_on_its_path() {
    let Some(binary) = Envoy::find() else { return };
    let home = Home::start().await;
    let envoy = Envoy::start(&binary, home.suite.addresses).await;
    let http = Http::new(&envoy.address, home.bearer(&[DEFAULT_TENANT], &["*", "tenants.*"]));

    let books = story::open_accounts(&http).await;
    story::move_money(&http, &books).await;
    story::move_in_batches(&http, &books).await;
    ledger::hold_money(&http, &books).await;
    ledger::read_the_books(&http, &books).await;
    ledger::count_in_points(&http).await;
    ledger::state_the_books(&http, &books).await;
    story::control_the_ledger(&http, &books).await;
    story::seal_documents(&http, &books).await;
    story::ask_each_service(&http, &books).await;
    customers::know_customers(&http).await;
    accounts::live(&http, &books).await;
    accounts::stop_and_end(&http).await;
    vault::keep_documents(&http).await;
    vault::govern(&http).await;
    vault::rotate_keys(&http).await;
    log::follow(&http, "accounts", "customer.created").await;
    log::follow(&http, "records", "record.created").await;
    log::follow(&http, "transactions", "transaction.posted").await;
    ledger::verify_the_books(&http, &books).await;
    assert_eq!(http.silent(), Vec::<String>::new(), "these RPCs have not been called");

    refusals::by_the_services(&http, &home, &books).await;
    refusals::by_envoy(&http, &books).await;
    refusals::of_callers_without_a_token(&http, &home, &books).await;
    home.suite.stop().await.expect("the suite stops");
    refusals::without_services(&http, &books).await;
}

#[test]
fn envoy_is_told_of_every_service() {
    let config = include_str!("../../../../deploy/envoy/envoy.yaml");
    for service in contract::pool().services() {
        let line = format!("- {}\n", service.full_name());
        assert!(config.contains(&line), "envoy.yaml does not serve {}", service.full_name());
    }
}

/// A suite in development mode, in a folder of its own.
pub(crate) struct Home {
    pub(crate) suite: Suite,
    _state: TempDir,
}

impl Home {
    async fn start() -> Self {
        // The user of a Postgres that is not root has to pass it.
        let open = Permissions::from_mode(0o755);
        let state = tempfile::Builder::new().permissions(open).tempdir();
        let state = state.expect("a folder is made");
        let mut options: Options = config(&[]);
        options.state = state.path().to_owned();
        options.ports = Ports::FREE;
        options.databases = Databases::default();
        options.durability = Durability::Throwaway;
        options.downloads = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.strongroom"));
        let (registry, progress) = (prometheus::Registry::new(), Progress::silent());
        let suite = Box::pin(suite::start(&options, registry, &progress)).await;
        Self { suite: suite.expect("the suite starts"), _state: state }
    }

    /// The `authorization` of a caller with these permissions in these tenants.
    pub(crate) fn bearer(&self, tenants: &[TenantId], permissions: &[&str]) -> String {
        let now = u64::try_from(Clock::system().now().micros() / 1_000_000).unwrap_or(0);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: "strongroom".to_owned(),
            sub: "test".to_owned(),
            exp: now + 600,
            tenants: tenants.iter().map(|tenant| tenant.uuid()).collect(),
            permissions: Grants::new(permissions.iter().copied()),
            customer: None,
        };
        let issuer = self.suite.keys.issuer().expect("the suite has an issuer");
        format!("Bearer {}", issuer.sign(&claims).expect("the token is signed"))
    }
}

/// What the first calls have opened.
pub(crate) struct Books {
    /// `customers/{uuid}`.
    pub(crate) customer: String,
    /// The request id that made the customer.
    pub(crate) customer_request: String,
    /// The customer's account, `accounts/{uuid}`.
    pub(crate) held: String,
    /// The house's account.
    pub(crate) cash: String,
}

/// A new request id.
pub(crate) fn id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn euros(amount: &str) -> Value {
    json!({"currency": "EUR", "amount": amount})
}
