//! Lists of accounts by who holds them and by what callers wrote of them.

use std::collections::BTreeSet;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use wire::holder::Role;

use crate::holders::adding;
use crate::setup::{Client, World, new_account, uuid_of};

/// The names of all accounts that a filter lets through, in pages of one.
async fn list(client: &mut Client, filter: &str) -> Vec<String> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.list(1, &token, filter).await.unwrap();
        found.extend(page.accounts.into_iter().map(|account| account.name));
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

async fn open(client: &mut Client, customer: &str, currency: &str, n: usize) -> String {
    let mut request = new_account(customer);
    let account = request.account.as_mut().unwrap();
    currency.clone_into(&mut account.currency);
    account.labels = [
        ("branch".to_owned(), ["zürich", "bern"][n % 2].to_owned()),
        ("cost center".to_owned(), "7".to_owned()),
    ]
    .into();
    account.external_ids = [("IBAN".to_owned(), format!("CH{n}"))].into();
    client.create_account(request).await.unwrap().name
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_combined() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let mut names = Vec::new();
    for n in 0..4 {
        names.push(open(&mut client, &anna, ["EUR", "CHF"][n / 2], n).await);
    }
    names.push(open(&mut client, &ben, "EUR", 4).await);
    for (n, role) in [(0, Role::Joint), (3, Role::Viewer)] {
        client.add_holder(adding(&names[n], &ben, role)).await.unwrap();
    }
    for (filter, expected) in [
        ("labels.branch = \"zürich\"", vec![0, 2, 4]),
        ("labels.branch = \"zürich\" AND labels.\"cost center\" = 7", vec![0, 2, 4]),
        ("labels.branch = bern AND labels.\"cost center\" = 8", vec![]),
        ("labels.branch = bern AND currency = CHF", vec![3]),
        ("external_ids.IBAN = CH2", vec![2]),
        ("external_ids.IBAN = CH2 AND currency = EUR", vec![]),
        ("external_ids.ERP = CH2", vec![]),
        (&*format!("holder = {ben}"), vec![0, 3, 4]),
        (&*format!("holder = {anna} AND state = OPEN"), vec![0, 1, 2, 3]),
        (&*format!("holder = {ben} AND customer = {anna}"), vec![0, 3]),
        (&*format!("holder = {ben} AND labels.branch = bern"), vec![3]),
        (&*format!("external_ids.IBAN = CH3 AND holder = {ben}"), vec![3]),
        (&*format!("external_ids.IBAN = CH1 AND holder = {ben}"), vec![]),
        (&*format!("customer = {anna} AND product = current AND state = OPEN"), vec![0, 1, 2, 3]),
        (&*format!("customer = {ben} AND labels.branch = bern"), vec![]),
        ("customer = \"\" AND labels.branch = bern", vec![]),
        ("product = current AND currency = EUR AND state = OPEN", vec![0, 1, 4]),
        ("state = PENDING AND product = current", vec![]),
    ] {
        let expected: Vec<&String> = expected.into_iter().map(|n: usize| &names[n]).collect();
        let found = list(&mut client, filter).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
    for filter in ["holder = \"\"", "labels.a = b AND labels.a = b", "labels = x", "iban = x"] {
        let refused = client.list(1, "", filter).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::FilterInvalid, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_sees_what_it_holds_in_whatever_role_while_it_does() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let mut names = Vec::new();
    for n in 0..3 {
        names.push(open(&mut client, &anna, "EUR", n).await);
    }
    let bens = open(&mut client, &ben, "EUR", 3).await;
    let mut own = world.client_as(&ben, &["accounts.accounts.*:own"]);
    assert_eq!(list(&mut own, "").await, [&*bens]);

    let mut held = Vec::new();
    for (name, role) in [(&names[0], Role::Joint), (&names[1], Role::Viewer)] {
        held.push(client.add_holder(adding(name, &ben, role)).await.unwrap().name);
    }
    let mut later = adding(&names[2], &ben, Role::Viewer);
    later.holder.as_mut().unwrap().start_time =
        Some(prost_types::Timestamp { seconds: 7_000_000_000, nanos: 0 });
    client.add_holder(later).await.unwrap();

    let seen: BTreeSet<String> = [&names[0], &names[1], &bens].map(Clone::clone).into();
    for filter in ["", "currency = EUR", "state = OPEN", &*format!("holder = {ben}")] {
        let found: BTreeSet<String> = list(&mut own, filter).await.into_iter().collect();
        assert_eq!(found, seen, "{filter}");
    }
    // What the filter says comes on top, whoever it is about.
    for filter in [format!("holder = {anna}"), format!("customer = {anna}")] {
        assert_eq!(list(&mut own, &filter).await, names[..2], "{filter}");
    }
    assert_eq!(list(&mut own, "external_ids.IBAN = CH1").await, names[1..2]);
    assert!(list(&mut own, "external_ids.IBAN = CH2").await.is_empty());
    for name in &seen {
        own.get_account(name).await.unwrap();
    }
    assert_eq!(refusal(&own.get_account(&names[2]).await.unwrap_err()).0, Reason::ResourceNotFound);

    for holder in held {
        assert!(holder.ends_with(&uuid_of(&ben).to_string()));
        client.remove_holder(&holder).await.unwrap();
    }
    assert_eq!(list(&mut own, "").await, [bens]);
    assert!(list(&mut own, &format!("customer = {anna}")).await.is_empty());
    for name in &names {
        let refused = own.get_account(name).await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::ResourceNotFound);
    }
}
