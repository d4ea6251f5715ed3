//! What a batch of postings adds: outcomes, headers, entries, balances and the change itself in one
//! statement; what only some postings have where there is any.

use std::sync::LazyLock;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{
    Array, BigInt, Binary, Date, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid,
};
use shared::changes;
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::outcome::{self, Settled};
use shared::time::Timestamp;
use shared::transparency::leaf_hash;

use super::place::{Place, Tid};
use super::transactions::direction_column;
use super::{column, links, slices, texts};
use crate::domain::{LedgerAccount, PostedEntry, PostedTransaction, posted_leaf};

/// What a batch adds to one tenant's books.
#[derive(Debug)]
pub(crate) struct Addition<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) transactions: Vec<&'a PostedTransaction>,
    /// The accounts as the batch leaves them, each with the place where it was locked.
    pub(crate) accounts: Vec<(&'a LedgerAccount, Place)>,
    /// The latest of theirs.
    pub(crate) time: Timestamp,
}

/// Writes what only some transactions have.
pub(crate) fn write_attributes(
    conn: &mut PgConnection,
    tenant: TenantId,
    transactions: &[&PostedTransaction],
) -> QueryResult<()> {
    texts::write_texts(conn, tenant, transactions)?;
    texts::write_labels(conn, tenant, transactions)?;
    links::write_links(conn, tenant, transactions)?;
    links::write_evidence(conn, tenant, transactions)
}

/// An account is found where it was locked: it is still there. In FROM each array would be copied
/// into a store of its own before it is read, which costs a fifth of the whole statement.
const BOOKS: &str = "\
    headers AS ( \
        INSERT INTO transactions (tenant_id, id, kind, entry_count, effective_time, record_time, \
            booking_date, batch_id, batch_index, overrides, reverses, hold_id, group_id, \
            import_source) \
        SELECT unnest($14), unnest($15), unnest($16), unnest($17), unnest($18), unnest($19), \
            unnest($20), unnest($21), unnest($22), unnest($23), unnest($24), unnest($25), \
            unnest($26), unnest($27)), \
    lines AS ( \
        INSERT INTO entries (tenant_id, transaction_id, entry_index, account_id, entry_seq, \
            direction, amount, currency, posted_after, available_after, version_after, \
            value_date, booking_date) \
        SELECT unnest($28), unnest($29), unnest($30), unnest($31), unnest($32), unnest($33), \
            unnest($34), unnest($35), unnest($36), unnest($37), unnest($38), unnest($39), \
            unnest($40)), \
    change AS ( \
        INSERT INTO changes (tenant_id, id, kind, ids, create_time, leaves) \
        SELECT n.tenant_id, n.id, 'transaction.posted', $15[n.first:n.last], n.time, n.leaves \
        FROM unnest($55, $56, $57, $58, $59, $60) AS n (tenant_id, id, first, last, time, leaves)) \
    UPDATE ledger_accounts a SET posted_debits = n.debits, posted_credits = n.credits, \
        held = n.held, entry_seq = n.entry_seq, version = n.version, \
        record_time = n.record_time, next_expiry = n.next_expiry, excess = n.excess, \
        day = n.day, day_debits = n.day_debits, day_credits = n.day_credits \
    FROM (SELECT unnest($41) AS tenant_id, unnest($42) AS id, unnest($43) AS debits, \
              unnest($44) AS credits, unnest($45) AS held, unnest($46) AS entry_seq, \
              unnest($47) AS version, unnest($48) AS record_time, unnest($49) AS next_expiry, \
              unnest($50) AS excess, unnest($51) AS day, unnest($52) AS day_debits, \
              unnest($53) AS day_credits, unnest($54) AS place) n \
    WHERE a.tenant_id = n.tenant_id AND a.id = n.id AND a.ctid = n.place";

/// The outcomes too, in the same round trip.
static WRITE: LazyLock<String> =
    LazyLock::new(|| format!(", claims AS ({}), {BOOKS}", outcome::INSERT));

/// An entry with its tenant, its transaction and its place there.
type Line<'a> = (TenantId, &'a PostedTransaction, i32, &'a PostedEntry);

/// Writes outcomes, transactions and balances. A request id or a transaction id that is in use is a
/// unique violation.
pub(crate) fn write(
    conn: &mut PgConnection,
    outcomes: &[Settled<'_>],
    additions: &[Addition<'_>],
) -> QueryResult<()> {
    let transactions: Vec<(TenantId, &PostedTransaction)> =
        additions.iter().flat_map(|of| of.transactions.iter().map(|t| (of.tenant, *t))).collect();
    let accounts: Vec<(TenantId, &LedgerAccount, Place)> = additions
        .iter()
        .flat_map(|of| of.accounts.iter().map(|(account, place)| (of.tenant, *account, *place)))
        .collect();
    let claims = outcome::insertion(outcomes);
    let binds = (
        claims,
        headers(&transactions),
        lines(&transactions),
        balances(&accounts),
        change(additions),
    );
    let updated = statement(&WRITE, binds).execute(conn)?;
    // Every account is locked, so each is there; anything else must not be committed.
    if updated == accounts.len() { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

fn headers<'a>(t: &[(TenantId, &'a PostedTransaction)]) -> impl QueryFragment<Pg> + use<'a> {
    let count = |t: &PostedTransaction| i32::try_from(t.entries.len()).unwrap_or(i32::MAX);
    let overrides = |t: &PostedTransaction| t.force.as_ref().and_then(|f| f.overrides.number());
    (
        column(t, |t| t.0).into_sql::<Array<Uuid>>(),
        column(t, |t| t.1.id).into_sql::<Array<Uuid>>(),
        column(t, |t| &*t.1.kind).into_sql::<Array<Text>>(),
        column(t, |t| count(t.1)).into_sql::<Array<Integer>>(),
        column(t, |t| t.1.effective_time).into_sql::<Array<Timestamptz>>(),
        column(t, |t| t.1.record_time).into_sql::<Array<Timestamptz>>(),
        column(t, |t| t.1.booking_date).into_sql::<Array<Date>>(),
        column(t, |t| t.1.batch.map(|batch| batch.0)).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.1.batch.map(|batch| batch.1)).into_sql::<Array<Nullable<Integer>>>(),
        column(t, |t| overrides(t.1)).into_sql::<Array<Nullable<SmallInt>>>(),
        column(t, |t| t.1.reverses).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.1.hold).into_sql::<Array<Nullable<Uuid>>>(),
        column(t, |t| t.1.group_id.as_deref()).into_sql::<Array<Nullable<Text>>>(),
        column(t, |t| t.1.import_source.as_deref()).into_sql::<Array<Nullable<Text>>>(),
    )
}

fn lines<'a>(t: &[(TenantId, &'a PostedTransaction)]) -> impl QueryFragment<Pg> + use<'a> {
    let of = |(tenant, t): &(TenantId, &'a PostedTransaction)| {
        let (tenant, t) = (*tenant, *t);
        (0..).zip(&t.entries).map(move |(index, entry)| (tenant, t, index, entry))
    };
    let l: &[Line<'a>] = &t.iter().flat_map(of).collect::<Vec<_>>();
    let value_date = |t: &PostedTransaction| Some(t.value_date).filter(|d| *d != t.booking_date);
    let booking_date = |t: &PostedTransaction| Some(t.booking_date).filter(|d| *d != t.record_date);
    (
        column(l, |l| l.0).into_sql::<Array<Uuid>>(),
        column(l, |l| l.1.id).into_sql::<Array<Uuid>>(),
        column(l, |l| l.2).into_sql::<Array<Integer>>(),
        column(l, |l| l.3.entry.account).into_sql::<Array<Uuid>>(),
        column(l, |l| l.3.entry_seq).into_sql::<Array<BigInt>>(),
        column(l, |l| direction_column(l.3.entry.direction)).into_sql::<Array<SmallInt>>(),
        column(l, |l| l.3.entry.amount.units).into_sql::<Array<Numeric>>(),
        column(l, |l| l.3.entry.amount.currency.code()).into_sql::<Array<Text>>(),
        column(l, |l| l.3.posted_after).into_sql::<Array<Numeric>>(),
        column(l, |l| l.3.available_after).into_sql::<Array<Nullable<Numeric>>>(),
        column(l, |l| l.3.version_after).into_sql::<Array<BigInt>>(),
        column(l, |l| value_date(l.1)).into_sql::<Array<Nullable<Date>>>(),
        column(l, |l| booking_date(l.1)).into_sql::<Array<Nullable<Date>>>(),
    )
}

fn balances(a: &[(TenantId, &LedgerAccount, Place)]) -> impl QueryFragment<Pg> + use<> {
    let day =
        |a: &LedgerAccount| a.day.map_or((Units::ZERO, Units::ZERO), |d| (d.debits, d.credits));
    (
        column(a, |a| a.0).into_sql::<Array<Uuid>>(),
        column(a, |a| a.1.id).into_sql::<Array<Uuid>>(),
        column(a, |a| a.1.posted_debits).into_sql::<Array<Numeric>>(),
        column(a, |a| a.1.posted_credits).into_sql::<Array<Numeric>>(),
        column(a, |a| a.1.held).into_sql::<Array<Numeric>>(),
        column(a, |a| a.1.entry_seq).into_sql::<Array<BigInt>>(),
        column(a, |a| a.1.version).into_sql::<Array<BigInt>>(),
        column(a, |a| a.1.record_time).into_sql::<Array<Timestamptz>>(),
        column(a, |a| a.1.next_expiry).into_sql::<Array<Nullable<Timestamptz>>>(),
        column(a, |a| a.1.excess).into_sql::<Array<Numeric>>(),
        column(a, |a| a.1.day.map(|day| day.booking)).into_sql::<Array<Nullable<Date>>>(),
        column(a, |a| day(a.1).0).into_sql::<Array<Numeric>>(),
        column(a, |a| day(a.1).1).into_sql::<Array<Numeric>>(),
        column(a, |a| a.2).into_sql::<Array<Tid>>(),
    )
}

/// The changes themselves: one for each tenant that has transactions.
fn change(additions: &[Addition<'_>]) -> impl QueryFragment<Pg> + use<> {
    let slices = slices(additions.iter().map(|of| of.transactions.len()));
    let all = additions.iter().zip(slices.0.into_iter().zip(slices.1));
    let all: Vec<_> = all.filter(|(of, _)| !of.transactions.is_empty()).collect();
    let leaves = |of: &Addition<'_>| {
        let leaf = |t: &&PostedTransaction| leaf_hash(&posted_leaf(of.tenant, t));
        of.transactions.iter().flat_map(leaf).collect::<Vec<u8>>()
    };
    (
        column(&all, |(of, _)| of.tenant).into_sql::<Array<Uuid>>(),
        column(&all, |(of, _)| changes::id(of.time)).into_sql::<Array<Uuid>>(),
        column(&all, |(_, slice)| slice.0).into_sql::<Array<Integer>>(),
        column(&all, |(_, slice)| slice.1).into_sql::<Array<Integer>>(),
        column(&all, |(of, _)| of.time).into_sql::<Array<Timestamptz>>(),
        column(&all, |(of, _)| leaves(of)).into_sql::<Array<Binary>>(),
    )
}
