//! Freezes: a set on an account or a customer, whose union the ledger has before the answer.

use std::time::Duration;

use shared::clock::Clock;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1::block::Effect;
use tonic::{Response, Status};
use uuid::Uuid;
use wire::freeze::{Direction, State};

use crate::setup::{Client, World, eventually, request_id};

fn ordered() -> wire::Freeze {
    wire::Freeze {
        direction: Direction::All.into(),
        reason_code: "COURT_ORDER".to_owned(),
        authority: "court-of-zurich".to_owned(),
        case_reference: "ZH-2031/7".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn of_account(account: &str) -> wire::FreezeAccountRequest {
    let (parent, freeze) = (account.to_owned(), Some(ordered()));
    wire::FreezeAccountRequest { parent, freeze, request_id: request_id(), ..Default::default() }
}

pub(crate) fn of_customer(customer: &str) -> wire::FreezeCustomerRequest {
    let (parent, freeze) = (customer.to_owned(), Some(ordered()));
    wire::FreezeCustomerRequest { parent, freeze, request_id: request_id(), ..Default::default() }
}

impl Client {
    pub(crate) async fn freeze_account(
        &mut self,
        request: wire::FreezeAccountRequest,
    ) -> Result<wire::Freeze, Status> {
        self.accounts.freeze_account(request).await.map(Response::into_inner)
    }

    pub(crate) async fn freeze_customer(
        &mut self,
        request: wire::FreezeCustomerRequest,
    ) -> Result<wire::Freeze, Status> {
        self.customers.freeze_customer(request).await.map(Response::into_inner)
    }

    pub(crate) async fn unfreeze(&mut self, name: &str) -> Result<wire::Freeze, Status> {
        let (name, request_id) = (name.to_owned(), request_id());
        let lifted = if name.starts_with("accounts/") {
            let request = wire::UnfreezeAccountRequest { name, request_id, ..Default::default() };
            self.accounts.unfreeze_account(request).await
        } else {
            let request = wire::UnfreezeCustomerRequest { name, request_id, ..Default::default() };
            self.customers.unfreeze_customer(request).await
        };
        lifted.map(Response::into_inner)
    }

    async fn get_freeze(&mut self, name: &str) -> Result<wire::Freeze, Status> {
        let request = wire::GetFreezeRequest { name: name.to_owned() };
        self.accounts.get_freeze(request).await.map(Response::into_inner)
    }

    pub(crate) async fn freezes(
        &mut self,
        parent: &str,
        show_ended: bool,
        token: &str,
    ) -> Vec<String> {
        let (parent, page_token) = (parent.to_owned(), token.to_owned());
        let request = wire::ListFreezesRequest { parent, show_ended, page_size: 2, page_token };
        let page = self.accounts.list_freezes(request.clone()).await.unwrap().into_inner();
        let mut names: Vec<String> = page.freezes.into_iter().map(|freeze| freeze.name).collect();
        if !page.next_page_token.is_empty() {
            let rest = self.freezes(&request.parent, show_ended, &page.next_page_token);
            names.extend(Box::pin(rest).await);
        }
        names
    }
}

pub(crate) fn is_stopped(world: &World, name: &str) -> (bool, bool) {
    (world.peers.forbids(name, Effect::Debit), world.peers.forbids(name, Effect::Credit))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_authorities_cannot_undo_each_other() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let request =
        wire::FreezeAccountRequest { freeze_id: Uuid::now_v7().to_string(), ..of_account(&name) };
    let court = client.freeze_account(request.clone()).await.unwrap();
    assert_eq!(court.name, format!("{name}/freezes/{}", request.freeze_id));
    assert_eq!((court.state(), court.lifter.as_str()), (State::Active, ""));
    assert_eq!(client.get_freeze(&court.name).await.unwrap(), court);
    let repeated = client.accounts.freeze_account(request.clone()).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), court);

    let mut office = of_customer(&customer);
    let freeze = office.freeze.as_mut().unwrap();
    freeze.direction = Direction::Debit.into();
    freeze.authority = "tax-office".to_owned();
    let office = client.freeze_customer(office).await.unwrap();
    assert_eq!(is_stopped(&world, &name), (true, true));
    let stale = wire::UnfreezeAccountRequest {
        name: court.name.clone(),
        etag: "\"9\"".to_owned(),
        request_id: request_id(),
    };
    let refused = client.accounts.unfreeze_account(stale).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::EtagMismatch);
    let lifted = client.unfreeze(&court.name).await.unwrap();
    assert_eq!(lifted.state(), State::Lifted);
    assert!(!lifted.lifter.is_empty() && lifted.etag != court.etag);
    assert_eq!(is_stopped(&world, &name), (true, false), "the other one holds on");
    let (reason, _, figures) = refusal(&client.unfreeze(&court.name).await.unwrap_err());
    assert_eq!(reason, Reason::InvalidTransition);
    assert_eq!((&*figures["state"], &*figures["allowed"]), ("LIFTED", "ACTIVE"));
    client.unfreeze(&office.name).await.unwrap();
    assert_eq!(is_stopped(&world, &name), (false, false));

    // What was answered once is answered again, whatever became of it.
    let repeated = client.freeze_account(request).await.unwrap();
    assert_eq!((&repeated.name, repeated.state()), (&court.name, State::Lifted));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_found_only_where_it_belongs() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let (one, other) = (client.account(&customer).await, client.account(&customer).await);
    let freeze = client.freeze_account(of_account(&one)).await.unwrap();
    let (_, id) = freeze.name.split_once("/freezes/").unwrap();
    for parent in [&other, &customer] {
        let name = format!("{parent}/freezes/{id}");
        let refused = client.get_freeze(&name).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &figures["name"]), (Reason::ResourceNotFound, &name));
        let refused = client.unfreeze(&name).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    }
    assert_eq!(is_stopped(&world, &one), (true, true));
    let wrong = wire::UnfreezeCustomerRequest {
        name: freeze.name.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let refused = client.customers.unfreeze_customer(wrong).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "name");
    let taken = wire::FreezeAccountRequest { freeze_id: id.to_owned(), ..of_account(&other) };
    assert_eq!(refusal(&client.freeze_account(taken).await.unwrap_err()).0, Reason::IdTaken);
    assert_eq!(is_stopped(&world, &other), (false, false));
    let nobody = format!("accounts/{}", Uuid::now_v7());
    let list = wire::ListFreezesRequest { parent: nobody.clone(), ..Default::default() };
    let refused = client.accounts.list_freezes(list).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    let refused = client.freeze_account(of_account(&nobody)).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_hold_at_once_and_lists_give_the_latest_first() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let mut all = Vec::new();
    for _ in 0..20 {
        // Ids of the caller's own say nothing of the time.
        let freeze_id = Uuid::new_v4().to_string();
        let request = wire::FreezeAccountRequest { freeze_id, ..of_account(&name) };
        all.push(client.freeze_account(request).await.unwrap().name);
    }
    let many = client.freeze_account(of_account(&name)).await.unwrap_err();
    let (reason, _, figures) = refusal(&many);
    assert_eq!((reason, &*figures["limit"]), (Reason::TooManyItems, "20"));
    for _ in 0..8 {
        client.freeze_customer(of_customer(&customer)).await.unwrap();
    }
    let many = client.freeze_customer(of_customer(&customer)).await.unwrap_err();
    assert_eq!(refusal(&many).2["limit"], "8");

    all.reverse();
    assert_eq!(client.freezes(&name, false, "").await, all);
    let lifted = all.remove(7);
    client.unfreeze(&lifted).await.unwrap();
    assert_eq!(client.freezes(&name, false, "").await, all);
    let shown = client.freezes(&name, true, "").await;
    assert_eq!((shown.len(), &shown[7]), (20, &lifted));
    assert_eq!(client.freezes(&customer, false, "").await.len(), 8);
    client.freeze_account(of_account(&name)).await.unwrap();
}

/// What is wrong, where, and how to get it wrong.
type Bad = (Reason, &'static str, fn(&mut wire::FreezeAccountRequest));

const BAD: &[Bad] = &[
    (Reason::FieldInvalid, "parent", |r| r.parent = "accounts/1".into()),
    (Reason::FieldInvalid, "freeze", |r| r.freeze = None),
    (Reason::FieldInvalid, "freeze_id", |r| r.freeze_id = "x".into()),
    (Reason::RequestIdRequired, "request_id", |r| r.request_id.clear()),
    (Reason::FieldInvalid, "freeze.direction", |r| freeze(r).direction = 0),
    (Reason::FieldInvalid, "freeze.direction", |r| freeze(r).direction = 4),
    (Reason::FieldInvalid, "freeze.reason_code", |r| freeze(r).reason_code.clear()),
    (Reason::FieldInvalid, "freeze.reason_code", |r| freeze(r).reason_code = "CLOSING".into()),
    (Reason::FieldInvalid, "freeze.reason_code", |r| freeze(r).reason_code = "FROZEN".into()),
    (Reason::FieldInvalid, "freeze.authority", |r| freeze(r).authority = "The Court".into()),
    (Reason::FieldInvalid, "freeze.case_reference", |r| {
        freeze(r).case_reference = "x".repeat(257);
    }),
    (Reason::FieldInvalid, "freeze.end_time", |r| {
        freeze(r).end_time = Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 });
    }),
    (Reason::FieldInvalid, "freeze.amount", |r| freeze(r).amount = Some(money("EUR", "5"))),
    (Reason::FieldInvalid, "freeze.amount.amount", |r| debit(r, "EUR", "0")),
    (Reason::CurrencyMismatch, "freeze.amount.currency", |r| debit(r, "CHF", "5")),
    (Reason::PrecisionExceeded, "freeze.amount.amount", |r| debit(r, "EUR", "0.001")),
];

fn freeze(request: &mut wire::FreezeAccountRequest) -> &mut wire::Freeze {
    request.freeze.as_mut().unwrap()
}

fn money(currency: &str, amount: &str) -> Money {
    Money { currency: currency.to_owned(), amount: amount.to_owned() }
}

fn debit(request: &mut wire::FreezeAccountRequest, currency: &str, amount: &str) {
    freeze(request).direction = Direction::Debit.into();
    freeze(request).amount = Some(money(currency, amount));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_freeze_is_refused_with_its_field_and_a_check_stops_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    for (reason, field, spoil) in BAD {
        for validate_only in [true, false] {
            let mut request = of_account(&name);
            request.validate_only = validate_only;
            spoil(&mut request);
            let refused = client.freeze_account(request).await.unwrap_err();
            let (found, path, _) = refusal(&refused);
            assert_eq!((found, &*path), (*reason, *field), "{refused:?}");
        }
    }
    let mut of_all = of_customer(&customer);
    let order = of_all.freeze.as_mut().unwrap();
    order.direction = Direction::Debit.into();
    order.amount = Some(money("EUR", "5"));
    let refused = client.freeze_customer(of_all).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "freeze.amount");

    let mut check = wire::FreezeAccountRequest { validate_only: true, ..of_account(&name) };
    debit(&mut check, "EUR", "12.5");
    let checked = client.freeze_account(check.clone()).await.unwrap();
    assert_eq!(checked.amount, Some(money("EUR", "12.50")));
    assert!(client.freezes(&name, true, "").await.is_empty());
    assert_eq!(world.peers.calls("SetLedgerControls"), 0);
    check.validate_only = false;
    assert_eq!(client.freeze_account(check).await.unwrap().amount, checked.amount);
    let controls = world.peers.ledger_account(&name).unwrap().controls.remove(0);
    assert_eq!(controls.blocks[0].amount, checked.amount);
    let effect = client.get_account(&name).await.unwrap().effect.unwrap();
    assert!(effect.debits && effect.credits, "an amount forbids nothing by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_does_so_by_the_clock_alone() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let mut request = of_customer(&customer);
    let end = Clock::system().now().plus(Duration::from_secs(2)).encode();
    request.freeze.as_mut().unwrap().end_time = Some(end);
    let freeze = client.freeze_customer(request.clone()).await.unwrap();
    let controls = world.peers.ledger_account(&name).unwrap().controls.remove(0);
    assert_eq!(controls.blocks[0].end_time, Some(end), "the ledger judges it");
    world.transactions.set(Fault::Cut);
    eventually("the end", async || {
        let found = client.get_freeze(&freeze.name).await.unwrap();
        (found.state() == State::Ended).then_some(())
    })
    .await;
    assert!(client.get_account(&name).await.unwrap().effect.unwrap().debits);
    let refused = client.unfreeze(&freeze.name).await.unwrap_err();
    assert_eq!(refusal(&refused).2["state"], "ENDED");
    assert!(client.freezes(&customer, false, "").await.is_empty());
    assert_eq!(client.freeze_customer(request).await.unwrap().state(), State::Ended, "a repeat");
}
