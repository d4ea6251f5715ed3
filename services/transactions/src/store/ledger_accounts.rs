//! `ledger_accounts`: one row for each account, locked in the order of the ids.

use std::collections::{BTreeMap, BTreeSet};

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Date, Integer, Nullable, Text, Uuid};
use shared::changes;
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::{Day, Timestamp};

use super::place::{Place, Tid};
use super::schema::ledger_accounts;
use super::{column, holds, slices};
use crate::domain::{
    AccountClass, AccountId, Closings, Controls, CustomerId, DayTotal, LedgerAccount, Overdraft,
    account_leaf,
};
use crate::error::Error;

#[derive(Debug, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = ledger_accounts)]
struct Row {
    tenant_id: TenantId,
    id: AccountId,
    currency: String,
    decimals: i16,
    class: i16,
    gl_code: String,
    overdraft_limit: Option<Units>,
    posted_debits: Units,
    posted_credits: Units,
    held: Units,
    entry_seq: i64,
    version: i64,
    controls: Option<String>,
    create_time: Timestamp,
    record_time: Timestamp,
    customer_id: Option<CustomerId>,
    parent_id: Option<AccountId>,
    close_time: Option<Timestamp>,
    next_expiry: Option<Timestamp>,
    excess: Units,
    day: Option<Day>,
    day_debits: Units,
    day_credits: Units,
}

impl Row {
    fn new(tenant: TenantId, account: &LedgerAccount) -> Self {
        Self {
            tenant_id: tenant,
            id: account.id,
            currency: account.currency.code().to_owned(),
            decimals: i16::from(account.currency.decimals()),
            class: class_column(account.class),
            gl_code: account.gl_code.clone(),
            overdraft_limit: match account.overdraft {
                Overdraft::Limit(limit) => Some(limit),
                Overdraft::Unbounded => None,
            },
            posted_debits: account.posted_debits,
            posted_credits: account.posted_credits,
            held: account.held,
            entry_seq: account.entry_seq,
            version: account.version,
            controls: controls_column(&account.controls),
            create_time: account.create_time,
            record_time: account.record_time,
            customer_id: account.customer,
            parent_id: account.parent,
            close_time: account.close_time,
            next_expiry: account.next_expiry,
            excess: account.excess,
            day: account.day.map(|day| day.booking),
            day_debits: account.day.map_or(Units::ZERO, |day| day.debits),
            day_credits: account.day.map_or(Units::ZERO, |day| day.credits),
        }
    }
}

impl TryFrom<Row> for LedgerAccount {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", row.id));
        let decimals = u8::try_from(row.decimals).map_err(|_| fault("currency"))?;
        let controls = row.controls.as_deref().map_or(Ok(Vec::new()), serde_json::from_str);
        Ok(Self {
            id: row.id,
            currency: Currency::new(&row.currency, decimals).ok_or_else(|| fault("currency"))?,
            class: class_from_column(row.class).ok_or_else(|| fault("class"))?,
            controls: controls.map_err(|_| fault("controls"))?,
            gl_code: row.gl_code,
            overdraft: row.overdraft_limit.map_or(Overdraft::Unbounded, Overdraft::Limit),
            posted_debits: row.posted_debits,
            posted_credits: row.posted_credits,
            held: row.held,
            entry_seq: row.entry_seq,
            version: row.version,
            create_time: row.create_time,
            record_time: row.record_time,
            customer: row.customer_id,
            parent: row.parent_id,
            close_time: row.close_time,
            next_expiry: row.next_expiry,
            excess: row.excess,
            day: row.day.map(|day| DayTotal {
                booking: day,
                value: day,
                debits: row.day_debits,
                credits: row.day_credits,
            }),
        })
    }
}

pub(super) fn class_column(class: AccountClass) -> i16 {
    match class {
        AccountClass::Asset => 1,
        AccountClass::Liability => 2,
        AccountClass::Equity => 3,
        AccountClass::Income => 4,
        AccountClass::Expense => 5,
    }
}

pub(super) fn class_from_column(column: i16) -> Option<AccountClass> {
    match column {
        1 => Some(AccountClass::Asset),
        2 => Some(AccountClass::Liability),
        3 => Some(AccountClass::Equity),
        4 => Some(AccountClass::Income),
        5 => Some(AccountClass::Expense),
        _ => None,
    }
}

fn controls_column(controls: &[Controls]) -> Option<String> {
    if controls.is_empty() { None } else { serde_json::to_string(controls).ok() }
}

/// Inserts an account; false where the id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
) -> QueryResult<bool> {
    let row = Row::new(tenant, account);
    let inserted = diesel::insert_into(ledger_accounts::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// Reads an account.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
) -> Result<Option<LedgerAccount>, Error> {
    let row = ledger_accounts::table.find((tenant, id)).select(Row::as_select());
    row.first(conn).optional()?.map(Row::try_into).transpose()
}

/// Reads accounts. Unknown ids are left out.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<AccountId>,
) -> Result<BTreeMap<AccountId, LedgerAccount>, Error> {
    const READ: &str = "\
        SELECT a.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT tenant_id, id, currency, decimals, class, gl_code, overdraft_limit, \
                posted_debits, posted_credits, held, entry_seq, version, controls, create_time, \
                record_time, customer_id, parent_id, close_time, next_expiry, excess, day, \
                day_debits, day_credits \
            FROM ledger_accounts WHERE tenant_id = $1 AND id = n.id LIMIT 1) a";
    let ids: Vec<AccountId> = ids.iter().copied().collect();
    let binds = (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>());
    by_id(statement(READ, binds).load(conn)?)
}

/// Reads accounts as they stand at a time. Unknown ids are left out.
pub(crate) fn select_now(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<AccountId>,
    now: Timestamp,
) -> Result<BTreeMap<AccountId, LedgerAccount>, Error> {
    let mut accounts = select_all(conn, tenant, ids)?;
    as_of(conn, tenant, accounts.values_mut(), now)?;
    Ok(accounts)
}

/// Has accounts that were read stand as they do at a time: holds that have expired keep nothing
/// back, whether or not anybody has recorded that.
pub(crate) fn as_of<'a>(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: impl IntoIterator<Item = &'a mut LedgerAccount>,
    now: Timestamp,
) -> QueryResult<()> {
    let is_due = |account: &&mut LedgerAccount| account.is_due(now);
    let due = accounts.into_iter().filter(is_due).map(|account| (account.id, account));
    let mut due: BTreeMap<AccountId, &mut LedgerAccount> = due.collect();
    let ids = due.keys().copied().collect();
    for (id, expired) in holds::expired_amounts(conn, tenant, ids, now)? {
        if let Some(account) = due.get_mut(&id) {
            account.held = account.held.checked_sub(expired).unwrap_or_default();
        }
    }
    Ok(())
}

/// What is to be locked of one tenant.
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) accounts: &'a BTreeSet<AccountId>,
    /// Requests that may have an outcome already, by operation and id.
    pub(crate) requests: &'a [(&'a str, &'a str)],
}

/// Locks accounts of one tenant and reads them: see `lock_all`.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: &BTreeSet<AccountId>,
) -> Result<Locked, Error> {
    let locked = lock_all(conn, &[Lock { tenant, accounts, requests: &[] }])?;
    Ok(locked.into_iter().next().unwrap_or_default())
}

/// Locks accounts and reads them, in the order of the tenants, which come in that of their ids, and
/// of the accounts' ids, which is the house's lock order; gives an answer for each tenant. What is
/// read is as of the lock: READ COMMITTED reads a row again once it has waited for it. Unknown ids
/// are left out. One look-up for each id, in their order: a list of ids with ORDER BY may be
/// planned as a walk over all accounts of the tenant, which the order of the index invites.
///
/// In the same round trip it locks, before them, which days can be booked on, and tells whether any
/// of these requests has an outcome already.
pub(crate) fn lock_all(conn: &mut PgConnection, locks: &[Lock<'_>]) -> Result<Vec<Locked>, Error> {
    // Both cases are the same: the list is only to be read once the calendar is locked.
    const LOCK: &str = "\
        SELECT a.*, c.closed_through, c.soft_closed_through, c.tenant_id IS NOT NULL, \
            o.has_outcome \
        FROM unnest($1, $2, $3, $4, $5) AS t (tenant_id, first, last, first_request, last_request) \
        LEFT JOIN LATERAL (SELECT tenant_id, closed_through, soft_closed_through \
            FROM calendars WHERE tenant_id = t.tenant_id FOR SHARE) c ON true, \
        LATERAL (SELECT EXISTS ( \
            SELECT FROM unnest($7[t.first_request:t.last_request], \
                $8[t.first_request:t.last_request]) AS r (operation, id), LATERAL ( \
                SELECT FROM outcomes WHERE tenant_id = t.tenant_id AND operation = r.operation \
                    AND request_id = r.id LIMIT 1) o) AS has_outcome OFFSET 0) o, \
        LATERAL unnest(CASE WHEN c.tenant_id IS NULL THEN $6[t.first:t.last] \
            ELSE $6[t.first:t.last] END) AS n (id), \
        LATERAL (SELECT tenant_id, id, currency, decimals, class, gl_code, overdraft_limit, \
                posted_debits, posted_credits, held, entry_seq, version, controls, create_time, \
                record_time, customer_id, parent_id, close_time, next_expiry, excess, day, \
                day_debits, day_credits, ctid \
            FROM ledger_accounts WHERE tenant_id = t.tenant_id AND id = n.id \
            FOR NO KEY UPDATE) a";
    let (first, last) = slices(locks.iter().map(|lock| lock.accounts.len()));
    let (first_request, last_request) = slices(locks.iter().map(|lock| lock.requests.len()));
    let ids: Vec<AccountId> = locks.iter().flat_map(|lock| lock.accounts).copied().collect();
    let requests = locks.iter().flat_map(|lock| lock.requests).copied();
    let (operations, request_ids): (Vec<&str>, Vec<&str>) = requests.unzip();
    let binds = (
        column(locks, |lock| lock.tenant).into_sql::<Array<Uuid>>(),
        first.into_sql::<Array<Integer>>(),
        last.into_sql::<Array<Integer>>(),
        first_request.into_sql::<Array<Integer>>(),
        last_request.into_sql::<Array<Integer>>(),
        ids.into_sql::<Array<Uuid>>(),
        operations.into_sql::<Array<Text>>(),
        request_ids.into_sql::<Array<Text>>(),
    );
    let mut found: BTreeMap<TenantId, Locked> = BTreeMap::new();
    for row in statement(LOCK, binds).gives::<Columns>().load::<LockedRow>(conn)? {
        let (account, place, closed_through, soft_closed_through, has_calendar, has_outcome) = row;
        let closings = Closings { closed_through, soft_closed_through };
        let locked = found.entry(account.tenant_id).or_insert_with(|| Locked {
            accounts: BTreeMap::new(),
            places: BTreeMap::new(),
            closings: has_calendar.then_some(closings),
            has_outcomes: false,
        });
        locked.has_outcomes |= has_outcome;
        locked.places.insert(account.id, place);
        locked.accounts.insert(account.id, account.try_into()?);
    }
    Ok(locks.iter().map(|lock| found.remove(&lock.tenant).unwrap_or_default()).collect())
}

/// Locked accounts of one tenant, and what was found out with them.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) accounts: BTreeMap<AccountId, LedgerAccount>,
    /// Where they stand.
    pub(crate) places: BTreeMap<AccountId, Place>,
    /// Which days can be booked on; `None` where the tenant has no calendar yet, or no account was
    /// found.
    pub(crate) closings: Option<Closings>,
    /// Whether any of the requests may have an outcome.
    pub(crate) has_outcomes: bool,
}

/// Without an account nobody has looked for outcomes.
impl Default for Locked {
    fn default() -> Self {
        let (accounts, places) = (BTreeMap::new(), BTreeMap::new());
        Self { accounts, places, closings: None, has_outcomes: true }
    }
}

/// A locked account and its place, how far the books are closed, whether anybody has said so, and
/// whether there may be an outcome.
type LockedRow = (Row, Place, Option<Day>, Option<Day>, bool, bool);
type Columns = (SqlTypeOf<AsSelect<Row, Pg>>, Tid, Nullable<Date>, Nullable<Date>, Bool, Bool);

fn by_id(rows: Vec<Row>) -> Result<BTreeMap<AccountId, LedgerAccount>, Error> {
    rows.into_iter().map(|row| Ok((row.id, LedgerAccount::try_from(row)?))).collect()
}

/// Writes the controls of a locked account back.
pub(crate) fn update_controls(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
) -> QueryResult<()> {
    diesel::update(ledger_accounts::table.find((tenant, account.id)))
        .set((
            ledger_accounts::controls.eq(controls_column(&account.controls)),
            ledger_accounts::version.eq(account.version),
            ledger_accounts::record_time.eq(account.record_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes back that a locked account is closed, or open again.
pub(crate) fn update_close_time(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &LedgerAccount,
) -> QueryResult<()> {
    diesel::update(ledger_accounts::table.find((tenant, account.id)))
        .set((
            ledger_accounts::close_time.eq(account.close_time),
            ledger_accounts::version.eq(account.version),
            ledger_accounts::record_time.eq(account.record_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Records what happened to an account, with the controls of one source or of all.
pub(crate) fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    account: &LedgerAccount,
    source: Option<&str>,
) -> QueryResult<()> {
    let data = account_leaf(tenant, kind, account, source);
    changes::record(conn, tenant, kind, &account.id.name(), &data, account.record_time)
}
