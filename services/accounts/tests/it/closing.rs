//! What closes is decided by the ledger: not what is frozen, and what is left goes where it can.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::transactions::v1::block::Effect;
use strongroom_proto::transactions::v1::ledger_account::State as LedgerState;
use tonic::{Response, Status};
use uuid::Uuid;
use wire::account::State;

use crate::fakes::Failure;
use crate::freezes::{of_account, of_customer};
use crate::lifecycle::{Act, in_ledger};
use crate::setup::{Client, World, eventually, new_account, request_id};

impl Client {
    async fn close_to(&mut self, name: &str, to: &str) -> Result<wire::Account, Status> {
        let request = wire::CloseAccountRequest {
            name: name.to_owned(),
            disposition_account: to.to_owned(),
            request_id: request_id(),
            ..Default::default()
        };
        self.accounts.close_account(request).await.map(Response::into_inner)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_not_empty_stays_open_and_the_refusal_is_for_good() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    world.peers.fill(&name);
    let id = request_id();
    for _ in 0..2 {
        let refused = client.act(Act::Close, &name, "", &id).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &figures["account"]), (Reason::AccountNotEmpty, &name));
    }
    let outcome = client.outcome("close-account", &id).await;
    assert_eq!(outcome.state(), outcome::State::Rejected);
    let account = client.get_account(&name).await.unwrap();
    assert_eq!(account.state(), State::Open);
    let effect = account.effect.unwrap();
    assert!(effect.debits && effect.credits && effect.version == effect.acknowledged_version);
    assert!(!world.peers.forbids(&name, Effect::All));

    let to = client.account(&customer).await;
    let closed = client.close_to(&name, &to).await.unwrap();
    assert_eq!(closed.state(), State::Closed);
    assert_eq!(world.peers.moved(), [(name.clone(), to)]);
    let refused = client.act(Act::Close, &name, "", &id).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::AccountNotEmpty, "as it was answered before");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_goes_only_where_it_can() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let (name, closed) = (client.account(&customer).await, client.account(&customer).await);
    client.turn(Act::Close, &closed).await.unwrap();
    let mut other = new_account(&customer);
    other.account.as_mut().unwrap().currency = "CHF".to_owned();
    let foreign = client.create_account(other).await.unwrap().name;
    let nobody = format!("accounts/{}", Uuid::now_v7());
    for (to, reason, field) in [
        ("accounts/1", Reason::FieldInvalid, "disposition_account"),
        (&*name, Reason::FieldInvalid, "disposition_account"),
        (&*foreign, Reason::CurrencyMismatch, "disposition_account"),
        (&*nobody, Reason::ResourceNotFound, ""),
        (&*closed, Reason::InvalidTransition, ""),
    ] {
        let refused = client.close_to(&name, to).await.unwrap_err();
        let (found, path, figures) = refusal(&refused);
        assert_eq!((found, &*path), (reason, field), "{refused:?}");
        if found == Reason::InvalidTransition {
            assert_eq!((&*figures["state"], &*figures["allowed"]), ("CLOSED", "OPEN, DORMANT"));
        }
    }
    assert_eq!(client.get_account(&name).await.unwrap().state(), State::Open);
    assert_eq!(world.peers.calls("CloseLedgerAccount"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_keeps_an_account_from_closing_also_once_that_has_begun() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    for of_all in [false, true] {
        let freeze = match of_all {
            false => client.freeze_account(of_account(&name)).await.unwrap(),
            true => client.freeze_customer(of_customer(&customer)).await.unwrap(),
        };
        let refused = client.turn(Act::Close, &name).await.unwrap_err();
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &figures["freeze"]), (Reason::AccountBlocked, &freeze.name));
        assert_eq!(client.get_account(&name).await.unwrap().state(), State::Open);
        client.unfreeze(&freeze.name).await.unwrap();
    }
    assert_eq!(world.peers.calls("CloseLedgerAccount"), 0);

    world.peers.fail(Some(Failure { method: "CloseLedgerAccount", after_the_work: false }));
    let id = request_id();
    let refused = client.act(Act::Close, &name, "", &id).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
    assert_eq!(client.get_account(&name).await.unwrap().state(), State::Closing);
    for act in [Act::Dormant, Act::Close, Act::Reopen] {
        let refused = client.turn(act, &name).await.unwrap_err();
        assert_eq!(refusal(&refused).2["state"], "CLOSING", "{act:?}");
    }
    let freeze = client.freeze_account(of_account(&name)).await.unwrap();
    world.peers.fail(None);
    eventually("the end of the closing", async || {
        let outcome = client.outcome("close-account", &id).await;
        (outcome.state() == outcome::State::Rejected).then_some(())
    })
    .await;
    let refused = client.act(Act::Close, &name, "", &id).await.unwrap_err();
    assert_eq!(refusal(&refused).2["freeze"], freeze.name);
    assert_eq!(client.get_account(&name).await.unwrap().state(), State::Open);
    // A closing that was under way may have come after the freeze: the ledger is told to take it
    // back.
    eventually("the account to be open in the ledger", async || {
        (in_ledger(&world, &name) == LedgerState::Open).then_some(())
    })
    .await;
    assert!(world.peers.forbids(&name, Effect::Credit), "the freeze holds");
    client.unfreeze(&freeze.name).await.unwrap();
    eventually("the ledger to let it go", async || {
        (!world.peers.forbids(&name, Effect::Credit)).then_some(())
    })
    .await;
}
