//! What a batch of postings adds: headers, entries and balances in one statement; texts and labels
//! where there are any.

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Date, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid,
};
use shared::db::statement;
use shared::ids::TenantId;

use super::transactions::{DESCRIPTION, StoredTransaction, direction_column};
use crate::domain::{LedgerAccount, PostedEntry, TransactionId};

/// Writes transactions and the accounts as they leave them. A transaction id that is in use is a
/// unique violation.
pub(crate) fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&StoredTransaction],
    accounts: &[&LedgerAccount],
) -> QueryResult<()> {
    write_books(conn, tenant, transactions, accounts)?;
    write_texts(conn, tenant, transactions)?;
    write_labels(conn, tenant, transactions)
}

/// The rows of the accounts are locked, so each stays where one look-up finds it: a join with the
/// table may be planned as a walk over all accounts of the tenant.
const BOOKS: &str = ", \
    headers AS ( \
        INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time, \
            booking_date, batch_id, batch_index) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) AS n), \
    lines AS ( \
        INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, \
            direction, amount, currency, posted_after, available_after, version_after) \
        SELECT $1, n.* FROM unnest($10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
            AS n) \
    UPDATE ledger_accounts a SET posted_debits = n.debits, posted_credits = n.credits, \
        entry_seq = n.entry_seq, version = n.version, record_time = n.record_time \
    FROM (SELECT n.*, \
              (SELECT ctid FROM ledger_accounts WHERE tenant_id = $1 AND id = n.id) AS place \
          FROM unnest($20, $21, $22, $23, $24, $25) \
              AS n (id, debits, credits, entry_seq, version, record_time) OFFSET 0) n \
    WHERE a.tenant_id = $1 AND a.id = n.id AND a.ctid = n.place";

fn write_books(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&StoredTransaction],
    accounts: &[&LedgerAccount],
) -> QueryResult<()> {
    type Line<'a> = (TransactionId, i32, &'a PostedEntry);
    fn header<T>(all: &[&StoredTransaction], value: impl Fn(&StoredTransaction) -> T) -> Vec<T> {
        all.iter().map(|transaction| value(transaction)).collect()
    }
    fn line<T>(all: &[Line<'_>], value: impl Fn(&Line<'_>) -> T) -> Vec<T> {
        all.iter().map(value).collect()
    }
    fn balance<T>(all: &[&LedgerAccount], value: impl Fn(&LedgerAccount) -> T) -> Vec<T> {
        all.iter().map(|account| value(account)).collect()
    }
    let lines: Vec<Line<'_>> = transactions
        .iter()
        .flat_map(|t| (0..).zip(&t.entries).map(|(index, entry)| (t.id, index, entry)))
        .collect();
    let count = |t: &StoredTransaction| i32::try_from(t.entries.len()).unwrap_or(i32::MAX);
    let binds = (
        tenant.into_sql::<Uuid>(),
        header(transactions, |t| t.id).into_sql::<Array<Uuid>>(),
        header(transactions, |t| t.kind.clone()).into_sql::<Array<Text>>(),
        header(transactions, count).into_sql::<Array<Integer>>(),
        header(transactions, |t| t.effective_time).into_sql::<Array<Timestamptz>>(),
        header(transactions, |t| t.record_time).into_sql::<Array<Timestamptz>>(),
        header(transactions, |t| t.booking_date).into_sql::<Array<Date>>(),
        header(transactions, |t| t.batch.map(|batch| batch.0)).into_sql::<Array<Nullable<Uuid>>>(),
        header(transactions, |t| t.batch.map(|batch| batch.1))
            .into_sql::<Array<Nullable<Integer>>>(),
        line(&lines, |l| l.0).into_sql::<Array<Uuid>>(),
        line(&lines, |l| l.1).into_sql::<Array<Integer>>(),
        line(&lines, |l| l.2.entry.account).into_sql::<Array<Uuid>>(),
        line(&lines, |l| l.2.entry_seq).into_sql::<Array<BigInt>>(),
        line(&lines, |l| direction_column(l.2.entry.direction)).into_sql::<Array<SmallInt>>(),
        line(&lines, |l| l.2.entry.amount.units).into_sql::<Array<Numeric>>(),
        line(&lines, |l| l.2.entry.amount.currency.code().to_owned()).into_sql::<Array<Text>>(),
        line(&lines, |l| l.2.posted_after).into_sql::<Array<Numeric>>(),
        line(&lines, |l| l.2.available_after).into_sql::<Array<Nullable<Numeric>>>(),
        line(&lines, |l| l.2.version_after).into_sql::<Array<BigInt>>(),
        balance(accounts, |a| a.id).into_sql::<Array<Uuid>>(),
        balance(accounts, |a| a.posted_debits).into_sql::<Array<Numeric>>(),
        balance(accounts, |a| a.posted_credits).into_sql::<Array<Numeric>>(),
        balance(accounts, |a| a.entry_seq).into_sql::<Array<BigInt>>(),
        balance(accounts, |a| a.version).into_sql::<Array<BigInt>>(),
        balance(accounts, |a| a.record_time).into_sql::<Array<Timestamptz>>(),
    );
    let updated = statement(BOOKS, binds).execute(conn)?;
    // Every account is locked, so each is there; anything else must not be committed.
    if updated == accounts.len() { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

fn write_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&StoredTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "INSERT INTO texts (tenant_id, transaction_id, entry_index, text) \
                          SELECT $1, n.* FROM unnest($2, $3, $4) AS n";
    let (mut ids, mut indexes, mut written) = (Vec::new(), Vec::new(), Vec::new());
    for transaction in transactions {
        let memos = transaction.entries.iter().map(|entry| &entry.entry.memo);
        let texts =
            std::iter::once((DESCRIPTION, &transaction.description)).chain((0..).zip(memos));
        for (index, text) in texts.filter(|(_, text)| !text.is_empty()) {
            ids.push(transaction.id);
            indexes.push(index);
            written.push(text.as_str());
        }
    }
    if written.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        ids.into_sql::<Array<Uuid>>(),
        indexes.into_sql::<Array<Integer>>(),
        written.into_sql::<Array<Text>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

fn write_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&StoredTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "INSERT INTO labels (tenant_id, transaction_id, key, value) \
                          SELECT $1, n.* FROM unnest($2, $3, $4) AS n";
    let (mut ids, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for transaction in transactions {
        for (key, value) in &transaction.labels {
            ids.push(transaction.id);
            keys.push(key.as_str());
            values.push(value.as_str());
        }
    }
    if keys.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        ids.into_sql::<Array<Uuid>>(),
        keys.into_sql::<Array<Text>>(),
        values.into_sql::<Array<Text>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}
