//! Many callers at once.

use std::time::Duration;

use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use tokio::task::JoinSet;
use tonic::Code;
use transactions::AccountClass;

use crate::wire::{cents, open, send, source, transfer};
use crate::world::{run, world};

const ACCOUNTS: usize = 10;
const TRANSFERS: usize = 1_000;
/// On each account at first, in cents.
const FUNDS: i64 = 10_000;

#[test]
fn a_thousand_transfers_at_once_leave_the_books_right() {
    run(async {
        let clients = world().await.newcomer().await;
        let house = source(&clients).await;
        let mut accounts = Vec::new();
        for _ in 0..ACCOUNTS {
            let account = open(&clients, AccountClass::Liability).await;
            send(&clients, transfer(&house, &account, "100.00")).await.unwrap();
            accounts.push(account);
        }
        let mut callers = JoinSet::new();
        for index in 0..TRANSFERS {
            // Every pair of accounts in both directions, amounts up to more than there is.
            let (from, to) = (index % ACCOUNTS, (index + 1 + index / ACCOUNTS % 9) % ACCOUNTS);
            let amount = format!("{}.{:02}", index % 7 * 9, index % 100 + 1);
            let request = transfer(&accounts[from], &accounts[to], &amount);
            callers.spawn(settle(clients.clone(), request));
        }
        let posted = callers.join_all().await.into_iter().filter(|posted| *posted).count();
        assert!(posted > TRANSFERS / 2, "only {posted} were posted");

        let mut sum = 0;
        for account in &accounts {
            let balance = cents(&clients, account).await;
            assert!(balance >= 0, "{account} is below its bound");
            sum += balance;
        }
        assert_eq!(sum, FUNDS * i64::try_from(ACCOUNTS).unwrap());
        assert_eq!(sum + cents(&clients, &house).await, 0);
    });
}

/// Repeats a transfer as callers should until it is decided: true where it was posted, false where
/// the account had too little.
pub(crate) async fn settle(clients: Clients, request: transactions::CreateTransferRequest) -> bool {
    for _ in 0..100 {
        match send(&clients, request.clone()).await {
            Ok(_) => return true,
            Err(status) => match status.code() {
                Code::FailedPrecondition => return false,
                Code::Unavailable | Code::Aborted | Code::ResourceExhausted => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                _ => panic!("{status:?}"),
            },
        }
    }
    panic!("{} is not decided", request.request_id);
}
