//! Currencies: registered once and for good, and counted in at once.

use diesel::connection::SimpleConnection as _;
use shared::ids::TenantId;
use shared::problem::Reason;
use shared::testing::{Bearer, Running, config, refusal};
use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, outcome::State};
use strongroom_proto::transactions::v1 as wire;
use tonic::service::interceptor::InterceptedService;
use tonic::{Response, Status};
use transactions::{Config, serve};
use wire::currency_service_client::CurrencyServiceClient;
use wire::ledger_service_client::LedgerServiceClient;

use crate::setup::{Api, Ledger, transfer, unbounded};

struct Currencies(CurrencyServiceClient<Api>);

fn currencies(ledger: &Ledger, tenant: TenantId) -> Currencies {
    let bearer = Bearer::new(&ledger.issuer.bearer(tenant, &["*"]));
    let api = InterceptedService::new(ledger.server.channel(), bearer);
    Currencies(CurrencyServiceClient::new(api))
}

fn registering(code: &str, decimals: i32) -> wire::RegisterCurrencyRequest {
    let (code, display_name) = (code.to_owned(), format!("The {code}"));
    let currency = wire::Currency { code, decimals, display_name, ..Default::default() };
    wire::RegisterCurrencyRequest { currency: Some(currency), ..Default::default() }
}

impl Currencies {
    async fn send(
        &mut self,
        request: wire::RegisterCurrencyRequest,
    ) -> Result<Response<wire::Currency>, Status> {
        self.0.register_currency(request).await
    }

    async fn register(&mut self, code: &str, decimals: i32) -> Result<wire::Currency, Status> {
        self.send(registering(code, decimals)).await.map(Response::into_inner)
    }

    async fn get(&mut self, name: &str) -> Result<wire::Currency, Status> {
        let request = wire::GetCurrencyRequest { name: name.to_owned() };
        self.0.get_currency(request).await.map(Response::into_inner)
    }

    async fn list(
        &mut self,
        page_size: i32,
        page_token: &str,
    ) -> Result<wire::ListCurrenciesResponse, Status> {
        let page_token = page_token.to_owned();
        let request = wire::ListCurrenciesRequest { page_size, page_token };
        self.0.list_currencies(request).await.map(Response::into_inner)
    }

    /// The codes of every page.
    async fn all(&mut self, size: i32) -> Vec<Vec<String>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = self.list(size, &token).await.unwrap();
            pages.push(page.currencies.into_iter().map(|currency| currency.code).collect());
            token = page.next_page_token;
            if token.is_empty() {
                return pages;
            }
        }
    }
}

fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Reason, String) {
    let (reason, field, _) = refusal(&answer.unwrap_err());
    (reason, field)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_currency_is_registered_once_and_for_good() {
    let ledger = Ledger::start().await;
    let mut mine = currencies(&ledger, ledger.tenant);
    let btc = mine.register("BTC", 8).await.unwrap();
    assert_eq!((&*btc.name, &*btc.code, btc.decimals), ("currencies/BTC", "BTC", 8));
    assert_eq!((&*btc.display_name, btc.create_time.is_some()), ("The BTC", true));
    assert_eq!(mine.register("BTC", 8).await.unwrap(), btc, "as it is");
    assert_eq!(mine.get("currencies/BTC").await.unwrap(), btc);
    assert_eq!(mine.register("ETH", 18).await.unwrap().decimals, 18);
    assert_eq!(mine.register("POINTS", 0).await.unwrap().decimals, 0);
    for taken in [("BTC", 7), ("EUR", 2), ("EUR", 3), ("XAU", 4)] {
        assert_eq!(reason(mine.register(taken.0, taken.1).await), (Reason::IdTaken, String::new()));
    }
    // Nobody else has them.
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let mut other = currencies(&ledger, foreign);
    assert_eq!(reason(other.get("currencies/BTC").await).0, Reason::ResourceNotFound);
    assert_eq!(other.all(0).await, [[""; 0]]);
    assert_eq!(other.register("BTC", 0).await.unwrap().decimals, 0);

    for size in [1, 2, 0] {
        assert_eq!(mine.all(size).await.concat(), ["BTC", "ETH", "POINTS"]);
    }
    let token = mine.list(1, "").await.unwrap().next_page_token;
    assert_eq!(reason(other.list(1, &token).await).0, Reason::PageTokenInvalid);
    assert_eq!(reason(mine.list(-1, "").await).0, Reason::FieldInvalid);
}

#[tokio::test(flavor = "multi_thread")]
async fn currencies_of_iso_4217_are_there_without_registering() {
    let ledger = Ledger::start().await;
    let mut client = currencies(&ledger, ledger.tenant);
    let yen = client.get("currencies/JPY").await.unwrap();
    assert_eq!((&*yen.code, yen.decimals, yen.create_time), ("JPY", 0, None));
    assert_eq!(yen.display_name, "Japanese yen");
    assert_eq!(reason(client.get("currencies/ZZZ").await).0, Reason::ResourceNotFound);
    for name in ["", "JPY", "currencies/", "currencies/jpy", "currencies/J\u{0}Y", "accounts/JPY"] {
        let expected = (Reason::FieldInvalid, "name".to_owned());
        assert_eq!(reason(client.get(name).await), expected, "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_currency_is_refused() {
    let ledger = Ledger::start().await;
    let mut client = currencies(&ledger, ledger.tenant);
    for (code, decimals, field) in [
        ("", 2, "currency.code"),
        ("AB", 2, "currency.code"),
        ("ABCDEFGHIJKLM", 2, "currency.code"),
        ("btc", 2, "currency.code"),
        ("B C", 2, "currency.code"),
        ("B\u{0}C", 2, "currency.code"),
        ("ÄÖÜ", 2, "currency.code"),
        ("BTC", -1, "currency.decimals"),
        ("BTC", 19, "currency.decimals"),
        ("BTC", i32::MAX, "currency.decimals"),
    ] {
        let expected = (Reason::FieldInvalid, field.to_owned());
        assert_eq!(reason(client.register(code, decimals).await), expected, "{code:?}");
    }
    let refused = client.send(wire::RegisterCurrencyRequest::default()).await;
    assert_eq!(reason(refused).1, "currency");
    let mut long = registering("BTC", 8);
    long.currency.as_mut().unwrap().display_name = "x".repeat(65);
    assert_eq!(reason(client.send(long).await).1, "currency.display_name");
    assert_eq!(client.all(0).await, [[""; 0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_gets_the_first_answer() {
    let ledger = Ledger::start().await;
    let mut client = currencies(&ledger, ledger.tenant);
    let mut request = registering("BTC", 8);
    request.validate_only = true;
    assert_eq!(client.send(request.clone()).await.unwrap().into_inner().decimals, 8);
    assert_eq!(client.all(0).await, [[""; 0]]);

    request.validate_only = false;
    request.request_id = "r".to_owned();
    let first = client.send(request.clone()).await.unwrap();
    assert!(first.metadata().get("strongroom-replayed").is_none());
    let again = client.send(request.clone()).await.unwrap();
    assert_eq!(again.metadata().get("strongroom-replayed").unwrap(), "true");
    assert_eq!(again.into_inner(), first.into_inner());
    let mut other = registering("BTC", 7);
    other.request_id = "r".to_owned();
    assert_eq!(reason(client.send(other.clone()).await).0, Reason::RequestIdReused);
    other.validate_only = true;
    assert_eq!(reason(client.send(other).await).0, Reason::IdTaken);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_at_most_a_thousand() {
    let ledger = Ledger::start().await;
    let tenant = ledger.tenant.uuid();
    let fill = format!(
        "SET strongroom.tenant = '{tenant}'; INSERT INTO currencies (tenant_id, code, decimals, \
         display_name, create_time) SELECT '{tenant}', 'C' || lpad(n::text, 4, '0'), 3, '', now() \
         FROM generate_series(1, 996) n"
    );
    tokio::task::block_in_place(|| ledger.database.owner().batch_execute(&fill).unwrap());
    // Eight at once for four places.
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut client = currencies(&ledger, ledger.tenant);
        let mut request = registering(&format!("NEW{n}"), 3);
        request.request_id = format!("new-{n}");
        callers.spawn(async move { client.send(request).await.map(|_| ()) });
    }
    let refused: Vec<_> = callers.join_all().await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 4);
    for status in refused {
        let (reason, _, figures) = refusal(&status);
        assert_eq!((reason, &*figures["limit"]), (Reason::LimitExceeded, "1000"));
    }
    let mut client = currencies(&ledger, ledger.tenant);
    assert_eq!(client.all(300).await.concat().len(), 1_000);
    assert_eq!(client.register("C0001", 3).await.unwrap().code, "C0001", "it is there");
    let mut outcomes = ledger.client().outcomes;
    let mut rejected = 0;
    for n in 0..8 {
        let (operation, request_id) = ("register-currency".to_owned(), format!("new-{n}"));
        let request = GetOutcomeRequest { operation, request_id, fence: false };
        let outcome = outcomes.get_outcome(request).await.unwrap();
        rejected += i32::from(outcome.get_ref().state() == State::Rejected);
    }
    assert_eq!(rejected, 4);
}

/// Another replica of the service, on the same database.
async fn replica(ledger: &Ledger) -> Running {
    let mut arguments = ledger.database.arguments();
    arguments.extend(ledger.issuer.arguments());
    let config: Config = config(&arguments);
    Running::start(|listener, shutdown| {
        serve(listener, config, shared::clock::Clock::system(), shutdown)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_in_a_currency_that_another_replica_registered() {
    let ledger = Ledger::start().await;
    let replica = replica(&ledger).await;
    let mut client = ledger.client();
    let account = |currency: &str| {
        let account = wire::LedgerAccount {
            currency: currency.to_owned(),
            class: wire::AccountClass::Liability.into(),
            ..Default::default()
        };
        wire::RegisterLedgerAccountRequest { account: Some(account), ..Default::default() }
    };
    // The first replica has looked, and has found none.
    let unknown = client.ledger.register_ledger_account(account("BTC")).await.unwrap_err();
    let (reason, field, figures) = refusal(&unknown);
    assert_eq!((reason, &*field), (Reason::CurrencyUnknown, "account.currency"));
    assert_eq!(figures["currency"], "BTC");

    let bearer = Bearer::new(&ledger.issuer.bearer(ledger.tenant, &["*"]));
    let api = InterceptedService::new(replica.channel(), bearer.clone());
    Currencies(CurrencyServiceClient::new(api)).register("BTC", 8).await.unwrap();
    let house = client.account_in("BTC", Some(unbounded())).await;
    let anna = client.account_in("BTC", None).await;
    let btc = |amount: &str| {
        let amount = Money { currency: "BTC".to_owned(), amount: amount.to_owned() };
        let amount = Some(amount);
        wire::CreateTransferRequest { amount, ..transfer(&house, &anna, "1") }
    };
    client.transactions.create_transfer(btc("0.00000001")).await.unwrap();
    assert_eq!(client.posted(&anna).await, "0.00000001");
    let finer = client.transactions.create_transfer(btc("0.000000001")).await.unwrap_err();
    assert_eq!(refusal(&finer).0, Reason::PrecisionExceeded);

    // It is this tenant's alone.
    let foreign = tokio::task::block_in_place(|| ledger.database.tenant());
    let bearer = Bearer::new(&ledger.issuer.bearer(foreign, &["*"]));
    let api = InterceptedService::new(ledger.server.channel(), bearer);
    let refused = LedgerServiceClient::new(api).register_ledger_account(account("BTC")).await;
    assert_eq!(refusal(&refused.unwrap_err()).0, Reason::CurrencyUnknown);
}
