//! What a batch of postings adds: outcomes, headers, entries, balances and the change itself in one
//! statement; what only some postings have where there is any.

use std::sync::LazyLock;

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Binary, Date, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid,
};
use shared::changes;
use shared::db::statement;
use shared::ids::TenantId;
use shared::outcome::{self, Settled};
use shared::time::Timestamp;
use shared::transparency::leaf_hash;

use super::transactions::direction_column;
use super::{column, links, texts};
use crate::domain::{LedgerAccount, PostedEntry, PostedTransaction, posted_leaf};

/// Writes outcomes, transactions and the accounts as they leave them; `time` is the latest of
/// theirs. A request id or a transaction
/// id that is in use is a unique violation.
pub(crate) fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    outcomes: &[Settled<'_>],
    transactions: &[&PostedTransaction],
    accounts: &[&LedgerAccount],
    time: Timestamp,
) -> QueryResult<()> {
    write_books(conn, tenant, outcomes, transactions, accounts, time)?;
    texts::write_texts(conn, tenant, transactions)?;
    texts::write_labels(conn, tenant, transactions)?;
    links::write_links(conn, tenant, transactions)?;
    links::write_evidence(conn, tenant, transactions)
}

/// The rows of the accounts are locked, so each stays where one look-up finds it: a join with the
/// table may be planned as a walk over all accounts of the tenant.
const BOOKS: &str = "\
    headers AS ( \
        INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time, \
            booking_date, batch_id, batch_index, overrides, reverses, hold_id, group_id, \
            import_source) \
        SELECT $1, n.* FROM unnest($14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, \
            $26) AS n), \
    lines AS ( \
        INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, \
            direction, amount, currency, posted_after, available_after, version_after, \
            value_date, booking_date) \
        SELECT $1, n.* FROM unnest($27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38) \
            AS n), \
    change AS ( \
        INSERT INTO changes (tenant_id, id, kind, ids, create_time, leaves) \
        SELECT $1, $51, 'transaction.posted', $14, $52, $53 WHERE cardinality($14) > 0) \
    UPDATE ledger_accounts a SET posted_debits = n.debits, posted_credits = n.credits, \
        held = n.held, entry_seq = n.entry_seq, version = n.version, \
        record_time = n.record_time, next_expiry = n.next_expiry, excess = n.excess, \
        day = n.day, day_debits = n.day_debits, day_credits = n.day_credits \
    FROM (SELECT n.*, \
              (SELECT ctid FROM ledger_accounts WHERE tenant_id = $1 AND id = n.id) AS place \
          FROM unnest($39, $40, $41, $42, $43, $44, $45, $46, $47, $48, $49, $50) \
              AS n (id, debits, credits, held, entry_seq, version, record_time, next_expiry, \
                    excess, day, day_debits, day_credits) OFFSET 0) n \
    WHERE a.tenant_id = $1 AND a.id = n.id AND a.ctid = n.place";

/// The outcomes too, in the same round trip.
static WRITE: LazyLock<String> =
    LazyLock::new(|| format!(", claims AS ({}), {BOOKS}", outcome::INSERT));

/// An entry with its transaction and its place there.
type Line<'a> = (&'a PostedTransaction, i32, &'a PostedEntry);

fn write_books(
    conn: &mut PgConnection,
    tenant: TenantId,
    outcomes: &[Settled<'_>],
    transactions: &[&PostedTransaction],
    accounts: &[&LedgerAccount],
    time: Timestamp,
) -> QueryResult<()> {
    let lines: Vec<Line<'_>> = transactions
        .iter()
        .flat_map(|t| (0..).zip(&t.entries).map(|(index, entry)| (*t, index, entry)))
        .collect();
    let t = transactions;
    let count = |t: &&PostedTransaction| i32::try_from(t.entries.len()).unwrap_or(i32::MAX);
    let overrides = |t: &&PostedTransaction| t.force.as_ref().and_then(|f| f.overrides.number());
    let headers = (
        column(t, |t| t.id).into_sql::<Array<Uuid>>(),
        column(t, |t| t.kind.clone()).into_sql::<Array<Text>>(),
        column(t, count).into_sql::<Array<Integer>>(),
        column(t, |t| t.effective_time).into_sql::<Array<Timestamptz>>(),
        column(t, |t| t.record_time).into_sql::<Array<Timestamptz>>(),
        column(t, |t| t.booking_date).into_sql::<Array<Date>>(),
        column(t, |t| t.batch.map(|batch| batch.0)).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.batch.map(|batch| batch.1)).into_sql::<Array<Nullable<Integer>>>(),
        column(t, overrides).into_sql::<Array<Nullable<SmallInt>>>(),
        column(t, |t| t.reverses).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.hold).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.group_id.clone()).into_sql::<Array<Nullable<Text>>>(),
        column(t, |t| t.import_source.clone()).into_sql::<Array<Nullable<Text>>>(),
    );
    let l = &lines;
    let code = |l: &Line<'_>| l.2.entry.amount.currency.code().to_owned();
    let value_date = |l: &Line<'_>| Some(l.0.value_date).filter(|day| *day != l.0.booking_date);
    let booking_date = |l: &Line<'_>| Some(l.0.booking_date).filter(|day| *day != l.0.record_date);
    let entries = (
        column(l, |l| l.0.id).into_sql::<Array<Uuid>>(),
        column(l, |l| l.1).into_sql::<Array<Integer>>(),
        column(l, |l| l.2.entry.account).into_sql::<Array<Uuid>>(),
        column(l, |l| l.2.entry_seq).into_sql::<Array<BigInt>>(),
        column(l, |l| direction_column(l.2.entry.direction)).into_sql::<Array<SmallInt>>(),
        column(l, |l| l.2.entry.amount.units).into_sql::<Array<Numeric>>(),
        column(l, code).into_sql::<Array<Text>>(),
        column(l, |l| l.2.posted_after).into_sql::<Array<Numeric>>(),
        column(l, |l| l.2.available_after).into_sql::<Array<Nullable<Numeric>>>(),
        column(l, |l| l.2.version_after).into_sql::<Array<BigInt>>(),
        column(l, value_date).into_sql::<Array<Nullable<Date>>>(),
        column(l, booking_date).into_sql::<Array<Nullable<Date>>>(),
    );
    let a = accounts;
    let balances = (
        column(a, |a| a.id).into_sql::<Array<Uuid>>(),
        column(a, |a| a.posted_debits).into_sql::<Array<Numeric>>(),
        column(a, |a| a.posted_credits).into_sql::<Array<Numeric>>(),
        column(a, |a| a.held).into_sql::<Array<Numeric>>(),
        column(a, |a| a.entry_seq).into_sql::<Array<BigInt>>(),
        column(a, |a| a.version).into_sql::<Array<BigInt>>(),
        column(a, |a| a.record_time).into_sql::<Array<Timestamptz>>(),
        column(a, |a| a.next_expiry).into_sql::<Array<Nullable<Timestamptz>>>(),
        column(a, |a| a.excess).into_sql::<Array<Numeric>>(),
        column(a, |a| a.day.map(|day| day.booking)).into_sql::<Array<Nullable<Date>>>(),
        column(a, |a| a.day.map(|day| day.debits).unwrap_or_default()).into_sql::<Array<Numeric>>(),
        column(a, |a| a.day.map(|day| day.credits).unwrap_or_default())
            .into_sql::<Array<Numeric>>(),
    );
    let leaves = t.iter().flat_map(|t| leaf_hash(&posted_leaf(tenant, t)));
    let change = (
        changes::id(time).into_sql::<Uuid>(),
        time.into_sql::<Timestamptz>(),
        leaves.collect::<Vec<u8>>().into_sql::<Binary>(),
    );
    let claims = outcome::insertion(tenant, outcomes);
    let binds = (claims, headers, entries, balances, change);
    let updated = statement(&WRITE, binds).execute(conn)?;
    // Every account is locked, so each is there; anything else must not be committed.
    if updated == accounts.len() { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}
