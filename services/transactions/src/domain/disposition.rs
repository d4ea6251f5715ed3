//! What closing an account does with what is left on it: one transfer to another account.

use std::collections::BTreeMap;

use shared::money::{Money, Units};
use shared::time::Timestamp;

use super::{
    AccountId, Direction, Force, Late, LedgerAccount, NewEntry, NewTransaction, Override,
    Overrides, Place, Refusal,
};

/// The type of the transaction. Callers cannot choose it: theirs are in upper case.
pub(crate) const DISPOSITION: &str = "disposition";
/// Why blocks are there that let it pass, and why it is forced.
const CLOSING: &str = "CLOSING";
/// The request's field that names where it goes.
const FIELD: &str = "disposition_account";

/// Whether an account can take what is left on another.
pub(crate) fn check_disposition(
    account: &LedgerAccount,
    disposition: &LedgerAccount,
) -> Result<(), Refusal> {
    if disposition.currency != account.currency {
        return Err(Refusal::CurrencyMismatch {
            field: FIELD.to_owned(),
            of: account.id.name(),
            found: disposition.money(Units::ZERO),
            expected: account.currency.code().to_owned(),
        });
    }
    match disposition.close_time {
        Some(_) => Err(Refusal::Closed { place: Place::Destination, account: disposition.id }),
        None => Ok(()),
    }
}

/// The transaction that moves what is left, if something is. Funds are asked for as always, so that
/// an amount that is set apart stays, and a debit of the other account needs to be covered.
///
/// It is forced past controls, because the blocks of the closing itself must not stop it. What
/// others forbid is therefore decided here, for both accounts.
pub(crate) fn dispose(
    account: &LedgerAccount,
    disposition: &LedgerAccount,
    now: Timestamp,
) -> Result<Option<NewTransaction>, Refusal> {
    let Some((amount, direction)) = rest(account) else { return Ok(None) };
    let other = match direction {
        Direction::Debit => Direction::Credit,
        Direction::Credit => Direction::Debit,
    };
    let sides = [(account, direction), (disposition, other)];
    for (index, (account, direction)) in sides.into_iter().enumerate() {
        let act = account.act(direction);
        if let Some((source, reason_code)) = account.blocked_but_for(CLOSING, act, now) {
            let (place, account) = (Place::Entry(index), account.id);
            let (source, reason_code) = (source.to_owned(), reason_code.to_owned());
            return Err(Refusal::Blocked { place, account, act, source, reason_code });
        }
    }
    let entry = |id: AccountId, direction| NewEntry::plain(id, direction, amount);
    Ok(Some(NewTransaction {
        id: None,
        kind: DISPOSITION.to_owned(),
        entries: vec![entry(account.id, direction), entry(disposition.id, other)],
        description: String::new(),
        labels: BTreeMap::new(),
        effective_time: None,
        links: Vec::new(),
        evidence: Vec::new(),
        external_ids: BTreeMap::new(),
        group_id: None,
        force: Some(Force {
            overrides: Overrides::of([Override::Limits, Override::Controls]),
            reason: CLOSING.to_owned(),
        }),
        booking_date: None,
        late: Late::Refuse,
        import_source: None,
        books_soft_closed: false,
    }))
}

/// What is left, and the side that takes it off.
fn rest(account: &LedgerAccount) -> Option<(Money, Direction)> {
    let (debits, credits) = (account.posted_debits, account.posted_credits);
    let (units, direction) = match debits > credits {
        true => (debits.checked_sub(credits)?, Direction::Credit),
        false => (credits.checked_sub(debits)?, Direction::Debit),
    };
    (units > Units::ZERO).then(|| (account.money(units), direction))
}
