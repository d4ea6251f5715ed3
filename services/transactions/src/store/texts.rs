//! `texts` and `labels`: what people wrote about transactions, with commitments that outlive it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer, Text, Timestamptz, Uuid};
use shared::commitment::Commitment;
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::{labels, texts};
use super::{column, external_ids};
use crate::domain::{Collection, Commitments, DESCRIPTION, PostedTransaction, TransactionId};

/// Writes the texts of transactions.
pub(super) fn write_texts(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO texts (tenant_id, transaction_id, entry_index, text, salt, commitment) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n";
    let mut rows: Vec<(TransactionId, i32, &str, &Commitment)> = Vec::new();
    for transaction in transactions {
        let committed = &transaction.commitments.texts;
        for (index, text) in transaction.texts() {
            rows.extend(committed.get(&index).map(|one| (transaction.id, index, text, one)));
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
    let mut rows: Vec<(&PostedTransaction, &str, &str, &Commitment)> = Vec::new();
    for transaction in transactions {
        let committed = &transaction.commitments.labels;
        for (key, value) in &transaction.labels {
            rows.extend(
                committed.get(key).map(|one| (*transaction, key.as_str(), value.as_str(), one)),
            );
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

/// What people wrote about a transaction.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// By the index of the entry; the transaction's own below zero.
    pub(super) texts: BTreeMap<i32, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) external_ids: BTreeMap<String, String>,
    pub(super) commitments: Commitments,
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = texts)]
struct TextRow {
    transaction_id: TransactionId,
    entry_index: i32,
    text: String,
    salt: Option<Vec<u8>>,
    commitment: Option<Vec<u8>>,
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = labels)]
struct LabelRow {
    transaction_id: TransactionId,
    key: String,
    value: String,
    salt: Option<Vec<u8>>,
    commitment: Option<Vec<u8>>,
}

impl TextRow {
    /// Whether it has been redacted. A text that is empty is not written.
    fn is_redacted(&self) -> bool {
        self.salt.is_none() && self.text.is_empty()
    }
}

impl LabelRow {
    fn is_redacted(&self) -> bool {
        self.salt.is_none() && self.value.is_empty() && self.key.starts_with("redacted-")
    }
}

/// A commitment as it is stored; without a salt it is to what has been redacted. The oldest texts
/// have none.
pub(super) fn stored(salt: Option<Vec<u8>>, value: Option<Vec<u8>>) -> Option<Commitment> {
    value.map(|value| Commitment { salt: salt.unwrap_or_default(), value })
}

/// What was written about transactions. Those about which nothing was are left out.
pub(super) fn of_transactions(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> QueryResult<BTreeMap<TransactionId, Writing>> {
    const TEXTS: &str = "\
        SELECT t.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT transaction_id, entry_index, text, salt, commitment FROM texts \
            WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) t";
    const LABELS: &str = "\
        SELECT l.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT transaction_id, key, value, salt, commitment FROM labels \
            WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) l";
    let binds = || (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let mut found: BTreeMap<TransactionId, Writing> = BTreeMap::new();
    for row in statement(TEXTS, binds()).load::<TextRow>(conn)? {
        let writing = found.entry(row.transaction_id).or_default();
        writing.commitments.redacted |= row.is_redacted();
        let commitment = stored(row.salt, row.commitment);
        writing.commitments.texts.extend(commitment.map(|one| (row.entry_index, one)));
        writing.texts.insert(row.entry_index, row.text);
    }
    for row in statement(LABELS, binds()).load::<LabelRow>(conn)? {
        let writing = found.entry(row.transaction_id).or_default();
        if row.is_redacted() {
            writing.commitments.redacted = true;
        } else {
            writing.labels.insert(row.key.clone(), row.value);
        }
        let commitment = stored(row.salt, row.commitment);
        writing.commitments.labels.extend(commitment.map(|one| (row.key, one)));
    }
    let holders = ids.iter().map(|id| id.uuid()).collect();
    for (id, given) in external_ids::of_holders(conn, tenant, Collection::Transactions, holders)? {
        let writing = found.entry(TransactionId::from_uuid(id)).or_default();
        writing.commitments.redacted |= given.values.len() < given.commitments.len();
        writing.external_ids = given.values;
        writing.commitments.external_ids = given.commitments;
    }
    Ok(found)
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = texts)]
struct Memo {
    transaction_id: TransactionId,
    entry_index: i32,
    text: String,
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
    let rows: Vec<Memo> = statement(READ, binds).load(conn)?;
    Ok(rows.into_iter().map(|row| ((row.transaction_id, row.entry_index), row.text)).collect())
}
