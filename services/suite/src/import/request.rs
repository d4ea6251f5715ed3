//! What the ledger is asked for because of a row.

use shared::money::{Currency, Units};
use strongroom_proto::transactions::v1 as wire;
use uuid::Uuid;
use wire::Direction::{Credit, Debit};

use super::check::is_debit_normal;
use super::rules::{Account, Bound, Posting, Rules};

/// The general ledger code of the accounts against which opening balances are posted, and the type
/// of these transactions.
pub(super) const OPENING: &str = "OPENING_BALANCE";

/// The name of an account.
pub(super) fn account_name(id: Uuid) -> String {
    format!("accounts/{id}")
}

/// The account against which the opening balances of a currency are posted.
pub(super) fn opening_account(rules: &Rules, currency: Currency) -> Uuid {
    rules.uuid("accounts", &format!("{OPENING}/{currency}"))
}

/// Asks to register the account against which opening balances are posted.
pub(super) fn register_opening(
    rules: &Rules,
    currency: Currency,
) -> wire::RegisterLedgerAccountRequest {
    let account = wire::LedgerAccount {
        currency: currency.code().to_owned(),
        class: wire::AccountClass::Equity.into(),
        gl_code: OPENING.to_owned(),
        overdraft: overdraft(Bound::Unbounded, currency),
        ..wire::LedgerAccount::default()
    };
    wire::RegisterLedgerAccountRequest {
        account: Some(account),
        account_id: opening_account(rules, currency).to_string(),
        request_id: rules.request_id('b', currency.code()),
        ..wire::RegisterLedgerAccountRequest::default()
    }
}

/// Asks to register an account.
pub(super) fn register(rules: &Rules, account: &Account) -> wire::RegisterLedgerAccountRequest {
    let customer = account.customer.map(|id| format!("customers/{id}"));
    let registered = wire::LedgerAccount {
        currency: account.currency.code().to_owned(),
        class: account.class.into(),
        gl_code: account.gl_code.clone(),
        overdraft: overdraft(account.overdraft, account.currency),
        customer: customer.unwrap_or_default(),
        parent: account.parent.map(account_name).unwrap_or_default(),
        ..wire::LedgerAccount::default()
    };
    wire::RegisterLedgerAccountRequest {
        account: Some(registered),
        account_id: account.id.to_string(),
        request_id: rules.request_id('a', &account.key),
        ..wire::RegisterLedgerAccountRequest::default()
    }
}

fn overdraft(bound: Bound, currency: Currency) -> Option<wire::Overdraft> {
    use wire::overdraft::Bound as Wire;
    let bound = match bound {
        Bound::Limit(Units::ZERO) => return None,
        Bound::Limit(units) => Wire::Limit(units.encode(currency)),
        Bound::Unbounded => Wire::Unbounded(true),
    };
    Some(wire::Overdraft { bound: Some(bound) })
}

/// Asks to post the opening balance of an account; nothing where it has none.
pub(super) fn open(
    rules: &Rules,
    source: &str,
    account: &Account,
) -> Option<wire::CreateTransactionRequest> {
    let (units, day) = account.opening?;
    let currency = account.currency;
    let debits_it = is_debit_normal(account.class) == (units > Units::ZERO);
    let (own, other) = if debits_it { (Debit, Credit) } else { (Credit, Debit) };
    let amount = Units::ZERO.checked_sub(units).map_or(units, |minus| minus.max(units));
    let entry = |account: Uuid, direction: wire::Direction| wire::Entry {
        account: account_name(account),
        direction: direction.into(),
        amount: Some(amount.encode(currency)),
        ..wire::Entry::default()
    };
    let transaction = wire::Transaction {
        r#type: OPENING.to_owned(),
        entries: vec![entry(account.id, own), entry(opening_account(rules, currency), other)],
        booking_date: day.to_string(),
        import: Some(wire::Import { source: source.to_owned() }),
        ..wire::Transaction::default()
    };
    Some(wire::CreateTransactionRequest {
        transaction: Some(transaction),
        request_id: rules.request_id('o', &account.key),
        ..wire::CreateTransactionRequest::default()
    })
}

/// Asks to post a transaction.
pub(super) fn post(
    rules: &Rules,
    source: &str,
    posting: Posting,
) -> wire::CreateTransactionRequest {
    let entries = posting.entries.into_iter().map(|entry| wire::Entry {
        account: account_name(entry.account),
        direction: entry.direction.into(),
        amount: Some(entry.amount.encode()),
        memo: entry.memo,
        ..wire::Entry::default()
    });
    let transaction = wire::Transaction {
        r#type: posting.kind,
        entries: entries.collect(),
        description: posting.description,
        labels: posting.labels.into_iter().collect(),
        external_ids: posting.external_ids.into_iter().collect(),
        group_id: posting.group_id,
        booking_date: posting.booking_date.to_string(),
        effective_time: posting.effective_time.map(shared::time::Timestamp::encode),
        import: Some(wire::Import { source: source.to_owned() }),
        ..wire::Transaction::default()
    };
    wire::CreateTransactionRequest {
        transaction: Some(transaction),
        transaction_id: posting.id.map(|id| id.to_string()).unwrap_or_default(),
        request_id: rules.request_id('t', &posting.key),
        validate_only: false,
    }
}
