//! `transactions`, `entries`, `texts` and `labels`: what was posted, and what was written about it.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::money::{Currency, Money, Units};
use shared::time::{Day, Timestamp};

use super::schema::{entries, labels, ledger_accounts, texts, transactions};
use crate::domain::{AccountId, BatchId, Direction, NewEntry, PostedEntry, TransactionId};
use crate::error::Error;

/// The index under which a transaction's own description is stored among the memos.
pub(super) const DESCRIPTION: i32 = -1;

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
    /// The batch that it was posted with, all or nothing, and its place there.
    pub(crate) batch: Option<(BatchId, i32)>,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = transactions)]
struct Header {
    kind: String,
    effective_time: Timestamp,
    record_time: Timestamp,
    booking_date: Day,
    batch_id: Option<BatchId>,
    batch_index: Option<i32>,
}

/// The transactions of a batch, in their order.
pub(crate) fn of_batch(
    conn: &mut PgConnection,
    tenant: TenantId,
    batch: BatchId,
) -> QueryResult<Vec<TransactionId>> {
    transactions::table
        .filter(transactions::tenant_id.eq(tenant).and(transactions::batch_id.eq(batch)))
        .order(transactions::batch_index)
        .select(transactions::id)
        .load(conn)
}

/// Those of the ids that are in use.
pub(crate) fn taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<TransactionId>,
) -> QueryResult<BTreeSet<TransactionId>> {
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let taken = transactions::table
        .filter(transactions::tenant_id.eq(tenant).and(transactions::id.eq_any(ids)))
        .select(transactions::id);
    Ok(taken.load(conn)?.into_iter().collect())
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
        batch: header.batch_id.zip(header.batch_index),
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

pub(super) fn direction_column(direction: Direction) -> i16 {
    match direction {
        Direction::Debit => 1,
        Direction::Credit => 2,
    }
}

fn direction_from_column(column: i16) -> Direction {
    if column == 1 { Direction::Debit } else { Direction::Credit }
}
