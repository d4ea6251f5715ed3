//! Limits: all of an account at once, and the ledger has them before the answer.

use ledger::Limit;
use ledger::block::Effect;
use ledger::limit::{Scope, Window};
use prost_types::Duration;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::transactions::v1 as ledger;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::fakes::Failure;
use crate::setup::{Client, World, eventually, request_id};

fn money(currency: &str, amount: &str) -> Money {
    Money { currency: currency.to_owned(), amount: amount.to_owned() }
}

fn daily() -> Limit {
    Limit {
        id: "daily-card".to_owned(),
        effect: Effect::Debit.into(),
        window: Window::Day.into(),
        max_amount: Some(money("EUR", "500.00")),
        max_count: 20,
        types: vec!["CARD".to_owned()],
        scope: Scope::Customer.into(),
        ..Default::default()
    }
}

fn weekly() -> Limit {
    Limit {
        id: "weekly".to_owned(),
        effect: Effect::All.into(),
        window: Window::Rolling.into(),
        rolling_length: Some(Duration { seconds: 7 * 86_400, nanos: 0 }),
        max_count: 3,
        scope: Scope::Account.into(),
        ..Default::default()
    }
}

fn set(name: &str, limits: Vec<Limit>) -> wire::SetLimitsRequest {
    let (name, request_id) = (name.to_owned(), request_id());
    wire::SetLimitsRequest { name, limits, request_id, ..Default::default() }
}

impl Client {
    async fn set_limits(
        &mut self,
        request: wire::SetLimitsRequest,
    ) -> Result<wire::Account, Status> {
        self.accounts.set_limits(request).await.map(Response::into_inner)
    }
}

fn in_ledger(world: &World, name: &str) -> Vec<Limit> {
    world.peers.ledger_account(name).unwrap().controls.remove(0).limits
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_replaced_as_a_whole() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let before = client.get_account(&name).await.unwrap();
    let check = set(&name, vec![daily(), weekly()]);
    let check = wire::SetLimitsRequest { validate_only: true, ..check };
    assert_eq!(client.set_limits(check).await.unwrap().limits, [daily(), weekly()]);
    assert_eq!(client.get_account(&name).await.unwrap(), before);
    assert_eq!(world.peers.calls("SetLedgerControls"), 0);

    let request = set(&name, vec![daily(), weekly()]);
    let request = wire::SetLimitsRequest { etag: before.etag, ..request };
    let account = client.set_limits(request.clone()).await.unwrap();
    assert_eq!(account.limits, [daily(), weekly()]);
    assert_eq!(in_ledger(&world, &name), account.limits);
    let effect = account.effect.clone().unwrap();
    assert_eq!((effect.version, effect.acknowledged_version), (2, 2));
    let repeated = client.accounts.set_limits(request.clone()).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), account);
    let another = wire::SetLimitsRequest { limits: vec![daily()], ..request.clone() };
    let refused = client.set_limits(another).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::RequestIdReused);
    let stale = wire::SetLimitsRequest { request_id: request_id(), ..request };
    let refused = client.set_limits(stale).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::EtagMismatch);
    assert!(client.set_limits(set(&name, Vec::new())).await.unwrap().limits.is_empty());
    assert_eq!(in_ledger(&world, &name), []);
}

/// What is wrong, where, and how to get it wrong.
type Bad = (Reason, &'static str, fn(&mut Vec<Limit>));

const BAD: &[Bad] = &[
    (Reason::FieldInvalid, "limits", |all| *all = vec![daily(); 33]),
    (Reason::FieldInvalid, "limits[1].id", |all| all.push(daily())),
    (Reason::FieldInvalid, "limits[0].id", |all| all[0].id = "Daily".into()),
    (Reason::FieldInvalid, "limits[0].effect", |all| all[0].effect = 0),
    (Reason::FieldInvalid, "limits[0].window", |all| all[0].window = 0),
    (Reason::FieldInvalid, "limits[0].rolling_length", |all| {
        all[0].rolling_length = Some(Duration { seconds: 60, nanos: 0 });
    }),
    (Reason::FieldInvalid, "limits[0].rolling_length", |all| {
        all[0] = Limit { rolling_length: Some(Duration { seconds: 59, nanos: 0 }), ..weekly() };
    }),
    (Reason::FieldInvalid, "limits[0].max_amount", |all| {
        (all[0].max_amount, all[0].max_count) = (None, 0);
    }),
    (Reason::FieldInvalid, "limits[0].max_amount.amount", |all| {
        all[0].max_amount = Some(money("EUR", "0"));
    }),
    (Reason::CurrencyMismatch, "limits[0].max_amount.currency", |all| {
        all[0].max_amount = Some(money("CHF", "5"));
    }),
    (Reason::FieldInvalid, "limits[0].max_count", |all| all[0].max_count = -1),
    (Reason::FieldInvalid, "limits[0].max_count", |all| {
        all[0].window = Window::Transaction.into();
    }),
    (Reason::FieldInvalid, "limits[0].types", |all| all[0].types = vec!["CARD".into(); 33]),
    (Reason::FieldInvalid, "limits[0].types[1]", |all| all[0].types.push("card".into())),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_limit_is_refused_with_its_field_and_changes_nothing() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    for (reason, field, spoil) in BAD {
        let mut limits = vec![daily()];
        spoil(&mut limits);
        let refused = client.set_limits(set(&name, limits)).await.unwrap_err();
        let (found, path, _) = refusal(&refused);
        assert_eq!((found, &*path), (*reason, *field), "{refused:?}");
    }
    let nobody = format!("accounts/{}", Uuid::now_v7());
    let refused = client.set_limits(set(&nobody, vec![daily()])).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    let unnamed = wire::SetLimitsRequest { request_id: String::new(), ..set(&name, Vec::new()) };
    let refused = client.set_limits(unnamed).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::RequestIdRequired);
    assert_eq!(world.peers.calls("SetLedgerControls"), 0);
    assert!(client.get_account(&name).await.unwrap().limits.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_reach_a_ledger_that_was_away() {
    for after_the_work in [false, true] {
        let world = World::start().await;
        let mut client = world.client();
        let customer = client.customer().await;
        let name = client.account(&customer).await;
        world.peers.fail(Some(Failure { method: "SetLedgerControls", after_the_work }));
        let request = set(&name, vec![weekly()]);
        let refused = client.set_limits(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
        world.peers.fail(None);
        eventually("the delivery", async || {
            let outcome = client.outcome("set-limits", &request.request_id).await;
            (outcome.state() == outcome::State::Succeeded).then_some(())
        })
        .await;
        assert_eq!(in_ledger(&world, &name), [weekly()]);
        assert_eq!(client.set_limits(request).await.unwrap().limits, [weekly()]);
    }
}
