//! The network between accounts and the ledger goes, or one of them dies, at every act and at each
//! of its steps. Nobody helps, and in the end both have the same.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::BigInt;
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _};
use shared::problem::Reason;
use shared::testing::{Fault, refusal};
use strongroom_proto::outcomes::v1::outcome::State;
use tokio::task::block_in_place;
use tonic::Status;

use super::act::{Act, open};
use super::desk::{Desk, until};
use super::process::{Processes, Service};
use super::step::{Step, steps};
use crate::wire::cents;
use crate::world::run;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(86_400);
/// For how long a call has its request id, where nobody gives that back.
const LEASE: Duration = Duration::from_secs(2);

/// What goes, and at which step of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// The network, before the ledger is asked.
    Request,
    /// The network, when the ledger has done what it was asked for.
    Answer(usize),
    /// Accounts, while the ledger is at work.
    Accounts(usize),
    /// The ledger, while it is at work.
    Ledger(usize),
}

struct Line {
    processes: Processes,
    desk: Desk,
}

impl Line {
    /// Acts while something goes, and gives what the caller is told; nothing where the act has no
    /// such step.
    async fn interrupt(&mut self, step: &Step, account: &str, loss: Loss) -> Option<Status> {
        let index = match loss {
            Loss::Request => {
                self.processes.ground.to_transactions.set(Fault::Cut);
                return Some(step.act.send(&self.desk.clients).await.unwrap_err());
            }
            Loss::Answer(index) | Loss::Accounts(index) | Loss::Ledger(index) => index,
        };
        let seen = step.seen.get(index)?;
        let mut lock = block_in_place(|| hold(self.connect()));
        let (act, clients) = (step.act.clone(), self.desk.clients.clone());
        let lease = matches!(loss, Loss::Accounts(_)).then_some(LEASE);
        let asked = tokio::spawn(async move { act.send_within(&clients, lease).await });
        self.until_waiting(1).await;
        for _ in 0..index {
            // Locks are given in the order in which they are asked for: this one comes right behind
            // the step that waits.
            let conn = self.connect();
            let next = std::thread::spawn(move || hold(conn));
            self.until_waiting(2).await;
            block_in_place(|| release(lock));
            lock = block_in_place(|| next.join().unwrap());
            self.until_waiting(1).await;
        }
        match loss {
            Loss::Accounts(_) => self.processes.kill(Service::Accounts),
            Loss::Ledger(_) => self.processes.kill(Service::Transactions),
            // The ledger has been asked, and its answer does not come through.
            _ => self.processes.ground.to_transactions.set(Fault::Delay(FOREVER)),
        }
        block_in_place(|| release(lock));
        if matches!(loss, Loss::Answer(_)) {
            until("the step", async || seen.holds(&self.desk, account).await).await;
            self.processes.ground.to_transactions.set(Fault::Cut);
        }
        Some(asked.await.unwrap().unwrap_err())
    }

    /// Brings back what went.
    async fn mend(&mut self, loss: Loss) {
        match loss {
            Loss::Accounts(_) => self.processes.revive(Service::Accounts).await,
            Loss::Ledger(_) => self.processes.revive(Service::Transactions).await,
            _ => self.processes.ground.to_transactions.set(Fault::None),
        }
    }

    fn connect(&self) -> PgConnection {
        block_in_place(|| self.processes.ground.transactions.admin())
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
    let processes = Processes::start(&["--default-deadline", "60"]).await;
    let desk = Desk::of(&processes.ground.newcomer(), processes.ground.at).await;
    let customer = desk.customer().await;
    desk.submit(&customer).await;
    // Of somebody else, so that each act is about one account.
    let pot = desk.account(&desk.customer().await, "1.00").await;
    let (opening, account) = open(&customer);
    let mut line = Line { processes, desk: desk.clone() };
    for step in steps(&customer, &account, &pot, opening) {
        let act = &step.act;
        if matches!(act, Act::Close(_)) {
            desk.pay(&desk.house, &account, "5.00").await.unwrap();
        }
        let Some(told) = line.interrupt(&step, &account, loss).await else {
            desk.act(act).await;
            continue;
        };
        if !matches!(loss, Loss::Accounts(_)) {
            let (reason, _, figures) = refusal(&told);
            assert_eq!((reason, &*figures["peer"]), (Reason::PeerUnavailable, "transactions"));
            assert!(desk.undelivered().await.contains(&account), "{}", act.operation());
            assert_eq!(desk.state(act).await, State::InProgress, "{}", act.operation());
            let effect = desk.get(&account).await.effect.unwrap();
            assert!(effect.acknowledged_version < effect.version, "{}", act.operation());
        }

        line.mend(loss).await;
        let is_done = async || desk.state(act).await == State::Succeeded;
        until(act.operation(), is_done).await;
        assert!(step.seen.last().unwrap().holds(&desk, &account).await, "{}", act.operation());
        assert!(desk.agrees(&account).await, "{}", act.operation());
        assert_eq!(desk.undelivered().await, [""; 0]);
        let (_, is_replay) = act.send(&desk.clients).await.unwrap();
        assert!(is_replay, "{}", act.operation());
    }
    assert_eq!(cents(&desk.clients, &account).await, 0);
    assert_eq!(cents(&desk.clients, &pot).await, 600);
    assert_eq!(cents(&desk.clients, &desk.house).await, -600);
    desk.assert_books().await;
}

fn walk_all(losses: &[Loss]) {
    run(async {
        for loss in losses {
            Box::pin(walk(*loss)).await;
        }
    });
}

#[test]
fn what_the_ledger_does_not_hear_it_hears_later() {
    walk_all(&[Loss::Request]);
}

#[test]
fn what_the_ledger_has_done_and_nobody_has_heard_is_known_later() {
    walk_all(&[Loss::Answer(0), Loss::Answer(1)]);
}

#[test]
fn what_accounts_dies_over_it_takes_up_again() {
    walk_all(&[Loss::Accounts(0), Loss::Accounts(1)]);
}

#[test]
fn what_the_ledger_dies_over_it_is_told_again() {
    walk_all(&[Loss::Ledger(0), Loss::Ledger(1)]);
}
