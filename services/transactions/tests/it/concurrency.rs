//! Many callers at once.

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::transactions::v1 as wire;

use crate::setup::{Ledger, block, unbounded};

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
