//! The decision about a posting.

use std::collections::{BTreeMap, BTreeSet};

use shared::money::{Money, Units};
use shared::time::Timestamp;

use super::limit::Use;
use super::{
    AccountId, Act, Books, Collection, Commitments, Direction, EntryRef, HoldId, LedgerAccount,
    Link, LinkType, NewEntry, NewTransaction, Original, OriginalEntry, Override, Overrides, Place,
    PostedEntry, PostedTransaction, Refusal, Reversal, TransactionId, check_balance,
};

/// What is special about a posting that is more than its entries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Special {
    pub(super) reverses: Option<TransactionId>,
    pub(super) captures: Option<Captures>,
}

/// What a capture does to the account of its hold, before its entries do the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Captures {
    pub(super) hold: HoldId,
    pub(super) account: AccountId,
    /// What is taken of an expired hold is a debit like any other.
    pub(super) is_open: bool,
    /// What the hold keeps back no more.
    pub(super) freed: Units,
    /// What the entries take beyond what the hold kept back: limits have not counted it.
    pub(super) excess: Units,
}

/// An account before the act.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    account: AccountId,
    available: Option<Units>,
    held: Units,
}

impl Before {
    pub(super) fn of(account: &LedgerAccount, now: Timestamp) -> Self {
        let (account, available, held) = (account.id, account.available(now), account.held);
        Self { account, available, held }
    }
}

impl Books {
    /// Posts a transaction.
    pub(crate) fn post(
        &mut self,
        id: TransactionId,
        draft: &NewTransaction,
    ) -> Result<PostedTransaction, Refusal> {
        self.atomically(|books| books.post_special(id, draft, Special::default()))
    }

    /// Posts the opposite of a transaction, or of parts of it.
    pub(crate) fn reverse(
        &mut self,
        id: TransactionId,
        reversal: &Reversal,
    ) -> Result<PostedTransaction, Refusal> {
        let original = self.originals.get(&reversal.original);
        let original = original.ok_or(Refusal::UnknownTransaction(reversal.original))?;
        if original.is_reversal {
            return Err(Refusal::IsReversal(reversal.original));
        }
        let draft = opposite(original, reversal)?;
        let special = Special { reverses: Some(reversal.original), captures: None };
        self.atomically(|books| books.post_special(id, &draft, special))
    }

    /// Posts. The caller takes back what it has done where this is refused.
    pub(super) fn post_special(
        &mut self,
        id: TransactionId,
        draft: &NewTransaction,
        special: Special,
    ) -> Result<PostedTransaction, Refusal> {
        for (index, entry) in draft.entries.iter().enumerate() {
            self.open_account(Place::Entry(index), entry.account)?;
        }
        let is_chosen = draft.id.is_some();
        self.claim_ids(Collection::Transactions, id.uuid(), is_chosen, &draft.external_ids)?;
        self.check_versions(draft)?;
        // Before the bounds: what was given back already stays so, whatever money comes.
        for (index, link) in draft.links.iter().enumerate() {
            self.take(index, link)?;
        }
        let mut ids: BTreeSet<AccountId> = draft.entries.iter().map(|e| e.account).collect();
        ids.extend(special.captures.map(|captures| captures.account));
        let record_time = self.record_time(&ids);
        let booked = self.book(draft, record_time)?;
        self.keep(&ids);
        let before = self.positions(&ids);
        self.free(special.captures);
        let entries = self.apply(draft, special.captures, record_time)?;
        self.check_bounds(&before, draft)?;
        self.check_wishes(draft)?;
        self.count_entries(draft, special.captures)?;
        let mut posted = PostedTransaction {
            id,
            kind: draft.kind.clone(),
            entries,
            description: draft.description.clone(),
            labels: draft.labels.clone(),
            effective_time: booked.effective_time,
            record_time,
            booking_date: booked.booking_date,
            value_date: booked.effective_time.day_in(&self.zone),
            record_date: record_time.day_in(&self.zone),
            batch: None,
            links: draft.links.clone(),
            evidence: draft.evidence.clone(),
            external_ids: draft.external_ids.clone(),
            group_id: draft.group_id.clone(),
            force: draft.force.clone(),
            reverses: special.reverses,
            hold: special.captures.map(|captures| captures.hold),
            import_source: draft.import_source.clone(),
            commitments: Commitments::default(),
        };
        posted.commitments = Commitments::to(&posted);
        self.count_days(&posted);
        if self.wanted.contains(&id) {
            self.put_original(id, original(&posted));
        }
        Ok(posted)
    }

    fn check_versions(&self, draft: &NewTransaction) -> Result<(), Refusal> {
        for (index, entry) in draft.entries.iter().enumerate() {
            let version = self.accounts.get(&entry.account).map_or(0, |account| account.version);
            if let Some(expected) = entry.expected_version.filter(|expected| *expected != version) {
                let account = entry.account;
                return Err(Refusal::VersionMismatch { index, account, expected, version });
            }
        }
        Ok(())
    }

    fn positions(&self, ids: &BTreeSet<AccountId>) -> Vec<Before> {
        let accounts = ids.iter().filter_map(|id| self.accounts.get(id));
        accounts.map(|account| Before::of(account, self.now)).collect()
    }

    fn free(&mut self, captures: Option<Captures>) {
        let Some(captures) = captures else { return };
        if let Some(account) = self.accounts.get_mut(&captures.account) {
            account.held = account.held.checked_sub(captures.freed).unwrap_or_default();
        }
    }

    fn apply(
        &mut self,
        draft: &NewTransaction,
        captures: Option<Captures>,
        record_time: Timestamp,
    ) -> Result<Vec<PostedEntry>, Refusal> {
        let (now, overrides) = (self.now, draft.overrides());
        let mut entries = Vec::with_capacity(draft.entries.len());
        for (index, entry) in draft.entries.iter().enumerate() {
            let Some(account) = self.accounts.get_mut(&entry.account) else {
                continue;
            };
            let place = Place::Entry(index);
            let act = act_of(account, entry, captures);
            admit(account, place, entry.amount, act, overrides, now)?;
            if !account.add(entry.direction, entry.amount.units) {
                return Err(Refusal::Overflow { place, account: entry.account });
            }
            account.entry_seq += 1;
            account.touch(record_time);
            entries.push(PostedEntry {
                entry: entry.clone(),
                posted_after: account.posted(),
                available_after: account.available(now),
                entry_seq: account.entry_seq,
                version_after: account.version,
            });
        }
        Ok(entries)
    }

    /// A bound is judged once the whole transaction is applied, and refuses only what worsens: an
    /// overdrawn account may always be paid into.
    fn check_bounds(&mut self, before: &[Before], draft: &NewTransaction) -> Result<(), Refusal> {
        let overridden = draft.overrides().has(Override::Funds);
        for old in before {
            let Some(account) = self.accounts.get_mut(&old.account) else {
                continue;
            };
            if !overridden && let Some(refusal) = exceeds(account, old, self.now) {
                let worsens = |e: &NewEntry| {
                    e.account == old.account && account.act(e.direction) == Act::Debit
                };
                let index = draft.entries.iter().position(worsens).unwrap_or(0);
                return Err(refusal(Place::Entry(index)));
            }
            account.record_excess(overridden);
        }
        Ok(())
    }

    /// What the caller wants to be left.
    fn check_wishes(&self, draft: &NewTransaction) -> Result<(), Refusal> {
        for (index, entry) in draft.entries.iter().enumerate() {
            let (Some(required), Some(account)) =
                (entry.min_available_after, self.accounts.get(&entry.account))
            else {
                continue;
            };
            if required.currency != account.currency {
                return Err(Refusal::CurrencyMismatch {
                    field: format!("entries[{index}].min_available_after.currency"),
                    of: account.id.name(),
                    found: required,
                    expected: account.currency.code().to_owned(),
                });
            }
            let free = account.available(self.now).unwrap_or(account.own_available(self.now));
            if free < required.units {
                let (account, available) = (account.id, account.money(free));
                return Err(Refusal::BalancePrecondition { index, account, required, available });
            }
        }
        Ok(())
    }

    /// One count for each account and side, however many entries it has there.
    fn count_entries(
        &mut self,
        draft: &NewTransaction,
        captures: Option<Captures>,
    ) -> Result<(), Refusal> {
        if draft.import_source.is_some() {
            return Ok(());
        }
        let has_limits = |account: &LedgerAccount| {
            account.controls.iter().any(|controls| !controls.limits.is_empty())
        };
        let mut sums: BTreeMap<(AccountId, bool), (usize, Act, Units)> = BTreeMap::new();
        for (index, entry) in draft.entries.iter().enumerate() {
            let account = self.accounts.get(&entry.account);
            let Some(account) = account.filter(|account| has_limits(account)) else {
                continue;
            };
            let act = act_of(account, entry, captures);
            let key = (entry.account, act == Act::Credit);
            let (_, _, sum) = sums.entry(key).or_insert((index, act, Units::ZERO));
            *sum = sum.checked_add(entry.amount.units).unwrap_or(*sum);
        }
        let overridden = draft.overrides().has(Override::Limits);
        for ((account, _), (index, act, sum)) in sums {
            let (amount, count) = match (act, captures) {
                // The hold was counted when it was made.
                (Act::Capture, Some(captures)) => (captures.excess, 0),
                _ => (sum, 1),
            };
            if amount > Units::ZERO {
                let what = Use { act, kind: &draft.kind, amount, count };
                self.count(Place::Entry(index), account, what, overridden)?;
            }
        }
        Ok(())
    }

    /// Takes what a link takes of its entry.
    fn take(&mut self, index: usize, link: &Link) -> Result<(), Refusal> {
        let unknown = Refusal::UnknownTransaction(link.entry.transaction);
        let original = self.originals.get(&link.entry.transaction).ok_or(unknown)?;
        let Some(found) = original.entry(link.entry.index) else {
            let field = format!("links[{index}].entry_index");
            let sentence = format!("must be below {}, its entries", original.entries.len());
            return Err(Refusal::Invalid { field, sentence });
        };
        if found.amount.currency != link.amount.currency {
            return Err(Refusal::CurrencyMismatch {
                field: format!("links[{index}].amount.currency"),
                of: link.entry.transaction.name(),
                found: link.amount,
                expected: found.amount.currency.code().to_owned(),
            });
        }
        let left = found.left(link.kind);
        if left < link.amount.units {
            return Err(Refusal::LinkExceeds {
                kind: link.kind,
                entry: link.entry,
                remaining: Money { units: left, ..link.amount },
                requested: link.amount,
            });
        }
        if let Some(found) = self.original_entry_mut(link.entry) {
            found.take(link.kind, link.amount.units);
        }
        Ok(())
    }

    fn count_days(&mut self, posted: &PostedTransaction) {
        let (booking, value) = (posted.booking_date, posted.value_date);
        for PostedEntry { entry, .. } in &posted.entries {
            let Some(account) = self.accounts.get_mut(&entry.account) else {
                continue;
            };
            let (debits, credits) = match entry.direction {
                Direction::Debit => (entry.amount.units, Units::ZERO),
                Direction::Credit => (Units::ZERO, entry.amount.units),
            };
            if let Some(day) = account.count_day(booking, value, debits, credits) {
                self.put_day(entry.account, day);
            }
        }
    }
}

/// What an entry is to its account.
fn act_of(account: &LedgerAccount, entry: &NewEntry, captures: Option<Captures>) -> Act {
    let is_held = |captures: Captures| captures.is_open && captures.account == account.id;
    match account.act(entry.direction) {
        Act::Debit if captures.is_some_and(is_held) => Act::Capture,
        act => act,
    }
}

/// Whether an account takes an amount of this currency, and whether its controls let the act pass.
pub(super) fn admit(
    account: &LedgerAccount,
    place: Place,
    amount: Money,
    act: Act,
    overrides: Overrides,
    now: Timestamp,
) -> Result<(), Refusal> {
    in_currency_of(account, place, amount)?;
    match account.blocked_by(act, now) {
        Some((source, reason_code)) if !overrides.has(Override::Controls) => {
            let (source, reason_code) = (source.to_owned(), reason_code.to_owned());
            Err(Refusal::Blocked { place, account: account.id, act, source, reason_code })
        }
        _ => Ok(()),
    }
}

/// Whether an amount is in the currency of the account.
pub(super) fn in_currency_of(
    account: &LedgerAccount,
    place: Place,
    amount: Money,
) -> Result<(), Refusal> {
    if amount.currency == account.currency {
        return Ok(());
    }
    Err(Refusal::CurrencyMismatch {
        field: match place {
            Place::Entry(index) => format!("entries[{index}].amount.currency"),
            Place::Hold | Place::Destination => "amount.currency".to_owned(),
        },
        of: account.id.name(),
        found: amount,
        expected: account.currency.code().to_owned(),
    })
}

/// Why an account may not stand as it does now, where it may not: it is below its bound, and was
/// not as far below before. The figures are those of before, and what is missing.
pub(super) fn exceeds(
    account: &LedgerAccount,
    before: &Before,
    now: Timestamp,
) -> Option<impl Fn(Place) -> Refusal> {
    let (available, after) = (before.available?, account.available(now)?);
    if after >= Units::ZERO || after >= available {
        return None;
    }
    let limit = match account.overdraft {
        super::Overdraft::Limit(limit) => limit,
        super::Overdraft::Unbounded => Units::ZERO,
    };
    let (id, money) = (account.id, |units| account.money(units));
    let (available, shortfall) = (money(available), money(Units::ZERO.checked_sub(after)?));
    let (held, blocked, limit) = (money(before.held), money(account.blocked(now)), money(limit));
    Some(move |place| Refusal::InsufficientFunds {
        place,
        account: id,
        available,
        held,
        blocked,
        limit,
        shortfall,
    })
}

/// The entries and the links of a reversal.
fn opposite(original: &Original, reversal: &Reversal) -> Result<NewTransaction, Refusal> {
    let whole = |(index, entry): (i32, &OriginalEntry)| (index, *entry, entry.amount);
    let parts: Vec<(i32, OriginalEntry, Money)> = if reversal.parts.is_empty() {
        (0..).zip(&original.entries).map(whole).collect()
    } else {
        let mut parts = Vec::with_capacity(reversal.parts.len());
        for (index, part) in reversal.parts.iter().enumerate() {
            let entry = original.entry(part.index).ok_or_else(|| Refusal::Invalid {
                field: format!("parts[{index}].entry_index"),
                sentence: format!("must be below {}, its entries", original.entries.len()),
            })?;
            if part.amount.currency != entry.amount.currency {
                return Err(Refusal::CurrencyMismatch {
                    field: format!("parts[{index}].amount.currency"),
                    of: reversal.original.name(),
                    found: part.amount,
                    expected: entry.amount.currency.code().to_owned(),
                });
            }
            parts.push((part.index, *entry, part.amount));
        }
        parts
    };
    let mut draft = reversal.draft.clone();
    for (index, entry, amount) in parts {
        let direction = match entry.direction {
            Direction::Debit => Direction::Credit,
            Direction::Credit => Direction::Debit,
        };
        draft.entries.push(NewEntry::plain(entry.account, direction, amount));
        let entry = EntryRef { transaction: reversal.original, index };
        draft.links.push(Link { kind: LinkType::ReversalOf, entry, amount });
    }
    check_balance(&draft.entries).map_err(|unbalanced| match unbalanced {
        Some(sums) => Refusal::Unbalanced {
            debits: Money { currency: sums.currency, units: sums.debits },
            credits: Money { currency: sums.currency, units: sums.credits },
        },
        None => Refusal::Invalid {
            field: "parts".to_owned(),
            sentence: "must have sums of at most 38 digits".to_owned(),
        },
    })?;
    Ok(draft)
}

/// A transaction, for those that are linked to it.
fn original(posted: &PostedTransaction) -> Original {
    let entries = posted.entries.iter().map(|PostedEntry { entry, .. }| OriginalEntry {
        account: entry.account,
        direction: entry.direction,
        amount: entry.amount,
        taken: Units::ZERO,
        fees: Units::ZERO,
    });
    Original { is_reversal: posted.reverses.is_some(), entries: entries.collect() }
}

#[cfg(test)]
#[path = "posting_tests.rs"]
mod tests;
