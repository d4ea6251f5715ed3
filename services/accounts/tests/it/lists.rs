//! Lists: pages, filters, tokens.

use std::collections::BTreeMap;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::transactions::v1::AccountClass;

use crate::setup::{Client, World, new_account};

/// Accounts by name, opened eight at a time.
async fn open(client: &Client, requests: Vec<wire::CreateAccountRequest>) -> Vec<wire::Account> {
    let mut opened = Vec::new();
    for some in requests.chunks(8) {
        let calls: Vec<_> = some
            .iter()
            .map(|request| {
                let (mut client, request) = (client.clone(), request.clone());
                tokio::spawn(async move { client.create_account(request).await.unwrap() })
            })
            .collect();
        for call in calls {
            opened.push(call.await.unwrap());
        }
    }
    opened
}

/// Every page of a list, one after the other.
async fn all(client: &mut Client, size: i32, filter: &str) -> Vec<Vec<wire::Account>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let page = client.list(size, &token, filter).await.unwrap();
        pages.push(page.accounts);
        token = page.next_page_token;
        if token.is_empty() {
            return pages;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_every_account_once_in_order() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let opened = open(&client, (0..120).map(|_| new_account(&customer)).collect()).await;
    let expected: BTreeMap<_, _> =
        opened.into_iter().map(|account| (account.name.clone(), account)).collect();
    for (size, pages) in [(7, 18), (50, 3), (0, 3), (60, 2), (120, 1), (2_000, 1)] {
        let found = all(&mut client, size, "").await;
        assert_eq!(found.len(), pages, "pages of {size}");
        let found: Vec<_> = found.concat();
        let time = |account: &wire::Account| account.create_time.map(|t| (t.seconds, t.nanos));
        assert!(found.is_sorted_by_key(|account| (time(account), account.name.clone())));
        let by_name: BTreeMap<_, _> =
            found.iter().map(|account| (account.name.clone(), account.clone())).collect();
        assert_eq!((found.len(), &by_name), (120, &expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_through_what_they_say() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let mut requests = Vec::new();
    for (customer, currency, product, count) in [
        (&*anna, "EUR", "current", 3),
        (&*anna, "CHF", "current", 2),
        (&*ben, "EUR", "savings", 4),
        ("", "EUR", "suspense", 1),
    ] {
        let mut request = new_account(customer);
        let account = request.account.as_mut().unwrap();
        account.currency = currency.to_owned();
        account.product = product.to_owned();
        account.class = AccountClass::Liability.into();
        account.labels.insert("for".to_owned(), product.to_owned());
        let again = |n: i32| wire::CreateAccountRequest {
            request_id: format!("{}-{n}", request.request_id),
            ..request.clone()
        };
        requests.extend((0..count).map(again));
    }
    open(&client, requests).await;
    for (filter, count) in [
        (String::new(), 10),
        (format!("customer = \"{anna}\""), 5),
        (format!("customer = {anna} AND currency = EUR"), 3),
        ("product = savings".to_owned(), 4),
        ("state = OPEN AND currency = \"EUR\"".to_owned(), 8),
        ("state = STATE_PENDING".to_owned(), 0),
        ("customer = \"\"".to_owned(), 1),
        (format!("customer = {ben} AND product = current"), 0),
    ] {
        let found = all(&mut client, 2, &filter).await.concat();
        assert_eq!(found.len(), count, "{filter}");
        for account in found {
            assert_eq!(account.labels["for"], account.product, "each has its own labels");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_never_larger_than_a_message_may_be() {
    let world = World::start_with(&["--max-message-bytes", "65536"]).await;
    let mut client = world.client();
    let customer = client.customer().await;
    let mut large = new_account(&customer);
    let labels = &mut large.account.as_mut().unwrap().labels;
    labels.extend((0..32).map(|n| (format!("label-{n}"), "x".repeat(256))));
    let again =
        |n| wire::CreateAccountRequest { request_id: format!("large-{n}"), ..large.clone() };
    open(&client, (0..16).map(again).collect()).await;
    let pages = all(&mut client, 16, "").await;
    assert!(pages.len() > 1);
    assert_eq!(pages.concat().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_serves_its_own_list_only() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    open(&client, (0..3).map(|_| new_account(&customer)).collect()).await;
    let token = client.list(1, "", "").await.unwrap().next_page_token;
    assert_eq!(client.list(2, &token, "").await.unwrap().accounts.len(), 2, "the size may change");

    let foreign = tokio::task::block_in_place(|| world.database.tenant());
    let mut stranger = world.client_of(foreign, &["*"]);
    let mut own = world.client_as(&customer, &["accounts.accounts.list:own"]);
    let damaged = format!("{token}A");
    for refused in [
        client.list(1, &token, "currency = EUR").await,
        client.list(1, &damaged, "").await,
        client.list(1, "???", "").await,
        stranger.list(1, &token, "").await,
        own.list(1, &token, "").await,
    ] {
        let (reason, field, _) = refusal(&refused.unwrap_err());
        assert_eq!((reason, &*field), (Reason::PageTokenInvalid, "page_token"));
    }
}
