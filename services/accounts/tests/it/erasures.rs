//! What follows here when a person is erased in records.

use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;

use crate::customers::dump;
use crate::setup::{Client, World, eventually, new_account, new_customer, request_id, uuid_of};

/// A customer with an account, of both of whom somebody wrote this.
async fn customer(client: &mut Client, text: &str) -> String {
    let mut request = new_customer();
    let customer = request.customer.as_mut().unwrap();
    customer.labels = [("note".to_owned(), text.to_owned())].into();
    customer.external_ids = [("CRM".to_owned(), text.to_owned())].into();
    let name = client.create_customer(request).await.unwrap().name;
    let mut request = new_account(&name);
    request.account.as_mut().unwrap().labels = [("note".to_owned(), text.to_owned())].into();
    client.create_account(request).await.unwrap();
    name
}

fn text(n: usize) -> String {
    format!("written-by-people-{n}")
}

fn subject(customer: &str) -> String {
    format!("subjects/{}", uuid_of(customer))
}

async fn redacted(client: &mut Client, name: &str) -> wire::Customer {
    eventually("the redaction", async || {
        let customer = client.get_customer(name).await.unwrap();
        (customer.labels.is_empty() && customer.external_ids.is_empty()).then_some(customer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_erased_is_redacted_whenever_that_is_learnt() {
    let mut world = World::start().await;
    let mut client = world.client();
    let mut names = Vec::new();
    for n in 0..6 {
        names.push(customer(&mut client, &text(n)).await);
    }
    // A subject that is no customer is passed over.
    world.peers.erase(&format!("subjects/{}", uuid::Uuid::now_v7()), false);
    for name in &names[..2] {
        world.peers.erase(&subject(name), false);
    }
    for name in &names[..2] {
        redacted(&mut client, name).await;
    }
    // While records is away, and while this service is.
    world.records.set(Fault::Cut);
    world.peers.erase(&subject(&names[2]), false);
    world.restart().await;
    let mut client = world.client();
    world.records.set(Fault::None);
    redacted(&mut client, &names[2]).await;
    // After a restore of records no event tells of what was before.
    world.peers.restore_records();
    for name in &names[3..5] {
        world.peers.erase(&subject(name), true);
    }
    for name in &names[3..5] {
        redacted(&mut client, name).await;
    }

    let untouched = client.get_customer(&names[5]).await.unwrap();
    assert_eq!(untouched.labels["note"], text(5));
    let before = client.get_customer(&names[0]).await.unwrap();
    let request = wire::UpdateCustomerRequest {
        customer: Some(wire::Customer {
            name: names[0].clone(),
            labels: [("note".to_owned(), text(0))].into(),
            ..Default::default()
        }),
        request_id: request_id(),
        ..Default::default()
    };
    let refused = client.customers.update_customer(request).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::SubjectErased);
    assert_eq!(client.get_customer(&names[0]).await.unwrap(), before, "once is enough");
    let rows = dump(&world);
    for n in 0..6 {
        let found = rows.iter().filter(|(_, line)| line.contains(&text(n))).count();
        assert_eq!(found, if n == 5 { 3 } else { 0 }, "what was written of {n}");
    }
}
