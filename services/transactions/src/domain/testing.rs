//! What the tests of the domain share.

use std::collections::BTreeMap;

use shared::money::{Currency, Money, Units};
use shared::time::Timestamp;

use super::{
    AccountClass, AccountId, Books, Direction, Late, LedgerAccount, NewAccount, NewEntry,
    NewTransaction, Overdraft,
};

/// The time of the books.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_000_000);

pub(super) fn id(number: u128) -> AccountId {
    AccountId::from_uuid(uuid::Uuid::from_u128(number))
}

pub(super) fn eur(units: i128) -> Money {
    Money { currency: Currency::iso("EUR").unwrap(), units: Units::new(units).unwrap() }
}

pub(super) fn account(number: u128, overdraft: Overdraft) -> LedgerAccount {
    let (class, gl_code) = (AccountClass::Liability, String::new());
    NewAccount {
        id: id(number),
        currency: eur(0).currency,
        class,
        gl_code,
        overdraft,
        controls: vec![],
        customer: None,
        parent: None,
    }
    .open(Timestamp::from_micros(1))
}

pub(super) fn books(accounts: impl IntoIterator<Item = LedgerAccount>) -> Books {
    let mut books = Books::open(NOW, jiff::tz::TimeZone::UTC);
    books.accounts = accounts.into_iter().map(|account| (account.id, account)).collect();
    books
}

pub(super) fn transfer(from: u128, to: u128, units: i128) -> NewTransaction {
    let entry = |number, direction| NewEntry::plain(id(number), direction, eur(units));
    NewTransaction {
        id: None,
        kind: "TEST".to_owned(),
        entries: vec![entry(from, Direction::Debit), entry(to, Direction::Credit)],
        description: String::new(),
        labels: BTreeMap::new(),
        effective_time: None,
        links: vec![],
        evidence: vec![],
        external_ids: BTreeMap::new(),
        group_id: None,
        force: None,
        booking_date: None,
        late: Late::Refuse,
        import_source: None,
        books_soft_closed: false,
    }
}

pub(super) fn limit(units: i128) -> Overdraft {
    Overdraft::Limit(Units::new(units).unwrap())
}
