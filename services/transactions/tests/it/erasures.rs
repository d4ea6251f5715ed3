//! Who is erased in records has what people wrote redacted here.

mod fake;

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::testing::Running;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::block_in_place;

use crate::books::assert_books;
use crate::requests::{capture, hold};
use crate::setup::{Client, Ledger, request_id, transfer, unbounded};
use crate::verify::verify;
use fake::Records;

/// A look all the time, and one entry or hold at once.
const EAGER: [&str; 4] = ["--sweep-interval", "0.01", "--erasure-batch", "1"];

async fn eraser(ledger: &Ledger, address: &str) -> Running {
    let mut arguments = EAGER.to_vec();
    arguments.extend(["--records", address]);
    ledger.replica_with(&arguments).await
}

fn customer() -> String {
    format!("customers/{}", uuid::Uuid::now_v7())
}

fn subject(customer: &str) -> String {
    customer.replace("customers/", "subjects/")
}

async fn account_of(client: &mut Client, customer: &str) -> String {
    let account = wire::LedgerAccount {
        currency: "EUR".to_owned(),
        class: wire::AccountClass::Liability.into(),
        overdraft: Some(unbounded()),
        customer: customer.to_owned(),
        ..Default::default()
    };
    let request =
        wire::RegisterLedgerAccountRequest { account: Some(account), ..Default::default() };
    client.ledger.register_ledger_account(request).await.unwrap().into_inner().name
}

async fn paid(client: &mut Client, from: &str, to: &str) -> String {
    let request = wire::CreateTransferRequest {
        description: "for Ada".to_owned(),
        external_ids: [("PSP".to_owned(), request_id())].into(),
        ..transfer(from, to, "1")
    };
    client.transfer(&request).await.unwrap().name
}

async fn held(client: &mut Client, from: &str, to: &str) -> String {
    let mut request = hold(from, to, "1");
    "for Ada".clone_into(&mut request.hold.as_mut().unwrap().description);
    client.hold(&request).await.unwrap().name
}

async fn is_redacted(client: &mut Client, name: &str) -> bool {
    if name.starts_with("holds/") {
        return client.read_hold(name).await.description.is_empty();
    }
    let request = wire::GetTransactionRequest { name: name.to_owned() };
    let found = client.transactions.get_transaction(request).await.unwrap().into_inner();
    assert_eq!(found.redacted, found.description.is_empty());
    found.redacted
}

/// Waits until all of these are redacted.
async fn redacted(client: &mut Client, names: &[String]) {
    for name in names {
        let mut tries = 0;
        while !is_redacted(client, name).await {
            tries += 1;
            assert!(tries < 1_500, "{name} is not redacted in half a minute");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn count(ledger: &Ledger, from: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let sql = format!("SELECT count(*) FROM {from}");
    block_in_place(|| {
        diesel::sql_query(sql).get_result::<Count>(&mut ledger.database.admin()).unwrap().count
    })
}

const REDACTIONS: &str = "changes WHERE kind LIKE '%.redacted'";

/// Waits until nobody walks, and the fake was asked once more.
async fn idle(ledger: &Ledger, records: &Records) {
    let asked = records.asked();
    let mut tries = 0;
    while records.asked() < asked + 2 || count(ledger, "erasures") > 0 {
        tries += 1;
        assert!(tries < 1_500, "it does not come to rest in half a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_erased_take_part_in_loses_its_texts_whenever_that_is_learnt() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (ada, grace) = (customer(), customer());
    let (one, two) = (account_of(&mut client, &ada).await, account_of(&mut client, &ada).await);
    let hers = account_of(&mut client, &grace).await;
    let house = client.account(Some(unbounded())).await;
    let captured = held(&mut client, &house, &one).await;
    client.capture(&capture(&captured)).await.unwrap();
    let of_ada = [
        paid(&mut client, &one, &house).await,
        paid(&mut client, &house, &two).await,
        paid(&mut client, &two, &hers).await,
        held(&mut client, &one, &house).await,
        held(&mut client, &two, &house).await,
        held(&mut client, &house, &one).await,
        captured,
    ];
    let of_grace = [paid(&mut client, &house, &hers).await, held(&mut client, &hers, &house).await];
    let records = Records::default();
    let address = records.serve().await;
    // Before anybody follows: no event tells of it to who begins.
    records.erase(&subject(&ada), true);
    let replica = eraser(&ledger, &address).await;
    redacted(&mut client, &of_ada).await;
    idle(&ledger, &records).await;
    let done = count(&ledger, REDACTIONS);
    assert_eq!(done, 7);
    for name in &of_grace {
        assert!(!is_redacted(&mut client, name).await, "{name} is of somebody else");
    }
    // Again, of nobody, and not of a person at all.
    for subject in [subject(&ada), subject(&customer()), "records/1".to_owned()] {
        records.erase(&subject, false);
    }
    idle(&ledger, &records).await;
    assert_eq!(count(&ledger, REDACTIONS), done, "once is enough");
    // After a restore of records the list tells.
    records.restore();
    records.erase(&subject(&grace), true);
    redacted(&mut client, &of_grace).await;
    replica.stop().await.unwrap();
    assert_books(&ledger);
    let (found, _) = verify(&mut client, &[], false).await.unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_where_it_was_killed() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let ada = customer();
    let account = account_of(&mut client, &ada).await;
    let house = client.account(Some(unbounded())).await;
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(paid(&mut client, &account, &house).await);
    }
    let records = Records::default();
    let address = records.serve().await;
    let id = names[1].strip_prefix("transactions/").unwrap();
    let mut blocker = block_in_place(|| ledger.database.admin());
    // The second page waits for this.
    let lock = format!("BEGIN; SELECT FROM texts WHERE transaction_id = '{id}' FOR UPDATE");
    block_in_place(|| blocker.batch_execute(&lock).unwrap());
    let replica = eraser(&ledger, &address).await;
    records.erase(&subject(&ada), false);
    redacted(&mut client, &names[..1]).await;
    replica.cancel();
    replica.stop().await.unwrap();
    block_in_place(|| blocker.batch_execute("ROLLBACK").unwrap());
    assert!(!is_redacted(&mut client, &names[1]).await);
    assert_eq!(count(&ledger, "erasures WHERE entry_seq = 1"), 1);
    // Records has nothing new to say, and need not be there.
    records.stop();
    let replica = eraser(&ledger, &address).await;
    redacted(&mut client, &names).await;
    assert_eq!(count(&ledger, REDACTIONS), 3);
    replica.stop().await.unwrap();
}
