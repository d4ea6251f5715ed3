//! The comparison of both sides: whatever the ledger has otherwise, because it was restored,
//! because accounts was, or because something touched it, is as accounts says soon.

use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1::block::Effect;
use wire::account;

use crate::setup::{Client, World, eventually, request_id};

async fn suspend(client: &mut Client, name: &str) {
    let request = wire::SuspendCustomerRequest {
        name: name.to_owned(),
        reason_code: "FRAUD_SUSPECTED".to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.customers.suspend_customer(request).await.unwrap();
}

async fn close(client: &mut Client, name: &str, disposition: &str) {
    let request = wire::CloseAccountRequest {
        name: name.to_owned(),
        disposition_account: disposition.to_owned(),
        request_id: request_id(),
        ..Default::default()
    };
    client.accounts.close_account(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_was_restored_is_told_anew() {
    let world = World::start_with(&["--compare-interval", "0.05"]).await;
    let mut client = world.client();
    let (customer, other) = (client.customer().await, client.customer().await);
    let mut names = Vec::new();
    for _ in 0..20 {
        names.push(client.account(&customer).await);
    }
    let (closing, target) = (client.account(&other).await, client.account(&other).await);
    let backup = world.peers.ledger_backup();
    suspend(&mut client, &customer).await;
    let new = client.account(&other).await;
    world.peers.fill(&closing);
    close(&mut client, &closing, &target).await;

    world.peers.ledger_restore(backup);
    world.peers.fill(&closing);
    eventually("all as it was", async || {
        let is_stopped = |name: &String| world.peers.forbids(name, Effect::Credit);
        let is_closed = world.peers.ledger_account(&closing)?.state() as i32 == 2;
        world.peers.ledger_account(&new)?;
        (is_closed && names.iter().all(is_stopped)).then_some(())
    })
    .await;
    assert!(!world.peers.forbids(&target, Effect::Debit));
    let moved = (closing, target);
    assert_eq!(world.peers.moved(), [moved.clone(), moved], "what is left went again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_something_else_changed_in_the_ledger_is_put_right() {
    let world = World::start_with(&["--compare-interval", "0.05"]).await;
    let mut client = world.client();
    let customer = client.customer().await;
    let (name, closed) = (client.account(&customer).await, client.account(&customer).await);
    close(&mut client, &closed, "").await;
    suspend(&mut client, &customer).await;
    // The version is far ahead, as after a restore without a new timeline.
    let mut tampered = world.peers.ledger_backup();
    for account in tampered.values_mut() {
        account.controls[0].blocks.clear();
        account.controls[0].version += 40;
    }
    let opened = tampered.get_mut(&closed).unwrap();
    opened.state = 1;
    tampered.get_mut(&name).unwrap().state = 2;
    world.peers.ledger_restore(tampered);
    eventually("all as it was", async || {
        let is_open = world.peers.ledger_account(&name)?.state() as i32 == 1;
        let is_closed = world.peers.ledger_account(&closed)?.state() as i32 == 2;
        (is_open && is_closed && world.peers.forbids(&name, Effect::Debit)).then_some(())
    })
    .await;
    eventually("the acknowledgement", async || {
        let effect = client.get_account(&name).await.unwrap().effect.unwrap();
        (effect.version > 40 && effect.acknowledged_version == effect.version).then_some(())
    })
    .await;
    let account = client.get_account(&closed).await.unwrap();
    assert_eq!(account.state(), account::State::Closed);

    // From then on there is nothing to do.
    let told = world.peers.calls("SetLedgerControls");
    let looked = world.peers.calls("ListLedgerAccounts");
    eventually("two more looks", async || {
        (world.peers.calls("ListLedgerAccounts") > looked + 2).then_some(())
    })
    .await;
    assert_eq!(world.peers.calls("SetLedgerControls"), told);
}
