//! `transactions` and `entries`: what was posted.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, SmallInt, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Money, Units};
use shared::time::{Day, Timestamp};

use super::schema::{entries, transactions};
use super::{links, texts};
use crate::domain::{
    AccountId, BatchId, DESCRIPTION, Direction, FORCE_REASON, Force, HoldId, NewEntry, Overrides,
    PostedEntry, PostedTransaction, TransactionId,
};
use crate::error::Error;

#[derive(Debug, QueryableByName)]
#[diesel(table_name = transactions)]
struct Header {
    id: TransactionId,
    kind: String,
    effective_time: Timestamp,
    record_time: Timestamp,
    booking_date: Day,
    batch_id: Option<BatchId>,
    batch_index: Option<i32>,
    overrides: Option<i16>,
    reverses: Option<TransactionId>,
    hold_id: Option<HoldId>,
    group_id: Option<String>,
    import_source: Option<String>,
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

#[derive(Debug, QueryableByName)]
#[diesel(table_name = transactions)]
struct Taken {
    id: TransactionId,
}

/// Those of the ids that are in use.
pub(crate) fn taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<TransactionId>,
) -> QueryResult<BTreeSet<TransactionId>> {
    const TAKEN: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT id FROM transactions WHERE tenant_id = $1 AND id = n.id LIMIT 1) t";
    if ids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    let taken: Vec<Taken> = statement(TAKEN, binds).load(conn)?;
    Ok(taken.into_iter().map(|row| row.id).collect())
}

/// When a transaction was posted.
pub(super) fn record_time(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> QueryResult<Option<Timestamp>> {
    let row = transactions::table.find((tenant, id)).select(transactions::record_time);
    row.first(conn).optional()
}

/// Reads a transaction with all that belongs to it.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: TransactionId,
) -> Result<Option<PostedTransaction>, Error> {
    Ok(select_all(conn, tenant, &[id])?.pop())
}

/// Reads transactions with all that belongs to them, in the order of the ids; so many statements
/// whatever their number. Unknown ids are left out.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> Result<Vec<PostedTransaction>, Error> {
    const HEADERS: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT id, kind, effective_time, record_time, booking_date, batch_id, batch_index, \
                overrides, reverses, hold_id, group_id, import_source \
            FROM transactions WHERE tenant_id = $1 AND id = n.id LIMIT 1) t";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let headers: Vec<Header> = statement(HEADERS, binds).load(conn)?;
    let mut written = texts::of_transactions(conn, tenant, ids)?;
    let mut links = links::select_links(conn, tenant, ids)?;
    let mut evidence = links::select_evidence(conn, tenant, ids)?;
    let mut entries = select_entries(conn, tenant, ids, &mut written)?;
    let mut found: BTreeMap<TransactionId, PostedTransaction> = headers
        .into_iter()
        .map(|header| {
            let id = header.id;
            let mut writing = written.remove(&id).unwrap_or_default();
            let mut text = |index| writing.texts.remove(&index).unwrap_or_default();
            let force = header.overrides.map(|number| Force {
                overrides: Overrides::from_number(number),
                reason: text(FORCE_REASON),
            });
            let transaction = PostedTransaction {
                id,
                kind: header.kind,
                entries: entries.remove(&id).unwrap_or_default(),
                description: text(DESCRIPTION),
                labels: writing.labels,
                effective_time: header.effective_time,
                record_time: header.record_time,
                booking_date: header.booking_date,
                value_date: header.booking_date,
                record_date: header.booking_date,
                batch: header.batch_id.zip(header.batch_index),
                links: links.remove(&id).unwrap_or_default(),
                evidence: evidence.remove(&id).unwrap_or_default(),
                external_ids: writing.external_ids,
                group_id: header.group_id,
                force,
                reverses: header.reverses,
                hold: header.hold_id,
                import_source: header.import_source,
                commitments: writing.commitments,
            };
            (id, transaction)
        })
        .collect();
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = entries)]
struct EntryRow {
    transaction_id: TransactionId,
    entry_index: i32,
    account_id: AccountId,
    entry_seq: i64,
    direction: i16,
    amount: Units,
    posted_after: Units,
    available_after: Option<Units>,
    version_after: i64,
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
}

fn select_entries(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
    written: &mut BTreeMap<TransactionId, texts::Writing>,
) -> Result<BTreeMap<TransactionId, Vec<PostedEntry>>, Error> {
    // A look-up for each, whatever the planner believes of the tables.
    const ENTRIES: &str = "\
        SELECT e.*, a.decimals FROM unnest($2) AS n (id), \
        LATERAL (SELECT transaction_id, entry_index, account_id, entry_seq, direction, amount, \
                currency, posted_after, available_after, version_after \
            FROM entries WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) e, \
        LATERAL (SELECT decimals FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = e.account_id LIMIT 1) a";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let mut rows: Vec<EntryRow> = statement(ENTRIES, binds).load(conn)?;
    rows.sort_by_key(|row| (row.transaction_id, row.entry_index));
    let mut found: BTreeMap<TransactionId, Vec<PostedEntry>> = BTreeMap::new();
    for row in rows {
        let id = row.transaction_id;
        let fault = || DbError::Fault(format!("an entry of {id} is not readable"));
        let decimals = u8::try_from(row.decimals).map_err(|_| fault())?;
        let currency = Currency::new(&row.currency, decimals).ok_or_else(fault)?;
        let entry = NewEntry {
            account: row.account_id,
            direction: direction_from_column(row.direction),
            amount: Money { currency, units: row.amount },
            memo: written
                .get_mut(&id)
                .and_then(|writing| writing.texts.remove(&row.entry_index))
                .unwrap_or_default(),
            expected_version: None,
            min_available_after: None,
        };
        found.entry(id).or_default().push(PostedEntry {
            entry,
            posted_after: row.posted_after,
            available_after: row.available_after,
            entry_seq: row.entry_seq,
            version_after: row.version_after,
        });
    }
    Ok(found)
}

pub(super) fn direction_column(direction: Direction) -> i16 {
    match direction {
        Direction::Debit => 1,
        Direction::Credit => 2,
    }
}

pub(super) fn direction_from_column(column: i16) -> Direction {
    if column == 1 { Direction::Debit } else { Direction::Credit }
}
