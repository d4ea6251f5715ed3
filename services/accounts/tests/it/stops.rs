//! What stops a customer stops its accounts in the ledger: suspensions, the clock of verifications,
//! and the end.

use futures_util::future::join_all;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::outcomes::v1::outcome;
use strongroom_proto::transactions::v1::block::Effect;
use tonic::{Response, Status};
use wire::account;
use wire::customer::State;

use crate::fakes::Failure;
use crate::setup::{Client, World, eventually, new_account, request_id};
use crate::verification::evidence_of;

fn suspend(name: &str) -> wire::SuspendCustomerRequest {
    wire::SuspendCustomerRequest {
        name: name.to_owned(),
        reason_code: "FRAUD_SUSPECTED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    }
}

fn reinstate(name: &str) -> wire::ReinstateCustomerRequest {
    let (name, request_id) = (name.to_owned(), request_id());
    wire::ReinstateCustomerRequest { name, request_id, ..Default::default() }
}

async fn close(client: &mut Client, name: &str) -> Result<wire::Customer, Status> {
    let request = wire::CloseCustomerRequest {
        name: name.to_owned(),
        reason_code: "LEFT".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.close_customer(request).await.map(Response::into_inner)
}

/// Verifies a customer, until then.
async fn verify(world: &World, client: &mut Client, name: &str, end: Option<i64>) {
    let name = name.to_owned();
    let submit = wire::SubmitKycRequest {
        name: name.clone(),
        evidence: vec![evidence_of(world, &name)],
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.submit_kyc(submit).await.unwrap();
    let approve = wire::ApproveKycRequest {
        name,
        level: 1,
        expire_time: end.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.approve_kyc(approve).await.unwrap();
}

fn is_stopped(world: &World, name: &str) -> (bool, bool) {
    (world.peers.forbids(name, Effect::Debit), world.peers.forbids(name, Effect::Credit))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_stops_every_account_before_it_is_answered() {
    let world = World::start().await;
    let mut client = world.client();
    let (customer, other) = (client.customer().await, client.customer().await);
    let bystander = client.account(&other).await;
    let mut names = Vec::new();
    for _ in 0..150 {
        names.push(client.account(&customer).await);
    }
    let request = suspend(&customer);
    let suspended = client.customers.suspend_customer(request.clone()).await.unwrap().into_inner();
    assert_eq!(suspended.state(), State::Suspended);
    for name in &names {
        assert_eq!(is_stopped(&world, name), (true, true), "{name}");
    }
    assert_eq!(is_stopped(&world, &bystander), (false, false));
    let effect = client.get_account(&names[0]).await.unwrap().effect.unwrap();
    assert_eq!((effect.debits, effect.credits), (false, false));
    assert_eq!((&effect.reasons[..], effect.version), (&["SUSPENDED".to_owned()][..], 2));
    assert_eq!(effect.acknowledged_version, 2);

    let repeated = client.customers.suspend_customer(request).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    let refused = client.customers.suspend_customer(suspend(&customer)).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, &*figures["state"]), (Reason::InvalidTransition, "SUSPENDED"));
    assert_eq!(figures["allowed"], "ACTIVE");

    client.customers.reinstate_customer(reinstate(&customer)).await.unwrap();
    for name in &names {
        assert_eq!(is_stopped(&world, name), (false, false), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_that_the_ledger_missed_is_known_here_and_follows() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    for failure in [false, true] {
        let failure = Failure { method: "SetLedgerControls", after_the_work: failure };
        world.peers.fail(Some(failure));
        let request = suspend(&customer);
        let refused = client.customers.suspend_customer(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
        let effect = client.get_account(&name).await.unwrap().effect.unwrap();
        assert!(!effect.debits && effect.acknowledged_version < effect.version);
        let outcome = client.outcome("suspend-customer", &request.request_id).await;
        assert_eq!(outcome.state(), outcome::State::InProgress);

        world.peers.fail(None);
        eventually("the delivery", async || {
            let outcome = client.outcome("suspend-customer", &request.request_id).await;
            (outcome.state() == outcome::State::Succeeded).then_some(())
        })
        .await;
        assert_eq!(is_stopped(&world, &name), (true, true));
        let repeated = client.customers.suspend_customer(request).await.unwrap();
        assert!(repeated.metadata().contains_key("strongroom-replayed"));
        client.customers.reinstate_customer(reinstate(&customer)).await.unwrap();
        assert_eq!(is_stopped(&world, &name), (false, false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_slips_past_a_suspension_that_runs_at_the_same_time() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    client.account(&customer).await;
    let open = async |mut client: Client| client.create_account(new_account(&customer)).await;
    let opening = join_all((0..40).map(|_| open(world.client())));
    let suspending = client.customers.suspend_customer(suspend(&customer));
    let (opened, suspended) = tokio::join!(opening, suspending);
    suspended.unwrap();
    for refused in opened.into_iter().filter_map(Result::err) {
        assert_eq!(refusal(&refused).0, Reason::InvalidTransition);
    }
    for account in world.peers.ledger_accounts() {
        assert_eq!(is_stopped(&world, &account.name), (true, true), "{}", account.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_approval_travels_with_the_controls() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    verify(&world, &mut client, &customer, Some(4_000_000_000)).await;
    let blocks = |name: &str| world.peers.ledger_account(name).unwrap().controls[0].blocks.clone();
    let [block] = &blocks(&name)[..] else { panic!("one block") };
    assert_eq!(block.start_time.unwrap().seconds, 4_000_000_000);
    assert_eq!((&*block.reason_code, block.effect()), ("KYC_EXPIRED", Effect::Debit));
    assert!(block.honour_holds && !world.peers.forbids(&name, Effect::Debit));
    // One that is opened later has it from its first moment on.
    let later = client.account(&customer).await;
    assert_eq!(blocks(&later), blocks(&name));

    let expire = wire::ExpireKycRequest {
        name: customer.clone(),
        reason_code: "DOCUMENT_LOST".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.expire_kyc(expire).await.unwrap();
    for name in [&name, &later] {
        assert_eq!(is_stopped(&world, name), (true, false));
    }
    let effect = client.get_account(&name).await.unwrap().effect.unwrap();
    assert_eq!(effect.reasons, ["KYC_EXPIRED"]);
    verify(&world, &mut client, &customer, None).await;
    for name in [&name, &later] {
        assert!(blocks(name).is_empty(), "a new approval lifts it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_an_open_account_does_not_close_and_one_without_does() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let name = client.account(&customer).await;
    let refused = close(&mut client, &customer).await.unwrap_err();
    let (reason, _, figures) = refusal(&refused);
    assert_eq!((reason, &figures["account"]), (Reason::InvalidTransition, &name));
    assert_eq!(figures["state"], "ACTIVE");

    let request = wire::CloseAccountRequest {
        name: name.clone(),
        request_id: request_id(),
        ..Default::default()
    };
    let closed = client.accounts.close_account(request).await.unwrap().into_inner();
    assert_eq!(closed.state(), account::State::Closed);
    world.records.set(Fault::Cut);
    let closed = close(&mut client, &customer).await.unwrap();
    assert_eq!(closed.state(), State::Closed);
    world.records.set(Fault::None);
    eventually("the end of the retention", async || {
        let all = world.peers.interests();
        let end = all.iter().find(|one| one.reference == customer)?.end_time?;
        (end.seconds > closed.close_time.unwrap().seconds).then_some(())
    })
    .await;
    for refused in [
        client.create_account(new_account(&customer)).await.unwrap_err(),
        client.customers.suspend_customer(suspend(&customer)).await.unwrap_err(),
        close(&mut client, &customer).await.unwrap_err(),
    ] {
        assert_eq!(refusal(&refused).2["state"], "CLOSED");
    }
}
