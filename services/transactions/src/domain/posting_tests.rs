use proptest::prelude::*;
use shared::money::Currency;

use super::*;
use crate::domain::{AccountClass, Block, Controls, Effect, NewAccount};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn id(number: u128) -> AccountId {
    AccountId::from_uuid(uuid::Uuid::from_u128(number))
}

fn eur(units: i128) -> Money {
    Money { currency: Currency::iso("EUR").unwrap(), units: Units::new(units).unwrap() }
}

fn account(number: u128, overdraft: Overdraft) -> LedgerAccount {
    let (class, gl_code) = (AccountClass::Liability, String::new());
    NewAccount {
        id: id(number),
        currency: eur(0).currency,
        class,
        gl_code,
        overdraft,
        controls: vec![],
    }
    .open(Timestamp::from_micros(1))
}

fn books(accounts: impl IntoIterator<Item = LedgerAccount>) -> BTreeMap<AccountId, LedgerAccount> {
    accounts.into_iter().map(|account| (account.id, account)).collect()
}

fn transfer(from: u128, to: u128, units: i128) -> NewTransaction {
    let entry = |number, direction| NewEntry {
        account: id(number),
        direction,
        amount: eur(units),
        memo: String::new(),
    };
    NewTransaction {
        id: None,
        kind: "TEST".to_owned(),
        entries: vec![entry(from, Direction::Debit), entry(to, Direction::Credit)],
        description: String::new(),
        labels: BTreeMap::new(),
        effective_time: None,
    }
}

fn limit(units: i128) -> Overdraft {
    Overdraft::Limit(Units::new(units).unwrap())
}

#[test]
fn a_refusal_tells_every_figure_and_changes_nothing() {
    let mut accounts = books([account(1, Overdraft::Unbounded), account(2, limit(50))]);
    decide(&mut accounts, &transfer(1, 2, 100), NOW).unwrap();
    let before = accounts.clone();
    let refusal = decide(&mut accounts, &transfer(2, 1, 151), NOW).unwrap_err();
    assert_eq!(accounts, before);
    let expected = Refusal::InsufficientFunds {
        index: 0,
        account: id(2),
        available: eur(150),
        held: eur(0),
        blocked: eur(0),
        limit: eur(50),
        shortfall: eur(1),
    };
    assert_eq!(refusal, expected);
    decide(&mut accounts, &transfer(2, 1, 150), NOW).unwrap();
    assert_eq!(accounts[&id(2)].posted().get(), -50);
}

#[test]
fn a_bound_refuses_only_what_worsens() {
    let mut accounts = books([account(1, Overdraft::Unbounded), account(2, limit(50))]);
    decide(&mut accounts, &transfer(2, 1, 50), NOW).unwrap();
    // The limit is cut below what is used already.
    accounts.get_mut(&id(2)).unwrap().overdraft = limit(0);
    decide(&mut accounts, &transfer(1, 2, 10), NOW).unwrap();
    assert!(decide(&mut accounts, &transfer(2, 1, 1), NOW).is_err());
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
    };
    let source = "accounts".to_owned();
    blocked.controls = vec![Controls { source, version: 1, blocks: vec![block] }];
    let mut accounts = books([account(1, Overdraft::Unbounded), blocked]);
    for (micros, passes) in [(9, true), (10, false), (19, false), (20, true)] {
        let now = Timestamp::from_micros(micros);
        let decided = decide(&mut accounts, &transfer(2, 1, 1), now);
        assert_eq!(decided.is_ok(), passes, "{micros}");
        assert!(decide(&mut accounts, &transfer(1, 2, 1), now).is_ok(), "credits pass");
    }
}

#[test]
fn amounts_that_two_authorities_block_add_up() {
    let mut blocked = account(2, limit(0));
    blocked.controls = ["accounts", "auditor"]
        .map(|source| {
            let amount = Units::new(40);
            let (effect, reason_code) = (Effect::Debit, "COURT_ORDER".to_owned());
            let block = Block { effect, amount, start: None, end: None, reason_code };
            Controls { source: source.to_owned(), version: 1, blocks: vec![block] }
        })
        .to_vec();
    let mut accounts = books([account(1, Overdraft::Unbounded), blocked]);
    decide(&mut accounts, &transfer(1, 2, 100), NOW).unwrap();
    assert_eq!(accounts[&id(2)].available(NOW), Units::new(20));
    assert!(decide(&mut accounts, &transfer(2, 1, 21), NOW).is_err());
    decide(&mut accounts, &transfer(2, 1, 20), NOW).unwrap();
}

#[test]
fn balances_do_not_overflow() {
    let most = 10_i128.pow(38) - 1;
    let mut accounts = books([account(1, Overdraft::Unbounded), account(2, limit(0))]);
    decide(&mut accounts, &transfer(1, 2, most), NOW).unwrap();
    let before = accounts.clone();
    let refusal = decide(&mut accounts, &transfer(1, 2, 1), NOW).unwrap_err();
    assert!(matches!(refusal, Refusal::Overflow { .. }));
    assert_eq!(accounts, before);
}

proptest! {
    /// Whatever is asked for, in whatever order: debits equal credits, no bound is passed,
    /// sequences have no gap, and time goes on for every account.
    #[test]
    fn the_books_stay_right(
        transfers in prop::collection::vec((0_u128..5, 0_u128..5, 1_i128..200), 1..200)
    ) {
        let mut accounts = books((0..5).map(|number| account(number, limit(100))));
        let mut counts = BTreeMap::<AccountId, i64>::new();
        let mut last = BTreeMap::<AccountId, Timestamp>::new();
        for (from, to, units) in transfers {
            if let Ok(posted) = decide(&mut accounts, &transfer(from, to, units), NOW) {
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
            let sum: i128 = accounts.values().map(|account| account.posted().get()).sum();
            prop_assert_eq!(sum, 0);
            for account in accounts.values() {
                prop_assert!(account.available(NOW).unwrap() >= Units::ZERO);
            }
        }
    }
}
