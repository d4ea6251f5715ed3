//! `holds`: what is kept back. A hold is changed only by whoever has locked its
//! account, so its own row needs no lock.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Numeric, SmallInt, Text, Timestamptz, Uuid};
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::Timestamp;

use super::schema::holds;
use super::{column, external_ids, hold_texts};
use crate::domain::{AccountId, Collection, CustomerId, Force, Hold, HoldId, HoldState, Overrides};
use crate::error::Error;

#[derive(Debug, QueryableByName)]
#[diesel(table_name = holds)]
struct Row {
    id: HoldId,
    account_id: AccountId,
    destination_id: Option<AccountId>,
    kind: String,
    amount: Units,
    over_capture: Units,
    remaining: Units,
    captured: Units,
    released: Units,
    state: i16,
    overrides: Option<i16>,
    expire_time: Option<Timestamp>,
    counted: Option<String>,
    event_seq: i32,
    create_time: Timestamp,
    record_time: Timestamp,
    #[diesel(sql_type = Text)]
    currency: String,
    #[diesel(sql_type = SmallInt)]
    decimals: i16,
}

pub(crate) fn state_column(state: HoldState) -> i16 {
    match state {
        HoldState::Open => 1,
        HoldState::Captured => 2,
        HoldState::Released => 3,
        HoldState::Expired => 4,
    }
}

fn state_from_column(column: i16) -> HoldState {
    match column {
        1 => HoldState::Open,
        2 => HoldState::Captured,
        3 => HoldState::Released,
        _ => HoldState::Expired,
    }
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = holds)]
struct Heads {
    id: HoldId,
    account_id: AccountId,
    destination_id: Option<AccountId>,
}

fn heads(conn: &mut PgConnection, tenant: TenantId, ids: Vec<HoldId>) -> QueryResult<Vec<Heads>> {
    const READ: &str = "\
        SELECT h.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT id, account_id, destination_id FROM holds \
            WHERE tenant_id = $1 AND id = n.id LIMIT 1) h";
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    statement(READ, (tenant.into_sql::<Uuid>(), ids.into_sql::<Array<Uuid>>())).load(conn)
}

/// The accounts that holds name. Unknown ids are left out.
pub(crate) fn accounts(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<HoldId>,
) -> QueryResult<BTreeSet<AccountId>> {
    let heads = heads(conn, tenant, ids.iter().copied().collect())?;
    let named = |head: Heads| [Some(head.account_id), head.destination_id];
    Ok(heads.into_iter().flat_map(named).flatten().collect())
}

/// Those of the ids that are in use.
pub(crate) fn taken(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: Vec<HoldId>,
) -> QueryResult<BTreeSet<HoldId>> {
    Ok(heads(conn, tenant, ids)?.into_iter().map(|head| head.id).collect())
}

#[derive(Debug, QueryableByName)]
struct Expiring {
    #[diesel(sql_type = Uuid)]
    account_id: AccountId,
    #[diesel(sql_type = Array<Uuid>)]
    expired: Vec<HoldId>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next: Option<Timestamp>,
}

/// The open holds of accounts that expire until a time, and when each account's next one does.
pub(crate) fn expiring(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: &[AccountId],
    until: Timestamp,
) -> QueryResult<(BTreeSet<HoldId>, BTreeMap<AccountId, Timestamp>)> {
    const READ: &str = "\
        SELECT n.id AS account_id, \
            ARRAY(SELECT id FROM holds WHERE tenant_id = $1 AND account_id = n.id \
                AND state = 1 AND expire_time <= $3) AS expired, \
            (SELECT expire_time FROM holds WHERE tenant_id = $1 AND account_id = n.id \
                AND state = 1 AND expire_time > $3 ORDER BY expire_time LIMIT 1) AS next \
        FROM unnest($2) AS n (id)";
    let binds = (
        tenant.into_sql::<Uuid>(),
        accounts.to_vec().into_sql::<Array<Uuid>>(),
        until.into_sql::<Timestamptz>(),
    );
    let rows: Vec<Expiring> = statement(READ, binds).load(conn)?;
    let next = rows.iter().filter_map(|row| Some((row.account_id, row.next?))).collect();
    Ok((rows.into_iter().flat_map(|row| row.expired).collect(), next))
}

/// The holds of customers that have expired at a time without anybody having recorded it.
pub(crate) fn lapsed(
    conn: &mut PgConnection,
    tenant: TenantId,
    customers: &BTreeSet<CustomerId>,
    now: Timestamp,
) -> Result<BTreeMap<HoldId, Hold>, Error> {
    const READ: &str = "\
        SELECT h.* FROM unnest($2) AS n (id), \
        LATERAL (SELECT id FROM ledger_accounts WHERE tenant_id = $1 AND customer_id = n.id \
            AND next_expiry <= $3 OFFSET 0) a, \
        LATERAL (SELECT id, account_id, destination_id FROM holds \
            WHERE tenant_id = $1 AND account_id = a.id AND state = 1 AND expire_time <= $3 \
            OFFSET 0) h";
    if customers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let customers: Vec<CustomerId> = customers.iter().copied().collect();
    let binds = (
        tenant.into_sql::<Uuid>(),
        customers.into_sql::<Array<Uuid>>(),
        now.into_sql::<Timestamptz>(),
    );
    let heads: Vec<Heads> = statement(READ, binds).load(conn)?;
    select_all(conn, tenant, &heads.into_iter().map(|head| head.id).collect())
}

/// What accounts have in open holds that have expired at a time.
pub(super) fn expired_amounts(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: Vec<AccountId>,
    now: Timestamp,
) -> QueryResult<BTreeMap<AccountId, Units>> {
    if accounts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sums: Vec<(AccountId, Option<Units>)> = holds::table
        .filter(holds::tenant_id.eq(tenant).and(holds::account_id.eq_any(accounts)))
        .filter(holds::state.eq(state_column(HoldState::Open)))
        .filter(holds::expire_time.le(now))
        .group_by(holds::account_id)
        .select((holds::account_id, diesel::dsl::sum(holds::remaining)))
        .load(conn)?;
    Ok(sums.into_iter().filter_map(|(account, sum)| Some((account, sum?))).collect())
}

/// Some of the accounts with open holds that have expired at a time.
pub(crate) fn accounts_with_expired(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<BTreeSet<AccountId>> {
    let accounts: Vec<AccountId> = holds::table
        .filter(holds::tenant_id.eq(tenant))
        .filter(holds::state.eq(state_column(HoldState::Open)))
        .filter(holds::expire_time.le(now))
        // What the index of those that expire next asks for.
        .filter(holds::record_time.is_not_null())
        .order(holds::expire_time)
        .select(holds::account_id)
        .limit(limit)
        .load(conn)?;
    Ok(accounts.into_iter().collect())
}

/// Reads holds with their texts. Unknown ids are left out.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeSet<HoldId>,
) -> Result<BTreeMap<HoldId, Hold>, Error> {
    // A look-up for each, whatever the planner believes of the tables.
    const READ: &str = "\
        SELECT h.*, a.currency, a.decimals FROM unnest($2) AS n (id), \
        LATERAL (SELECT id, account_id, destination_id, kind, amount, over_capture, remaining, \
                captured, released, state, overrides, expire_time, counted, event_seq, \
                create_time, record_time \
            FROM holds WHERE tenant_id = $1 AND id = n.id LIMIT 1) h, \
        LATERAL (SELECT currency, decimals FROM ledger_accounts \
            WHERE tenant_id = $1 AND id = h.account_id LIMIT 1) a";
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<HoldId> = ids.iter().copied().collect();
    let binds = (tenant.into_sql::<Uuid>(), ids.clone().into_sql::<Array<Uuid>>());
    let rows: Vec<Row> = statement(READ, binds).load(conn)?;
    let mut texts = hold_texts::select_all(conn, tenant, ids.clone())?;
    let holders = ids.iter().map(|id| id.uuid()).collect();
    let mut external = external_ids::of_holders(conn, tenant, Collection::Holds, holders)?;
    let mut found = BTreeMap::new();
    for row in rows {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", row.id));
        let decimals = u8::try_from(row.decimals).ok();
        let currency = decimals.and_then(|decimals| Currency::new(&row.currency, decimals));
        let currency = currency.ok_or_else(|| fault("currency"))?;
        let counted = row.counted.as_deref().map_or(Ok(Vec::new()), serde_json::from_str);
        let force = row.overrides.map(|number| Force {
            overrides: Overrides::from_number(number),
            reason: texts.remove(&(row.id, 1)).unwrap_or_default(),
        });
        let hold = Hold {
            currency,
            counted: counted.map_err(|_| fault("counts"))?,
            id: row.id,
            account: row.account_id,
            destination: row.destination_id,
            kind: row.kind,
            amount: row.amount,
            over_capture: row.over_capture,
            remaining: row.remaining,
            captured: row.captured,
            released: row.released,
            state: state_from_column(row.state),
            expire_time: row.expire_time,
            event_seq: row.event_seq,
            create_time: row.create_time,
            record_time: row.record_time,
            description: texts.remove(&(row.id, 0)).unwrap_or_default(),
            external_ids: external.remove(&row.id.uuid()).unwrap_or_default().values,
            force,
        };
        found.insert(row.id, hold);
    }
    Ok(found)
}

/// Inserts new holds. An id that is in use is a unique violation.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    holds: &[&Hold],
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO holds (tenant_id, id, account_id, destination_id, kind, amount, \
            over_capture, remaining, captured, released, state, overrides, expire_time, counted, \
            event_seq, create_time, record_time) \
        SELECT $1, n.* FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
            $16, $17) AS n";
    write(conn, INSERT, tenant, holds)
}

/// Updates holds that were read.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    holds: &[&Hold],
) -> QueryResult<()> {
    const UPDATE: &str = "\
        UPDATE holds h SET amount = n.amount, remaining = n.remaining, captured = n.captured, \
            released = n.released, state = n.state, expire_time = n.expire_time, \
            counted = n.counted, event_seq = n.event_seq, record_time = n.record_time \
        FROM (SELECT n.*, \
                  (SELECT ctid FROM holds WHERE tenant_id = $1 AND id = n.id) AS place \
              FROM unnest($2, $6, $8, $9, $10, $11, $13, $14, $15, $17) \
                  AS n (id, amount, remaining, captured, released, state, expire_time, counted, \
                        event_seq, record_time) OFFSET 0) n \
        WHERE h.tenant_id = $1 AND h.id = n.id AND h.ctid = n.place";
    write(conn, UPDATE, tenant, holds)
}

fn write(
    conn: &mut PgConnection,
    body: &'static str,
    tenant: TenantId,
    holds: &[&Hold],
) -> QueryResult<()> {
    if holds.is_empty() {
        return Ok(());
    }
    let h = holds;
    let overrides = |h: &&Hold| h.force.as_ref().and_then(|force| force.overrides.number());
    let counted = |h: &&Hold| {
        if h.counted.is_empty() { None } else { serde_json::to_string(&h.counted).ok() }
    };
    let binds = (
        tenant.into_sql::<Uuid>(),
        column(h, |h| h.id).into_sql::<Array<Uuid>>(),
        column(h, |h| h.account).into_sql::<Array<Uuid>>(),
        column(h, |h| h.destination).into_sql::<Array<Nullable<Uuid>>>(),
        column(h, |h| h.kind.clone()).into_sql::<Array<Text>>(),
        column(h, |h| h.amount).into_sql::<Array<Numeric>>(),
        column(h, |h| h.over_capture).into_sql::<Array<Numeric>>(),
        column(h, |h| h.remaining).into_sql::<Array<Numeric>>(),
        column(h, |h| h.captured).into_sql::<Array<Numeric>>(),
        column(h, |h| h.released).into_sql::<Array<Numeric>>(),
        column(h, |h| state_column(h.state)).into_sql::<Array<SmallInt>>(),
        column(h, overrides).into_sql::<Array<Nullable<SmallInt>>>(),
        column(h, |h| h.expire_time).into_sql::<Array<Nullable<Timestamptz>>>(),
        column(h, counted).into_sql::<Array<Nullable<Text>>>(),
        column(h, |h| h.event_seq).into_sql::<Array<Integer>>(),
        column(h, |h| h.create_time).into_sql::<Array<Timestamptz>>(),
        column(h, |h| h.record_time).into_sql::<Array<Timestamptz>>(),
    );
    let written = statement(body, binds).execute(conn)?;
    // Their accounts are locked, so each is there; anything else must not be committed.
    if written == holds.len() { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}
