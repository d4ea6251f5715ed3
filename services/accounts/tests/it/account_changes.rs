//! Changes of accounts that the ledger need not know, and accounts read by the hundred.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use futures_util::future::join_all;
use prost_types::FieldMask;
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::accounts::v1 as wire;
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1::{AccountClass, Overdraft, overdraft::Bound};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::setup::{Client, World, eventually, new_account, request_id, uuid_of};

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn with_ids(customer: &str, pairs: &[(&str, &str)]) -> wire::CreateAccountRequest {
    let mut request = new_account(customer);
    request.account.as_mut().unwrap().external_ids = texts(pairs);
    request
}

fn change(account: wire::Account, mask: &[&str]) -> wire::UpdateAccountRequest {
    let paths = mask.iter().map(|path| (*path).to_owned()).collect();
    wire::UpdateAccountRequest {
        account: Some(account),
        update_mask: Some(FieldMask { paths }),
        request_id: request_id(),
        validate_only: false,
    }
}

fn named(name: &str) -> wire::Account {
    wire::Account { name: name.to_owned(), ..Default::default() }
}

async fn update(
    client: &mut Client,
    request: wire::UpdateAccountRequest,
) -> Result<wire::Account, Status> {
    client.accounts.update_account(request).await.map(Response::into_inner)
}

fn assert_refused(
    answer: Result<impl std::fmt::Debug, Status>,
    reason: Reason,
) -> (String, BTreeMap<String, String>) {
    let (refused, field, figures) = refusal(&answer.unwrap_err());
    assert_eq!(refused, reason);
    (field, figures.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_change_is_refused() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let account = client.create_account(new_account(&customer)).await.unwrap();
    let money = Money { currency: "EUR".to_owned(), amount: "1".to_owned() };
    let of = |change: fn(&mut wire::Account)| {
        let mut account = account.clone();
        change(&mut account);
        account
    };
    for (changed, field) in [
        (of(|account| account.customer = format!("customers/{}", Uuid::nil())), "account.customer"),
        (of(|account| account.currency = "CHF".to_owned()), "account.currency"),
        (of(|account| account.class = AccountClass::Asset.into()), "account.class"),
        (of(|account| account.gl_code = "2010".to_owned()), "account.gl_code"),
        (of(|account| account.parent.clone_from(&account.name)), "account.parent"),
        (of(|account| account.product = "Current".to_owned()), "account.product"),
        (of(|account| account.external_ids = texts(&[("iban", "x")])), "account.external_ids"),
        (of(|account| account.name = "accounts/1".to_owned()), "account.name"),
        (
            wire::Account {
                overdraft: Some(Overdraft { bound: Some(Bound::Limit(money)) }),
                ..account.clone()
            },
            "account.overdraft",
        ),
    ] {
        let (at, _) =
            assert_refused(update(&mut client, change(changed, &[])).await, Reason::FieldInvalid);
        assert_eq!(at, field);
    }
    for mask in ["limits", "customer"] {
        let refused = update(&mut client, change(account.clone(), &[mask])).await;
        assert_eq!(assert_refused(refused, Reason::FieldInvalid).0, "update_mask");
    }
    let nobody = format!("accounts/{}", Uuid::now_v7());
    let missing = change(named(&nobody), &["labels"]);
    assert_refused(update(&mut client, missing).await, Reason::ResourceNotFound);
    let stale = wire::Account { etag: "\"7\"".to_owned(), ..account.clone() };
    let (_, figures) =
        assert_refused(update(&mut client, change(stale, &[])).await, Reason::EtagMismatch);
    assert_eq!(figures["etag"], account.etag);

    let close = format!(
        "UPDATE {}.accounts SET state = 5 WHERE id = '{}'",
        world.database.name,
        uuid_of(&account.name)
    );
    tokio::task::block_in_place(|| world.database.admin().batch_execute(&close).unwrap());
    for validate_only in [true, false] {
        let request = wire::UpdateAccountRequest { validate_only, ..change(account.clone(), &[]) };
        let (_, figures) =
            assert_refused(update(&mut client, request).await, Reason::InvalidTransition);
        assert_eq!(
            (&*figures["state"], &*figures["allowed"]),
            ("CLOSED", "PENDING, OPEN, DORMANT")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_has_one_account() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let first = client
        .create_account(with_ids(&customer, &[("IBAN", "CH93"), ("ERP", "7")]))
        .await
        .unwrap();
    // Another kind is another id.
    let second = client.create_account(with_ids(&customer, &[("CRM", "CH93")])).await.unwrap();
    let taken = wire::Account { external_ids: texts(&[("IBAN", "CH93")]), ..named(&second.name) };
    for validate_only in [true, false] {
        let request = wire::UpdateAccountRequest {
            validate_only,
            ..change(taken.clone(), &["external_ids"])
        };
        let (_, figures) =
            assert_refused(update(&mut client, request).await, Reason::ExternalIdTaken);
        assert_eq!((&figures["holder"], &*figures["kind"]), (&first.name, "IBAN"));
        let create = wire::CreateAccountRequest {
            validate_only,
            ..with_ids(&customer, &[("ERP", "7"), ("ZZ", "1")])
        };
        let (_, figures) =
            assert_refused(client.create_account(create).await, Reason::ExternalIdTaken);
        assert_eq!((&figures["holder"], &*figures["kind"]), (&first.name, "ERP"));
    }
    assert_eq!(client.get_account(&second.name).await.unwrap(), second);

    // What one gives back another may have, and only one.
    let none = change(named(&first.name), &["external_ids"]);
    assert!(update(&mut client, none).await.unwrap().external_ids.is_empty());
    let mut names = vec![second.name];
    for _ in 0..5 {
        names.push(client.account(&customer).await);
    }
    let race = names.iter().map(|name| {
        let wanted = wire::Account { external_ids: texts(&[("IBAN", "CH93")]), ..named(name) };
        let mut client = client.clone();
        async move { update(&mut client, change(wanted, &["external_ids"])).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = join_all(race).await.into_iter().partition(Result::is_ok);
    let [Ok(won)] = &won[..] else { panic!("one has it") };
    assert_eq!(lost.len(), 5);
    for lost in lost {
        let (_, figures) = assert_refused(lost, Reason::ExternalIdTaken);
        assert_eq!(figures["holder"], won.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_no_matter_of_the_ledger() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let mut request = with_ids(&customer, &[("IBAN", "CH93")]);
    request.account.as_mut().unwrap().labels = texts(&[("branch", "zürich"), ("old", "x")]);
    let before = client.create_account(request).await.unwrap();
    world.transactions.set(Fault::Cut);

    let wanted = wire::Account {
        product: "savings".to_owned(),
        labels: texts(&[("branch", "bern")]),
        ..before.clone()
    };
    let check = wire::UpdateAccountRequest { validate_only: true, ..change(wanted.clone(), &[]) };
    let checked = update(&mut client, check).await.unwrap();
    assert_eq!((&*checked.product, &checked.labels), ("savings", &wanted.labels));
    assert_eq!(client.get_account(&before.name).await.unwrap(), before, "a check changes nothing");

    let request = change(wanted.clone(), &["labels", "product"]);
    let after = update(&mut client, request.clone()).await.unwrap();
    assert_eq!((&*after.product, &after.labels), ("savings", &wanted.labels));
    assert_eq!(after.external_ids, before.external_ids, "which the mask does not name");
    assert_ne!(after.etag, before.etag);
    assert_eq!(after.effect, before.effect);
    let repeated = client.accounts.update_account(request).await.unwrap();
    assert!(repeated.metadata().contains_key("strongroom-replayed"));
    assert_eq!(repeated.into_inner(), after);
    let stale = change(wanted, &[]);
    assert_refused(update(&mut client, stale).await, Reason::EtagMismatch);
    // By label it is found as what it is now.
    assert_eq!(client.list(0, "", "labels.branch = bern").await.unwrap().accounts, [after]);
    assert!(client.list(0, "", "labels.old = x").await.unwrap().accounts.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_of_who_is_erased() {
    let world = World::start().await;
    let mut client = world.client();
    let customer = client.customer().await;
    let account =
        client.create_account(with_ids(&customer, &[("IBAN", "CH93")])).await.unwrap().name;
    world.peers.erase(&format!("subjects/{}", uuid_of(&customer)), false);
    eventually("the redaction", async || {
        let account = client.get_account(&account).await.unwrap();
        account.external_ids.is_empty().then_some(())
    })
    .await;
    for field in ["labels", "external_ids"] {
        let wanted = wire::Account {
            labels: texts(&[("note", "x")]),
            external_ids: texts(&[("IBAN", "CH93")]),
            ..named(&account)
        };
        for validate_only in [true, false] {
            let request =
                wire::UpdateAccountRequest { validate_only, ..change(wanted.clone(), &[field]) };
            assert_refused(update(&mut client, request).await, Reason::SubjectErased);
        }
    }
    let product = wire::Account { product: "savings".to_owned(), ..named(&account) };
    assert_eq!(update(&mut client, change(product, &[])).await.unwrap().product, "savings");
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_read_in_the_order_of_their_names() {
    let world = World::start().await;
    let mut client = world.client();
    let (anna, ben) = (client.customer().await, client.customer().await);
    let (annas, bens) = (client.account(&anna).await, client.account(&ben).await);
    let read = async |client: &mut Client, names: &[&String]| {
        let names = names.iter().map(|name| (*name).clone()).collect();
        let request = wire::BatchGetAccountsRequest { names };
        let found = client.accounts.batch_get_accounts(request).await?.into_inner().accounts;
        Ok::<_, Status>(found.into_iter().map(|account| account.name).collect::<Vec<_>>())
    };
    assert_refused(read(&mut client, &[]).await, Reason::FieldInvalid);
    let (_, figures) =
        assert_refused(read(&mut client, &[&annas; 101]).await, Reason::TooManyItems);
    assert_eq!(figures["limit"], "100");
    let (field, _) =
        assert_refused(read(&mut client, &[&annas, &anna]).await, Reason::FieldInvalid);
    assert_eq!(field, "names[1]");
    let nobody = format!("accounts/{}", Uuid::now_v7());
    let (_, figures) =
        assert_refused(read(&mut client, &[&annas, &nobody]).await, Reason::ResourceNotFound);
    assert_eq!(figures["name"], nobody);
    let all = [&bens, &annas, &bens];
    assert_eq!(read(&mut client, &all).await.unwrap(), all.map(Clone::clone));

    let mut own = world.client_as(&anna, &["accounts.accounts.get:own"]);
    assert_eq!(read(&mut own, &[&annas]).await.unwrap(), [&*annas]);
    let (_, figures) =
        assert_refused(read(&mut own, &[&annas, &bens]).await, Reason::ResourceNotFound);
    assert_eq!(figures["name"], bens);
}
