//! One caller, whose every answer is known to the last figure.

use super::compare::{Exactness, Wrong};
use super::explain::sorted;
use super::rng::Rng;
use super::service::{account, ask, explanation, hold};
use super::tally::Tally;
use super::world::{Caller, World};
use super::{describe, scale, seed};
use crate::books::assert_books;
use crate::setup::Client;
use describe::message;

const STEPS: usize = 2_000;
/// Steps between two comparisons of everything.
const ROUND: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_one_that_the_reference_expects() {
    let seed = seed();
    let mut world = World::start(1, &["--expiry-interval", "3600"]).await;
    let mut caller = world.caller(&world.sites[0], seed, "one", true).await;
    let mut rng = Rng::new(seed ^ 1);
    let mut client = world.ledger.client();
    let mut tally = Tally::default();
    for step in 1..=STEPS * scale() {
        if rng.percent(4) {
            world.pass(&mut rng);
            caller.reference.set_now(world.now);
        }
        let call = caller.generator.next(&caller.reference);
        let answer = ask(&mut client, &call).await;
        if let Err(wrong) = caller.reference.check(&call, &answer, &Exactness::Full) {
            let (call, answer) = (describe::call(&call), describe::answer(&answer));
            panic!("seed {seed}, step {step}\n{call}\nis answered\n{answer}\n{wrong}");
        }
        while let Some(name) = caller.reference.unsure.pop_first() {
            if caller.reference.expired(&name) > 0 {
                let version = account(&mut client, &name).await.balance.unwrap().version;
                caller.reference.make_sure(&name, version);
            }
        }
        caller.generator.learn(&call, &answer);
        tally.note(&call, &answer);
        if step % ROUND == 0 {
            let compared = compare_all(&mut client, &mut caller).await;
            compared.unwrap_or_else(|wrong| panic!("seed {seed}, step {step}\n{wrong}"));
        }
    }
    assert_books(&world.ledger);
    tally.assert_wide();
}

/// Compares all accounts, and the holds that are open or were not long ago.
async fn compare_all(client: &mut Client, caller: &mut Caller) -> Result<(), Wrong> {
    let reference = &mut caller.reference;
    let names: Vec<String> = reference.accounts.iter().map(|(name, _)| name.clone()).collect();
    for name in &names {
        same(&reference.account_view(name), &account(client, name).await)?;
        let mut found = explanation(client, name).await;
        found.holds = sorted(found.holds);
        same(&reference.explanation(name), &found)?;
    }
    for one in reference.recent_holds() {
        let mut expected = one.view(reference.now);
        expected.events.clone_from(&one.events);
        same(&expected, &hold(client, &one.name).await)?;
    }
    Ok(())
}

fn same<M: prost::Message + PartialEq>(expected: &M, found: &M) -> Result<(), Wrong> {
    match expected == found {
        true => Ok(()),
        false => Err(format!("expected {}\nfound {}", message(expected), message(found))),
    }
}
