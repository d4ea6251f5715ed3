//! Many callers at once.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;

use crate::requests::{hold, release, why};
use crate::setup::{Ledger, block, eur, request_id, transfer, unbounded};

#[tokio::test(flavor = "multi_thread")]
async fn transfers_that_cross_keep_the_sum_and_the_bounds() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let house = client.account(Some(unbounded())).await;
    let mut accounts = Vec::new();
    for _ in 0..10 {
        let account = client.account(None).await;
        client.pay(&house, &account, "10").await.unwrap();
        accounts.push(account);
    }
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..1_000_usize {
        // Both directions between every pair, so that locks in another order would deadlock.
        let (from, to) = (accounts[n % 10].clone(), accounts[(n * 7 + 1 + n / 10) % 10].clone());
        let mut client = client.clone();
        callers.spawn(async move {
            if from == to { Ok(None) } else { client.pay(&from, &to, "3.33").await.map(Some) }
        });
    }
    for answer in callers.join_all().await {
        if let Err(status) = answer {
            assert_eq!(refusal(&status).0, Reason::InsufficientFunds, "{status:?}");
        }
    }
    let mut sum = 0_i64;
    for account in &accounts {
        let posted: i64 = client.posted(account).await.replace('.', "").parse().unwrap();
        assert!(posted >= 0, "{account} has {posted}");
        sum += posted;
    }
    assert_eq!(sum, 10_000);
    assert_eq!(client.posted(&house).await, "-100.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_posting_passes_after_a_block_was_acknowledged() {
    let ledger = Ledger::start().await;
    let mut client = ledger.client();
    let (house, account) = client.funded("1000").await;
    let mut payers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (mut client, house, account) = (ledger.client(), house.clone(), account.clone());
        payers.spawn(async move {
            for _ in 0..500 {
                if let Err(status) = client.pay(&account, &house, "0.01").await {
                    assert_eq!(refusal(&status).0, Reason::AccountBlocked);
                    return;
                }
            }
        });
    }
    tokio::task::yield_now().await;
    let blocked = client.control(&account, block(1, wire::block::Effect::Debit)).await.unwrap();
    let at_the_block = blocked.balance.unwrap().posted.unwrap().amount;
    payers.join_all().await;
    assert_eq!(client.posted(&account).await, at_the_block);
}

/// Somebody else's transaction, which keeps an account to itself until it is dropped.
struct Locker(PgConnection);

impl Locker {
    fn of(ledger: &Ledger, account: &str) -> Self {
        let id = account.strip_prefix("accounts/").unwrap();
        let lock = format!("BEGIN; SELECT 1 FROM ledger_accounts WHERE id = '{id}' FOR UPDATE");
        let mut conn = ledger.database.admin();
        conn.batch_execute(&lock).unwrap();
        Self(conn)
    }

    /// Waits until somebody waits for it.
    async fn waited_for(&mut self) {
        #[derive(QueryableByName)]
        struct Waiting {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        const WAITING: &str = "SELECT count(*) AS count FROM pg_stat_activity \
                               WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        for _ in 0..1_000 {
            let found: Vec<Waiting> = tokio::task::block_in_place(|| {
                diesel::sql_query(WAITING).load(&mut self.0).unwrap()
            });
            if found[0].count > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody waits");
    }
}

/// Who chose an id may use it before the answer has come. Here the hold is made after the batch has
/// looked for its account, and before it has read the hold: what it has not locked it leaves alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_is_made_while_a_batch_waits_is_not_there_for_it() {
    let ledger = Ledger::start().await;
    let replica = ledger.replica().await;
    let (mut client, mut other) =
        (ledger.client(), ledger.client_at(&replica, ledger.tenant, &["*"]));
    let (house, account) = client.funded("100").await;
    let (slow_house, slow) = client.funded("100").await;
    let hold_id = uuid::Uuid::now_v7().to_string();
    let name = format!("holds/{hold_id}");
    let operations = [
        wire::batch_item::Operation::Transfer(wire::CreateTransferRequest {
            request_id: String::new(),
            ..transfer(&slow, &slow_house, "1")
        }),
        wire::batch_item::Operation::Release(wire::ReleaseHoldRequest {
            request_id: String::new(),
            ..release(&name)
        }),
    ];
    let batch = wire::ExecuteBatchRequest {
        items: operations.map(|one| wire::BatchItem { operation: Some(one) }).into(),
        mode: wire::BatchMode::AllOrNothing.into(),
        request_id: request_id(),
        ..Default::default()
    };
    let mut locker = tokio::task::block_in_place(|| Locker::of(&ledger, &slow));
    let mut impatient = ledger.client();
    let again = batch.clone();
    let waiting = tokio::spawn(async move { impatient.transactions.execute_batch(again).await });
    locker.waited_for().await;
    let request = wire::CreateHoldRequest { hold_id, ..hold(&account, &house, "50") };
    other.hold(&request).await.unwrap();
    drop(locker);
    let (reason, figures) = why(waiting.await.unwrap());
    assert_eq!((reason, &figures["name"]), (Reason::ResourceNotFound, &name));
    assert_eq!(client.balance(&account).await.held, Some(eur("50.00")));
    // It is not frozen, so the repeat finds the hold.
    client.transactions.execute_batch(batch).await.unwrap();
    assert_eq!(client.figures(&account).await, ["100.00", "0.00", "100.00"]);
}
