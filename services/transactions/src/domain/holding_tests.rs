use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::limit::{Limit, Scope, Window};
use crate::domain::testing::{NOW, account, books, eur, id, limit, transfer};
use crate::domain::{Controls, Effect, HoldEvent, LedgerAccount, Overdraft};

const MAX: i128 = 10_i128.pow(38) - 1;

fn units(number: i128) -> Units {
    Units::new(number).unwrap()
}

fn new_hold(number: u128, amount: i128, over: i128, seconds: Option<i64>) -> NewHold {
    let end = |seconds| Timestamp::from_micros(NOW.micros() + seconds * 1_000_000);
    NewHold {
        id: None,
        account: id(number),
        destination: Some(id(0)),
        amount: eur(amount),
        over_capture: Some(eur(over)),
        kind: "HOLD".to_owned(),
        expire_time: seconds.map(end),
        description: String::new(),
        external_ids: BTreeMap::new(),
        force: None,
    }
}

fn take(hold: HoldId, what: What, keep_open: bool, rules: &[Override]) -> Capture {
    let force = (!rules.is_empty()).then(|| Force {
        overrides: Overrides::of(rules.iter().copied()),
        reason: "LATE".to_owned(),
    });
    let draft = NewTransaction { entries: vec![], force, ..transfer(0, 0, 1) };
    Capture { hold, what, keep_open, draft }
}

fn funded(amount: i128, limits: Vec<Limit>) -> Books {
    let mut one = account(1, limit(0));
    one.controls = vec![Controls {
        source: "accounts".to_owned(),
        version: 1,
        blocks: vec![],
        limits,
        timeline: None,
    }];
    let mut books = books([account(0, Overdraft::Unbounded), one]);
    let paid = NewTransaction { kind: "TOPUP".to_owned(), ..transfer(0, 1, amount) };
    books.post(TransactionId::generate(), &paid).unwrap();
    books.settle();
    books
}

fn held(books: &mut Books, new: &NewHold) -> HoldId {
    let made = books.create_hold(HoldId::generate(), new).unwrap();
    books.settle();
    made.id
}

/// A hold has a thousand events, and still an end: otherwise what it keeps back were lost.
#[test]
fn a_hold_that_has_changed_too_often_can_still_end() {
    let mut books = funded(100, vec![]);
    let part = Release { hold: HoldId::generate(), amount: Some(eur(1)) };
    for end in 0..3 {
        let hold = held(&mut books, &new_hold(1, 30, 0, Some(1_000_000)));
        let mut later = NOW.micros() + 2_000_000_000_000;
        let extend = |later| Extend { hold, expire_time: Some(Timestamp::from_micros(later)) };
        while books.extend_hold(&extend(later)).is_ok() {
            later += 1;
        }
        assert_eq!(books.holds[&hold].event_seq, EVENTS_MAX);
        let open = What::Amount(eur(1));
        assert!(books.capture(TransactionId::generate(), &take(hold, open, true, &[])).is_err());
        assert!(books.increase_hold(&Increase { hold, amount: eur(1), force: None }).is_err());
        assert!(books.release_hold(&Release { hold, ..part }).is_err());
        let ended = match end {
            0 => books.release_hold(&Release { hold, amount: None }).unwrap(),
            1 => books.capture(TransactionId::generate(), &take(hold, open, false, &[])).unwrap().0,
            _ => {
                books.now = Timestamp::from_micros(later);
                books.expire(id(1), None);
                books.holds[&hold].clone()
            }
        };
        assert_ne!(ended.state, HoldState::Open);
        assert_eq!(books.accounts[&id(1)].held, Units::ZERO);
    }
}

#[test]
fn what_an_increase_added_is_given_back_first() {
    let (window, scope, effect) = (Window::Month, Scope::Account, Effect::Debit);
    let month = Limit {
        id: "month".to_owned(),
        effect,
        window,
        max_amount: Some(units(MAX)),
        max_count: None,
        types: vec![],
        scope,
    };
    let mut books = funded(1_000, vec![month.clone()]);
    let hold = held(&mut books, &new_hold(1, 100, 0, None));
    let key = month.key("accounts", &books.accounts[&id(1)]).unwrap();
    // A day later, as another batch would see it.
    let mut next = Books::open(Timestamp::from_micros(NOW.micros() + 86_400_000_000), books.zone);
    (next.accounts, next.holds, next.usages) = (books.accounts, books.holds, books.usages);
    next.increase_hold(&Increase { hold, amount: eur(50), force: None }).unwrap();
    next.release_hold(&Release { hold, amount: Some(eur(60)) }).unwrap();
    let counted: Vec<i128> = next.holds[&hold].counted.iter().map(|c| c.amount.get()).collect();
    assert_eq!(counted, [90, 0]);
    let steps: Vec<i128> = next.usages[&key].0.iter().map(|step| step.amount.get()).collect();
    assert_eq!(steps, [90, 0]);
}

#[test]
fn amounts_of_38_digits_do_not_overflow() {
    let mut books = books([account(0, Overdraft::Unbounded), account(1, Overdraft::Unbounded)]);
    let hold = held(&mut books, &new_hold(1, MAX, 0, None));
    let before = (books.accounts.clone(), books.holds.clone());
    let more = Increase { hold, amount: eur(1), force: None };
    assert!(matches!(books.increase_hold(&more), Err(Refusal::Overflow { .. })));
    let another = books.create_hold(HoldId::generate(), &new_hold(1, 1, 0, None));
    assert!(matches!(another, Err(Refusal::Overflow { .. })));
    assert_eq!(before, (books.accounts.clone(), books.holds.clone()));
    books.capture(TransactionId::generate(), &take(hold, What::Remaining, false, &[])).unwrap();
    assert_eq!(books.accounts[&id(1)].held, Units::ZERO);
}

/// Something that is asked of the books.
#[derive(Debug, Clone)]
enum Step {
    Hold { account: u128, amount: i128, over: i128, seconds: Option<i64> },
    Increase(usize, i128),
    Extend(usize, i64),
    Release(usize, Option<i128>),
    Capture { hold: usize, amount: Option<i128>, back: i128, keep_open: bool, late: bool },
    Pay(u128, u128, i128),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Step> {
    let hold = 0_usize..8;
    let some = |most: i128| prop::option::of(1..most);
    prop_oneof![
        (1_u128..3, 1_i128..60, 0_i128..20, prop::option::of(1_i64..40)).prop_map(
            |(account, amount, over, seconds)| Step::Hold { account, amount, over, seconds }
        ),
        (hold.clone(), 1_i128..30).prop_map(|(hold, amount)| Step::Increase(hold, amount)),
        (hold.clone(), 1_i64..80).prop_map(|(hold, seconds)| Step::Extend(hold, seconds)),
        (hold.clone(), some(40)).prop_map(|(hold, amount)| Step::Release(hold, amount)),
        (hold, some(70), 0_i128..5, any::<bool>(), any::<bool>()).prop_map(
            |(hold, amount, back, keep_open, late)| Step::Capture {
                hold,
                amount,
                back,
                keep_open,
                late
            }
        ),
        (0_u128..3, 0_u128..3, 1_i128..100).prop_map(|(from, to, sum)| Step::Pay(from, to, sum)),
        (1_i64..20).prop_map(Step::Wait),
    ]
}

/// The books with what the test knows of them.
struct World {
    books: Books,
    holds: Vec<HoldId>,
    /// What was paid, and what was captured late, by account: amounts and numbers.
    debits: BTreeMap<AccountId, (i128, i64)>,
}

impl World {
    fn new() -> Self {
        let (window, scope, effect) = (Window::Day, Scope::Account, Effect::Debit);
        let day = Limit {
            id: "day".to_owned(),
            effect,
            window,
            max_amount: Some(units(5_000)),
            max_count: None,
            types: vec![],
            scope,
        };
        let limits = vec![day];
        let limited = |number| {
            let source = "accounts".to_owned();
            let all = Controls {
                source,
                version: 1,
                blocks: vec![],
                limits: limits.clone(),
                timeline: None,
            };
            LedgerAccount { controls: vec![all], ..account(number, limit(50)) }
        };
        let all = [account(0, Overdraft::Unbounded), limited(1), limited(2)];
        Self { books: books(all), holds: vec![], debits: BTreeMap::new() }
    }

    /// Settles what has expired, as every batch does before it decides.
    fn begin(&mut self) {
        let now = self.books.now;
        let due = self.books.accounts.values().filter(|a| a.is_due(now));
        for account in due.map(|account| account.id).collect::<Vec<_>>() {
            let open = self.books.holds.values().filter(|hold| {
                hold.account == account && hold.state == HoldState::Open && !hold.is_past(now)
            });
            let next = open.filter_map(|hold| hold.expire_time).min();
            self.books.expire(account, next);
        }
    }

    fn debit(&mut self, account: AccountId, amount: i128) {
        let (sum, count) = self.debits.entry(account).or_default();
        (*sum, *count) = (*sum + amount, *count + 1);
    }

    fn capture(
        &mut self,
        hold: HoldId,
        (amount, back): (Option<i128>, i128),
        keep_open: bool,
        late: bool,
    ) -> Result<(), Refusal> {
        let rules: &[Override] = if late { &[Override::HoldExpired] } else { &[] };
        let account = self.books.holds[&hold].account;
        let was_expired = self.books.holds[&hold].state == HoldState::Expired;
        let mut capture = match amount {
            None => take(hold, What::Remaining, keep_open, rules),
            Some(amount) => take(hold, What::Amount(eur(amount)), keep_open, rules),
        };
        // Sometimes with entries of its own, which give something back to the account.
        if let Some(amount) = amount.filter(|_| back > 0) {
            let entry = |account, direction, sum| NewEntry::plain(account, direction, eur(sum));
            capture.what = What::Entries;
            capture.draft.entries = vec![
                entry(account, Direction::Debit, amount + back),
                entry(account, Direction::Credit, back),
                entry(id(0), Direction::Credit, amount),
            ];
        }
        let (_, posted) = self.books.capture(TransactionId::generate(), &capture)?;
        if was_expired {
            let own = posted.entries.iter().map(|posted| &posted.entry);
            let taken = own.filter(|e| e.account == account && e.direction == Direction::Debit);
            let taken = taken.map(|entry| entry.amount.units.get()).sum();
            self.debit(account, taken);
        }
        Ok(())
    }

    /// Does a step, and says whether it was refused.
    fn step(&mut self, step: &Step) -> Result<(), Refusal> {
        self.begin();
        let pick = |index: usize| self.holds.get(index % self.holds.len().max(1)).copied();
        match *step {
            Step::Wait(seconds) => {
                self.books.now =
                    Timestamp::from_micros(self.books.now.micros() + seconds * 1_000_000);
                self.begin();
            }
            Step::Hold { account, amount, over, seconds } => {
                let passed = (self.books.now.micros() - NOW.micros()) / 1_000_000;
                let new = new_hold(account, amount, over, seconds.map(|s| s + passed));
                let made = self.books.create_hold(HoldId::generate(), &new)?;
                self.holds.push(made.id);
                if self.holds.len() > 8 {
                    self.holds.remove(0);
                }
            }
            Step::Pay(from, to, amount) => {
                self.books.post(TransactionId::generate(), &transfer(from, to, amount))?;
                self.debit(id(from), amount);
            }
            Step::Increase(index, amount) => {
                let Some(hold) = pick(index) else { return Ok(()) };
                let increase = Increase { hold, amount: eur(amount), force: None };
                self.books.increase_hold(&increase)?;
            }
            Step::Extend(index, seconds) => {
                let Some(hold) = pick(index) else { return Ok(()) };
                let end = Timestamp::from_micros(self.books.now.micros() + seconds * 1_000_000);
                self.books.extend_hold(&Extend { hold, expire_time: Some(end) })?;
            }
            Step::Release(index, amount) => {
                let Some(hold) = pick(index) else { return Ok(()) };
                self.books.release_hold(&Release { hold, amount: amount.map(eur) })?;
            }
            Step::Capture { hold, amount, back, keep_open, late } => {
                let Some(hold) = pick(hold) else { return Ok(()) };
                self.capture(hold, (amount, back), keep_open, late)?;
            }
        }
        Ok(())
    }

    /// Everything of the books that a refusal must leave as it was.
    fn trace(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let b = &self.books;
        let changed = (b.changed.events.clone(), b.changed.days.clone());
        (b.accounts.clone(), b.holds.clone(), b.usages.clone(), changed)
    }
}

/// A hold against its own events.
fn check_hold(hold: &Hold, events: &[HoldEvent]) -> Result<(), TestCaseError> {
    let (mut amount, mut remaining, mut from_hold) = (Units::ZERO, Units::ZERO, Units::ZERO);
    let (mut captured, mut released) = (Units::ZERO, Units::ZERO);
    let mut seq = 0;
    for event in events.iter().filter(|event| event.hold == hold.id) {
        seq += 1;
        prop_assert_eq!(event.seq, seq);
        let sum = |a: Units, b: Units| a.checked_add(b).unwrap();
        let freed = remaining.checked_sub(event.remaining).unwrap();
        match event.kind {
            HoldEventType::Created | HoldEventType::Increased => {
                amount = sum(amount, event.amount);
                prop_assert_eq!(sum(remaining, event.amount), event.remaining);
            }
            HoldEventType::Captured => {
                prop_assert!(Units::ZERO <= freed && freed <= event.amount);
                (captured, from_hold) = (sum(captured, event.amount), sum(from_hold, freed));
            }
            HoldEventType::Released | HoldEventType::Expired => {
                prop_assert_eq!(freed, event.amount);
                released = sum(released, event.amount);
            }
            HoldEventType::Extended => prop_assert_eq!(freed, Units::ZERO),
        }
        remaining = event.remaining;
    }
    prop_assert_eq!(hold.event_seq, seq);
    let figures = (amount, remaining, captured, released);
    prop_assert_eq!(figures, (hold.amount, hold.remaining, hold.captured, hold.released));
    let parts = remaining.get() + released.get() + from_hold.get();
    prop_assert_eq!(parts, amount.get());
    prop_assert!(captured.get() <= amount.get() + hold.over_capture.get());
    prop_assert!(hold.state == HoldState::Open || remaining == Units::ZERO);
    Ok(())
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let books = &world.books;
    for hold in books.holds.values() {
        check_hold(hold, &books.changed.events)?;
    }
    let sum: i128 = books.accounts.values().map(|account| account.posted().get()).sum();
    prop_assert_eq!(sum, 0);
    for account in books.accounts.values() {
        let own = || books.holds.values().filter(|hold| hold.account == account.id);
        let held: i128 = own().map(|hold| hold.remaining.get()).sum();
        prop_assert_eq!(account.held.get(), held);
        prop_assert!(account.available(books.now).is_none_or(|left| left >= Units::ZERO));
        prop_assert_eq!(account.excess, Units::ZERO);
        let Some(limit) = account.controls.iter().flat_map(|all| &all.limits).next() else {
            continue;
        };
        // A limit has counted what was paid, what holds keep, and what they were captured for.
        let key = limit.key("accounts", account).unwrap();
        let used = books.usages.get(&key).map(|usage| usage.used(limit.window, books.calendar()));
        let (paid, payments) = world.debits.get(&account.id).copied().unwrap_or_default();
        let taken = |hold: &Hold| {
            let late: i128 = late_captures(books, hold);
            hold.remaining.get() + hold.captured.get() - late
        };
        let by_holds: i128 = own().map(taken).sum();
        let counts = |hold: &&Hold| hold.state == HoldState::Open || taken(hold) > 0;
        let holds = i64::try_from(own().filter(counts).count()).unwrap();
        let (used, count) = used.unwrap_or_default();
        prop_assert_eq!((used.get(), count), (paid + by_holds, payments + holds));
    }
    Ok(())
}

/// What was captured of a hold after it expired.
fn late_captures(books: &Books, hold: &Hold) -> i128 {
    let own = books.changed.events.iter().filter(|event| event.hold == hold.id);
    let after = own.skip_while(|event| event.kind != HoldEventType::Expired);
    after.skip(1).map(|event| event.amount.get()).sum()
}

proptest! {
    /// Whatever is asked for, in whatever order: what an account holds is what its open holds keep,
    /// every hold is the sum of its events, limits have counted what may still be taken, no bound
    /// is passed, and what is refused leaves no trace.
    #[test]
    fn holds_and_accounts_stay_right(all in prop::collection::vec(steps(), 1..150)) {
        let mut world = World::new();
        for step in &all {
            world.begin();
            let before = world.trace();
            if world.step(step).is_ok() {
                world.books.settle();
            } else {
                prop_assert_eq!(before, world.trace());
            }
            check(&world)?;
        }
    }
}
