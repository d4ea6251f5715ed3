//! From OPEN to CLOSED and back: what each state allows, and what the ledger finishes later.

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
use crate::setup::{Client, World, eventually, new_account, request_id};

/// Everything that takes an account from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Dormant,
    Reactivate,
    Close,
    Reopen,
}

impl Client {
    /// An act, with the current etag or an old one.
    pub(crate) async fn act(
        &mut self,
        act: Act,
        name: &str,
        etag: &str,
        request_id: &str,
    ) -> Result<Response<wire::Account>, Status> {
        let (name, etag) = (name.to_owned(), etag.to_owned());
        let request_id = request_id.to_owned();
        let accounts = &mut self.accounts;
        match act {
            Act::Dormant => {
                accounts.mark_dormant(wire::MarkDormantRequest { name, etag, request_id }).await
            }
            Act::Reactivate => {
                let request = wire::ReactivateAccountRequest { name, etag, request_id };
                accounts.reactivate_account(request).await
            }
            Act::Close => {
                let disposition_account = String::new();
                let request =
                    wire::CloseAccountRequest { name, disposition_account, etag, request_id };
                accounts.close_account(request).await
            }
            Act::Reopen => {
                accounts.reopen_account(wire::ReopenAccountRequest { name, etag, request_id }).await
            }
        }
    }

    pub(crate) async fn turn(&mut self, act: Act, name: &str) -> Result<wire::Account, Status> {
        self.act(act, name, "", &request_id()).await.map(Response::into_inner)
    }
}

pub(crate) fn in_ledger(world: &World, name: &str) -> LedgerState {
    world.peers.ledger_account(name).unwrap().state()
}

/// What is refused in a state, and what would allow it; then the act that leaves the state.
type Step = (&'static str, &'static [(Act, &'static str)], Act, State);

#[tokio::test(flavor = "multi_thread")]
async fn each_state_allows_what_its_table_says_and_refusals_name_it() {
    use Act::{Close, Dormant, Reactivate, Reopen};
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let steps: [Step; 5] = [
        ("OPEN", &[(Reactivate, "DORMANT"), (Reopen, "CLOSED")], Dormant, State::Dormant),
        ("DORMANT", &[(Dormant, "OPEN"), (Reopen, "CLOSED")], Reactivate, State::Open),
        ("OPEN", &[(Reactivate, "DORMANT")], Dormant, State::Dormant),
        ("DORMANT", &[(Reopen, "CLOSED")], Close, State::Closed),
        (
            "CLOSED",
            &[(Dormant, "OPEN"), (Reactivate, "DORMANT"), (Close, "OPEN, DORMANT")],
            Reopen,
            State::Open,
        ),
    ];
    for (state, refused, act, next) in steps {
        for (act, allowed) in refused {
            let status = client.turn(*act, &name).await.unwrap_err();
            let (reason, _, figures) = refusal(&status);
            assert_eq!(reason, Reason::InvalidTransition, "{act:?}");
            assert_eq!((&*figures["state"], &*figures["allowed"]), (state, *allowed), "{act:?}");
        }
        let stale = client.act(act, &name, "\"99\"", &request_id()).await.unwrap_err();
        assert_eq!(refusal(&stale).0, Reason::EtagMismatch);
        let (id, etag) = (request_id(), client.get_account(&name).await.unwrap().etag);
        let done = client.act(act, &name, &etag, &id).await.unwrap().into_inner();
        assert_eq!(done.state(), next, "{act:?}");
        assert_eq!(done.close_time.is_some(), next == State::Closed);
        let effect = done.effect.clone().unwrap();
        assert_eq!(effect.version, effect.acknowledged_version);
        let is_open = next == State::Open;
        assert_eq!(world.peers.forbids(&name, Effect::Debit), !is_open, "{act:?}");
        assert_eq!(world.peers.forbids(&name, Effect::Credit), next == State::Closed, "{act:?}");
        assert_eq!(in_ledger(&world, &name) == LedgerState::Closed, next == State::Closed);
        let repeated = client.act(act, &name, &etag, &id).await.unwrap();
        assert!(repeated.metadata().contains_key("strongroom-replayed"));
        assert_eq!(repeated.into_inner(), done);
    }
    for act in [Dormant, Reactivate, Close, Reopen] {
        let nobody = format!("accounts/{}", Uuid::now_v7());
        let status = client.turn(act, &nobody).await.unwrap_err();
        assert_eq!(refusal(&status).0, Reason::ResourceNotFound);
        let status = client.act(act, &name, "", "").await.unwrap_err();
        assert_eq!(refusal(&status).0, Reason::RequestIdRequired);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_takes_no_freeze_and_no_limit() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    client.turn(Act::Close, &name).await.unwrap();
    let limits = wire::SetLimitsRequest {
        name: name.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    for refused in [
        client.freeze_account(of_account(&name)).await.unwrap_err(),
        client.accounts.set_limits(limits).await.map(drop).unwrap_err(),
    ] {
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "CLOSED"));
        assert!(figures["allowed"].starts_with("PENDING, OPEN, DORMANT"));
    }
    let close = wire::CloseCustomerRequest {
        name: customer.clone(),
        reason_code: "LEFT".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.close_customer(close).await.unwrap();
    for refused in [
        client.freeze_customer(of_customer(&customer)).await.unwrap_err(),
        client.turn(Act::Reopen, &name).await.unwrap_err(),
    ] {
        let (reason, _, figures) = refusal(&refused);
        assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "CLOSED"));
        assert!(figures["allowed"].contains("ACTIVE"), "it is the customer's state");
    }
    assert_eq!(in_ledger(&world, &name), LedgerState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pending_account_can_be_frozen_and_opens_so() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    world.peers.fail(Some(Failure { method: "RegisterLedgerAccount", after_the_work: false }));
    let id = Uuid::now_v7().to_string();
    let request = wire::CreateAccountRequest { account_id: id.clone(), ..new_account(&customer) };
    client.create_account(request.clone()).await.unwrap_err();
    let name = format!("accounts/{id}");
    let frozen = client.freeze_account(of_account(&name)).await.unwrap_err();
    assert_eq!(refusal(&frozen).0, Reason::PeerUnavailable);
    for act in [Act::Dormant, Act::Close, Act::Reopen] {
        let refused = client.turn(act, &name).await.unwrap_err();
        assert_eq!(refusal(&refused).2["state"], "PENDING", "{act:?}");
    }
    world.peers.fail(None);
    eventually("the account", async || {
        let account = client.get_account(&name).await.unwrap();
        (account.state() == State::Open).then_some(())
    })
    .await;
    assert!(
        world.peers.forbids(&name, Effect::Debit) && world.peers.forbids(&name, Effect::Credit)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_does_not_answer_is_finished_later() {
    use Act::{Close, Reopen};
    let mut world = World::start().await;
    let customer = world.client().customer().await;
    for (method, act) in [
        ("SetLedgerControls", Close),
        ("CloseLedgerAccount", Close),
        ("SetLedgerControls", Reopen),
        ("ReopenLedgerAccount", Reopen),
    ] {
        for after_the_work in [false, true] {
            finish_later(&mut world, &customer, Failure { method, after_the_work }, act).await;
        }
    }
}

/// Has one act fail twice: the reconciler of a service that starts again ends the first, and a
/// repeat the second.
async fn finish_later(world: &mut World, customer: &str, failure: Failure, act: Act) {
    let (operation, end) = match act {
        Act::Close => ("close-account", State::Closed),
        _ => ("reopen-account", State::Open),
    };
    for is_repeated in [false, true] {
        let mut client = world.client();
        let name = client.account(customer).await;
        if act == Act::Reopen {
            client.turn(Act::Close, &name).await.unwrap();
        }
        world.peers.fail(Some(failure));
        let id = request_id();
        let refused = client.act(act, &name, "", &id).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
        let outcome = client.outcome(operation, &id).await;
        assert_eq!(outcome.state(), outcome::State::InProgress);
        if !is_repeated {
            world.restart().await;
            client = world.client();
        }
        world.peers.fail(None);
        eventually("the end", async || {
            if is_repeated {
                // Whoever works on it at the same time may be asked to wait.
                return client.act(act, &name, "", &id).await.ok().map(drop);
            }
            let outcome = client.outcome(operation, &id).await;
            (outcome.state() == outcome::State::Succeeded).then_some(())
        })
        .await;
        assert_eq!(client.get_account(&name).await.unwrap().state(), end);
        let is_closed = end == State::Closed;
        assert_eq!(in_ledger(world, &name) == LedgerState::Closed, is_closed);
        assert_eq!(world.peers.forbids(&name, Effect::Credit), is_closed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_reopened_within_the_window_only_and_with_what_stops_it_by_then() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    client.turn(Act::Close, &name).await.unwrap();
    let freeze = client.freeze_customer(of_customer(&customer)).await.unwrap();
    let suspend = wire::SuspendCustomerRequest {
        name: customer.clone(),
        reason_code: "FRAUD_SUSPECTED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.suspend_customer(suspend).await.unwrap();
    let refused = client.turn(Act::Reopen, &name).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "SUSPENDED"));
    let reinstate = wire::ReinstateCustomerRequest {
        name: customer.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.reinstate_customer(reinstate).await.unwrap();
    let account = client.turn(Act::Reopen, &name).await.unwrap();
    assert_eq!((account.state(), account.close_time), (State::Open, None));
    assert_eq!(account.effect.unwrap().reasons, ["FROZEN"]);
    assert!(world.peers.forbids(&name, Effect::Debit), "it came while the account was closed");
    client.unfreeze(&freeze.name).await.unwrap();
    assert!(!world.peers.forbids(&name, Effect::Debit));

    let world = World::start_with(&["--reopen-window", "0"]).await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    client.turn(Act::Close, &name).await.unwrap();
    let refused = client.turn(Act::Reopen, &name).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!(reason, Reason::InvalidTransition);
    assert!(figures["state"].starts_with("CLOSED") && figures["allowed"].starts_with("CLOSED"));
    assert_eq!(in_ledger(&world, &name), LedgerState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_reopened_account_slips_past_a_freeze_that_runs_at_the_same_time() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let mut names = Vec::new();
    for _ in 0..12 {
        names.push(client.account(&customer).await);
        client.turn(Act::Close, &names[names.len() - 1]).await.unwrap();
    }
    let reopen = async |name: &String| world.client().turn(Act::Reopen, name).await.unwrap();
    let reopening = futures_util::future::join_all(names.iter().map(reopen));
    let (_, frozen) = tokio::join!(reopening, client.freeze_customer(of_customer(&customer)));
    frozen.unwrap();
    for name in &names {
        assert_eq!(in_ledger(&world, name), LedgerState::Open);
        assert!(world.peers.forbids(name, Effect::Debit), "{name}");
    }
}
