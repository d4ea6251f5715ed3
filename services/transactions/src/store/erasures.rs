//! What follows from erasures in the records service: `erasure_cursors`, and `erasures`, the walks
//! over what an erased customer's accounts take part in.
//!
//! A walk goes by keys, from account to account in the order of their ids, and on each over its
//! entries, its holds and the holds that pay it. Where it is stands in its row, which is written
//! with each page, so that it goes on from there whoever takes it up.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::EARLIEST;
use super::schema::{erasure_cursors, erasures};
use crate::domain::{AccountId, CustomerId, HoldId, TransactionId};

/// Up to where the erasures of a tenant are followed; none before the first time.
pub(crate) fn cursor(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Option<String>> {
    let cursor = erasure_cursors::table.find(tenant).select(erasure_cursors::cursor);
    cursor.first(conn).optional()
}

/// Stores up to where they are followed.
pub(crate) fn set_cursor(
    conn: &mut PgConnection,
    tenant: TenantId,
    cursor: &str,
    now: Timestamp,
) -> QueryResult<()> {
    let set = (erasure_cursors::cursor.eq(cursor), erasure_cursors::update_time.eq(now));
    diesel::insert_into(erasure_cursors::table)
        .values((erasure_cursors::tenant_id.eq(tenant), set))
        .on_conflict(erasure_cursors::tenant_id)
        .do_update()
        .set(set)
        .execute(conn)?;
    Ok(())
}

/// What a walk looks at on an account.
const ENTRIES: i16 = 1;
const HOLDS: i16 = 2;
const HOLDS_TOWARDS: i16 = 3;

/// Where a walk is.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = erasures)]
pub(crate) struct Walk {
    tenant_id: TenantId,
    customer_id: CustomerId,
    account_id: AccountId,
    step: i16,
    entry_seq: i64,
    hold_time: Timestamp,
    hold_id: HoldId,
}

impl Walk {
    /// At the begin of an account.
    fn at(tenant: TenantId, customer: CustomerId, account: AccountId) -> Self {
        Self {
            tenant_id: tenant,
            customer_id: customer,
            account_id: account,
            step: ENTRIES,
            entry_seq: 0,
            hold_time: EARLIEST,
            hold_id: HoldId::from_uuid(uuid::Uuid::nil()),
        }
    }

    /// At the begin of the next step on the same account.
    fn at_step(&self, step: i16) -> Self {
        Self { step, ..Self::at(self.tenant_id, self.customer_id, self.account_id) }
    }
}

/// Begins walks for customers. One that is under way goes on, and who has no accounts needs none.
pub(crate) fn begin(
    conn: &mut PgConnection,
    tenant: TenantId,
    customers: &[CustomerId],
) -> QueryResult<()> {
    const FIRST: &str = "\
        SELECT n.id AS customer_id, a.id FROM unnest($2) AS n (id), LATERAL ( \
            SELECT id FROM ledger_accounts WHERE tenant_id = $1 AND customer_id = n.id \
            ORDER BY id LIMIT 1) a";
    #[derive(QueryableByName)]
    struct First {
        #[diesel(sql_type = Uuid)]
        customer_id: CustomerId,
        #[diesel(sql_type = Uuid)]
        id: AccountId,
    }
    let binds = (tenant.into_sql::<Uuid>(), customers.to_vec().into_sql::<Array<Uuid>>());
    let found: Vec<First> = statement(FIRST, binds).load(conn)?;
    let walk = |first: &First| Walk::at(tenant, first.customer_id, first.id);
    diesel::insert_into(erasures::table)
        .values(found.iter().map(walk).collect::<Vec<_>>())
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(())
}

/// A walk of a tenant that nobody else is at, locked.
pub(crate) fn take(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<Option<Walk>> {
    let walk = erasures::table.filter(erasures::tenant_id.eq(tenant)).select(Walk::as_select());
    walk.order(erasures::customer_id).limit(1).for_update().skip_locked().first(conn).optional()
}

/// What a page of a walk has found.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Each with the hold that it captures and its time. One may come twice.
    pub(crate) transactions: Vec<(TransactionId, Option<HoldId>, Timestamp)>,
    /// Each with its time.
    pub(crate) holds: Vec<(HoldId, Timestamp)>,
}

/// Reads the next page of a locked walk, and moves the walk behind it.
pub(crate) fn advance(conn: &mut PgConnection, walk: &Walk, limit: i64) -> QueryResult<Page> {
    let (page, next) = match walk.step {
        ENTRIES => entries(conn, walk, limit)?,
        step => holds(conn, walk, step, limit)?,
    };
    let next = match next {
        Some(next) => Some(next),
        None if walk.step < HOLDS_TOWARDS => Some(walk.at_step(walk.step + 1)),
        None => next_account(conn, walk)?,
    };
    let row = erasures::table.find((walk.tenant_id, walk.customer_id));
    match next {
        Some(next) => diesel::update(row).set(next).execute(conn)?,
        None => diesel::delete(row).execute(conn)?,
    };
    Ok(page)
}

fn next_account(conn: &mut PgConnection, walk: &Walk) -> QueryResult<Option<Walk>> {
    const NEXT: &str = "\
        SELECT id FROM ledger_accounts \
        WHERE tenant_id = $1 AND customer_id = $2 AND id > $3 ORDER BY id LIMIT 1";
    #[derive(QueryableByName)]
    struct Next {
        #[diesel(sql_type = Uuid)]
        id: AccountId,
    }
    let (tenant, customer) = (walk.tenant_id, walk.customer_id);
    let binds = (
        tenant.into_sql::<Uuid>(),
        customer.into_sql::<Uuid>(),
        walk.account_id.into_sql::<Uuid>(),
    );
    let next: Option<Next> = statement(NEXT, binds).get_result(conn).optional()?;
    Ok(next.map(|next| Walk::at(tenant, customer, next.id)))
}

/// The transactions of the next entries, and where the walk goes on among them.
fn entries(conn: &mut PgConnection, walk: &Walk, limit: i64) -> QueryResult<(Page, Option<Walk>)> {
    const PAGE: &str = "\
        SELECT e.entry_seq, t.* FROM ( \
            SELECT entry_seq, transaction_id FROM entries WHERE tenant_id = $1 \
                AND account_id = $2 AND entry_seq > $3 AND entry_seq <= $4 OFFSET 0) e, \
        LATERAL (SELECT id, hold_id, record_time FROM transactions \
            WHERE tenant_id = $1 AND id = e.transaction_id LIMIT 1) t \
        ORDER BY e.entry_seq";
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        entry_seq: i64,
        #[diesel(sql_type = Uuid)]
        id: TransactionId,
        #[diesel(sql_type = Nullable<Uuid>)]
        hold_id: Option<HoldId>,
        #[diesel(sql_type = Timestamptz)]
        record_time: Timestamp,
    }
    let binds = (
        walk.tenant_id.into_sql::<Uuid>(),
        walk.account_id.into_sql::<Uuid>(),
        walk.entry_seq.into_sql::<BigInt>(),
        walk.entry_seq.saturating_add(limit).into_sql::<BigInt>(),
    );
    let found: Vec<Found> = statement(PAGE, binds).load(conn)?;
    // The places of an account's entries have no gaps, so that a page without one is the end.
    let next = found.last().map(|last| Walk { entry_seq: last.entry_seq, ..walk.clone() });
    let transactions = found.into_iter().map(|one| (one.id, one.hold_id, one.record_time));
    Ok((Page { transactions: transactions.collect(), holds: Vec::new() }, next))
}

/// The next holds, and where the walk goes on among them.
fn holds(
    conn: &mut PgConnection,
    walk: &Walk,
    step: i16,
    limit: i64,
) -> QueryResult<(Page, Option<Walk>)> {
    const OF: &str = "\
        SELECT id, create_time, record_time FROM holds \
        WHERE tenant_id = $1 AND account_id = $2 AND create_time >= $3 \
            AND (create_time > $3 OR id > $4) ORDER BY create_time, id LIMIT $5";
    const TOWARDS: &str = "\
        SELECT id, create_time, record_time FROM holds \
        WHERE tenant_id = $1 AND destination_id = $2 AND create_time >= $3 \
            AND (create_time > $3 OR id > $4) ORDER BY create_time, id LIMIT $5";
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = Uuid)]
        id: HoldId,
        #[diesel(sql_type = Timestamptz)]
        create_time: Timestamp,
        #[diesel(sql_type = Timestamptz)]
        record_time: Timestamp,
    }
    let binds = (
        walk.tenant_id.into_sql::<Uuid>(),
        walk.account_id.into_sql::<Uuid>(),
        walk.hold_time.into_sql::<Timestamptz>(),
        walk.hold_id.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let page = if step == HOLDS { OF } else { TOWARDS };
    let found: Vec<Found> = statement(page, binds).load(conn)?;
    let behind =
        |last: &Found| Walk { hold_time: last.create_time, hold_id: last.id, ..walk.clone() };
    let next = found.last().map(behind);
    let holds = found.into_iter().map(|one| (one.id, one.record_time)).collect();
    Ok((Page { transactions: Vec::new(), holds }, next))
}
