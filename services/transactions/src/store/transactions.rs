//! `transactions`, `entries`, `texts` and `labels`: what was posted, and what people wrote about it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Numeric, SmallInt, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Money, Units};
use shared::time::{Day, Timestamp};

use super::schema::{entries, labels, ledger_accounts, texts, transactions};
use crate::domain::{AccountId, Direction, NewEntry, PostedEntry, TransactionId};
use crate::error::Error;

/// The index under which a transaction's own description is stored among the memos.
const DESCRIPTION: i32 = -1;

/// A transaction that was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredTransaction {
    pub(crate) id: TransactionId,
    pub(crate) kind: String,
    pub(crate) entries: Vec<PostedEntry>,
    pub(crate) description: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) effective_time: Timestamp,
    pub(crate) record_time: Timestamp,
    pub(crate) booking_date: Day,
}

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = transactions)]
struct Header {
    tenant_id: TenantId,
    id: TransactionId,
    kind: String,
    entry_count: i32,
    effective_time: Timestamp,
    record_time: Timestamp,
    booking_date: Day,
}

/// Inserts a transaction with all that belongs to it; false where its id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    transaction: &StoredTransaction,
) -> QueryResult<bool> {
    let header = Header {
        tenant_id: tenant,
        id: transaction.id,
        kind: transaction.kind.clone(),
        entry_count: i32::try_from(transaction.entries.len()).unwrap_or(i32::MAX),
        effective_time: transaction.effective_time,
        record_time: transaction.record_time,
        booking_date: transaction.booking_date,
    };
    let inserted = diesel::insert_into(transactions::table)
        .values(&header)
        .on_conflict_do_nothing()
        .execute(conn)?;
    if inserted == 0 {
        return Ok(false);
    }
    insert_entries(conn, tenant, transaction)?;
    insert_texts(conn, tenant, transaction)?;
    insert_labels(conn, tenant, transaction)?;
    Ok(true)
}

/// All entries in one statement, as the trigger asks for.
fn insert_entries(
    conn: &mut PgConnection,
    tenant: TenantId,
    transaction: &StoredTransaction,
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, \
            direction, amount, currency, posted_after, available_after, version_after) \
        SELECT $1, $2, n.* FROM unnest($3, $4, $5, $6, $7, $8, $9, $10, $11) AS n";
    fn column<T>(entries: &[PostedEntry], value: impl Fn(&PostedEntry) -> T) -> Vec<T> {
        entries.iter().map(value).collect()
    }
    let entries = &transaction.entries;
    let indexes: Vec<i32> = (0..).take(entries.len()).collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        transaction.id.into_sql::<Uuid>(),
        indexes.into_sql::<Array<Integer>>(),
        column(entries, |e| e.entry.account).into_sql::<Array<Uuid>>(),
        column(entries, |e| e.entry_seq).into_sql::<Array<BigInt>>(),
        column(entries, |e| direction_column(e.entry.direction)).into_sql::<Array<SmallInt>>(),
        column(entries, |e| e.entry.amount.units).into_sql::<Array<Numeric>>(),
        column(entries, |e| e.entry.amount.currency.code().to_owned()).into_sql::<Array<Text>>(),
        column(entries, |e| e.posted_after).into_sql::<Array<Numeric>>(),
        column(entries, |e| e.available_after).into_sql::<Array<Nullable<Numeric>>>(),
        column(entries, |e| e.version_after).into_sql::<Array<BigInt>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

fn insert_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    transaction: &StoredTransaction,
) -> QueryResult<()> {
    const INSERT: &str = "INSERT INTO texts (tenant_id, transaction_id, entry_index, text) \
                          SELECT $1, $2, n.* FROM unnest($3, $4) AS n";
    let memos = transaction.entries.iter().map(|entry| entry.entry.memo.clone());
    let (indexes, written): (Vec<i32>, Vec<String>) =
        std::iter::once((DESCRIPTION, transaction.description.clone()))
            .chain((0..).zip(memos))
            .filter(|(_, text)| !text.is_empty())
            .unzip();
    if written.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        transaction.id.into_sql::<Uuid>(),
        indexes.into_sql::<Array<Integer>>(),
        written.into_sql::<Array<Text>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

fn insert_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    transaction: &StoredTransaction,
) -> QueryResult<()> {
    const INSERT: &str = "INSERT INTO labels (tenant_id, transaction_id, key, value) \
                          SELECT $1, $2, n.* FROM unnest($3, $4) AS n";
    if transaction.labels.is_empty() {
        return Ok(());
    }
    let (keys, values): (Vec<String>, Vec<String>) =
        transaction.labels.iter().map(|(key, value)| (key.clone(), value.clone())).unzip();
    let binds = (
        tenant.into_sql::<Uuid>(),
        transaction.id.into_sql::<Uuid>(),
        keys.into_sql::<Array<Text>>(),
        values.into_sql::<Array<Text>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// Reads a transaction with all that belongs to it.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> Result<Option<StoredTransaction>, Error> {
    let header = transactions::table.find((tenant, id)).select(Header::as_select());
    let Some(header) = header.first(conn).optional()? else {
        return Ok(None);
    };
    let mut written: BTreeMap<i32, String> = texts::table
        .filter(texts::tenant_id.eq(tenant).and(texts::transaction_id.eq(id)))
        .select((texts::entry_index, texts::text))
        .load::<(i32, String)>(conn)?
        .into_iter()
        .collect();
    let labels = labels::table
        .filter(labels::tenant_id.eq(tenant).and(labels::transaction_id.eq(id)))
        .select((labels::key, labels::value))
        .load::<(String, String)>(conn)?;
    Ok(Some(StoredTransaction {
        id,
        kind: header.kind,
        entries: select_entries(conn, tenant, id, &mut written)?,
        description: written.remove(&DESCRIPTION).unwrap_or_default(),
        labels: labels.into_iter().collect(),
        effective_time: header.effective_time,
        record_time: header.record_time,
        booking_date: header.booking_date,
    }))
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = entries)]
struct EntryRow {
    entry_index: i32,
    account_id: AccountId,
    entry_seq: i64,
    direction: i16,
    amount: Units,
    posted_after: Units,
    available_after: Option<Units>,
    version_after: i64,
}

fn select_entries(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
    memos: &mut BTreeMap<i32, String>,
) -> Result<Vec<PostedEntry>, Error> {
    let same_account = ledger_accounts::tenant_id
        .eq(entries::tenant_id)
        .and(ledger_accounts::id.eq(entries::account_id));
    let rows: Vec<(EntryRow, (String, i16))> = entries::table
        .inner_join(ledger_accounts::table.on(same_account))
        .filter(entries::tenant_id.eq(tenant).and(entries::transaction_id.eq(id)))
        .order(entries::entry_index)
        .select((EntryRow::as_select(), (ledger_accounts::currency, ledger_accounts::decimals)))
        .load(conn)?;
    rows.into_iter()
        .map(|(row, (code, decimals))| {
            let fault = || DbError::Fault(format!("an entry of {id} is not readable"));
            let decimals = u8::try_from(decimals).map_err(|_| fault())?;
            let currency = Currency::new(&code, decimals).ok_or_else(fault)?;
            Ok(PostedEntry {
                entry: NewEntry {
                    account: row.account_id,
                    direction: direction_from_column(row.direction),
                    amount: Money { currency, units: row.amount },
                    memo: memos.remove(&row.entry_index).unwrap_or_default(),
                },
                posted_after: row.posted_after,
                available_after: row.available_after,
                entry_seq: row.entry_seq,
                version_after: row.version_after,
            })
        })
        .collect()
}

fn direction_column(direction: Direction) -> i16 {
    match direction {
        Direction::Debit => 1,
        Direction::Credit => 2,
    }
}

fn direction_from_column(column: i16) -> Direction {
    if column == 1 { Direction::Debit } else { Direction::Credit }
}
