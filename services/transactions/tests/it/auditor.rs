//! The auditor: it finds what is wrong, blocks what it is about, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use shared::ids::TenantId;
use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::{JoinSet, block_in_place};
use wire::mismatch::Check;

use crate::books::{assert_books, owner};
use crate::model::scale;
use crate::requests::{capture, hold, release, why};
use crate::setup::{Client, Ledger, transfer};
use crate::verify::Books;

/// An auditor that does not wait, and looks at little at once.
const BUSY: [&str; 6] =
    ["--audit-interval", "0.001", "--audit-slice", "64", "--checkpoint-interval", "0.01"];

async fn list(client: &mut Client, filter: &str) -> Vec<wire::Mismatch> {
    let filter = filter.to_owned();
    let request = wire::ListMismatchesRequest { filter, ..Default::default() };
    client.books.list_mismatches(request).await.unwrap().into_inner().mismatches
}

/// Waits for open mismatches, so many at least.
async fn found(client: &mut Client, count: usize) -> Vec<wire::Mismatch> {
    for _ in 0..3_000 {
        let found = list(client, "state = OPEN").await;
        if found.len() >= count {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is not found");
}

async fn resolve(client: &mut Client, mismatch: &wire::Mismatch) -> wire::Mismatch {
    let request = wire::ResolveMismatchRequest {
        name: mismatch.name.clone(),
        resolution_code: "RESTORED".to_owned(),
        ..Default::default()
    };
    client.books.resolve_mismatch(request).await.unwrap().into_inner()
}

#[derive(QueryableByName)]
struct Value {
    #[diesel(sql_type = Text)]
    value: String,
}

fn value(ledger: &Ledger, tenant: TenantId, sql: &str) -> String {
    let query = diesel::sql_query(format!("SELECT ({sql})::text AS value"));
    let found: Value = block_in_place(|| query.get_result(&mut owner(ledger, tenant)).unwrap());
    found.value
}

/// Waits until so many whole rounds have begun and ended.
async fn rounds(ledger: &Ledger, tenant: TenantId, count: usize) {
    let last = "coalesce((SELECT round_time FROM audits), '-infinity')";
    let mut seen = BTreeSet::new();
    for _ in 0..60_000 {
        seen.insert(value(ledger, tenant, last));
        if seen.len() > count + 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("there were {} rounds", seen.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_blocked_and_nothing_else() {
    let ledger = Ledger::start_with(&BUSY).await;
    let (books, neighbour) = (Books::make(&ledger).await, Books::make(&ledger).await);
    let mut client = ledger.client_of(books.tenant, &["*"]);
    let balance = "UPDATE ledger_accounts SET posted_debits = posted_debits - 100 \
                   WHERE id = '{account}'";
    books.damage(&ledger, balance);
    let open = found(&mut client, 1).await;
    let [one] = &open[..] else { panic!("{open:?}") };
    assert_eq!((one.check(), &one.resource), (Check::Balance, &books.account));
    let (reason, figures) = why(client.pay(&books.account, &books.other, "1").await);
    assert_eq!(reason, Reason::AccountBlocked);
    assert_eq!(figures["source"], "auditor");
    assert_eq!(figures["reason_code"], "BOOKS_MISMATCH");
    let (reason, _) = why(client.pay(&books.house, &books.account, "1").await);
    assert_eq!(reason, Reason::AccountBlocked);
    // Everybody else goes on.
    client.pay(&books.other, &books.house, "1").await.unwrap();
    let mut other = ledger.client_of(neighbour.tenant, &["*"]);
    other.pay(&neighbour.account, &neighbour.other, "1").await.unwrap();
    assert!(list(&mut other, "").await.is_empty());
    // It is found again and again, and written down once.
    rounds(&ledger, books.tenant, 3).await;
    assert_eq!(list(&mut client, "").await, open);
    let told = "SELECT count(*) FROM changes WHERE kind = 'mismatch.found'";
    assert_eq!(value(&ledger, books.tenant, told), "1");
    // Whoever says that it is dealt with while it is not hears of it again.
    resolve(&mut client, one).await;
    let again = found(&mut client, 1).await;
    assert_ne!(again[0].name, one.name);
    assert_eq!(why(client.pay(&books.account, &books.other, "1").await).0, Reason::AccountBlocked);
    books.damage(&ledger, &balance.replace("- 100", "+ 100"));
    let resolved = resolve(&mut client, &again[0]).await;
    assert_eq!(
        (resolved.resolution_code.as_str(), resolved.resolver.is_empty()),
        ("RESTORED", false)
    );
    client.pay(&books.account, &books.other, "1").await.unwrap();
    rounds(&ledger, books.tenant, 3).await;
    assert!(list(&mut client, "state = OPEN").await.is_empty());
    assert_eq!(list(&mut client, &format!("resource = {}", books.account)).await.len(), 2);
}

/// The block goes with the last of several mismatches.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_posting_blocks_its_accounts_until_all_is_resolved() {
    let ledger = Ledger::start_with(&BUSY).await;
    let books = Books::make(&ledger).await;
    books.logged(&ledger).await;
    books.damage(&ledger, "UPDATE transactions SET kind = 'GIFT' WHERE id = '{transaction}'");
    let mut client = ledger.client_of(books.tenant, &["*"]);
    let leaf = found(&mut client, 1).await.remove(0);
    assert_eq!(leaf.check(), Check::Leaf);
    books.damage(&ledger, "UPDATE ledger_accounts SET held = held + 1 WHERE id = '{account}'");
    let held = found(&mut client, 2).await.into_iter().find(|one| one.check() == Check::Held);
    for (from, to) in [(&books.account, &books.house), (&books.other, &books.house)] {
        assert_eq!(why(client.pay(from, to, "1").await).0, Reason::AccountBlocked);
    }
    books.damage(&ledger, "UPDATE transactions SET kind = 'TRANSFER' WHERE id = '{transaction}'");
    resolve(&mut client, &leaf).await;
    client.pay(&books.other, &books.house, "1").await.unwrap();
    assert_eq!(why(client.pay(&books.account, &books.house, "1").await).0, Reason::AccountBlocked);
    books.damage(&ledger, "UPDATE ledger_accounts SET held = held - 1 WHERE id = '{account}'");
    resolve(&mut client, &held.unwrap()).await;
    client.pay(&books.account, &books.house, "1").await.unwrap();
    rounds(&ledger, books.tenant, 2).await;
    assert_eq!(list(&mut client, "state = OPEN").await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_bound_only_alerts() {
    let ledger = Ledger::start_with(&BUSY).await;
    let books = Books::make(&ledger).await;
    books.damage(&ledger, "UPDATE ledger_accounts SET held = held + 1 WHERE id = '{house}'");
    let mut client = ledger.client_of(books.tenant, &["*"]);
    let open = found(&mut client, 1).await;
    assert_eq!((open[0].check(), &open[0].resource), (Check::Held, &books.house));
    client.pay(&books.house, &books.account, "1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_write_it_down_once() {
    let ledger = Ledger::start_with(&BUSY).await;
    let _replica = ledger.replica().await;
    let books = Books::make(&ledger).await;
    books.damage(&ledger, "UPDATE ledger_accounts SET held = held + 1 WHERE id = '{account}'");
    let mut client = ledger.client_of(books.tenant, &["*"]);
    found(&mut client, 1).await;
    rounds(&ledger, books.tenant, 5).await;
    assert_eq!(list(&mut client, "").await.len(), 1);
    let controls = "SELECT json_array_length(controls::json) FROM ledger_accounts \
                    WHERE controls IS NOT NULL";
    assert_eq!(value(&ledger, books.tenant, controls), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused() {
    let ledger = Ledger::start_with(&["--audit-interval", "0"]).await;
    let mut client = ledger.client();
    for filter in ["state = MAYBE", "kind = LEAF", "state >= OPEN"] {
        let filter = filter.to_owned();
        let request = wire::ListMismatchesRequest { filter, ..Default::default() };
        let (reason, _) = why(client.books.list_mismatches(request).await);
        assert_eq!(reason, Reason::FilterInvalid);
    }
    // Nobody lifts the auditor's block but by resolving what it is about.
    let account = client.account(None).await;
    let controls =
        wire::Controls { source: "auditor".to_owned(), version: 9, ..Default::default() };
    assert_eq!(why(client.control(&account, controls).await).0, Reason::FieldInvalid);
    let unknown = format!("mismatches/{}", uuid::Uuid::now_v7());
    for (name, code, reason) in [
        ("mismatches/1", "RESTORED", Reason::FieldInvalid),
        (unknown.as_str(), "", Reason::FieldInvalid),
        (unknown.as_str(), "it is all right", Reason::FieldInvalid),
        (unknown.as_str(), "RESTORED", Reason::ResourceNotFound),
    ] {
        let request = wire::ResolveMismatchRequest {
            name: name.to_owned(),
            resolution_code: code.to_owned(),
            ..Default::default()
        };
        assert_eq!(why(client.books.resolve_mismatch(request).await).0, reason, "{name} {code}");
    }
}

/// Postings, holds, captures and value dates of the past, all at once, while it looks all the time.
#[tokio::test(flavor = "multi_thread")]
async fn books_that_are_right_are_never_accused() {
    let ledger = Ledger::start_with(&BUSY).await;
    let _replica = ledger.replica().await;
    let mut client = ledger.client();
    let (house, _) = client.funded("1").await;
    let mut accounts = vec![house];
    for _ in 0..8 {
        accounts.push(client.funded("1000").await.1);
    }
    let mut callers = JoinSet::new();
    for caller in 0..8 {
        callers.spawn(post(ledger.client(), accounts.clone(), caller));
    }
    rounds(&ledger, ledger.tenant, 10 * scale()).await;
    callers.join_all().await;
    rounds(&ledger, ledger.tenant, 2).await;
    assert!(list(&mut client, "").await.is_empty());
    assert_books(&ledger);
    let (wrong, last) = crate::verify::verify(&mut client, &[], true).await.unwrap();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(
        last.entries.to_string(),
        value(&ledger, ledger.tenant, "SELECT count(*) FROM entries")
    );
}

/// What one caller posts, one thing after the other.
async fn post(mut client: Client, accounts: Vec<String>, caller: usize) {
    let at = |index: usize| accounts[index % accounts.len()].as_str();
    for step in 0..60 * scale() {
        let (from, to) = (at(caller + step), at(caller + step + 1 + step % 3));
        match step % 4 {
            0 => {
                let seconds = 1_700_000_000 + 86_400 * i64::try_from(step % 7).unwrap();
                let effective_time = Some(prost_types::Timestamp { seconds, nanos: 0 });
                let request =
                    wire::CreateTransferRequest { effective_time, ..transfer(from, to, "0.03") };
                client.transactions.create_transfer(request).await.unwrap();
            }
            1 => {
                let held = client.hold(&hold(from, to, "0.02")).await.unwrap().name;
                if step % 8 == 1 {
                    client.holds.capture_hold(capture(&held)).await.unwrap();
                } else if step % 16 == 5 {
                    client.holds.release_hold(release(&held)).await.unwrap();
                }
            }
            _ => {
                client.pay(from, to, "0.01").await.unwrap();
            }
        }
    }
}

/// How many there are to look at decides how many rows are read, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_more_entries_than_a_slice_is_looked_at_in_pieces() {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let slice = ["--audit-interval", "0.001", "--audit-slice", "5"];
    let ledger = Ledger::start_with(&slice).await;
    let mut client = ledger.client();
    let (house, account) = client.funded("10").await;
    for _ in 0..40 {
        client.pay(&account, &house, "0.1").await.unwrap();
    }
    rounds(&ledger, ledger.tenant, 2).await;
    assert!(list(&mut client, "").await.is_empty());
    let id = account.strip_prefix("accounts/").unwrap();
    let damage = format!(
        "UPDATE entries SET posted_after = posted_after + 1 \
         WHERE account_id = '{id}' AND entry_seq = 37"
    );
    block_in_place(|| {
        diesel::sql_query(damage).execute(&mut owner(&ledger, ledger.tenant)).unwrap();
    });
    // Its leaf is not what was posted either: which of the two is found first is a matter of luck.
    let open = found(&mut client, 2).await;
    let is_it =
        |one: &wire::Mismatch| one.check() == Check::RunningBalance && one.resource == account;
    assert!(open.iter().any(is_it), "{open:?}");
    let count = "SELECT count(*) FROM mismatches WHERE kind = 2";
    let found: Count = block_in_place(|| {
        diesel::sql_query(count).get_result(&mut owner(&ledger, ledger.tenant)).unwrap()
    });
    assert_eq!(found.count, 1);
}
