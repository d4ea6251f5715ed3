//! `texts` and `labels`: what people wrote about transactions, with commitments that outlive it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer, Text, Timestamptz, Uuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;

use super::column;
use super::schema::{labels, texts};
use crate::domain::{PostedTransaction, TransactionId};

/// The index under which a transaction's own description is stored among the memos.
pub(crate) const DESCRIPTION: i32 = -1;
/// The index of why it was forced.
pub(super) const FORCE_REASON: i32 = -2;

/// Writes the texts of transactions.
pub(super) fn write_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO texts (tenant_id, transaction_id, entry_index, text, salt, commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n";
    let mut rows: Vec<(TransactionId, i32, &str, Commitment)> = Vec::new();
    for transaction in transactions {
        let memos = transaction.entries.iter().map(|entry| entry.entry.memo.as_str());
        let reason = transaction.force.as_ref().map_or("", |force| force.reason.as_str());
        let own = [(FORCE_REASON, reason), (DESCRIPTION, transaction.description.as_str())];
        let written = own.into_iter().chain((0..).zip(memos));
        for (index, text) in written.filter(|(_, text)| !text.is_empty()) {
            let commitment = Commitment::new(&format!("texts/{index}"), text);
            rows.push((transaction.id, index, text, commitment));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.1).into_sql::<Array<Integer>>(),
        column(&rows, |row| row.2).into_sql::<Array<Text>>(),
        column(&rows, |row| row.3.salt.clone()).into_sql::<Array<Binary>>(),
        column(&rows, |row| row.3.value.clone()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// Writes the labels of transactions.
pub(super) fn write_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO labels (tenant_id, transaction_id, record_time, key, value, salt, \
            commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7) AS n";
    let mut rows: Vec<(&PostedTransaction, &str, &str, Commitment)> = Vec::new();
    for transaction in transactions {
        for (key, value) in &transaction.labels {
            let commitment = Commitment::new(&format!("labels/{key}"), value);
            rows.push((transaction, key, value, commitment));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0.id).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.0.record_time).into_sql::<Array<Timestamptz>>(),
        column(&rows, |row| row.1).into_sql::<Array<Text>>(),
        column(&rows, |row| row.2).into_sql::<Array<Text>>(),
        column(&rows, |row| row.3.salt.clone()).into_sql::<Array<Binary>>(),
        column(&rows, |row| row.3.value.clone()).into_sql::<Array<Binary>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = texts)]
struct Written {
    transaction_id: TransactionId,
    entry_index: i32,
    text: String,
}

fn by_place(rows: Vec<Written>) -> BTreeMap<(TransactionId, i32), String> {
    rows.into_iter().map(|row| ((row.transaction_id, row.entry_index), row.text)).collect()
}

/// The texts of transactions, by transaction and index.
pub(super) fn select_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> QueryResult<BTreeMap<(TransactionId, i32), String>> {
    const READ: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT transaction_id, entry_index, text FROM texts \
            WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) t";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let rows: Vec<Written> = statement(READ, binds).load(conn)?;
    Ok(by_place(rows))
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = labels)]
struct Label {
    transaction_id: TransactionId,
    key: String,
    value: String,
}

/// The labels of transactions.
pub(super) fn select_labels(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> QueryResult<BTreeMap<TransactionId, BTreeMap<String, String>>> {
    const READ: &str = "\
        SELECT l.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT transaction_id, key, value FROM labels \
            WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) l";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let rows: Vec<Label> = statement(READ, binds).load(conn)?;
    let mut found: BTreeMap<TransactionId, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows {
        found.entry(row.transaction_id).or_default().insert(row.key, row.value);
    }
    Ok(found)
}

/// The memos of some entries and the descriptions of their transactions, by transaction and index.
pub(crate) fn select_of_entries(
    conn: &mut PgConnection,
    tenant: TenantId,
    entries: &[(TransactionId, i32)],
) -> QueryResult<BTreeMap<(TransactionId, i32), String>> {
    const READ: &str = "\
        SELECT t.* FROM unnest($2, $3) AS n (id, index), LATERAL ( \
            SELECT transaction_id, entry_index, text FROM texts \
            WHERE tenant_id = $1 AND transaction_id = n.id AND entry_index = n.index LIMIT 1) t";
    let both = |(id, index): &(TransactionId, i32)| [(*id, *index), (*id, DESCRIPTION)];
    let wanted: Vec<_> = entries.iter().flat_map(both).collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&wanted, |text| text.0).into_sql::<Array<Uuid>>(),
        column(&wanted, |text| text.1).into_sql::<Array<Integer>>(),
    );
    let rows: Vec<Written> = statement(READ, binds).load(conn)?;
    Ok(by_place(rows))
}
