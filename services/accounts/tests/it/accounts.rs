//! Accounts while everybody is there.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::transactions::v1::{AccountClass, Overdraft, overdraft::Bound};
use uuid::Uuid;
use wire::account::State;

use crate::setup::{World, new_account, request_id};

fn limit(amount: &str) -> Overdraft {
    let money = Money { currency: "EUR".to_owned(), amount: amount.to_owned() };
    Overdraft { bound: Some(Bound::Limit(money)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_registered_in_the_ledger_as_it_is() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let mut request = new_account(&customer);
    let account = request.account.as_mut().unwrap();
    account.gl_code = "2010".to_owned();
    account.overdraft = Some(limit("250.5"));
    account.labels.insert("branch".to_owned(), "zürich".to_owned());
    let account = client.create_account(request.clone()).await.unwrap();
    assert_eq!((account.state(), account.class()), (State::Open, AccountClass::Liability));
    assert_eq!((&account.customer, &*account.product), (&customer, "current"));
    assert_eq!(account.overdraft, Some(limit("250.50")));
    assert_eq!(account.labels["branch"], "zürich");

    let [ledger] = &world.peers.ledger_accounts()[..] else { panic!("one ledger account") };
    assert_eq!(ledger.name, account.name);
    assert_eq!((&*ledger.currency, &*ledger.gl_code), ("EUR", "2010"));
    assert_eq!(ledger.class(), AccountClass::Liability);
    assert_eq!(ledger.overdraft, account.overdraft);
    let [controls] = &ledger.controls[..] else { panic!("the controls of one source") };
    assert_eq!((&*controls.source, controls.version), ("accounts", 1));

    let repeated = client.accounts.create_account(request.clone()).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), account);
    assert_eq!(client.get_account(&account.name).await.unwrap(), account);
    let outcome = client.outcome("create-account", &request.request_id).await;
    assert_eq!((outcome.state(), outcome.resource), (outcome::State::Succeeded, account.name));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_house_has_accounts_too() {
    let world = World::start().await;
    let mut client = world.client();
    let mut request = new_account("");
    let account = request.account.as_mut().unwrap();
    account.class = AccountClass::Asset.into();
    account.overdraft = Some(Overdraft { bound: Some(Bound::Unbounded(true)) });
    let account = client.create_account(request).await.unwrap();
    assert_eq!((account.state(), account.class()), (State::Open, AccountClass::Asset));
    assert_eq!(account.customer, "");
    assert_eq!(account.overdraft.unwrap().bound, Some(Bound::Unbounded(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_overdraft_is_said_by_its_absence() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let none = Some(Overdraft { bound: Some(Bound::Unbounded(false)) });
    for overdraft in [None, Some(Overdraft::default()), none, Some(limit("0"))] {
        let mut request = new_account(&customer);
        request.account.as_mut().unwrap().overdraft = overdraft;
        assert_eq!(client.create_account(request).await.unwrap().overdraft, None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_request_ids_are_used_once() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let id = Uuid::now_v7().to_string();
    let first = wire::CreateAccountRequest { account_id: id.clone(), ..new_account(&customer) };
    let account = client.create_account(first.clone()).await.unwrap();
    assert_eq!(account.name, format!("accounts/{id}"));

    let taken = wire::CreateAccountRequest { request_id: request_id(), ..first.clone() };
    let check = wire::CreateAccountRequest { validate_only: true, ..taken.clone() };
    for request in [taken, check] {
        let refused = client.create_account(request).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &figures["name"]), (Reason::IdTaken, &account.name));
    }
    let mut other = first;
    other.account.as_mut().unwrap().product = "savings".to_owned();
    let refused = client.create_account(other).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::RequestIdReused);
    assert_eq!(world.peers.ledger_accounts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_opens_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let check = wire::CreateAccountRequest { validate_only: true, ..new_account(&customer) };
    let account = client.create_account(check.clone()).await.unwrap();
    assert_eq!(account.state(), State::Pending);
    let refused = client.get_account(&account.name).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    let nobody = format!("customers/{}", Uuid::now_v7());
    let missing = wire::CreateAccountRequest { validate_only: true, ..new_account(&nobody) };
    let refused = client.create_account(missing).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    assert_eq!(world.peers.calls("RegisterLedgerAccount"), 0);
    let real = wire::CreateAccountRequest { validate_only: false, ..check };
    client.create_account(real).await.unwrap();
}
