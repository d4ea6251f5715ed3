//! One transfer: what is asked for, and whether the answer is its own.

use rand::{Rng, RngExt as _};
use strongroom_proto::common::v1::Money;
use strongroom_proto::transactions::v1 as wire;
use uuid::Uuid;

/// The currency of all accounts.
pub(in crate::bench) const CURRENCY: &str = "EUR";
/// The largest amount, in cents.
const AMOUNT_MAX: u64 = 1_000;

/// The name of an account by its number, from 1. pgbench makes the same ids out of the
/// same numbers.
pub(super) fn account(number: u64) -> String {
    format!("accounts/{}", account_id(number))
}

/// The id of an account by its number.
pub(in crate::bench) fn account_id(number: u64) -> String {
    format!("00000000-0000-7000-8000-{}", 100_000_000_000 + number)
}

/// A transfer under a new request id, between two accounts of `1..=accounts` by chance, in either
/// direction. If it is hot, one of them is the first.
pub(super) fn random(rng: &mut impl Rng, accounts: u64, hot: bool) -> wire::CreateTransferRequest {
    let one = if hot { 1 } else { rng.random_range(1..=accounts) };
    // Any but that one, each with the same chance.
    let other = rng.random_range(1..accounts);
    let other = if other >= one { other + 1 } else { other };
    let (from, to) = if rng.random() { (one, other) } else { (other, one) };
    wire::CreateTransferRequest {
        from: account(from),
        to: account(to),
        amount: Some(money(rng)),
        // In order of time, as pgbench has it too: ids by chance would cost both more.
        request_id: Uuid::now_v7().to_string(),
        ..wire::CreateTransferRequest::default()
    }
}

/// An amount by chance.
pub(super) fn money(rng: &mut impl Rng) -> Money {
    let cents = rng.random_range(1..=AMOUNT_MAX);
    let amount = format!("{}.{:02}", cents / 100, cents % 100);
    Money { currency: CURRENCY.to_owned(), amount }
}

/// Whether a transaction is this transfer: both entries, as they were asked for.
pub(super) fn answers(posted: &wire::Transaction, asked: &wire::CreateTransferRequest) -> bool {
    let [debit, credit] = posted.entries.as_slice() else { return false };
    let is = |entry: &wire::Entry, account: &str, direction: wire::Direction| {
        entry.account == account
            && entry.direction() == direction
            && entry.amount == asked.amount
            && entry.balance.as_ref().is_some_and(|balance| balance.entry_seq > 0)
    };
    posted.name.starts_with("transactions/")
        && is(debit, &asked.from, wire::Direction::Debit)
        && is(credit, &asked.to, wire::Direction::Credit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_accounts_are_never_one() {
        let mut rng = rand::rng();
        for _ in 0..200 {
            for hot in [false, true] {
                let asked = random(&mut rng, 2, hot);
                let mut both = [asked.from, asked.to];
                both.sort();
                assert_eq!(both, [account(1), account(2)]);
            }
        }
    }

    #[test]
    fn an_answer_is_compared_with_what_was_asked() {
        let asked = random(&mut rand::rng(), 10, false);
        let entry = |account: &str, direction: wire::Direction| wire::Entry {
            account: account.to_owned(),
            direction: direction.into(),
            amount: asked.amount.clone(),
            balance: Some(wire::EntryBalance { entry_seq: 1, ..Default::default() }),
            ..Default::default()
        };
        let posted = wire::Transaction {
            name: "transactions/1".to_owned(),
            entries: vec![
                entry(&asked.from, wire::Direction::Debit),
                entry(&asked.to, wire::Direction::Credit),
            ],
            ..Default::default()
        };
        assert!(answers(&posted, &asked));
        let mut swapped = posted.clone();
        swapped.entries.reverse();
        assert!(!answers(&swapped, &asked));
        let mut other = posted;
        other.entries[0].amount = None;
        assert!(!answers(&other, &asked));
    }
}
