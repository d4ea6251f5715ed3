//! The rules of the ledger for rows, so that all of a file is judged before any of it is sent.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use shared::field::{self, At as _, Decoded, invalid};
use shared::money::{Currencies, Currency, Money, Units};
use shared::problem::Problem;
use shared::time::{Day, Timestamp};
use strongroom_proto::common::v1 as common;
use strongroom_proto::transactions::v1::{AccountClass, Direction};
use uuid::Uuid;

use super::fault::Fault;
use super::row::{AccountRow, EntryRow, TransactionRow};

const DESCRIPTION_MAX: usize = 1_024;
const MEMO_MAX: usize = 256;
const GL_CODE_MAX: usize = 32;
const EXTERNAL_IDS_MAX: usize = 8;
const EXTERNAL_ID_MAX: usize = 128;
const WORD_MAX: usize = 64;
const ENTRIES_MAX: usize = 1_000;
/// Characters of a request id.
const REQUEST_ID_MAX: usize = 128;

/// What a row is judged by.
pub(super) struct Rules {
    /// The name of the old ledger.
    source: String,
    pub(super) currencies: Currencies,
    zone: TimeZone,
    now: Timestamp,
    /// The last day that is closed for good.
    closed_through: Option<Day>,
}

/// How far an account may fall below zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Limit(Units),
    Unbounded,
}

/// An account as it is registered.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) key: String,
    pub(super) id: Uuid,
    pub(super) currency: Currency,
    pub(super) class: AccountClass,
    pub(super) gl_code: String,
    pub(super) overdraft: Bound,
    pub(super) customer: Option<Uuid>,
    pub(super) parent: Option<Uuid>,
    /// On its normal side, and the day on which it is booked.
    pub(super) opening: Option<(Units, Day)>,
}

/// A transaction as it is posted.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) key: String,
    pub(super) id: Option<Uuid>,
    pub(super) kind: String,
    pub(super) booking_date: Day,
    pub(super) effective_time: Option<Timestamp>,
    pub(super) description: String,
    pub(super) group_id: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) external_ids: BTreeMap<String, String>,
    pub(super) entries: Vec<Entry>,
}

/// An entry as it is posted.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) account: Uuid,
    pub(super) direction: Direction,
    pub(super) amount: Money,
    pub(super) memo: String,
}

impl Rules {
    pub(super) fn new(
        source: &str,
        currencies: Currencies,
        zone: TimeZone,
        now: Timestamp,
        closed_through: Option<Day>,
    ) -> Self {
        Self { source: source.to_owned(), currencies, zone, now, closed_through }
    }

    /// The UUID that a row's own id stands for: itself where it is one, else one that is made of
    /// the source and the id, always the same.
    pub(super) fn uuid(&self, collection: &str, id: &str) -> Uuid {
        let bare = id.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/'));
        let made = || {
            let name = format!("urn:strongroom:import:{}:{collection}:{id}", self.source);
            Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
        };
        canonical(bare.unwrap_or(id)).unwrap_or_else(made)
    }

    /// The request id of what is asked for because of a row.
    pub(super) fn request_id(&self, what: char, key: &str) -> String {
        format!("{}:{what}:{key}", self.source)
    }

    /// A row's own id.
    fn key(&self, id: &str) -> Decoded<String> {
        let longest = REQUEST_ID_MAX.saturating_sub(self.source.len() + ":a:".len());
        field::text(id.to_owned(), 1, longest)
    }

    /// An account.
    pub(super) fn account(&self, row: &AccountRow) -> Result<Account, Fault> {
        self.decode_account(row).map_err(|problem| Fault::of(row.line, *problem))
    }

    fn decode_account(&self, row: &AccountRow) -> Decoded<Account> {
        let key = self.key(&row.id).at("id")?;
        let currency = Currency::decode(&row.currency, &self.currencies).at("currency")?;
        let class = AccountClass::from_str_name(&format!("ACCOUNT_CLASS_{}", row.class))
            .filter(|class| *class != AccountClass::Unspecified)
            .ok_or_else(|| invalid("must be ASSET, LIABILITY, EQUITY, INCOME or EXPENSE"))
            .at("class")?;
        let overdraft = match row.overdraft.as_str() {
            "" => Bound::Limit(Units::ZERO),
            "unbounded" => Bound::Unbounded,
            amount => {
                let units = self.units(amount, currency).at("overdraft")?;
                if units < Units::ZERO {
                    return Err(invalid("must not be negative")).at("overdraft");
                }
                Bound::Limit(units)
            }
        };
        let named =
            |collection, id: &str| Some(self.uuid(collection, id)).filter(|_| !id.is_empty());
        Ok(Account {
            id: self.uuid("accounts", &key),
            currency,
            class,
            gl_code: field::text(row.gl_code.clone(), 0, GL_CODE_MAX).at("gl_code")?,
            overdraft,
            customer: named("customers", &row.customer),
            parent: named("accounts", &row.parent),
            opening: self.opening(row, currency)?,
            key,
        })
    }

    fn opening(&self, row: &AccountRow, currency: Currency) -> Decoded<Option<(Units, Day)>> {
        let (balance, date) = (row.opening_balance.as_str(), row.opening_date.as_str());
        if balance.is_empty() && date.is_empty() {
            return Ok(None);
        }
        let units = self.units(balance, currency).at("opening_balance")?;
        let day = self.day(date).at("opening_date")?;
        Ok(Some((units, day)).filter(|_| units != Units::ZERO))
    }

    /// A transaction, whose entries balance.
    pub(super) fn posting(&self, row: &TransactionRow) -> Result<Posting, Fault> {
        let head = self.head(row).map_err(|problem| Fault::of(row.line, *problem))?;
        let mut entries = Vec::with_capacity(row.entries.len());
        for (index, entry) in row.entries.iter().enumerate() {
            let entry = self.entry(entry).map_err(|problem| in_entry(row, index, *problem))?;
            entries.push(entry);
        }
        check_balance(&entries).map_err(|problem| Fault::of(row.line, *problem))?;
        Ok(Posting { entries, ..head })
    }

    fn head(&self, row: &TransactionRow) -> Decoded<Posting> {
        let key = self.key(&row.id).at("id")?;
        let group_id = &row.group_id;
        let fits = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        if group_id.len() > WORD_MAX || !group_id.chars().all(fits) {
            let sentence = "must be at most 64 letters, digits and \"._:-\"";
            return Err(invalid(sentence)).at("group_id");
        }
        let count = row.entries.len();
        if !(2..=ENTRIES_MAX).contains(&count) {
            let sentence = format!("must be 2 to {ENTRIES_MAX}, and are {count}");
            return Err(invalid(sentence)).at("entries");
        }
        Ok(Posting {
            id: canonical(key.strip_prefix("transactions/").unwrap_or(&key)),
            kind: field::code(row.r#type.clone()).at("type")?,
            booking_date: self.day(&row.booking_date).at("booking_date")?,
            effective_time: self.time(&row.effective_time).at("effective_time")?,
            description: field::text(row.description.clone(), 0, DESCRIPTION_MAX)
                .at("description")?,
            group_id: group_id.clone(),
            labels: field::labels(row.labels.clone()).at("labels")?,
            external_ids: external_ids(row.external_ids.clone()).at("external_ids")?,
            entries: Vec::new(),
            key,
        })
    }

    fn entry(&self, row: &EntryRow) -> Decoded<Entry> {
        if row.account.is_empty() {
            return Err(invalid("must be given")).at("account");
        }
        let direction = match row.direction.as_str() {
            "DEBIT" => Direction::Debit,
            "CREDIT" => Direction::Credit,
            _ => return Err(invalid("must be DEBIT or CREDIT")).at("direction"),
        };
        let currency = Currency::decode(&row.currency, &self.currencies).at("currency")?;
        let units = self.units(&row.amount, currency).at("amount")?;
        if units <= Units::ZERO {
            return Err(invalid("must be above zero")).at("amount");
        }
        let memo = field::text(row.memo.clone(), 0, MEMO_MAX).at("memo")?;
        let amount = Money { currency, units };
        Ok(Entry { account: self.uuid("accounts", &row.account), direction, amount, memo })
    }

    fn units(&self, amount: &str, currency: Currency) -> Decoded<Units> {
        let (currency, amount) = (currency.code().to_owned(), amount.to_owned());
        let decoded = Money::decode(&common::Money { currency, amount }, &self.currencies);
        decoded.map(|money| money.units).map_err(|mut problem| {
            // The field is the row's.
            problem.field = None;
            problem
        })
    }

    fn day(&self, text: &str) -> Decoded<Day> {
        let day = Day::parse(text)?;
        if day > self.now.day_in(&self.zone) {
            return Err(invalid("must not be in the future"));
        }
        match self.closed_through.filter(|closed| day <= *closed) {
            Some(closed) => Err(invalid(format!("must be after {closed}: the books are closed"))),
            None => Ok(day),
        }
    }

    /// A time, or the begin of a day.
    fn time(&self, text: &str) -> Decoded<Option<Timestamp>> {
        if text.is_empty() {
            return Ok(None);
        }
        let time = if let Ok(day) = Day::parse(text) {
            day.start_in(&self.zone)
        } else {
            let sentence = "must be a time as RFC 3339 has it, or a day as YYYY-MM-DD";
            let time: jiff::Timestamp = text.parse().map_err(|_| invalid(sentence))?;
            if time.subsec_nanosecond() % 1_000 != 0 {
                return Err(invalid("must not be finer than a microsecond"));
            }
            Timestamp::from_micros(time.as_microsecond())
        };
        if time > self.now {
            return Err(invalid("must not be in the future"));
        }
        Ok(Some(time))
    }
}

/// A UUID in its one spelling.
fn canonical(text: &str) -> Option<Uuid> {
    let uuid = Uuid::try_parse(text).ok()?;
    Some(uuid).filter(|uuid| uuid.hyphenated().to_string() == text)
}

/// Where an entry is wrong: in its own line, or in a part of its transaction's.
pub(super) fn in_entry(row: &TransactionRow, index: usize, mut problem: Problem) -> Fault {
    let line = row.entries.get(index).map_or(row.line, |entry| entry.line);
    if !row.is_table {
        let field = problem.field.unwrap_or_default();
        problem.field = Some(format!("entries[{index}].{field}"));
    }
    Fault::of(line, problem)
}

fn external_ids(ids: BTreeMap<String, String>) -> Decoded<BTreeMap<String, String>> {
    if ids.len() > EXTERNAL_IDS_MAX {
        return Err(invalid(format!("must be at most {EXTERNAL_IDS_MAX}")));
    }
    for (kind, value) in &ids {
        field::code(kind.clone()).map_err(|_| invalid("has a kind that is no code"))?;
        field::text(value.clone(), 1, EXTERNAL_ID_MAX).at(kind)?;
    }
    Ok(ids)
}

fn check_balance(entries: &[Entry]) -> Decoded<()> {
    let overflow = || invalid("must have sums of at most 38 digits");
    let mut sums: BTreeMap<Currency, (Units, Units)> = BTreeMap::new();
    for Entry { direction, amount, .. } in entries {
        let (debits, credits) = sums.entry(amount.currency).or_default();
        let side = if *direction == Direction::Debit { debits } else { credits };
        *side = side.checked_add(amount.units).ok_or_else(overflow).at("entries")?;
    }
    for (currency, (debits, credits)) in sums {
        if debits != credits {
            let (debits, credits) = (debits.major(currency), credits.major(currency));
            let sentence =
                format!("must balance: {debits} debited, {credits} credited in {currency}");
            return Err(invalid(sentence)).at("entries");
        }
    }
    Ok(())
}
