use proptest::prelude::*;

use super::*;
use crate::domain::testing::{NOW, account, books, eur, id, limit, transfer};
use crate::domain::{Block, Controls, Effect, Force, Overdraft};

fn post(books: &mut Books, draft: &NewTransaction) -> Result<PostedTransaction, Refusal> {
    let posted = books.post(TransactionId::generate(), draft);
    books.settle();
    posted
}

#[test]
fn a_refusal_tells_every_figure_and_changes_nothing() {
    let mut books = books([account(1, Overdraft::Unbounded), account(2, limit(50))]);
    post(&mut books, &transfer(1, 2, 100)).unwrap();
    let before = books.accounts.clone();
    let refusal = post(&mut books, &transfer(2, 1, 151)).unwrap_err();
    assert_eq!(books.accounts, before);
    let expected = Refusal::InsufficientFunds {
        place: Place::Entry(0),
        account: id(2),
        available: eur(150),
        held: eur(0),
        blocked: eur(0),
        limit: eur(50),
        shortfall: eur(1),
    };
    assert_eq!(refusal, expected);
    post(&mut books, &transfer(2, 1, 150)).unwrap();
    assert_eq!(books.accounts[&id(2)].posted().get(), -50);
}

#[test]
fn a_bound_refuses_only_what_worsens() {
    let mut books = books([account(1, Overdraft::Unbounded), account(2, limit(50))]);
    post(&mut books, &transfer(2, 1, 50)).unwrap();
    // The limit is cut below what is used already.
    books.accounts.get_mut(&id(2)).unwrap().overdraft = limit(0);
    post(&mut books, &transfer(1, 2, 10)).unwrap();
    assert!(post(&mut books, &transfer(2, 1, 1)).is_err());
}

#[test]
fn only_an_override_lets_the_excess_grow() {
    let mut books = books([account(1, Overdraft::Unbounded), account(2, limit(0))]);
    let force = Force { overrides: Overrides::of([Override::Funds]), reason: "LEVY".to_owned() };
    let forced = NewTransaction { force: Some(force), ..transfer(2, 1, 30) };
    post(&mut books, &forced).unwrap();
    assert_eq!(books.accounts[&id(2)].excess.get(), 30);
    assert!(post(&mut books, &transfer(2, 1, 1)).is_err());
    post(&mut books, &transfer(1, 2, 20)).unwrap();
    assert_eq!(books.accounts[&id(2)].excess.get(), 10);
    post(&mut books, &transfer(1, 2, 20)).unwrap();
    assert_eq!(books.accounts[&id(2)].excess.get(), 0);
}

#[test]
fn blocks_hold_from_their_start_until_their_end_and_name_their_source() {
    let mut blocked = account(2, Overdraft::Unbounded);
    let block = Block {
        effect: Effect::Debit,
        amount: None,
        start: Some(Timestamp::from_micros(10)),
        end: Some(Timestamp::from_micros(20)),
        reason_code: "COURT_ORDER".to_owned(),
        honour_holds: false,
    };
    blocked.controls = vec![controls("accounts", block)];
    let mut books = books([account(1, Overdraft::Unbounded), blocked]);
    for (micros, passes) in [(9, true), (10, false), (19, false), (20, true)] {
        books.now = Timestamp::from_micros(micros);
        assert_eq!(post(&mut books, &transfer(2, 1, 1)).is_ok(), passes, "{micros}");
        assert!(post(&mut books, &transfer(1, 2, 1)).is_ok(), "credits pass");
    }
}

fn controls(source: &str, block: Block) -> Controls {
    Controls {
        source: source.to_owned(),
        version: 1,
        blocks: vec![block],
        limits: vec![],
        timeline: None,
    }
}

#[test]
fn amounts_that_two_authorities_block_add_up() {
    let mut blocked = account(2, limit(0));
    blocked.controls = ["accounts", "auditor"]
        .map(|source| {
            let (amount, reason_code) = (Units::new(40), "COURT_ORDER".to_owned());
            let effect = Effect::Debit;
            let honour_holds = false;
            let block = Block { effect, amount, start: None, end: None, reason_code, honour_holds };
            controls(source, block)
        })
        .to_vec();
    let mut books = books([account(1, Overdraft::Unbounded), blocked]);
    post(&mut books, &transfer(1, 2, 100)).unwrap();
    assert_eq!(books.accounts[&id(2)].available(NOW), Units::new(20));
    assert!(post(&mut books, &transfer(2, 1, 21)).is_err());
    post(&mut books, &transfer(2, 1, 20)).unwrap();
}

#[test]
fn balances_do_not_overflow() {
    let most = 10_i128.pow(38) - 1;
    let mut books = books([account(1, Overdraft::Unbounded), account(2, limit(0))]);
    post(&mut books, &transfer(1, 2, most)).unwrap();
    let before = books.accounts.clone();
    let refusal = post(&mut books, &transfer(1, 2, 1)).unwrap_err();
    assert!(matches!(refusal, Refusal::Overflow { .. }));
    assert_eq!(books.accounts, before);
}

proptest! {
    /// Whatever is asked for, in whatever order: debits equal credits, no bound is passed,
    /// sequences have no gap, days add up, and time goes on for every account.
    #[test]
    fn the_books_stay_right(
        transfers in prop::collection::vec((0_u128..5, 0_u128..5, 1_i128..200, 0_i64..3), 1..200)
    ) {
        const DAY_US: i64 = 86_400_000_000;
        let mut books = books((0..5).map(|number| account(number, limit(100))));
        let mut counts = BTreeMap::<AccountId, i64>::new();
        let mut last = BTreeMap::<AccountId, Timestamp>::new();
        for (from, to, units, days) in transfers {
            books.now = Timestamp::from_micros(books.now.micros() + days * DAY_US);
            if let Ok(posted) = post(&mut books, &transfer(from, to, units)) {
                for entry in &posted.entries {
                    let count = counts.entry(entry.entry.account).or_default();
                    *count += 1;
                    prop_assert_eq!(entry.entry_seq, *count);
                }
                for id in BTreeSet::from([id(from), id(to)]) {
                    let before = last.insert(id, posted.record_time);
                    prop_assert!(before.is_none_or(|before| before < posted.record_time));
                }
            }
            let sum: i128 = books.accounts.values().map(|account| account.posted().get()).sum();
            prop_assert_eq!(sum, 0);
            for account in books.accounts.values() {
                prop_assert!(account.available(books.now).unwrap() >= Units::ZERO);
                let earlier = books.changed.days.iter().filter(|((id, ..), _)| *id == account.id);
                let earlier: i128 = earlier.map(|(_, (debits, _))| debits.get()).sum();
                let today = account.day.map_or(0, |day| day.debits.get());
                prop_assert_eq!(earlier + today, account.posted_debits.get());
            }
        }
    }
}
