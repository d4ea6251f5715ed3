//! Bad input: each has its reason and the path of its field, and changes nothing.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1::{Overdraft, overdraft::Bound};
use uuid::Uuid;

use crate::setup::{Client, World, new_account, new_customer};

/// What is wrong, where, and how to get it wrong.
type Bad<R> = (Reason, &'static str, fn(&mut R));

use Reason::{
    CurrencyMismatch, CurrencyUnknown, FieldInvalid, PrecisionExceeded, RequestIdRequired,
};

fn profile(request: &mut wire::CreateCustomerRequest) -> &mut wire::Profile {
    request.customer.as_mut().unwrap().profile.as_mut().unwrap()
}

const BAD_CUSTOMERS: &[Bad<wire::CreateCustomerRequest>] = &[
    (FieldInvalid, "customer", |r| r.customer = None),
    (FieldInvalid, "customer_id", |r| r.customer_id = "x".into()),
    (FieldInvalid, "customer_id", |r| r.customer_id = Uuid::nil().simple().to_string()),
    (RequestIdRequired, "request_id", |r| r.request_id.clear()),
    (FieldInvalid, "request_id", |r| r.request_id = "x".repeat(129)),
    (FieldInvalid, "customer.kind", |r| r.customer.as_mut().unwrap().kind = 0),
    (FieldInvalid, "customer.kind", |r| r.customer.as_mut().unwrap().kind = 9),
    (FieldInvalid, "customer.labels", |r| {
        let many = (0..33).map(|n| (n.to_string(), String::new()));
        r.customer.as_mut().unwrap().labels = many.collect();
    }),
    (FieldInvalid, "customer.profile", |r| r.customer.as_mut().unwrap().profile = None),
    (FieldInvalid, "customer.profile.full_name", |r| profile(r).full_name.clear()),
    (FieldInvalid, "customer.profile.full_name", |r| profile(r).full_name = "x".repeat(257)),
    (FieldInvalid, "customer.profile.full_name", |r| profile(r).full_name.push('\0')),
    (FieldInvalid, "customer.profile.birth_date", |r| {
        profile(r).birth_date = "1990-02-30".into();
    }),
    (FieldInvalid, "customer.profile.birth_date", |r| {
        r.customer.as_mut().unwrap().kind = wire::customer::Kind::Organisation.into();
    }),
    (FieldInvalid, "customer.profile.email", |r| profile(r).email = "nobody".into()),
    (FieldInvalid, "customer.profile.phone", |r| profile(r).phone = "044 668".into()),
    (FieldInvalid, "customer.profile.addresses", |r| {
        profile(r).addresses = vec![wire::Address::default(); 17];
    }),
    (FieldInvalid, "customer.profile.addresses[1].country", |r| {
        profile(r).addresses.push(wire::Address::default());
    }),
    (FieldInvalid, "customer.profile.addresses[0].lines", |r| {
        profile(r).addresses[0].lines = vec!["x".to_owned(); 5];
    }),
    (FieldInvalid, "customer.profile.addresses[0].lines[1]", |r| {
        profile(r).addresses[0].lines.push(String::new());
    }),
    (FieldInvalid, "customer.profile.addresses[0].postal_code", |r| {
        profile(r).addresses[0].postal_code = "x".repeat(33);
    }),
    (FieldInvalid, "customer.profile.addresses[0].city", |r| {
        profile(r).addresses[0].city = "x".repeat(129);
    }),
    (FieldInvalid, "customer.profile.tax_ids[0].country", |r| {
        profile(r).tax_ids[0].country = "ZZ".into();
    }),
    (FieldInvalid, "customer.profile.tax_ids[0].number", |r| profile(r).tax_ids[0].number.clear()),
];

fn account(request: &mut wire::CreateAccountRequest) -> &mut wire::Account {
    request.account.as_mut().unwrap()
}

fn limit(request: &mut wire::CreateAccountRequest, currency: &str, amount: &str) {
    let money = Money { currency: currency.to_owned(), amount: amount.to_owned() };
    account(request).overdraft = Some(Overdraft { bound: Some(Bound::Limit(money)) });
}

const BAD_ACCOUNTS: &[Bad<wire::CreateAccountRequest>] = &[
    (FieldInvalid, "account", |r| r.account = None),
    (FieldInvalid, "account_id", |r| r.account_id = "accounts/1".into()),
    (RequestIdRequired, "request_id", |r| r.request_id.clear()),
    (FieldInvalid, "account.customer", |r| account(r).customer = "customers/x".into()),
    (FieldInvalid, "account.product", |r| account(r).product.clear()),
    (FieldInvalid, "account.product", |r| account(r).product = "Current".into()),
    (CurrencyUnknown, "account.currency", |r| account(r).currency.clear()),
    (CurrencyUnknown, "account.currency", |r| account(r).currency = "EURO".into()),
    (FieldInvalid, "account.class", |r| account(r).class = 9),
    (FieldInvalid, "account.class", |r| account(r).customer.clear()),
    (FieldInvalid, "account.gl_code", |r| account(r).gl_code = "1".repeat(33)),
    (FieldInvalid, "account.labels", |r| {
        account(r).labels.insert("x".repeat(64), String::new());
    }),
    (FieldInvalid, "account.labels.x", |r| {
        account(r).labels.insert("x".to_owned(), "x".repeat(257));
    }),
    (CurrencyMismatch, "account.overdraft.limit.currency", |r| limit(r, "USD", "1")),
    (CurrencyUnknown, "account.overdraft.limit.currency", |r| limit(r, "ZZZ", "1")),
    (FieldInvalid, "account.overdraft.limit.amount", |r| limit(r, "EUR", "-0.01")),
    (FieldInvalid, "account.overdraft.limit.amount", |r| limit(r, "EUR", "much")),
    (PrecisionExceeded, "account.overdraft.limit.amount", |r| limit(r, "EUR", "0.001")),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_customer_is_refused_with_its_field_and_changes_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    for (reason, field, spoil) in BAD_CUSTOMERS {
        for validate_only in [true, false] {
            let mut request = wire::CreateCustomerRequest { validate_only, ..new_customer() };
            spoil(&mut request);
            let refused = client.create_customer(request).await.unwrap_err();
            let (found, path, _) = refusal(&refused);
            assert_eq!((found, &*path), (*reason, *field), "{refused:?}");
        }
    }
    assert_eq!(world.peers.calls("CreateSubject"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_account_is_refused_with_its_field_and_changes_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    for (reason, field, spoil) in BAD_ACCOUNTS {
        for validate_only in [true, false] {
            let request = new_account(&customer);
            let mut request = wire::CreateAccountRequest { validate_only, ..request };
            spoil(&mut request);
            let refused = client.create_account(request).await.unwrap_err();
            let (found, path, _) = refusal(&refused);
            assert_eq!((found, &*path), (*reason, *field), "{refused:?}");
        }
    }
    assert_eq!(world.peers.calls("RegisterLedgerAccount"), 0);
    assert!(client.list(0, "", "").await.unwrap().accounts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_views_sizes_and_filters_are_checked() {
    let world = World::start().await;
    let mut client = world.client();
    for name in ["", "customers", "customers/1", "accounts/00000000-0000-7000-8000-00000000000a"] {
        assert_refused(&client.get_customer(name).await.unwrap_err(), FieldInvalid, "name");
    }
    for name in ["accounts/", "accounts/00000000-0000-7000-8000-00000000000A"] {
        assert_refused(&client.get_account(name).await.unwrap_err(), FieldInvalid, "name");
    }
    let id = Uuid::now_v7();
    let view =
        wire::GetCustomerRequest { name: format!("customers/{id}"), view: 7, ..Default::default() };
    assert_refused(&client.customers.get_customer(view).await.unwrap_err(), FieldInvalid, "view");
    let long = wire::GetCustomerRequest {
        name: format!("customers/{id}"),
        view: 2,
        purpose: "x".repeat(65),
    };
    assert_refused(
        &client.customers.get_customer(long).await.unwrap_err(),
        FieldInvalid,
        "purpose",
    );
    assert_refused(&client.list(-1, "", "").await.unwrap_err(), FieldInvalid, "page_size");
    let bad_filter = client.list(0, "", "currency = EUR AND colour = red").await.unwrap_err();
    assert_refused(&bad_filter, Reason::FilterInvalid, "filter");
    assert_eq!(refusal(&bad_filter).2["position"], "20");
    assert_not_opened_for_nobody(&mut client).await;
}

fn assert_refused(status: &tonic::Status, reason: Reason, field: &str) {
    let (found, path, _) = refusal(status);
    assert_eq!((found, &*path), (reason, field), "{status:?}");
}

async fn assert_not_opened_for_nobody(client: &mut Client) {
    let nobody = format!("customers/{}", Uuid::now_v7());
    let request = new_account(&nobody);
    let refused = client.create_account(request.clone()).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, &*figures["type"]), (Reason::ResourceNotFound, "customer"));
    assert_eq!(figures["name"], nobody);
    let outcome = client.outcome("create-account", &request.request_id).await;
    assert_eq!(outcome.resource, "", "the request id stays free");
}
