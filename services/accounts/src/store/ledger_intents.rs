//! `ledger_intents`: what the ledger shall know of an account, kept until the ledger has it.

#[cfg(test)]
mod tests;

use diesel::dsl::AsSelect;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{BigInt, Timestamptz, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::{Statement, statement};
use shared::ids::TenantId;
use shared::outcome;
use shared::time::Timestamp;

use super::schema::ledger_intents;
use super::{EARLIEST, accounts};
use crate::domain::AccountId;

const PENDING: i16 = 1;
const ACKNOWLEDGED: i16 = 2;

/// The version with which an account is registered.
pub(crate) const REGISTRATION: i64 = 1;

/// Rows of one statement: the parameters of a statement are numbered with 16 bits.
const ROWS_MAX: usize = 1_000;

/// What the ledger shall know of an account as of a version, and the request that asked for it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = ledger_intents)]
pub(crate) struct Intent {
    /// The account.
    pub(crate) account_id: AccountId,
    /// The version of its controls.
    pub(crate) version: i64,
    /// How often the reconciler has tried.
    pub(crate) attempts: i32,
}

/// What the ledger does not have yet, as it is listed.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = ledger_intents)]
pub(crate) struct Undelivered {
    /// The account.
    pub(crate) account_id: AccountId,
    /// The version of its controls.
    pub(crate) version: i64,
    /// How often the reconciler has tried.
    pub(crate) attempts: i32,
    /// When the reconciler tries next.
    pub(crate) due_time: Option<Timestamp>,
    /// Since when it waits.
    pub(crate) create_time: Timestamp,
}

impl Undelivered {
    /// Where it stands in a list.
    pub(crate) fn position(&self) -> UndeliveredPosition {
        let (create_time, account) = (self.create_time, self.account_id);
        UndeliveredPosition { create_time, account, version: self.version }
    }
}

/// A place in the order of lists: the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct UndeliveredPosition {
    create_time: Timestamp,
    account: AccountId,
    version: i64,
}

/// Before every one.
const FIRST: UndeliveredPosition = UndeliveredPosition {
    create_time: EARLIEST,
    account: AccountId::from_uuid(uuid::Uuid::nil()),
    version: 0,
};

/// For whom the ledger is told something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause<'a> {
    /// The operation whose outcome the acknowledgement settles.
    pub(crate) operation: &'a str,
    /// Its request id; empty where nobody asked.
    pub(crate) request_id: &'a str,
}

impl<'a> Cause<'a> {
    /// What nobody asked for: the ledger has something else.
    const REPAIR: Self = Self { operation: "reconcile", request_id: "" };

    /// What a request asks for.
    pub(crate) fn of(request: &'a outcome::Request) -> Self {
        Self { operation: &request.operation, request_id: &request.request_id }
    }
}

/// Counts a change of what stops some accounts, and has the ledger told of it: by the call until
/// `due`, by the reconciler from then on.
pub(crate) fn change(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
    cause: Cause<'_>,
    now: Timestamp,
    due: Timestamp,
) -> QueryResult<()> {
    let versions = accounts::count_controls(conn, tenant, ids, 0)?;
    insert(conn, tenant, &versions, cause, now, due)
}

/// Has the ledger told anew of an account of which it has something else, of this version.
pub(crate) fn repair(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    seen: i64,
    now: Timestamp,
) -> QueryResult<()> {
    let versions = accounts::count_controls(conn, tenant, &[id], seen)?;
    insert(conn, tenant, &versions, Cause::REPAIR, now, now)
}

/// Has the ledger told of these versions of the controls of accounts.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    versions: &[(AccountId, i64)],
    cause: Cause<'_>,
    now: Timestamp,
    due: Timestamp,
) -> QueryResult<()> {
    let row = |(id, version): &(AccountId, i64)| {
        (
            ledger_intents::tenant_id.eq(tenant),
            ledger_intents::account_id.eq(*id),
            ledger_intents::version.eq(*version),
            ledger_intents::state.eq(PENDING),
            ledger_intents::operation.eq(cause.operation.to_owned()),
            ledger_intents::request_id.eq(cause.request_id.to_owned()),
            ledger_intents::attempts.eq(0),
            ledger_intents::due_time.eq(due),
            ledger_intents::create_time.eq(now),
        )
    };
    for versions in versions.chunks(ROWS_MAX) {
        let rows: Vec<_> = versions.iter().map(row).collect();
        diesel::insert_into(ledger_intents::table).values(rows).execute(conn)?;
    }
    Ok(())
}

/// The accounts of which the ledger does not have what a request asked for, some of them.
pub(crate) fn pending(
    conn: &mut PgConnection,
    tenant: TenantId,
    cause: Cause<'_>,
    limit: i64,
) -> QueryResult<Vec<AccountId>> {
    of(tenant, cause.operation.to_owned(), cause.request_id.to_owned())
        .select(ledger_intents::account_id)
        .order(ledger_intents::account_id)
        .distinct()
        .limit(limit)
        .load(conn)
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(tenant: TenantId, operation: String, request_id: String) -> _ {
    ledger_intents::table
        .filter(ledger_intents::tenant_id.eq(tenant))
        .filter(ledger_intents::request_id.eq(request_id))
        .filter(ledger_intents::operation.eq(operation))
        // Only what is PENDING is ever due, and this proves the condition of the index.
        .filter(ledger_intents::due_time.is_not_null())
}

/// Gives what a request asked for to the reconciler, which goes on at once.
pub(crate) fn hand_over(
    conn: &mut PgConnection,
    tenant: TenantId,
    cause: Cause<'_>,
    now: Timestamp,
) -> QueryResult<()> {
    let of = of(tenant, cause.operation.to_owned(), cause.request_id.to_owned());
    diesel::update(of).set(ledger_intents::due_time.eq(now)).execute(conn)?;
    Ok(())
}

/// Takes intents that are due, the longest due first, and puts them off until `until`, so that no
/// other replica takes them meanwhile.
pub(crate) fn take_due(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Intent>> {
    let due: Vec<Intent> = due(tenant, now, limit).for_update().skip_locked().load(conn)?;
    for intent in &due {
        put_off(conn, tenant, intent, until)?;
    }
    Ok(due)
}

/// Only what is PENDING is ever due.
#[diesel::dsl::auto_type(no_type_alias)]
fn due(tenant: TenantId, now: Timestamp, limit: i64) -> _ {
    let row: AsSelect<Intent, Pg> = Intent::as_select();
    ledger_intents::table
        .filter(ledger_intents::tenant_id.eq(tenant))
        .filter(ledger_intents::due_time.le(now))
        .order(ledger_intents::due_time)
        .limit(limit)
        .select(row)
}

/// Says when the reconciler tries next.
pub(crate) fn put_off(
    conn: &mut PgConnection,
    tenant: TenantId,
    intent: &Intent,
    due: Timestamp,
) -> QueryResult<()> {
    diesel::update(ledger_intents::table.find((tenant, intent.account_id, intent.version)))
        .filter(ledger_intents::state.eq(PENDING))
        .set((ledger_intents::attempts.eq(intent.attempts), ledger_intents::due_time.eq(due)))
        .execute(conn)?;
    Ok(())
}

/// Says that the ledger has a version of the controls of an account, and with it all that came
/// before: each is full state. Gives the operations and request ids that asked for them.
pub(crate) fn acknowledge(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    version: i64,
    now: Timestamp,
) -> QueryResult<Vec<(String, String)>> {
    accounts::acknowledge(conn, tenant, id, version)?;
    diesel::update(ledger_intents::table)
        .filter(ledger_intents::tenant_id.eq(tenant))
        .filter(ledger_intents::account_id.eq(id))
        .filter(ledger_intents::version.le(version))
        .filter(ledger_intents::state.eq(PENDING))
        .set((
            ledger_intents::state.eq(ACKNOWLEDGED),
            ledger_intents::due_time.eq(None::<Timestamp>),
            ledger_intents::acknowledge_time.eq(now),
        ))
        .returning((ledger_intents::operation, ledger_intents::request_id))
        .get_results(conn)
}

/// Reads what the ledger does not have yet behind a position, the oldest first.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<&UndeliveredPosition>,
    limit: i64,
) -> QueryResult<Vec<Undelivered>> {
    undelivered(tenant, after.copied().unwrap_or(FIRST), limit).load(conn)
}

/// The limit is a query, so that the planner does not know it: it would else sort what it takes for
/// a few rows.
fn undelivered(
    tenant: TenantId,
    after: UndeliveredPosition,
    limit: i64,
) -> Statement<impl QueryFragment<Pg> + use<>> {
    const SELECT: &str = "\
        SELECT account_id, version, attempts, due_time, create_time FROM ledger_intents \
        WHERE tenant_id = $1 AND due_time IS NOT NULL \
            AND (create_time, account_id, version) > ($2, $3, $4) \
        ORDER BY create_time, account_id, version LIMIT (SELECT $5)";
    let binds = (
        tenant.into_sql::<Uuid>(),
        after.create_time.into_sql::<Timestamptz>(),
        after.account.into_sql::<Uuid>(),
        after.version.into_sql::<BigInt>(),
        limit.into_sql::<BigInt>(),
    );
    statement(SELECT, binds)
}
