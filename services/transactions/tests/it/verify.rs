//! Books that somebody has damaged as the owner of the tables, in every way.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::ids::TenantId;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::block_in_place;
use tonic::Status;
use wire::mismatch::Check;

use crate::books::owner;
use crate::requests::hold;
use crate::setup::{Client, Ledger, request_id, transfer};

/// A ledger that nobody audits, and that signs its log at once.
pub(crate) const UNWATCHED: [&str; 4] = ["--audit-interval", "0", "--checkpoint-interval", "0.01"];

/// What a verification found, and its last message.
pub(crate) async fn verify(
    client: &mut Client,
    accounts: &[String],
    log: bool,
) -> Result<(Vec<wire::Mismatch>, wire::VerifyBooksResponse), Status> {
    let request = wire::VerifyBooksRequest { accounts: accounts.to_vec(), log };
    let mut messages = client.books.verify_books(request).await?.into_inner();
    let mut found = Vec::new();
    while let Some(mut message) = messages.message().await? {
        found.append(&mut message.mismatches);
        if message.done {
            assert_eq!(message.mismatch_count, i64::try_from(found.len()).unwrap());
            return Ok((found, message));
        }
    }
    panic!("the stream ended without a last message");
}

/// The books of one tenant.
pub(crate) struct Books {
    pub(crate) tenant: TenantId,
    pub(crate) house: String,
    pub(crate) account: String,
    pub(crate) other: String,
    /// The second posting, with a text; the second entry of `account`.
    pub(crate) transaction: String,
}

impl Books {
    /// Books with something of everything in a new tenant.
    pub(crate) async fn make(ledger: &Ledger) -> Self {
        let tenant = block_in_place(|| ledger.database.tenant());
        let mut client = ledger.client_of(tenant, &["*"]);
        let (house, account) = client.funded("100").await;
        let other = client.account(None).await;
        let described = wire::CreateTransferRequest {
            description: "rent".to_owned(),
            ..transfer(&account, &other, "10")
        };
        let posted = client.transactions.create_transfer(described).await.unwrap().into_inner();
        client.pay(&account, &house, "5").await.unwrap();
        let earlier = wire::CreateTransferRequest {
            effective_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            ..transfer(&account, &other, "1")
        };
        client.transactions.create_transfer(earlier).await.unwrap();
        client.hold(&hold(&account, &other, "7")).await.unwrap();
        Self { tenant, house, account, other, transaction: posted.name }
    }

    /// Runs SQL as the owner. `{account}` and the others are ids.
    pub(crate) fn damage(&self, ledger: &Ledger, sql: &str) {
        let id = |name: &str| name.split_once('/').unwrap().1.to_owned();
        let sql = sql
            .replace("{account}", &id(&self.account))
            .replace("{house}", &id(&self.house))
            .replace("{transaction}", &id(&self.transaction));
        block_in_place(|| owner(ledger, self.tenant).batch_execute(&sql).unwrap());
    }

    /// Waits until everything is in the log, and signed.
    pub(crate) async fn logged(&self, ledger: &Ledger) {
        const BEHIND: &str = "SELECT (SELECT count(*) FROM changes WHERE position IS NULL) \
            + (SELECT count(*) FROM logs l WHERE NOT EXISTS ( \
                SELECT FROM checkpoints c WHERE c.tenant_id = l.tenant_id AND c.size = l.size)) \
            + (NOT EXISTS (SELECT FROM logs))::integer AS count";
        #[derive(QueryableByName)]
        struct Behind {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        for _ in 0..3_000 {
            let behind: Behind = block_in_place(|| {
                diesel::sql_query(BEHIND).get_result(&mut owner(ledger, self.tenant)).unwrap()
            });
            if behind.count == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the log does not come");
    }
}

/// What is done to the books, and what is then found, about what.
const DAMAGES: [(&str, &[(Check, &str)]); 18] = [
    ("SELECT", &[]),
    (
        "UPDATE ledger_accounts SET posted_credits = posted_credits + 100 WHERE id = '{account}'",
        &[(Check::Balance, "account")],
    ),
    (
        "UPDATE entries SET amount = amount + 100 WHERE account_id = '{account}' AND entry_seq = 2",
        &[
            (Check::Balance, "account"),
            (Check::RunningBalance, "account"),
            (Check::DayTotals, "account"),
            (Check::ZeroSum, "transaction"),
            (Check::Leaf, "leaf"),
        ],
    ),
    (
        "DELETE FROM entries WHERE account_id = '{account}' AND entry_seq = 2",
        &[
            (Check::Balance, "account"),
            (Check::RunningBalance, "account"),
            (Check::EntrySeq, "account"),
            (Check::DayTotals, "account"),
            (Check::ZeroSum, "transaction"),
            (Check::Leaf, "leaf"),
        ],
    ),
    (
        "UPDATE entries SET entry_seq = 9 WHERE account_id = '{account}' AND entry_seq = 4",
        &[(Check::EntrySeq, "account"), (Check::Leaf, "leaf")],
    ),
    (
        "UPDATE ledger_accounts SET entry_seq = 5 WHERE id = '{account}'",
        &[(Check::EntrySeq, "account")],
    ),
    (
        "UPDATE ledger_accounts SET day_debits = day_debits + 1 WHERE id = '{account}'",
        &[(Check::DayTotals, "account")],
    ),
    (
        "UPDATE day_totals SET value_date = value_date + 1 WHERE account_id = '{account}'",
        &[(Check::DayTotals, "account")],
    ),
    (
        "UPDATE ledger_accounts SET held = held + 1 WHERE id = '{account}'",
        &[(Check::Held, "account")],
    ),
    (
        "UPDATE holds SET remaining = remaining - 1 WHERE account_id = '{account}'",
        &[(Check::Held, "account")],
    ),
    (
        "UPDATE entries SET posted_after = posted_after + 1 \
         WHERE account_id = '{account}' AND entry_seq = 4",
        &[(Check::RunningBalance, "account"), (Check::Leaf, "leaf")],
    ),
    (
        "DELETE FROM texts; DELETE FROM transactions WHERE id = '{transaction}'",
        &[(Check::DayTotals, "account"), (Check::ZeroSum, "transaction"), (Check::Leaf, "leaf")],
    ),
    (
        "UPDATE transactions SET booking_date = booking_date - 1 WHERE id = '{transaction}'",
        &[(Check::DayTotals, "account"), (Check::DayTotals, "transaction"), (Check::Leaf, "leaf")],
    ),
    ("UPDATE transactions SET kind = 'GIFT' WHERE id = '{transaction}'", &[(Check::Leaf, "leaf")]),
    (
        "ALTER TABLE texts DISABLE TRIGGER only_redacts; \
         UPDATE texts SET commitment = sha256('') WHERE transaction_id = '{transaction}'; \
         ALTER TABLE texts ENABLE TRIGGER only_redacts",
        &[(Check::Leaf, "leaf")],
    ),
    (
        "UPDATE log_tiles SET hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40))",
        &[(Check::Leaf, "leaf"), (Check::Log, "leaf")],
    ),
    (
        "UPDATE checkpoints SET root_hash = sha256('') \
         WHERE size = (SELECT max(size) FROM checkpoints)",
        &[(Check::Log, "leaf")],
    ),
    (
        "UPDATE checkpoints SET note = replace(note, E'\\n', E'\\n1') \
         WHERE size = (SELECT max(size) FROM checkpoints)",
        &[(Check::Log, "leaf")],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_damaged_is_found() {
    let ledger = Ledger::start_with(&UNWATCHED).await;
    for (sql, expected) in DAMAGES {
        let books = Books::make(&ledger).await;
        let mut client = ledger.client_of(books.tenant, &["*"]);
        books.logged(&ledger).await;
        books.damage(&ledger, sql);
        let (found, last) = verify(&mut client, &[], true).await.unwrap();
        // Several leaves may have changed, and several accounts of what is gone.
        let kind = |one: &wire::Mismatch| {
            let resource = match one.resource.as_str() {
                name if name == books.account || name == books.other => "account",
                name if name == books.transaction => "transaction",
                name if name.starts_with("leaves/") => "leaf",
                other => panic!("{sql}: {other} is wrong, too"),
            };
            assert_ne!(one.found, one.expected, "{sql}");
            (one.check(), resource)
        };
        let mut kinds: Vec<_> = found.iter().map(kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(kinds, expected, "{sql}: {found:?}");
        assert_eq!((last.accounts, last.percent), (3, 100), "{sql}");
        // Everything but the log and the transactions is found by looking at the account alone.
        let (alone, last) =
            verify(&mut client, std::slice::from_ref(&books.account), false).await.unwrap();
        assert_eq!((last.accounts, last.transactions), (1, 0), "{sql}");
        let of_account: Vec<_> =
            found.into_iter().filter(|f| f.resource == books.account).collect();
        assert_eq!(alone, of_account, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_says_what_is_wrong() {
    let ledger = Ledger::start_with(&UNWATCHED).await;
    let books = Books::make(&ledger).await;
    books.damage(
        &ledger,
        "UPDATE ledger_accounts SET posted_credits = 10001, held = 701 WHERE id = '{account}'; \
         UPDATE entries SET posted_after = 1 WHERE account_id = '{account}' AND entry_seq = 3; \
         UPDATE entries SET amount = 1050 \
             WHERE transaction_id = '{transaction}' AND account_id <> '{account}'",
    );
    let mut client = ledger.client_of(books.tenant, &["*"]);
    let (found, _) = verify(&mut client, &[], false).await.unwrap();
    let said = |check: Check, resource: &str| {
        let one = found.iter().find(|one| one.check() == check && one.resource == resource);
        let one = one.unwrap();
        (one.found.clone(), one.expected.clone())
    };
    let both = |found: &str, expected: &str| (found.to_owned(), expected.to_owned());
    assert_eq!(
        said(Check::Balance, &books.account),
        both("16.00 debits, 100.01 credits", "16.00 debits, 100.00 credits")
    );
    assert_eq!(said(Check::Held, &books.account), both("7.01", "7.00"));
    let running = both("entry 3: 0.01", "entry 3: 85.00");
    assert_eq!(said(Check::RunningBalance, &books.account), running);
    assert_eq!(said(Check::ZeroSum, &books.transaction), both("-0.50 EUR", "0.00 EUR"));
    // The resolutions and the names of mismatches are the auditor's.
    assert!(found.iter().all(|one| one.name.is_empty() && one.create_time.is_none()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_refused() {
    let ledger = Ledger::start_with(&UNWATCHED).await;
    let (mut client, name) = (ledger.client(), format!("accounts/{}", request_id()));
    for (accounts, log, field) in [
        (vec!["accounts/1".to_owned()], false, "accounts[0]"),
        (vec![name.clone(); 1_001], false, "accounts"),
        (vec![name.clone()], true, "log"),
    ] {
        let refused = verify(&mut client, &accounts, log).await.unwrap_err();
        let (reason, found, _) = refusal(&refused);
        assert_eq!((reason, found.as_str()), (Reason::FieldInvalid, field));
    }
    let (found, last) = verify(&mut client, &[name], false).await.unwrap();
    assert_eq!((found.len(), last.accounts, last.entries), (0, 0, 0));
}

/// A verification that takes long: somebody keeps a table to himself.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_as_may_be_and_no_more() {
    let patient = ["--lock-timeout", "60", "--statement-timeout", "60", "--audit-interval", "0"];
    let ledger = Ledger::start_with(&patient).await;
    let mut client = ledger.client();
    client.funded("1").await;
    let mut keeper = block_in_place(|| ledger.database.owner());
    block_in_place(|| keeper.batch_execute("BEGIN; LOCK TABLE holds").unwrap());
    let everything = wire::VerifyBooksRequest::default;
    let mut first = client.books.verify_books(everything()).await.unwrap().into_inner();
    assert!(!first.message().await.unwrap().unwrap().done);
    let refused = verify(&mut client, &[], false).await.unwrap_err();
    assert_eq!(refusal(&refused).0, Reason::Overloaded);
    // Whoever goes away makes room for others.
    drop(first);
    block_in_place(|| keeper.batch_execute("COMMIT").unwrap());
    for _ in 0..3_000 {
        if verify(&mut client, &[], false).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there is no room again");
}
