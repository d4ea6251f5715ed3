//! An old ledger that is always the same one: years of transactions in several currencies and
//! classes, with value dates of their own, and all that it says of any day.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::civil::{Date, date};
use jiff::{Span, ToSpan as _};
use strongroom_proto::transactions::v1::AccountClass;

/// The day of the opening balances, and the days of the history.
pub(super) const OPENED: Date = date(2018, 12, 31);
pub(super) const FIRST: Date = date(2019, 1, 1);
pub(super) const DAYS: usize = 5 * 365 + 1;
/// The currencies, with their decimals.
const CURRENCIES: [(&str, usize); 4] = [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3)];
/// Accounts of customers in each currency.
const CUSTOMERS: usize = 250;
/// The accounts of the house in each currency.
const HOUSE: [(&str, AccountClass, &str); 5] = [
    ("nostro", AccountClass::Asset, "1000"),
    ("fees", AccountClass::Income, "4000"),
    ("interest", AccountClass::Expense, "5000"),
    ("capital", AccountClass::Equity, "3000"),
    ("exchange", AccountClass::Asset, "1900"),
];

/// An account of the old ledger.
pub(super) struct Account {
    pub(super) key: String,
    pub(super) currency: usize,
    pub(super) class: AccountClass,
    pub(super) gl_code: &'static str,
    /// In minor units, debits less credits.
    opening: i64,
}

/// A transaction of the old ledger.
pub(super) struct Transaction {
    key: String,
    kind: &'static str,
    /// Days after the first.
    booked: usize,
    /// The value date, where that is not the day of the booking.
    value: Option<Date>,
    /// The account, and minor units: debits above zero, credits below.
    entries: Vec<(usize, i64)>,
}

/// The old ledger.
pub(super) struct OldLedger {
    pub(super) accounts: Vec<Account>,
    pub(super) transactions: Vec<Transaction>,
}

/// Numbers that look random, and are the same each time (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    fn amount(&mut self) -> i64 {
        i64::try_from(1 + self.below(1_000_000)).unwrap()
    }
}

impl OldLedger {
    pub(super) fn generate(count: usize) -> Self {
        let mut dice = Dice(2_019);
        let accounts = accounts(&mut dice);
        let transactions = (0..count).map(|index| transaction(&mut dice, index, count)).collect();
        Self { accounts, transactions }
    }

    /// The file of accounts.
    pub(super) fn accounts_csv(&self) -> String {
        let mut file =
            "id,class,currency,gl_code,overdraft,parent,opening_balance,opening_date\n".to_owned();
        // Children before their parents: the order of the file is nobody's concern.
        for account in self.accounts.iter().rev() {
            let class = account.class.as_str_name().strip_prefix("ACCOUNT_CLASS_").unwrap();
            let (currency, _) = CURRENCIES[account.currency];
            let overdraft = if account.gl_code == "2000" { "" } else { "unbounded" };
            let parent = match account.key.split_once("customer-1") {
                Some((currency, rest)) if !rest.is_empty() => format!("{currency}customer-1"),
                _ => String::new(),
            };
            let opening = account.opening * normal_side(account.class);
            let (opening, day) = match opening {
                0 => (String::new(), String::new()),
                units => (major(units, account.currency), OPENED.to_string()),
            };
            let (key, gl_code) = (&account.key, account.gl_code);
            writeln!(
                file,
                "{key},{class},{currency},{gl_code},{overdraft},{parent},{opening},{day}"
            )
            .unwrap();
        }
        file
    }

    /// A part of the history as a table.
    pub(super) fn history_csv(&self, transactions: std::ops::Range<usize>) -> String {
        let mut file = "id,type,booking_date,effective_time,description,label.branch,account,\
                        direction,amount,currency\n"
            .to_owned();
        for transaction in &self.transactions[transactions] {
            for (index, (account, units)) in transaction.entries.iter().enumerate() {
                let head = match index {
                    0 => format!(
                        "{},{},{}",
                        transaction.value.map(|day| day.to_string()).unwrap_or_default(),
                        "\"Old, but gold\"",
                        transaction.booked % 7
                    ),
                    _ => ",,".to_owned(),
                };
                let (key, kind) = (&transaction.key, transaction.kind);
                let entry = self.entry(*account, *units);
                let day = day(transaction.booked);
                writeln!(file, "{key},{kind},{day},{head},{}", entry.join(",")).unwrap();
            }
        }
        file
    }

    /// A part of the history as lines of JSON.
    pub(super) fn history_ndjson(&self, transactions: std::ops::Range<usize>) -> String {
        let mut file = String::new();
        for transaction in &self.transactions[transactions] {
            let entries = transaction.entries.iter().map(|(account, units)| {
                let [account, direction, amount, currency] = self.entry(*account, *units);
                serde_json::json!({
                    "account": account, "direction": direction, "amount": amount,
                    "currency": currency,
                })
            });
            let entries: Vec<_> = entries.collect();
            let mut line = serde_json::json!({
                "id": transaction.key,
                "type": transaction.kind,
                "booking_date": day(transaction.booked).to_string(),
                "entries": entries,
            });
            if let Some(value) = transaction.value {
                line["effective_time"] = format!("{value}T00:00:00Z").into();
            }
            writeln!(file, "{line}").unwrap();
        }
        file
    }

    fn entry(&self, account: usize, units: i64) -> [String; 4] {
        let account = &self.accounts[account];
        let direction = if units > 0 { "DEBIT" } else { "CREDIT" };
        [
            account.key.clone(),
            direction.to_owned(),
            major(units.abs(), account.currency),
            CURRENCIES[account.currency].0.to_owned(),
        ]
    }

    /// What some accounts have on each day, on their normal sides: by booking date, or by value
    /// date.
    pub(super) fn balances(
        &self,
        sample: &[usize],
        by_value: bool,
    ) -> BTreeMap<(usize, usize), String> {
        let mut changes = vec![BTreeMap::<usize, i64>::new(); self.accounts.len()];
        for transaction in &self.transactions {
            let value = transaction.value.filter(|_| by_value);
            // What took effect before the first day is there on that day.
            let day = value.map_or(transaction.booked, |value| {
                usize::try_from(FIRST.until(value).unwrap().get_days()).unwrap_or(0)
            });
            for (account, units) in &transaction.entries {
                *changes[*account].entry(day).or_default() += units;
            }
        }
        let mut balances = BTreeMap::new();
        for index in sample {
            let account = &self.accounts[*index];
            let mut balance = account.opening;
            for day in 0..DAYS {
                balance += changes[*index].get(&day).copied().unwrap_or_default();
                let shown = major(balance * normal_side(account.class), account.currency);
                balances.insert((*index, day), shown);
            }
        }
        balances
    }

    /// Debits and credits by currency, class and general ledger code at the end of a day.
    pub(super) fn trial_balance(&self, last: usize) -> BTreeMap<(String, i32, String), [i64; 2]> {
        let mut lines: BTreeMap<(String, i32, String), [i64; 2]> = BTreeMap::new();
        let mut add = |currency: usize, class: AccountClass, gl_code: &str, units: i64| {
            let key = (CURRENCIES[currency].0.to_owned(), class.into(), gl_code.to_owned());
            lines.entry(key).or_default()[usize::from(units < 0)] += units.abs();
        };
        for account in &self.accounts {
            // Against the account of the import itself.
            add(account.currency, account.class, account.gl_code, account.opening);
            add(account.currency, AccountClass::Equity, "OPENING_BALANCE", -account.opening);
        }
        for transaction in self.transactions.iter().filter(|one| one.booked <= last) {
            for (index, units) in &transaction.entries {
                let account = &self.accounts[*index];
                add(account.currency, account.class, account.gl_code, *units);
            }
        }
        lines
    }

    /// How many entries each account has.
    pub(super) fn entry_counts(&self) -> Vec<i64> {
        let mut counts: Vec<i64> =
            self.accounts.iter().map(|account| i64::from(account.opening != 0)).collect();
        for (account, _) in self.transactions.iter().flat_map(|one| &one.entries) {
            counts[*account] += 1;
        }
        counts
    }
}

/// The day so many days after the first.
pub(super) fn day(index: usize) -> Date {
    FIRST.checked_add(Span::new().days(i64::try_from(index).unwrap())).unwrap()
}

/// 1 where debits better an account, -1 where credits do.
fn normal_side(class: AccountClass) -> i64 {
    if matches!(class, AccountClass::Asset | AccountClass::Expense) { 1 } else { -1 }
}

/// An amount in major units.
pub(super) fn major(units: i64, currency: usize) -> String {
    let decimals = CURRENCIES[currency].1;
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", units.abs(), width = decimals + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals);
    if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

/// The place of a currency among them.
pub(super) fn currency(code: &str) -> usize {
    CURRENCIES.iter().position(|(currency, _)| *currency == code).unwrap()
}

fn accounts(dice: &mut Dice) -> Vec<Account> {
    let mut accounts = Vec::new();
    for (currency, (code, _)) in CURRENCIES.into_iter().enumerate() {
        let mut sum = 0;
        for number in 0..CUSTOMERS {
            // Some owe, and some have nothing.
            let opening = if dice.below(3) == 0 { 0 } else { 500_000 - dice.amount() };
            sum += opening;
            let (key, class) = (format!("{code}/customer-{number}"), AccountClass::Liability);
            accounts.push(Account { key, currency, class, gl_code: "2000", opening });
        }
        for (name, class, gl_code) in HOUSE {
            // The capital is what makes it balance.
            let opening = if name == "capital" { -sum } else { 0 };
            accounts.push(Account {
                key: format!("{code}/{name}"),
                currency,
                class,
                gl_code,
                opening,
            });
        }
    }
    accounts
}

fn transaction(dice: &mut Dice, index: usize, count: usize) -> Transaction {
    let per_currency = CUSTOMERS + HOUSE.len();
    let house = |currency: usize, place: usize| currency * per_currency + CUSTOMERS + place;
    let currency = dice.below(CURRENCIES.len());
    let customer = currency * per_currency + dice.below(CUSTOMERS);
    let amount = dice.amount();
    let (kind, entries) = match dice.below(10) {
        0..=3 => ("TOPUP", vec![(house(currency, 0), amount), (customer, -amount)]),
        4..=6 => {
            let other = currency * per_currency + dice.below(CUSTOMERS);
            let fee = 1 + amount / 100;
            let fees = (house(currency, 1), -fee);
            ("PAYMENT", vec![(customer, amount + fee), (other, -amount), fees])
        }
        7..=8 => ("INTEREST", vec![(house(currency, 2), amount), (customer, -amount)]),
        _ => {
            let bought = (currency + 1) % CURRENCIES.len();
            let other = bought * per_currency + dice.below(CUSTOMERS);
            let price = dice.amount();
            let sold = [(customer, amount), (house(currency, 4), -amount)];
            ("EXCHANGE", [sold, [(house(bought, 4), price), (other, -price)]].concat())
        }
    };
    // Every day has some, and the last day too.
    let booked = index * DAYS / count;
    let value = (dice.below(10) == 0).then(|| {
        let back = i64::try_from(1 + dice.below(40)).unwrap();
        day(booked).checked_sub(back.days()).unwrap()
    });
    Transaction { key: format!("T-{index:07}"), kind, booked, value, entries }
}
