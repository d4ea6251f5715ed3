//! Services that are killed at any moment of any act. Who repeats what they asked for with the same
//! request id gets it, once, and in the end both sides have the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use shared::problem::Reason;
use shared::testing::refusal;
use strongroom_proto::accounts::v1::freeze::Direction;
use suite::Clients;
use tokio::task::{JoinSet, block_in_place};
use tonic::{Code, Status};

use super::act::{
    Act, approve, close, dormant, freeze_account, freeze_customer, limit, open, passport, reopen,
    submission, suspend,
};
use super::desk::{Desk, until};
use super::process::{Processes, Service};
use crate::child::strongroom;
use crate::crash::scale;
use crate::wire::{cents, customer, send, transfer};
use crate::world::{folder, run};

const CALLERS: usize = 4;
/// The ways of accounts are the longest.
const VICTIMS: [Service; 6] = [
    Service::Accounts,
    Service::Transactions,
    Service::Accounts,
    Service::Accounts,
    Service::Records,
    Service::Accounts,
];
/// Acts between two kills, at most.
const BETWEEN: usize = 30;
/// Repeats of one act at most, and the pause between two.
const REPEATS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats something until it is decided.
async fn decided<T, F>(ask: impl Fn() -> F) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    for _ in 0..REPEATS {
        match ask().await {
            Ok(done) => return Ok(done),
            Err(status) => match status.code() {
                // What a caller is told when a service is away, is on its way down, or is still at
                // work for the one before.
                Code::Unavailable
                | Code::Aborted
                | Code::DeadlineExceeded
                | Code::Cancelled
                | Code::Unknown
                | Code::Internal => tokio::time::sleep(PAUSE).await,
                _ => return Err(status),
            },
        }
    }
    panic!("it is never decided");
}

/// Somebody who opens account after account, with all that may happen to one.
struct Caller {
    desk: Desk,
    pot: String,
    done: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Caller {
    /// Gives the accounts, each of which has paid four euros to the pot.
    async fn run(self) -> Vec<String> {
        let mut accounts = Vec::new();
        while !self.is_over.load(Ordering::Relaxed) {
            accounts.push(self.cycle().await);
        }
        accounts
    }

    async fn cycle(&self) -> String {
        let (desk, request) = (&self.desk, customer());
        let create = || {
            let (mut customers, request) = (desk.clients.customers.clone(), request.clone());
            async move { customers.create_customer(request).await }
        };
        let created = decided(create).await.unwrap().into_inner();
        let customer = created.name;
        let (opening, account) = open(&customer);
        self.act(&opening).await;
        self.submit(&customer, created.subject).await;
        let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
        self.act(&approve(&customer, Some(later))).await;
        self.pay(&desk.house, &account, "5.00").await.unwrap();

        let (freeze, lift) = freeze_account(&account, Direction::Debit);
        let (order, end) = freeze_customer(&customer, Direction::All);
        for act in [&freeze, &order] {
            self.act(act).await;
            self.assert_blocked(&account).await;
        }
        self.act(&lift).await;
        self.assert_blocked(&account).await;
        self.act(&end).await;
        self.pay(&account, &desk.house, "1.00").await.unwrap();
        let (suspend, reinstate) = suspend(&customer);
        self.act(&suspend).await;
        self.assert_blocked(&account).await;
        self.act(&reinstate).await;
        let (dormant, reactivate) = dormant(&account);
        for act in [limit(&account, "3.00"), dormant, reactivate, close(&account, &self.pot)] {
            self.act(&act).await;
        }
        self.act(&reopen(&account)).await;
        account
    }

    /// Begins to look at who a customer is.
    async fn submit(&self, customer: &str, subject: String) {
        let (record, clients) = (passport(subject), &self.desk.clients);
        let create = || {
            let (mut records, record) = (clients.records.clone(), record.clone());
            async move { records.create_record(record).await }
        };
        let record = decided(create).await.unwrap().into_inner();
        let submission = submission(customer, &record.name);
        let submit = || {
            let (mut customers, submission) = (clients.customers.clone(), submission.clone());
            async move { customers.submit_kyc(submission).await }
        };
        decided(submit).await.unwrap();
    }

    async fn act(&self, act: &Act) {
        let done = decided(|| act.send(&self.desk.clients)).await;
        done.unwrap_or_else(|status| panic!("{act:?}: {status:?}"));
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    async fn pay(&self, from: &str, to: &str, amount: &str) -> Result<(), Status> {
        let request = transfer(from, to, amount);
        decided(|| send(&self.desk.clients, request.clone())).await.map(drop)
    }

    async fn assert_blocked(&self, account: &str) {
        let refused = self.pay(account, &self.desk.house, "1.00").await.unwrap_err();
        assert_eq!(refusal(&refused).0, Reason::AccountBlocked, "{refused:?}");
    }
}

#[test]
fn whatever_is_killed_both_sides_have_the_same_in_the_end() {
    run(Box::pin(async {
        // Who was killed has its request ids for as long as its calls may take.
        let mut processes = Processes::start(&["--default-deadline", "3"]).await;
        let (token, at) = (processes.ground.token(), processes.ground.at);
        let clients = Clients::new(at, Some(&token)).unwrap();
        let desk = Desk::of(&clients, at).await;
        let pot = desk.account(&desk.customer().await, "1.00").await;
        let (done, is_over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS {
            let (desk, pot) = (desk.clone(), pot.clone());
            let (done, is_over) = (Arc::clone(&done), Arc::clone(&is_over));
            callers.spawn(Caller { desk, pot, done, is_over }.run());
        }
        for victim in VICTIMS.repeat(scale()) {
            let next = done.load(Ordering::Relaxed) + rand::random_range(1..=BETWEEN);
            until("so many acts", async || done.load(Ordering::Relaxed) >= next).await;
            // Not only where an act has just ended.
            tokio::time::sleep(Duration::from_micros(rand::random_range(0..50_000))).await;
            processes.kill(victim);
            processes.revive(victim).await;
        }
        is_over.store(true, Ordering::Relaxed);
        let accounts = callers.join_all().await.concat();

        // A comparison that found an act on its way may have something repaired.
        until("the end of deliveries", async || desk.undelivered().await.is_empty()).await;
        for account in &accounts {
            assert!(desk.agrees(account).await, "{account}");
            assert_eq!(cents(&desk.clients, account).await, 0);
        }
        let expected = 100 + 400 * i64::try_from(accounts.len()).unwrap();
        assert_eq!(cents(&desk.clients, &pot).await, expected);
        assert_eq!(cents(&desk.clients, &desk.house).await, -expected);
        desk.assert_books().await;
        let folder = folder();
        let mut reconcile = strongroom(folder.path());
        reconcile.args(["reconcile", "--token", &token]);
        reconcile.args(["--accounts", &at.accounts.to_string()]);
        reconcile.args(["--ledger", &at.transactions.to_string()]);
        let output = block_in_place(|| reconcile.output().unwrap());
        assert!(output.status.success(), "{output:?}");
    }));
}
