//! What the table of effects makes of states, freezes and times.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use shared::money::Currency;

use super::*;
use crate::domain::{
    AccountClass, AccountId, CustomerId, CustomerKind, FreezeId, Frozen, Kyc, KycState, NewAccount,
    Overdraft, PRINCIPALS_MAX, Role,
};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// The most blocks that the ledger takes from one source: see `Controls.blocks` of the contract.
const LEDGER_BLOCKS_MAX: usize = 64;

fn at(hours: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(hours * 3_600))
}

fn account(state: AccountState) -> Account {
    let terms = NewAccount {
        customer: None,
        product: "current".to_owned(),
        currency: Currency::iso("EUR").unwrap(),
        class: AccountClass::Liability,
        gl_code: String::new(),
        overdraft: Overdraft::Limit(Units::ZERO),
        parent: None,
        labels: BTreeMap::new(),
        external_ids: BTreeMap::new(),
    };
    Account { state, ..Account::new(AccountId::generate(), terms, NOW) }
}

fn principal(state: CustomerState, span: Span) -> Principal {
    let id = CustomerId::generate();
    let new = Customer::new(id, CustomerKind::Person, BTreeMap::new(), NOW);
    let role = Role::Joint;
    let account = AccountId::generate();
    let holder = Holder { account, customer: id, role, span, create_time: NOW };
    Principal { holder, customer: Customer { state, ..new }, freezes: Vec::new() }
}

fn always() -> Span {
    Span { start: NOW, end: None }
}

fn freeze(direction: Direction) -> Freeze {
    Freeze {
        id: FreezeId::generate(),
        of: Frozen::Account(AccountId::generate()),
        direction,
        amount: None,
        reason_code: "COURT_ORDER".to_owned(),
        authority: "court-of-zurich".to_owned(),
        case_reference: None,
        end_time: None,
        honour_holds: false,
        principal: "officer".to_owned(),
        create_time: NOW,
        lift: None,
        version: 1,
    }
}

fn approved_until(mut principal: Principal, end: Timestamp) -> Principal {
    let (state, expire_time) = (KycState::Approved, Some(end));
    principal.customer.kyc = Kyc { state, level: 1, expire_time, update_time: Some(NOW) };
    principal
}

fn position(state: AccountState) -> Position {
    Position { account: account(state), freezes: Vec::new(), principals: Vec::new() }
}

fn of_principals(principals: Vec<Principal>) -> Position {
    Position { principals, ..position(AccountState::Open) }
}

fn of_freezes(freezes: Vec<Freeze>) -> Position {
    Position { freezes, ..position(AccountState::Open) }
}

/// The row of the table for a block without an amount, from its first cell to the last but one.
fn row(what: &str, block: &Block) -> String {
    let word = |forbidden: bool| if forbidden { "no" } else { "yes" };
    let (debit, credit) = (block.forbids(Direction::Debit), block.forbids(Direction::Credit));
    let capture = word(debit && !block.honour_holds);
    let (debit, credit) = (word(debit), word(credit));
    format!("| {what} | {debit} | {credit} | {debit} | {capture} |")
}

fn only(position: &Position) -> Block {
    let [block] = &position.controls(NOW).blocks[..] else { panic!("one block: {position:?}") };
    block.clone()
}

#[test]
fn every_row_of_the_table_is_what_the_ledger_is_told() {
    let table = effects();
    let suspended = of_principals(vec![principal(CustomerState::Suspended, always())]);
    let expired = principal(CustomerState::Active, always());
    let expired = of_principals(vec![approved_until(expired, NOW)]);
    for (what, reason, position) in [
        ("customer SUSPENDED", "SUSPENDED", &suspended),
        ("customer's approval expired", "KYC_EXPIRED", &expired),
        ("account DORMANT", "DORMANT", &position(AccountState::Dormant)),
        ("account CLOSING or CLOSED", "CLOSING", &position(AccountState::Closing)),
        ("account CLOSING or CLOSED", "CLOSING", &position(AccountState::Closed)),
    ] {
        let block = only(position);
        let expected = row(what, &block);
        assert!(table.contains(&expected), "{expected}\n{table}");
        assert_eq!(block.reason_code, reason);
        let effect = position.effect(NOW);
        assert_eq!(effect.debits, !block.forbids(Direction::Debit));
        assert_eq!(effect.credits, !block.forbids(Direction::Credit));
        assert_eq!(effect.reasons, [reason]);
    }
    for direction in Direction::ALL {
        for honour_holds in [true, false] {
            let position = of_freezes(vec![Freeze { honour_holds, ..freeze(*direction) }]);
            let block = only(&position);
            let expected = row(&format!("frozen, {}", direction.name()), &block);
            // Whether a capture passes is up to the freeze.
            let (expected, _) = expected.trim_end_matches(" |").rsplit_once(" | ").unwrap();
            assert!(table.contains(expected), "{expected}\n{table}");
            assert_eq!((&*block.reason_code, block.honour_holds), ("COURT_ORDER", honour_holds));
            assert_eq!(position.effect(NOW).reasons, ["FROZEN"]);
        }
    }
    for state in [AccountState::Pending, AccountState::Open] {
        assert_eq!(position(state).controls(NOW).blocks, []);
    }
    for state in [CustomerState::Pending, CustomerState::Active, CustomerState::Closed] {
        assert_eq!(of_principals(vec![principal(state, always())]).controls(NOW).blocks, []);
    }
    assert_eq!(table.lines().count(), 2 + RULES.len() + Direction::ALL.len() + 1);
}

#[test]
fn the_reasons_of_the_table_are_its_own() {
    for reason in ["SUSPENDED", "KYC_EXPIRED", "DORMANT", "CLOSING", "FROZEN"] {
        assert!(is_reserved(reason), "{reason}");
    }
    assert!(!is_reserved("COURT_ORDER") && !is_reserved("frozen"));
}

#[test]
fn what_stops_a_joint_holder_does_so_while_they_hold_the_account() {
    let span = Span { start: at(1), end: Some(at(5)) };
    let of = |span| principal(CustomerState::Suspended, span);
    let block = only(&of_principals(vec![of(span)]));
    assert_eq!((block.start, block.end), (Some(at(1)), Some(at(5))));
    let begun = only(&of_principals(vec![of(Span { start: NOW, ..span })]));
    assert_eq!((begun.start, begun.end), (None, Some(at(5))));

    // Whichever comes first ends it, and whichever comes last begins it.
    let frozen = |end| {
        let freezes = vec![Freeze { end_time: Some(end), ..freeze(Direction::All) }];
        of_principals(vec![Principal { freezes, ..principal(CustomerState::Active, span) }])
    };
    assert_eq!(only(&frozen(at(3))).end, Some(at(3)));
    assert_eq!(only(&frozen(at(9))).end, Some(at(5)));
    assert_eq!(frozen(at(1)).controls(NOW).blocks, [], "it ends before they hold it");
    let expiry = |end| approved_until(principal(CustomerState::Active, span), end);
    assert_eq!(only(&of_principals(vec![expiry(at(3))])).start, Some(at(3)));
    assert_eq!(only(&of_principals(vec![expiry(NOW)])).start, Some(at(1)));
    let late = of_principals(vec![expiry(at(6))]);
    assert_eq!(late.controls(NOW).blocks, [], "they hold it no more when the approval ends");
}

#[test]
fn the_end_of_an_approval_travels_as_the_start_of_what_it_does() {
    let holder = principal(CustomerState::Active, always());
    let position = of_principals(vec![approved_until(holder, at(24))]);
    let block = only(&position);
    assert_eq!((&*block.reason_code, block.start, block.end), ("KYC_EXPIRED", Some(at(24)), None));
    assert!(position.effect(at(23)).debits && position.effect(at(23)).reasons.is_empty());
    let after = position.effect(at(24));
    assert_eq!((after.debits, after.credits, after.reasons), (false, true, vec!["KYC_EXPIRED"]));
}

#[test]
fn two_authorities_do_not_undo_each_other() {
    let court = freeze(Direction::All);
    let office = Freeze { authority: "tax-office".to_owned(), ..freeze(Direction::Debit) };
    let mut position = of_freezes(vec![court, office]);
    assert_eq!(position.controls(NOW).blocks.len(), 2);
    position.freezes[0].lift("judge", NOW).unwrap();
    let effect = position.effect(NOW);
    assert_eq!((effect.debits, effect.credits), (false, true));
    position.freezes[1].end_time = Some(at(1));
    assert!(!position.effect(NOW).debits && position.effect(at(1)).debits);
    assert_eq!(position.controls(at(1)).blocks, [], "what is over is not told");
    assert!(position.frozen(NOW).is_some() && position.frozen(at(1)).is_none());

    // The same order of both is one block; nothing is lost when one of them is lifted.
    let mut same = of_freezes(vec![freeze(Direction::All), freeze(Direction::All)]);
    let both = same.controls(NOW).blocks;
    same.freezes[0].lift("judge", NOW).unwrap();
    assert_eq!((both.len(), &both), (1, &same.controls(NOW).blocks));
}

#[test]
fn amounts_are_set_apart_beside_each_other_and_forbid_nothing_by_themselves() {
    let amount = Units::new(10_000);
    let of_amount = || Freeze { amount, ..freeze(Direction::Debit) };
    let position = of_freezes(vec![of_amount(), of_amount()]);
    let amounts: Vec<_> = position.controls(NOW).blocks.iter().map(|one| one.amount).collect();
    assert_eq!(amounts, [amount, amount]);
    let effect = position.effect(NOW);
    assert_eq!((effect.debits, effect.credits, effect.reasons), (true, true, vec!["FROZEN"]));
}

#[test]
fn the_most_that_can_hold_at_once_fits_into_the_ledger() {
    let each = |n: usize| Freeze { reason_code: format!("ORDER_{n}"), ..freeze(Direction::All) };
    let principals = (0..PRINCIPALS_MAX).map(|n| {
        let span = Span { start: NOW, end: Some(at(1 + u64::try_from(n).unwrap())) };
        let freezes = (0..CUSTOMER_FREEZES_MAX).map(each).collect();
        let suspended = principal(CustomerState::Suspended, span);
        Principal { freezes, ..approved_until(suspended, NOW) }
    });
    let position = Position {
        freezes: (0..ACCOUNT_FREEZES_MAX).map(each).collect(),
        principals: principals.collect(),
        ..position(AccountState::Closing)
    };
    let count = position.controls(NOW).blocks.len();
    assert_eq!(count, ACCOUNT_FREEZES_MAX + PRINCIPALS_MAX * (CUSTOMER_FREEZES_MAX + 2) + 1);
    assert!(count <= LEDGER_BLOCKS_MAX, "{count}");
}

/// A freeze of whatever kind: direction, an amount, its end, and whether holds are honoured.
fn any_freeze() -> impl Strategy<Value = Freeze> {
    let direction = prop::sample::select(Direction::ALL);
    let amount = prop::option::of(1..1_000_i128);
    (direction, amount, prop::option::of(0..6_u64), any::<bool>(), 0..3_u8).prop_map(
        |(direction, amount, end, honour_holds, reason)| Freeze {
            amount: amount.filter(|_| direction == Direction::Debit).and_then(Units::new),
            end_time: end.map(at),
            honour_holds,
            reason_code: format!("ORDER_{reason}"),
            ..freeze(direction)
        },
    )
}

/// What one position forbids at a time: debits, credits, captures, and how much is set apart.
fn forbidden(position: &Position, time: Timestamp) -> (bool, bool, bool, i128) {
    let blocks = position.controls(NOW).blocks;
    let holding: Vec<&Block> = blocks.iter().filter(|block| block.holds_at(time)).collect();
    let any = |direction| holding.iter().any(|block| block.forbids(direction));
    let captures = |block: &&&Block| block.forbids(Direction::Debit) && !block.honour_holds;
    let apart = holding.iter().filter_map(|block| block.amount).map(Units::get).sum();
    let is_captured = holding.iter().filter(captures).count() > 0;
    (any(Direction::Debit), any(Direction::Credit), is_captured, apart)
}

proptest! {
    #[test]
    fn lifting_one_freeze_never_allows_what_another_forbids(
        own in prop::collection::vec(any_freeze(), 0..6),
        theirs in prop::collection::vec(any_freeze(), 0..6),
        lifted in any::<prop::sample::Index>(),
        time in 0..6_u64,
    ) {
        prop_assume!(!own.is_empty() || !theirs.is_empty());
        let (time, count) = (at(time), own.len());
        let mut holder = principal(CustomerState::Active, Span { start: NOW, end: Some(at(4)) });
        holder.freezes = theirs;
        let all = Position {
            freezes: own,
            principals: vec![holder],
            ..position(AccountState::Open)
        };
        let mut rest = all.clone();
        let lifted = lifted.index(count + rest.principals[0].freezes.len());
        if lifted < count {
            rest.freezes.remove(lifted);
        } else {
            rest.principals[0].freezes.remove(lifted - count);
        }
        // Each of the rest by itself: none of it passes once another one is lifted.
        let alone = |freeze: &Freeze| {
            let is_own = rest.freezes.contains(freeze);
            let mut only = rest.clone();
            only.freezes.retain(|one| is_own && one == freeze);
            only.principals[0].freezes.retain(|one| !is_own && one == freeze);
            only
        };
        let after = forbidden(&rest, time);
        let mut apart = 0;
        for freeze in rest.freezes.iter().chain(&rest.principals[0].freezes) {
            let one = forbidden(&alone(freeze), time);
            prop_assert!(one.0 <= after.0 && one.1 <= after.1 && one.2 <= after.2);
            apart += one.3;
        }
        prop_assert_eq!(apart, after.3);
        let before = forbidden(&all, time);
        prop_assert!(after.0 <= before.0 && after.1 <= before.1 && after.2 <= before.2);
        prop_assert!(after.3 <= before.3);
    }
}
