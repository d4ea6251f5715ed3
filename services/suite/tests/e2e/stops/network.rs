//! The network between accounts and the ledger goes, at every act and at each of its steps: before
//! the ledger hears of it, and when the ledger has done it and its answer is lost.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _};
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::outcomes::v1::outcome::State;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::{block_in_place, spawn_blocking};
use tonic::Status;
use wire::ledger_account::State as LedgerState;

use super::act::{
    Act, ORDER, approve, close, dormant, freeze_account, freeze_customer, limit, open, reopen,
    suspend,
};
use super::desk::{Desk, until};
use crate::trio::Trio;
use crate::wire::cents;
use crate::world::run;

use strongroom_proto::accounts::v1::freeze::Direction;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(86_400);

/// What the ledger has of an account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    /// Why something is forbidden.
    reason: &'static str,
    limits: usize,
    is_closed: bool,
}

impl Seen {
    const OPEN: Self = Self { reason: "", limits: 0, is_closed: false };

    fn because(reason: &'static str) -> Self {
        Self { reason, ..Self::OPEN }
    }

    async fn holds(self, desk: &Desk, name: &str) -> bool {
        let Some(found) = desk.find(name).await else { return false };
        let controls = desk.controls(name).await;
        let reasons: Vec<&str> =
            controls.blocks.iter().map(|block| block.reason_code.as_str()).collect();
        reasons == Vec::from_iter(Some(self.reason).filter(|reason| !reason.is_empty()))
            && controls.limits.len() == self.limits
            && (found.state() == LedgerState::Closed) == self.is_closed
    }
}

/// An act on an account, and what the ledger has after each of its steps.
struct Step {
    act: Act,
    seen: Vec<Seen>,
}

/// Every act, one after the other.
fn steps(customer: &str, account: &str, pot: &str, opening: Act) -> Vec<Step> {
    let (freeze, lift) = freeze_account(account, Direction::All);
    let (order, end) = freeze_customer(customer, Direction::Debit);
    let (suspend, reinstate) = suspend(customer);
    let (dormant, reactivate) = dormant(account);
    let limited = Seen { limits: 1, ..Seen::OPEN };
    let closing = Seen { reason: "CLOSING", ..limited };
    let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    let steps = [
        (opening, vec![Seen::OPEN]),
        (freeze, vec![Seen::because(ORDER)]),
        (lift, vec![Seen::OPEN]),
        (order, vec![Seen::because(ORDER)]),
        (end, vec![Seen::OPEN]),
        (suspend, vec![Seen::because("SUSPENDED")]),
        (reinstate, vec![Seen::OPEN]),
        (limit(account, "9.00"), vec![limited]),
        (dormant, vec![Seen { reason: "DORMANT", ..limited }]),
        (reactivate, vec![limited]),
        (close(account, pot), vec![closing, Seen { is_closed: true, ..closing }]),
        (reopen(account), vec![Seen { is_closed: true, ..limited }, limited]),
        (approve(customer, Some(later)), vec![Seen { reason: "KYC_EXPIRED", ..limited }]),
    ];
    steps.into_iter().map(|(act, seen)| Step { act, seen }).collect()
}

/// Where the network goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// On the way there.
    Request,
    /// On the way back from this step of an act.
    Answer(usize),
}

struct Line {
    trio: Trio,
    desk: Desk,
}

impl Line {
    /// Acts while the network goes, and gives what the caller is told; nothing where the act has no
    /// such step.
    async fn interrupt(&self, step: &Step, account: &str, loss: Loss) -> Option<Status> {
        let network = &self.trio.to_transactions;
        let index = match loss {
            Loss::Request => {
                network.set(Fault::Cut);
                return Some(step.act.send(&self.desk.clients).await.unwrap_err());
            }
            Loss::Answer(index) => index,
        };
        let seen = step.seen.get(index)?;
        let mut lock = block_in_place(|| hold(self.connect()));
        let (act, clients) = (step.act.clone(), self.desk.clients.clone());
        let asked = tokio::spawn(async move { act.send(&clients).await });
        self.until_waiting(1).await;
        for _ in 0..index {
            // Locks are given in the order in which they are asked for: this one comes right behind
            // the step that waits.
            let conn = self.connect();
            let next = spawn_blocking(move || hold(conn));
            self.until_waiting(2).await;
            block_in_place(|| release(lock));
            lock = next.await.unwrap();
            self.until_waiting(1).await;
        }
        // The ledger has been asked, and its answer does not come through.
        network.set(Fault::Delay(FOREVER));
        block_in_place(|| release(lock));
        until("the step", async || seen.holds(&self.desk, account).await).await;
        network.set(Fault::Cut);
        Some(asked.await.unwrap().unwrap_err())
    }

    fn connect(&self) -> PgConnection {
        block_in_place(|| self.trio.transactions.admin())
    }

    /// Waits until so many wait for the accounts of the ledger.
    async fn until_waiting(&self, count: i64) {
        const WAITING: &str = "SELECT count(*) AS count FROM pg_locks \
                               WHERE relation = 'ledger_accounts'::regclass AND NOT granted";
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let waiting = || diesel::sql_query(WAITING).get_result::<Row>(&mut self.connect());
        until("who waits", async || block_in_place(waiting).unwrap().count >= count).await;
    }
}

/// Has every writer of the ledger wait.
fn hold(mut conn: PgConnection) -> PgConnection {
    conn.batch_execute("BEGIN; LOCK TABLE ledger_accounts IN EXCLUSIVE MODE").unwrap();
    conn
}

fn release(mut conn: PgConnection) {
    conn.batch_execute("COMMIT").unwrap();
}

async fn walk(loss: Loss) {
    let trio = Trio::start(&["--default-deadline", "60"]).await;
    let desk = Desk::of(&trio.newcomer(), trio.at).await;
    let customer = desk.customer().await;
    desk.submit(&customer).await;
    // Of somebody else, so that each act is about one account.
    let pot = desk.account(&desk.customer().await, "1.00").await;
    let (opening, account) = open(&customer);
    let line = Line { trio, desk };
    let desk = &line.desk;
    for step in steps(&customer, &account, &pot, opening) {
        let act = &step.act;
        if matches!(act, Act::Close(_)) {
            desk.pay(&desk.house, &account, "5.00").await.unwrap();
        }
        let Some(told) = line.interrupt(&step, &account, loss).await else {
            desk.act(act).await;
            continue;
        };
        let (reason, _, figures) = refusal(&told);
        assert_eq!((reason, &*figures["peer"]), (Reason::PeerUnavailable, "transactions"));
        assert!(desk.undelivered().await.contains(&account), "{}", act.operation());
        assert_eq!(desk.state(act).await, State::InProgress, "{}", act.operation());
        assert!(!desk.agrees(&account).await, "nothing says that it is not delivered");

        line.trio.to_transactions.set(Fault::None);
        let is_done = async || desk.state(act).await == State::Succeeded;
        until(act.operation(), is_done).await;
        assert!(step.seen.last().unwrap().holds(desk, &account).await, "{}", act.operation());
        assert!(desk.agrees(&account).await && desk.undelivered().await.is_empty());
        let (_, is_replay) = act.send(&desk.clients).await.unwrap();
        assert!(is_replay, "{}", act.operation());
    }
    assert_eq!(cents(&desk.clients, &account).await, 0);
    assert_eq!(cents(&desk.clients, &pot).await, 600);
    assert_eq!(cents(&desk.clients, &desk.house).await, -600);
    desk.assert_books().await;
}

#[test]
fn what_the_ledger_does_not_hear_it_hears_later() {
    run(Box::pin(walk(Loss::Request)));
}

#[test]
fn what_the_ledger_has_done_and_nobody_has_heard_is_known_later() {
    run(Box::pin(async {
        walk(Loss::Answer(0)).await;
        walk(Loss::Answer(1)).await;
    }));
}
