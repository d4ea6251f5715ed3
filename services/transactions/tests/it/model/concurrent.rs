//! Many callers of two replicas at once, each over accounts of its own and houses that all callers
//! of a tenant share. A house has no bound, so what one caller gets never depends on the others.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use shared::testing::Running;
use shared::time::Timestamp;
use strongroom_proto::transactions::v1 as wire;
use tokio::task::{JoinSet, block_in_place};

use super::compare::Exactness;
use super::describe::{self, message};
use super::reference::Reference;
use super::rng::Rng;
use super::service::{account, ask, hold};
use super::time::HOUR;
use super::world::{Caller, Site, World};
use super::{scale, seed};
use crate::books::{assert_books_of, owner};
use crate::setup::Client;

const CALLERS: usize = 10;
const TENANTS: usize = 2;
/// Calls of each caller between two changes of the time.
const STEPS: usize = 20;
const ROUNDS: usize = 10;

/// One caller with its ways to both replicas.
struct Worker {
    /// The index of its tenant.
    site: usize,
    caller: Caller,
    exactness: Exactness,
    rng: Rng,
    clients: [Client; 2],
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_of_two_replicas_get_what_each_would_get_alone() {
    let seed = seed();
    // Expired holds are recorded by whoever comes first: the next posting, or the background.
    let mut world = World::start(TENANTS, &["--expiry-interval", "0.02"]).await;
    let replica = world.ledger.replica().await;
    let mut workers = Vec::new();
    for index in 0..CALLERS {
        workers.push(Worker::new(&world, &replica, seed, index).await);
    }
    let mut rng = Rng::new(seed ^ 1);
    for _ in 0..ROUNDS * scale() {
        let mut tasks = JoinSet::new();
        for mut worker in workers.drain(..) {
            tasks.spawn(async move {
                worker.run(seed).await;
                worker
            });
        }
        workers = tasks.join_all().await;
        world.pass(&mut rng);
        for worker in &mut workers {
            worker.caller.reference.set_now(world.now);
        }
    }
    world.pass_by(60 * HOUR);
    for (index, site) in world.sites.iter().enumerate() {
        until_expired(&world, site).await;
        let mut client = world.ledger.client_of(site.tenant, &["*"]);
        for worker in workers.iter_mut().filter(|worker| worker.site == index) {
            let reference = &mut worker.caller.reference;
            reference.set_now(world.now);
            let all = reference.accounts.iter().map(|(name, _)| name.clone()).collect();
            reference.settle(&all);
            reference.keep();
            compare_own(&mut client, &worker.caller, seed).await;
        }
        for house in &site.houses {
            let own = workers.iter().filter(|worker| worker.site == index);
            let references = own.map(|worker| &worker.caller.reference);
            let found = account(&mut client, &house.name).await;
            assert_eq!(sums(references, &house.name), of_balance(&found), "seed {seed}, a house");
        }
        assert_books_of(&world.ledger, site.tenant);
    }
}

impl Worker {
    /// A caller of one of the tenants. Callers of several have the same ids, which do not meet.
    async fn new(world: &World, replica: &Running, seed: u64, index: usize) -> Self {
        let (site, prefix) = (index % TENANTS, format!("caller{}", index / TENANTS));
        let tenant = world.sites[site].tenant;
        let seed = seed.wrapping_add(u64::try_from(index).unwrap());
        let (ledger, rights) = (&world.ledger, &["*"][..]);
        let houses = world.sites[site].houses.iter().map(|house| house.name.clone());
        Self {
            site,
            caller: world.caller(&world.sites[site], seed, &prefix, false).await,
            exactness: Exactness::Shared(houses.collect()),
            rng: Rng::new(!seed),
            clients: [
                ledger.client_at(&ledger.server, tenant, rights),
                ledger.client_at(replica, tenant, rights),
            ],
        }
    }

    async fn run(&mut self, seed: u64) {
        let Caller { generator, reference, .. } = &mut self.caller;
        for _ in 0..STEPS {
            let call = generator.next(reference);
            let answer = ask(&mut self.clients[self.rng.below(2)], &call).await;
            if let Err(wrong) = reference.check(&call, &answer, &self.exactness) {
                let (call, answer) = (describe::call(&call), describe::answer(&answer));
                panic!("seed {seed}\n{call}\nis answered\n{answer}\n{wrong}");
            }
            generator.learn(&call, &answer);
        }
    }
}

/// Waits until somebody has recorded all that has expired.
async fn until_expired(world: &World, site: &Site) {
    #[derive(QueryableByName)]
    struct Due {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    for _ in 0..3_000 {
        let due: Due = block_in_place(|| {
            let sql = "SELECT count(*) AS count FROM holds WHERE state = 1 AND expire_time <= $1";
            diesel::sql_query(sql)
                .bind::<Timestamptz, _>(Timestamp::from_micros(world.now))
                .get_result(&mut owner(&world.ledger, site.tenant))
                .unwrap()
        });
        if due.count == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody records what has expired");
}

/// Compares the accounts that only one caller moves, and its holds, in all but their times.
async fn compare_own(client: &mut Client, caller: &Caller, seed: u64) {
    let reference = &caller.reference;
    for name in &caller.own {
        let timeless = |mut account: wire::LedgerAccount| {
            account.balance.as_mut().unwrap().record_time = None;
            wire::LedgerAccount { close_time: None, ..account }
        };
        let expected = timeless(reference.account_view(name));
        let found = timeless(account(client, name).await);
        let (expected, found) = (message(&expected), message(&found));
        assert_eq!(expected, found, "seed {seed}");
    }
    for (name, one) in reference.holds.iter() {
        let timeless = |mut hold: wire::Hold| {
            hold.events.iter_mut().for_each(|event| event.record_time = None);
            wire::Hold { create_time: None, ..hold }
        };
        let mut expected = one.view(reference.now);
        expected.events.clone_from(&one.events);
        let found = message(&timeless(hold(client, name).await));
        assert_eq!(message(&timeless(expected)), found, "seed {seed}");
    }
}

/// What callers together have done to a house: debits, credits, holds, entries and changes.
fn sums<'a>(references: impl Iterator<Item = &'a Reference>, house: &str) -> [i128; 5] {
    let mut sums = [0, 0, 0, 0, 1];
    for reference in references {
        let account = reference.accounts.get(house).unwrap();
        let (entries, changes) = (account.entries.into(), i128::from(account.version) - 1);
        let own = [account.debits, account.credits, account.held, entries, changes];
        sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
    }
    sums
}

fn of_balance(account: &wire::LedgerAccount) -> [i128; 5] {
    use super::money::known;
    let balance = account.balance.as_ref().unwrap();
    let (debits, credits) = (balance.posted_debits.as_ref(), balance.posted_credits.as_ref());
    let amounts = [known(debits), known(credits), known(balance.held.as_ref())];
    let [debits, credits, held] = amounts;
    [debits, credits, held, balance.entry_seq.into(), balance.version.into()]
}
