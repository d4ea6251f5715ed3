//! The table of outcomes.

use std::collections::{BTreeMap, HashMap};

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{Array, Binary, Nullable, SmallInt, Text, Timestamptz, Uuid};

use super::{Request, Settled};
use crate::db::statement;
use crate::ids::TenantId;
use crate::problem::{Problem, Reason, reason_from_name, reason_name};
use crate::time::Timestamp;

diesel::table! {
    outcomes (tenant_id, operation, request_id) {
        tenant_id -> Uuid,
        operation -> Text,
        request_id -> Text,
        request_hash -> Binary,
        state -> SmallInt,
        resource -> Nullable<Text>,
        reason -> Nullable<Text>,
        message -> Nullable<Text>,
        figures -> Nullable<Text>,
        principal -> Text,
        trace_id -> Text,
        create_time -> Timestamptz,
        settle_time -> Nullable<Timestamptz>,
        lease_time -> Nullable<Timestamptz>,
        account -> Nullable<Text>,
    }
}

/// Where a write stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeState {
    /// Fenced: it has not happened and never will.
    Unknown,
    /// Begun, and not settled.
    InProgress,
    /// It happened.
    Succeeded,
    /// Refused by a rule of business.
    Rejected,
}

impl OutcomeState {
    fn column(self) -> i16 {
        match self {
            Self::Unknown => 1,
            Self::InProgress => 2,
            Self::Succeeded => 3,
            Self::Rejected => 4,
        }
    }

    fn from_column(column: i16) -> Self {
        match column {
            2 => Self::InProgress,
            3 => Self::Succeeded,
            4 => Self::Rejected,
            _ => Self::Unknown,
        }
    }
}

#[derive(Debug, Default, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = outcomes)]
pub(super) struct Row {
    tenant_id: uuid::Uuid,
    operation: String,
    request_id: String,
    request_hash: Vec<u8>,
    state: i16,
    resource: Option<String>,
    reason: Option<String>,
    message: Option<String>,
    figures: Option<String>,
    principal: String,
    trace_id: String,
    create_time: Timestamp,
    settle_time: Option<Timestamp>,
    lease_time: Option<Timestamp>,
}

impl Row {
    fn new(request: &Request, state: OutcomeState) -> Self {
        Self {
            tenant_id: request.tenant.uuid(),
            operation: request.operation.clone(),
            request_id: request.request_id.clone(),
            request_hash: request.hash.clone(),
            state: state.column(),
            principal: request.principal.clone(),
            trace_id: request.trace_id.clone(),
            create_time: request.time,
            settle_time: (state != OutcomeState::InProgress).then_some(request.time),
            ..Self::default()
        }
    }

    fn insert(&self, conn: &mut PgConnection) -> QueryResult<bool> {
        let inserted = diesel::insert_into(outcomes::table).values(self).on_conflict_do_nothing();
        Ok(inserted.execute(conn)? == 1)
    }
}

/// What became of a write.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The operation.
    pub operation: String,
    /// The id.
    pub request_id: String,
    /// Where it stands.
    pub state: OutcomeState,
    /// What it made; empty where it made nothing.
    pub resource: String,
    /// Why it was refused.
    pub reason: Option<Reason>,
    /// The refusal in words.
    pub message: String,
    /// The figures of the refusal.
    pub figures: BTreeMap<String, String>,
    /// Who asked.
    pub principal: String,
    /// The trace of the first request.
    pub trace_id: String,
    /// When the id was claimed.
    pub create_time: Timestamp,
    /// When it was settled.
    pub settle_time: Option<Timestamp>,
}

impl Outcome {
    /// How it ended; `REQUEST_IN_PROGRESS` where it has not.
    pub fn result(&self) -> Result<(), Problem> {
        match self.state {
            OutcomeState::Succeeded => Ok(()),
            OutcomeState::Rejected => Err(self.rejection()),
            OutcomeState::InProgress | OutcomeState::Unknown => Err(super::in_progress()),
        }
    }

    /// The refusal, as it was answered the first time.
    pub(super) fn rejection(&self) -> Problem {
        let reason = self.reason.unwrap_or(Reason::Internal);
        let mut problem = Problem::new(reason, self.message.clone());
        problem.figures.clone_from(&self.figures);
        problem
    }
}

impl From<Row> for Outcome {
    fn from(row: Row) -> Self {
        let figures = row.figures.and_then(|text| serde_json::from_str(&text).ok());
        Self {
            operation: row.operation,
            request_id: row.request_id,
            state: OutcomeState::from_column(row.state),
            resource: row.resource.unwrap_or_default(),
            reason: row.reason.as_deref().and_then(reason_from_name),
            message: row.message.unwrap_or_default(),
            figures: figures.unwrap_or_default(),
            principal: row.principal,
            trace_id: row.trace_id,
            create_time: row.create_time,
            settle_time: row.settle_time,
        }
    }
}

/// An outcome with what a claim compares.
#[derive(Debug, Clone)]
pub struct Found {
    /// The outcome.
    pub outcome: Outcome,
    pub(super) hash: Vec<u8>,
    pub(super) lease: Option<Timestamp>,
}

impl From<Row> for Found {
    fn from(row: Row) -> Self {
        let (hash, lease) = (row.request_hash.clone(), row.lease_time);
        Self { outcome: row.into(), hash, lease }
    }
}

/// Inserts a claim; false where the id is taken. Waits for a claim that is not yet committed.
pub(super) fn insert(
    conn: &mut PgConnection,
    request: &Request,
    resource: &str,
    state: OutcomeState,
    lease: Option<Timestamp>,
) -> QueryResult<bool> {
    let mut row = Row::new(request, state);
    row.resource = Some(resource.to_owned());
    row.lease_time = lease;
    row.insert(conn)
}

/// Inserts a refusal; false where the id is taken.
pub(super) fn insert_rejected(
    conn: &mut PgConnection,
    request: &Request,
    problem: &Problem,
) -> QueryResult<bool> {
    let mut row = Row::new(request, OutcomeState::Rejected);
    row.reason = Some(reason_name(problem.reason).to_owned());
    row.message = Some(problem.message.clone());
    row.figures = serde_json::to_string(&problem.figures).ok();
    let inserted = diesel::insert_into(outcomes::table)
        .values((&row, outcomes::account.eq(account(problem))))
        .on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// The account that a refusal is about, by which refusals are listed.
fn account(problem: &Problem) -> Option<String> {
    problem.figures.get("account").cloned()
}

fn key(
    tenant: TenantId,
    operation: &str,
    request_id: &str,
) -> diesel::helper_types::Find<outcomes::table, (TenantId, String, String)> {
    outcomes::table.find((tenant, operation.to_owned(), request_id.to_owned()))
}

/// Reads an outcome and locks it, so that two repeats do not both take over a passed lease.
pub(super) fn select_for_claim(conn: &mut PgConnection, request: &Request) -> QueryResult<Found> {
    let row: Row = key(request.tenant, &request.operation, &request.request_id)
        .select(Row::as_select())
        .for_update()
        .first(conn)?;
    Ok(row.into())
}

/// Sets the lease.
pub(super) fn renew(
    conn: &mut PgConnection,
    request: &Request,
    lease: Option<Timestamp>,
) -> QueryResult<()> {
    diesel::update(key(request.tenant, &request.operation, &request.request_id))
        .filter(outcomes::state.eq(OutcomeState::InProgress.column()))
        .set(outcomes::lease_time.eq(lease))
        .execute(conn)?;
    Ok(())
}

/// Settles what is in progress as succeeded.
pub(super) fn succeed(
    conn: &mut PgConnection,
    tenant: TenantId,
    operation: &str,
    request_id: &str,
    time: Timestamp,
) -> QueryResult<()> {
    diesel::update(key(tenant, operation, request_id))
        .filter(outcomes::state.eq(OutcomeState::InProgress.column()))
        .set((
            outcomes::state.eq(OutcomeState::Succeeded.column()),
            outcomes::settle_time.eq(time),
            outcomes::lease_time.eq(None::<Timestamp>),
        ))
        .execute(conn)?;
    Ok(())
}

/// Settles what is in progress as rejected.
pub fn reject(
    conn: &mut PgConnection,
    tenant: TenantId,
    operation: &str,
    request_id: &str,
    problem: &Problem,
    time: Timestamp,
) -> QueryResult<()> {
    diesel::update(key(tenant, operation, request_id))
        .filter(outcomes::state.eq(OutcomeState::InProgress.column()))
        .set((
            outcomes::state.eq(OutcomeState::Rejected.column()),
            outcomes::reason.eq(reason_name(problem.reason)),
            outcomes::message.eq(&problem.message),
            outcomes::figures.eq(serde_json::to_string(&problem.figures).ok()),
            outcomes::account.eq(account(problem)),
            outcomes::resource.eq(None::<String>),
            outcomes::settle_time.eq(time),
            outcomes::lease_time.eq(None::<Timestamp>),
        ))
        .execute(conn)?;
    Ok(())
}

/// Waits for others who are about to settle the same outcome, until the end of the transaction.
pub fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    operation: &str,
    request_id: &str,
) -> QueryResult<()> {
    let locked: Vec<i16> = key(tenant, operation, request_id)
        .select(outcomes::state)
        .for_no_key_update()
        .load(conn)?;
    drop(locked);
    Ok(())
}

/// Reads an outcome.
pub fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    operation: &str,
    request_id: &str,
) -> QueryResult<Option<Outcome>> {
    let row = key(tenant, operation, request_id).select(Row::as_select()).first(conn).optional()?;
    Ok(row.map(Row::into))
}

/// Claims an id for nobody, so that a late original is refused; nothing where the id is taken.
pub fn fence(conn: &mut PgConnection, request: &Request) -> QueryResult<()> {
    Row::new(request, OutcomeState::Unknown).insert(conn)?;
    Ok(())
}

/// Reads the outcomes of a batch's operations and request ids. Takes no locks. One look-up for
/// each, whatever the planner believes of the table: a join once read all of it for each batch.
pub fn find_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    keys: &[(&str, &str)],
) -> QueryResult<HashMap<(String, String), Found>> {
    // Not `o.*`: a statement that is prepared fails once a later migration adds a column.
    const FIND: &str = "\
        SELECT o.tenant_id, o.operation, o.request_id, o.request_hash, o.state, o.resource, \
            o.reason, o.message, o.figures, o.principal, o.trace_id, o.create_time, \
            o.settle_time, o.lease_time \
        FROM unnest($2, $3) AS n (operation, request_id), \
        LATERAL (SELECT * FROM outcomes WHERE tenant_id = $1 AND operation = n.operation \
            AND request_id = n.request_id LIMIT 1) o";
    let (operations, request_ids): (Vec<&str>, Vec<&str>) = keys.iter().copied().unzip();
    let binds = (
        tenant.into_sql::<Uuid>(),
        operations.into_sql::<Array<Text>>(),
        request_ids.into_sql::<Array<Text>>(),
    );
    let rows: Vec<Row> = statement(FIND, binds).load(conn)?;
    let key = |row: &Row| (row.operation.clone(), row.request_id.clone());
    Ok(rows.into_iter().map(|row| (key(&row), row.into())).collect())
}

/// The statement that inserts what a batch decided, over the binds of `insertion`. A writer with
/// more to write makes it a part of its own statement, which saves a round trip. In FROM each array
/// would be copied into a store of its own first.
pub const INSERT: &str = "\
    INSERT INTO outcomes (tenant_id, operation, request_id, request_hash, state, resource, \
        reason, message, figures, account, principal, trace_id, create_time, settle_time) \
    SELECT n.*, n.time FROM (SELECT unnest($1), unnest($2), unnest($3), unnest($4), unnest($5), \
        unnest($6), unnest($7), unnest($8), unnest($9), unnest($10), unnest($11), unnest($12), \
        unnest($13) AS time) n";

/// The binds of `INSERT`.
pub fn insertion<'a>(settled: &'a [Settled<'a>]) -> impl QueryFragment<Pg> + use<'a> {
    fn column<'a, T>(settled: &'a [Settled<'a>], value: impl Fn(&'a Settled<'a>) -> T) -> Vec<T> {
        settled.iter().map(value).collect()
    }
    fn refusal<'a>(settled: &'a Settled<'a>) -> Option<&'a Problem> {
        settled.result.as_ref().err()
    }
    let state = |one: &Settled<'_>| match one.result {
        Ok(_) => OutcomeState::Succeeded.column(),
        Err(_) => OutcomeState::Rejected.column(),
    };
    let figures = |problem: &Problem| serde_json::to_string(&problem.figures).unwrap_or_default();
    (
        column(settled, |s| s.request.tenant).into_sql::<Array<Uuid>>(),
        column(settled, |s| &*s.request.operation).into_sql::<Array<Text>>(),
        column(settled, |s| &*s.request.request_id).into_sql::<Array<Text>>(),
        column(settled, |s| &*s.request.hash).into_sql::<Array<Binary>>(),
        column(settled, state).into_sql::<Array<SmallInt>>(),
        column(settled, |s| s.result.as_deref().ok()).into_sql::<Array<Nullable<Text>>>(),
        column(settled, |s| refusal(s).map(|problem| reason_name(problem.reason)))
            .into_sql::<Array<Nullable<Text>>>(),
        column(settled, |s| refusal(s).map(|problem| &*problem.message))
            .into_sql::<Array<Nullable<Text>>>(),
        column(settled, |s| refusal(s).map(figures)).into_sql::<Array<Nullable<Text>>>(),
        column(settled, |s| refusal(s).and_then(account)).into_sql::<Array<Nullable<Text>>>(),
        column(settled, |s| &*s.request.principal).into_sql::<Array<Text>>(),
        column(settled, |s| &*s.request.trace_id).into_sql::<Array<Text>>(),
        column(settled, |s| s.request.time).into_sql::<Array<Timestamptz>>(),
    )
}

/// Inserts what a batch decided. An id that another transaction has claimed meanwhile is a unique
/// violation: the whole batch is to be decided again.
pub fn insert_all(conn: &mut PgConnection, settled: &[Settled<'_>]) -> QueryResult<()> {
    if !settled.is_empty() {
        statement(INSERT, insertion(settled)).execute(conn)?;
    }
    Ok(())
}
