//! Freezes of many accounts, of accounts that are opened at the same time, and of a ledger that is
//! away.

use futures_util::future::join_all;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::outcomes::v1::outcome;

use crate::fakes::Failure;
use crate::freezes::{is_stopped, of_customer};
use crate::setup::{Client, World, eventually, new_account};

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_accounts_are_stopped_by_one_order_and_the_later_ones_too() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let open = async |count: usize| {
        let some = (0..count).map(|_| {
            let mut client = world.client();
            let request = new_account(&customer);
            async move { client.create_account(request).await.unwrap().name }
        });
        join_all(some).await
    };
    let mut names = Vec::new();
    for _ in 0..10 {
        names.extend(open(50).await);
    }
    let freeze = client.freeze_customer(of_customer(&customer)).await.unwrap();
    names.extend(open(1).await);
    for name in &names {
        assert_eq!(is_stopped(&world, name), (true, true), "{name}");
    }
    client.unfreeze(&freeze.name).await.unwrap();
    for name in &names {
        assert_eq!(is_stopped(&world, name), (false, false), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_account_slips_past_a_freeze_that_runs_at_the_same_time() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    client.account(&customer).await;
    let open = async |mut client: Client| client.create_account(new_account(&customer)).await;
    let opening = join_all((0..40).map(|_| open(world.client())));
    let freezing = client.freeze_customer(of_customer(&customer));
    let (opened, frozen) = tokio::join!(opening, freezing);
    frozen.unwrap();
    assert!(opened.iter().all(Result::is_ok), "a freeze lets accounts be opened");
    assert_eq!(world.peers.ledger_accounts().len(), 41);
    for account in world.peers.ledger_accounts() {
        assert_eq!(is_stopped(&world, &account.name), (true, true), "{}", account.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_holds_whatever_becomes_of_the_ledger_and_the_service_meanwhile() {
    for after_the_work in [false, true] {
        let mut world = World::start().await;
        let mut client = world.client();
        let customer = client.customer().await;
        let name = client.account(&customer).await;
        world.peers.fail(Some(Failure { method: "SetLedgerControls", after_the_work }));
        let request = of_customer(&customer);
        let refused = client.freeze_customer(request.clone()).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::PeerUnavailable);
        let effect = client.get_account(&name).await.unwrap().effect.unwrap();
        assert!(!effect.debits && effect.acknowledged_version < effect.version);
        let outcome = client.outcome("freeze-customer", &request.request_id).await;
        assert_eq!(outcome.state(), outcome::State::InProgress);

        world.restart().await;
        world.peers.fail(None);
        let mut client = world.client();
        eventually("the delivery", async || {
            let outcome = client.outcome("freeze-customer", &request.request_id).await;
            (outcome.state() == outcome::State::Succeeded).then_some(())
        })
        .await;
        assert_eq!(is_stopped(&world, &name), (true, true));
        let repeated = client.customers.freeze_customer(request).await.unwrap();
        assert!(repeated.metadata().contains_key("strongroom-replayed"));
        let freeze = repeated.into_inner();
        assert_eq!(client.freezes(&customer, true, "").await, std::slice::from_ref(&freeze.name));
        client.unfreeze(&freeze.name).await.unwrap();
        assert_eq!(is_stopped(&world, &name), (false, false));
    }
}
