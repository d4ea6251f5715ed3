//! The process ends in the middle of the work, gently and not so gently.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use strongroom_proto::outcomes::v1::{GetOutcomeRequest, Outcome, outcome::State};
use strongroom_proto::transactions::v1 as transactions;
use suite::Clients;
use tokio::task::{JoinSet, block_in_place};
use transactions::AccountClass;

use crate::child::{Child, runs};
use crate::wire::{cents, is_replay, open, send, source, transfer};
use crate::world::{folder, run};

const CALLERS: usize = 24;
/// Transfers that are acknowledged before the signal.
const BEFORE: usize = 200;

/// What a caller knows of a transfer: its name where it was acknowledged.
type Known = (transactions::CreateTransferRequest, Option<String>);

#[test]
fn sigterm_under_load_loses_nothing() {
    run(loses_nothing(Signal::TERM));
}

#[test]
fn sigkill_under_load_loses_nothing_that_was_acknowledged() {
    run(loses_nothing(Signal::KILL));
}

async fn loses_nothing(signal: Signal) {
    let folder = folder();
    let child = block_in_place(|| Child::start(folder.path()));
    let postmaster = child.postmaster();
    let clients = Clients::new(child.at, None).unwrap();
    let house = source(&clients).await;
    let mut accounts = Vec::new();
    for _ in 0..4 {
        accounts.push(open(&clients, AccountClass::Liability).await);
    }
    let known = load(&clients, &house, &accounts, || child.signal(signal)).await;
    let status = block_in_place(|| child.ended());
    // A gentle end is a success, and takes Postgres along. After the other, Postgres ends when
    // it sees that nobody is there any more; the next start waits for that.
    let gentle = signal == Signal::TERM;
    assert_eq!(status.success(), gentle);
    assert!(!(gentle && runs(postmaster)));

    let child = block_in_place(|| Child::start(folder.path()));
    let clients = Clients::new(child.at, None).unwrap();
    let mut expected = vec![0; accounts.len()];
    let mut unknown = 0;
    for (request, name) in known {
        let outcome = settled(&clients, &request).await;
        let happened = match (outcome.state(), name) {
            (State::Succeeded, None) => true,
            (State::Succeeded, Some(name)) => {
                assert_eq!(outcome.resource, name);
                true
            }
            (State::Unknown, None) => false,
            (state, name) => panic!("{name:?} is {state:?}"),
        };
        unknown += usize::from(!happened);
        // Once more: what happened is not done again, and what did not never will be.
        let repeat = send(&clients, request.clone()).await;
        assert_eq!(repeat.as_ref().is_ok_and(is_replay), happened, "{repeat:?}");
        if happened {
            let to = accounts.iter().position(|account| *account == request.to).unwrap();
            expected[to] += 1;
        }
    }
    let mut sum = 0;
    for (account, expected) in accounts.iter().zip(expected) {
        let found = cents(&clients, account).await;
        assert_eq!(found, expected, "{account}, with {unknown} that did not happen");
        sum += found;
    }
    assert_eq!(sum + cents(&clients, &house).await, 0);
    child.signal(Signal::TERM);
    assert!(block_in_place(|| child.ended()).success());
}

/// Many callers, each with one transfer of a cent after the other until the first failure, and
/// something that happens in the middle.
async fn load(
    clients: &Clients,
    house: &str,
    accounts: &[String],
    interrupt: impl FnOnce(),
) -> Vec<Known> {
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (clients, acknowledged) = (clients.clone(), Arc::clone(&acknowledged));
        let (house, account) = (house.to_owned(), accounts[caller % accounts.len()].clone());
        callers.spawn(async move {
            let mut known: Vec<Known> = Vec::new();
            loop {
                let request = transfer(&house, &account, "0.01");
                let answer = send(&clients, request.clone()).await;
                let name = answer.ok().map(|answer| answer.into_inner().name);
                let failed = name.is_none();
                known.push((request, name));
                if failed {
                    return known;
                }
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while acknowledged.load(Ordering::Relaxed) < BEFORE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    interrupt();
    callers.join_all().await.concat()
}

/// What became of a transfer, for good.
async fn settled(clients: &Clients, request: &transactions::CreateTransferRequest) -> Outcome {
    let asked = GetOutcomeRequest {
        operation: "create-transaction".to_owned(),
        request_id: request.request_id.clone(),
        fence: true,
    };
    clients.transactions_outcomes.clone().get_outcome(asked).await.unwrap().into_inner()
}
