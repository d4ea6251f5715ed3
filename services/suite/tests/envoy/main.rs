//! HTTP/JSON through a real Envoy with the configuration that is shipped: every RPC of the
//! contracts answers on the path that it declares, and refusals arrive as they left.
//!
//! The paths are written out, so that a change of one in the contracts is a change here as well.

mod contract;
mod gateway;
mod http;
mod refusals;

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

    let books = open_accounts(&http).await;
    move_money(&http, &books).await;
    control_the_ledger(&http, &books).await;
    seal_documents(&http, &books).await;
    ask_each_service(&http, &books).await;
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

/// A resource's name as part of a path.
fn name(resource: &Value) -> String {
    resource["name"].as_str().expect("it has a name").to_owned()
}

pub(crate) fn euros(amount: &str) -> Value {
    json!({"currency": "EUR", "amount": amount})
}

/// Standard creates: the resource is the body, and all else is in the query (AIP-133).
async fn open_accounts(http: &Http) -> Books {
    let (customer_request, customer_id) = (id(), id());
    let created = format!("/v1/customers?request_id={customer_request}&customer_id={customer_id}");
    let ada = json!({"kind": "KIND_PERSON", "profile": {"fullName": "Ada Lovelace"}});
    let customer = http.post(&created, ada.clone()).ok().await;
    assert_eq!(customer["name"], format!("customers/{customer_id}"));
    assert_eq!(customer["state"], "STATE_ACTIVE");
    let (again, headers) = http.post(&created, ada).ok_with_headers().await;
    assert_eq!(again["name"], customer["name"]);
    assert_eq!(headers["strongroom-replayed"], "true");

    let customer = name(&customer);
    let read = http.get(format!("/v1/{customer}?view=RECORD_VIEW_FULL&purpose=KYC")).ok().await;
    assert_eq!(read["profile"]["fullName"], "Ada Lovelace");

    let account = json!({"customer": customer, "product": "current", "currency": "EUR"});
    let held = http.post(format!("/v1/accounts?request_id={}", id()), account).ok().await;
    let account = json!({
        "product": "cash", "currency": "EUR", "class": "ACCOUNT_CLASS_ASSET",
        "overdraft": {"unbounded": true},
    });
    // Both spellings of a parameter are proto3 JSON.
    let cash = http.post(format!("/v1/accounts?requestId={}", id()), account).ok().await;
    assert_eq!(http.get(format!("/v1/{}", name(&held))).ok().await, held);

    let filter = format!("customer+%3D+%22{customer}%22+AND+currency+%3D+%22EUR%22");
    let listed = http.get(format!("/v1/accounts?filter={filter}&page_size=10")).ok().await;
    assert_eq!(listed["accounts"].as_array().map(Vec::len), Some(1), "{listed}");
    let page = http.get("/v1/accounts?pageSize=1").ok().await;
    let token = page["nextPageToken"].as_str().expect("there is another page");
    let last = http.get(format!("/v1/accounts?pageSize=1&pageToken={token}")).ok().await;
    assert_eq!(last["nextPageToken"], Value::Null, "default values are left out");

    Books { customer, customer_request, held: name(&held), cash: name(&cash) }
}

async fn move_money(http: &Http, books: &Books) {
    let entry = |account: &str, direction: &str| json!({"account": account, "direction": direction, "amount": euros("100")});
    let deposit = json!({
        "type": "TOPUP",
        "entries": [entry(&books.cash, "DIRECTION_DEBIT"), entry(&books.held, "DIRECTION_CREDIT")],
    });
    let target = format!("/v1/transactions?request_id={}", id());
    let dry = http.post(format!("{target}&validate_only=true"), deposit.clone()).ok().await;
    assert_eq!(dry["entries"][1]["balance"]["entrySeq"], "1", "{dry}");
    let posted = http.post(target, deposit).ok().await;
    assert_eq!(http.get(format!("/v1/{}", name(&posted))).ok().await, posted);

    let transfer = json!({
        "from": books.held, "to": books.cash, "amount": euros("39.5"), "requestId": id(),
    });
    let spent = http.post("/v1/transactions:transfer", transfer).ok().await;
    assert_eq!(spent["entries"][0]["balance"]["available"], euros("60.50"));

    let balance = http.get(format!("/v1/{}/balance", books.held)).ok().await;
    assert_eq!(balance["posted"], euros("60.50"));
    assert_eq!(balance["entrySeq"], "2", "64-bit integers are strings");
}

async fn control_the_ledger(http: &Http, books: &Books) {
    let suspense = json!({
        "account": {"currency": "EUR", "class": "ACCOUNT_CLASS_LIABILITY", "glCode": "2900"},
        "requestId": id(),
    });
    let registered = http.post("/v1/ledger/accounts", suspense).ok().await;
    assert_eq!(registered["glCode"], "2900");

    let block = json!({"effect": "EFFECT_DEBIT", "reasonCode": "COURT_ORDER"});
    let controls = json!({"controls": {"source": "auditor", "version": "1", "blocks": [block]}});
    let target = format!("/v1/ledger/{}:setControls", name(&registered));
    let controlled = http.post(target, controls).ok().await;
    assert_eq!(controlled["controls"][0]["version"], "1");

    let blocked = json!({
        "from": name(&registered), "to": books.cash, "amount": euros("1"), "requestId": id(),
    });
    let refused = http.post("/v1/transactions:transfer", blocked).refused(400, "ACCOUNT_BLOCKED");
    let (status, figures) = refused.await;
    assert_eq!(status["code"], 9);
    assert_eq!(figures["source"], "auditor");
}

async fn seal_documents(http: &Http, books: &Books) {
    let subject_id = id();
    let target = format!("/v1/subjects?subject_id={subject_id}&request_id={}", id());
    let subject = http.post(target, json!({})).ok().await;
    assert_eq!(subject["name"], format!("subjects/{subject_id}"));

    let document = json!({
        "subject": name(&subject), "type": "kyc-file", "contentType": "application/json",
        // {"passport": "X1234567"}
        "content": "eyJwYXNzcG9ydCI6ICJYMTIzNDU2NyJ9",
        "labels": {"customer": books.customer},
    });
    let target = format!("/v1/records?request_id={}", id());
    let sealed = http.post(target, document.clone()).ok().await;
    assert_eq!(sealed["content"], Value::Null);
    assert_eq!(sealed["version"], "1");

    let target = format!("/v1/{}?view=RECORD_VIEW_FULL&purpose=KYC", name(&sealed));
    let opened = http.get(target).ok().await;
    assert_eq!(opened["content"], document["content"]);
    assert_eq!(opened["sizeBytes"], "24");
}

/// What all services serve is asked of each of them.
async fn ask_each_service(http: &Http, books: &Books) {
    let tenant_id = id();
    for service in ["accounts", "records", "transactions"] {
        let target = format!("/v1/tenants?tenant_id={tenant_id}&request_id={}", id());
        let tenant = json!({"displayName": "Second"});
        let asked = http.post(target, tenant).header("strongroom-service", service);
        assert_eq!(asked.ok().await["state"], "STATE_ACTIVE");
        let asked = http.get(format!("/v1/tenants/{tenant_id}"));
        assert_eq!(asked.header("strongroom-service", service).ok().await["displayName"], "Second");
        let target = format!("/v1/outcomes/create-customer/{}", books.customer_request);
        let outcome = http.get(target).header("strongroom-service", service).ok().await;
        let expected = match service {
            "accounts" => json!(["STATE_SUCCEEDED", books.customer]),
            _ => json!(["STATE_UNKNOWN", null]),
        };
        assert_eq!(json!([outcome["state"], outcome["resource"]]), expected, "{service}");
    }
}
