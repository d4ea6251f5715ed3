//! Many callers of two replicas over the same accounts, holds and transactions. Nobody can say what
//! each gets, but nothing may fail other than for a reason of business, and the books are right.

use std::sync::{Arc, Mutex};

use shared::problem::Reason;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::JoinSet;

use super::call::{Answer, Call, Made, Refusal, Reply};
use super::describe;
use super::generate::Generator;
use super::hold::Hold;
use super::reference::{Posted, Reference};
use super::rng::Rng;
use super::service::ask;
use super::time::micros;
use super::world::World;
use super::{scale, seed};
use crate::books::assert_books;
use crate::setup::Client;

const CALLERS: usize = 16;
/// Calls of each caller between two changes of the time.
const STEPS: usize = 12;
const ROUNDS: usize = 10;

/// What all callers know together.
struct Known {
    generator: Generator,
    /// Not what has to be, but what answers said: of what, more can be asked.
    reference: Reference,
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_meets_at_the_same_accounts_the_books_stay_right() {
    let seed = seed();
    let mut world = World::start(1, &["--expiry-interval", "0.02"]).await;
    let replica = world.ledger.replica().await;
    let (ledger, tenant) = (&world.ledger, world.ledger.tenant);
    let clients = [ledger.client(), ledger.client_at(&replica, tenant, &["*"])];
    let caller = world.caller(&world.sites[0], seed, "all", true).await;
    let known = Known { generator: caller.generator, reference: caller.reference };
    let known = Arc::new(Mutex::new(known));
    let mut rng = Rng::new(seed ^ 1);
    for _ in 0..ROUNDS * scale() {
        let mut callers = JoinSet::new();
        for index in 0..CALLERS {
            callers.spawn(run(clients[index % 2].clone(), Arc::clone(&known), seed));
        }
        callers.join_all().await;
        world.pass(&mut rng);
        known.lock().unwrap().reference.set_now(world.now);
    }
    assert_books(&world.ledger);
}

async fn run(mut client: Client, known: Arc<Mutex<Known>>, seed: u64) {
    for _ in 0..STEPS {
        let call = {
            let mut known = known.lock().unwrap();
            let Known { generator, reference } = &mut *known;
            generator.next(reference)
        };
        let answer = ask(&mut client, &call).await;
        for refusal in refusals(&answer) {
            let (call, answer) = (describe::call(&call), describe::answer(&answer));
            assert!(is_business(refusal), "seed {seed}\n{call}\nis answered\n{answer}");
        }
        let mut known = known.lock().unwrap();
        known.reference.hear(&call, &answer);
        known.generator.learn(&call, &answer);
    }
}

fn refusals(answer: &Answer) -> Vec<&Refusal> {
    match &answer.reply {
        Err(refusal) => vec![refusal],
        Ok(Reply::Batch(items)) => {
            items.iter().filter_map(|(made, _)| made.as_ref().err()).collect()
        }
        Ok(_) => Vec::new(),
    }
}

/// Whether it says something about what was asked for, and nothing about the service.
fn is_business(refusal: &Refusal) -> bool {
    let faults = [
        Reason::Internal,
        Reason::Contention,
        Reason::DatabaseUnavailable,
        Reason::Deadline,
        Reason::Overloaded,
    ];
    !faults.contains(&refusal.reason)
}

impl Reference {
    /// Learns of what an answer tells.
    fn hear(&mut self, call: &Call, answer: &Answer) {
        match &answer.reply {
            Ok(Reply::Made(made)) => self.hear_one(made),
            Ok(Reply::Batch(items)) => {
                items.iter().filter_map(|(made, _)| made.as_ref().ok()).for_each(|made| {
                    self.hear_one(made);
                });
            }
            Ok(Reply::Account(account)) if !is_dry(call) => {
                let controls = account.controls.iter();
                self.accounts.change(&account.name).controls =
                    controls.map(|one| (one.source.clone(), one.clone())).collect();
            }
            _ => {}
        }
        self.keep();
    }

    fn hear_one(&mut self, made: &Made) {
        match made {
            Made::Transaction(transaction) => self.hear_transaction(transaction),
            Made::Hold(hold) => self.hear_hold(hold),
            Made::Capture(hold, transaction) => {
                self.hear_hold(hold);
                self.hear_transaction(transaction);
            }
        }
    }

    fn hear_transaction(&mut self, transaction: &wire::Transaction) {
        let taken = vec![[0; 2]; transaction.entries.len()];
        let posted = Posted { transaction: transaction.clone(), taken };
        self.transactions.put(&transaction.name, posted);
        for entry in &transaction.entries {
            if let Some(balance) = &entry.balance {
                self.accounts.change(&entry.account).version = balance.version;
            }
        }
    }

    fn hear_hold(&mut self, hold: &wire::Hold) {
        use super::money::known;
        let heard = Hold {
            asked: hold.clone(),
            name: hold.name.clone(),
            amount: known(hold.amount.as_ref()),
            remaining: known(hold.remaining.as_ref()),
            captured: known(hold.captured.as_ref()),
            released: known(hold.released.as_ref()),
            state: hold.state(),
            expires: hold.expire_time.as_ref().map(micros),
            created: micros(hold.create_time.as_ref().unwrap()),
            events: Vec::new(),
            lent: Vec::new(),
        };
        self.watch(&hold.name);
        self.holds.put(&hold.name, heard);
    }
}

fn is_dry(call: &Call) -> bool {
    match call {
        Call::Controls(request) => request.validate_only,
        Call::Close(request) => request.validate_only,
        _ => false,
    }
}
