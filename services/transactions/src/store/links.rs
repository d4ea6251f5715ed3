//! `links`, `link_totals` and `evidence`: what transactions are to earlier entries, and what proves
//! them.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Numeric, SmallInt, Text, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Money, Units};

use super::column;
use super::schema::{entries, evidence, link_totals, links, transactions};
use super::transactions::direction_from_column;
use crate::domain::{
    AccountId, ENTRIES_MAX, EntryRef, Evidence, Link, LinkType, Original, OriginalEntry,
    PostedTransaction, RecordId, TransactionId,
};
use crate::error::Error;

fn type_column(kind: LinkType) -> i16 {
    match kind {
        LinkType::RefundOf => 1,
        LinkType::ChargebackOf => 2,
        LinkType::Corrects => 3,
        LinkType::FeeOf => 4,
        LinkType::ReversalOf => 5,
    }
}

fn type_from_column(column: i16) -> LinkType {
    match column {
        1 => LinkType::RefundOf,
        2 => LinkType::ChargebackOf,
        3 => LinkType::Corrects,
        4 => LinkType::FeeOf,
        _ => LinkType::ReversalOf,
    }
}

/// Reads transactions with their entries, as far as others may be linked to them; what links have
/// taken of them is read by `read_totals`. Unknown ids are left out.
pub(crate) fn originals(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<TransactionId>,
) -> Result<BTreeMap<TransactionId, Original>, Error> {
    // A look-up for each, whatever the planner believes of the tables.
    const ENTRIES: &str = "\
        SELECT e.*, a.currency, a.decimals FROM unnest($2) AS n (id), \
        LATERAL (SELECT transaction_id, entry_index, account_id, direction, amount FROM entries \
            WHERE tenant_id = $1 AND transaction_id = n.id ORDER BY entry_index LIMIT $3) e, \
        LATERAL (SELECT currency, decimals FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = e.account_id LIMIT 1) a";
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<TransactionId> = ids.iter().copied().collect();
    let heads: Vec<(TransactionId, Option<TransactionId>)> = transactions::table
        .filter(transactions::tenant_id.eq(tenant).and(transactions::id.eq_any(ids.clone())))
        .select((transactions::id, transactions::reverses))
        .load(conn)?;
    let original =
        |reverses: Option<_>| Original { is_reversal: reverses.is_some(), entries: Vec::new() };
    let mut found: BTreeMap<TransactionId, Original> =
        heads.into_iter().map(|(id, reverses)| (id, original(reverses))).collect();
    let most = i64::try_from(ENTRIES_MAX).unwrap_or(i64::MAX).into_sql::<BigInt>();
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>(), most);
    let mut rows: Vec<EntryRow> = statement(ENTRIES, binds).load(conn)?;
    rows.sort_by_key(|row| (row.transaction_id, row.entry_index));
    for row in rows {
        let id = row.transaction_id;
        let decimals = u8::try_from(row.decimals).ok();
        let currency = decimals.and_then(|decimals| Currency::new(&row.currency, decimals));
        let currency = currency
            .ok_or_else(|| DbError::Fault(format!("an entry of {id} has no usable currency")))?;
        if let Some(original) = found.get_mut(&id) {
            original.entries.push(OriginalEntry {
                account: row.account_id,
                direction: direction_from_column(row.direction),
                amount: Money { currency, units: row.amount },
                taken: Units::ZERO,
                fees: Units::ZERO,
            });
        }
    }
    Ok(found)
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = entries)]
struct EntryRow {
    transaction_id: TransactionId,
    entry_index: i32,
    account_id: AccountId,
    direction: i16,
    amount: Units,
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
}

/// Reads what links have taken of entries; with `lock` nobody else takes of them until the end of
/// the transaction. An entry that nothing was taken of gets its row first, or there were nothing to
/// wait at.
pub(crate) fn read_totals(
    conn: &mut PgConnection,
    tenant: TenantId,
    originals: &mut BTreeMap<TransactionId, Original>,
    wanted: &BTreeSet<EntryRef>,
    lock: bool,
) -> Result<(), Error> {
    const MAKE: &str = "\
        INSERT INTO link_totals (tenant_id, transaction_id, entry_index, amount, taken, fees) \
        SELECT $1, n.id, n.index, n.amount, 0, 0 \
        FROM unnest($2, $3, $4) AS n (id, index, amount) ON CONFLICT DO NOTHING";
    const LOCK: &str = "\
        SELECT t.* FROM unnest($2, $3) AS n (id, index), LATERAL ( \
            SELECT transaction_id, entry_index, taken, fees FROM link_totals \
            WHERE tenant_id = $1 AND transaction_id = n.id AND entry_index = n.index \
            FOR NO KEY UPDATE) t";
    const READ: &str = "\
        SELECT t.* FROM unnest($2, $3) AS n (id, index), LATERAL ( \
            SELECT transaction_id, entry_index, taken, fees FROM link_totals \
            WHERE tenant_id = $1 AND transaction_id = n.id AND entry_index = n.index) t";
    let amount = |entry: &EntryRef| {
        let found = originals.get(&entry.transaction)?.entry(entry.index)?;
        Some((*entry, found.amount.units))
    };
    let wanted: Vec<(EntryRef, Units)> = wanted.iter().filter_map(amount).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let ids = || column(&wanted, |row| row.0.transaction).into_sql::<Array<Uuid>>();
    let indexes = || column(&wanted, |row| row.0.index).into_sql::<Array<Integer>>();
    if lock {
        let amounts = column(&wanted, |row| row.1).into_sql::<Array<Numeric>>();
        statement(MAKE, (tenant.into_sql::<Uuid>(), ids(), indexes(), amounts)).execute(conn)?;
    }
    let binds = (tenant.into_sql::<Uuid>(), ids(), indexes());
    let rows: Vec<TotalRow> = statement(if lock { LOCK } else { READ }, binds).load(conn)?;
    for row in rows {
        let original = originals.get_mut(&row.transaction_id);
        if let Some(entry) = original.and_then(|original| original.entry_mut(row.entry_index)) {
            (entry.taken, entry.fees) = (row.taken, row.fees);
        }
    }
    Ok(())
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = link_totals)]
struct TotalRow {
    transaction_id: TransactionId,
    entry_index: i32,
    taken: Units,
    fees: Units,
}

/// Writes what links have taken of entries.
pub(crate) fn write_totals(
    conn: &mut PgConnection,
    tenant: TenantId,
    totals: &[(EntryRef, OriginalEntry)],
) -> QueryResult<()> {
    // An entry of the same batch has no row yet.
    const WRITE: &str = "\
        INSERT INTO link_totals (tenant_id, transaction_id, entry_index, amount, taken, fees) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6) AS n \
        ON CONFLICT (tenant_id, transaction_id, entry_index) \
            DO UPDATE SET taken = excluded.taken, fees = excluded.fees";
    if totals.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(totals, |row| row.0.transaction).into_sql::<Array<Uuid>>(),
        column(totals, |row| row.0.index).into_sql::<Array<Integer>>(),
        column(totals, |row| row.1.amount.units).into_sql::<Array<Numeric>>(),
        column(totals, |row| row.1.taken).into_sql::<Array<Numeric>>(),
        column(totals, |row| row.1.fees).into_sql::<Array<Numeric>>(),
    );
    statement(WRITE, binds).execute(conn)?;
    Ok(())
}

/// Writes the links of transactions.
pub(super) fn write_links(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO links (tenant_id, transaction_id, link_index, type, to_transaction_id, \
            to_entry_index, amount) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7) AS n";
    let links = |t: &&PostedTransaction| {
        let id = t.id;
        (0_i32..).zip(t.links.clone()).map(move |(index, link)| (id, index, link))
    };
    let rows: Vec<(TransactionId, i32, Link)> = transactions.iter().flat_map(links).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.1).into_sql::<Array<Integer>>(),
        column(&rows, |row| type_column(row.2.kind)).into_sql::<Array<SmallInt>>(),
        column(&rows, |row| row.2.entry.transaction).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.2.entry.index).into_sql::<Array<Integer>>(),
        column(&rows, |row| row.2.amount.units).into_sql::<Array<Numeric>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// Writes the evidence of transactions.
pub(super) fn write_evidence(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO evidence (tenant_id, transaction_id, evidence_index, record_id, version) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5) AS n";
    let evidence = |t: &&PostedTransaction| {
        let id = t.id;
        (0_i32..).zip(t.evidence.clone()).map(move |(index, evidence)| (id, index, evidence))
    };
    let rows: Vec<(TransactionId, i32, Evidence)> =
        transactions.iter().flat_map(evidence).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(&rows, |row| row.0).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.1).into_sql::<Array<Integer>>(),
        column(&rows, |row| row.2.record).into_sql::<Array<Uuid>>(),
        column(&rows, |row| row.2.version).into_sql::<Array<BigInt>>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// The links of transactions, in their order. The currency of an amount is that of its entry.
pub(super) fn select_links(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> Result<BTreeMap<TransactionId, Vec<Link>>, Error> {
    // A look-up for each, whatever the planner believes of the tables.
    const READ: &str = "\
        SELECT l.*, a.currency, a.decimals FROM unnest($2) AS n (id), \
        LATERAL (SELECT transaction_id, link_index, type, to_transaction_id, to_entry_index, \
                amount \
            FROM links WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) l, \
        LATERAL (SELECT account_id FROM entries WHERE tenant_id = $1 \
            AND transaction_id = l.to_transaction_id AND entry_index = l.to_entry_index \
            LIMIT 1) e, \
        LATERAL (SELECT currency, decimals FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = e.account_id LIMIT 1) a";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let mut rows: Vec<LinkRow> = statement(READ, binds).load(conn)?;
    rows.sort_by_key(|row| (row.transaction_id, row.link_index));
    let mut found: BTreeMap<TransactionId, Vec<Link>> = BTreeMap::new();
    for row in rows {
        let id = row.transaction_id;
        let decimals = u8::try_from(row.decimals).ok();
        let currency = decimals.and_then(|decimals| Currency::new(&row.currency, decimals));
        let currency = currency
            .ok_or_else(|| DbError::Fault(format!("a link of {id} has no usable currency")))?;
        found.entry(id).or_default().push(Link {
            kind: type_from_column(row.kind),
            entry: EntryRef { transaction: row.to_transaction_id, index: row.to_entry_index },
            amount: Money { currency, units: row.amount },
        });
    }
    Ok(found)
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = links)]
struct LinkRow {
    transaction_id: TransactionId,
    link_index: i32,
    #[diesel(column_name = "type", sql_type = SmallInt)]
    kind: i16,
    to_transaction_id: TransactionId,
    to_entry_index: i32,
    amount: Units,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = evidence)]
struct EvidenceRow {
    transaction_id: TransactionId,
    evidence_index: i32,
    record_id: RecordId,
    version: i64,
}

/// The evidence of transactions, in its order.
pub(super) fn select_evidence(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[TransactionId],
) -> QueryResult<BTreeMap<TransactionId, Vec<Evidence>>> {
    const READ: &str = "\
        SELECT e.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT transaction_id, evidence_index, record_id, version FROM evidence \
            WHERE tenant_id = $1 AND transaction_id = n.id OFFSET 0) e";
    let binds = (tenant.into_sql::<Uuid>(), ids.to_vec().into_sql::<Array<Uuid>>());
    let mut rows: Vec<EvidenceRow> = statement(READ, binds).load(conn)?;
    rows.sort_by_key(|row| (row.transaction_id, row.evidence_index));
    let mut found: BTreeMap<TransactionId, Vec<Evidence>> = BTreeMap::new();
    for row in rows {
        let evidence = Evidence { record: row.record_id, version: row.version };
        found.entry(row.transaction_id).or_default().push(evidence);
    }
    Ok(found)
}
