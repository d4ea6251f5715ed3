//! `ledger_intents`: what the ledger shall know of an account, kept until the ledger has it.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::outcome;
use shared::time::Timestamp;

use super::schema::ledger_intents;
use crate::domain::AccountId;

const PENDING: i16 = 1;
const ACKNOWLEDGED: i16 = 2;

/// The version with which an account is registered.
pub(crate) const REGISTRATION: i64 = 1;

/// What the ledger shall know of an account as of a version, and the request that asked for it.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = ledger_intents)]
pub(crate) struct Intent {
    /// The account.
    pub(crate) account_id: AccountId,
    /// The version of its controls.
    pub(crate) version: i64,
    /// The operation whose outcome the acknowledgement settles.
    pub(crate) operation: String,
    /// Its request id.
    pub(crate) request_id: String,
    /// How often the reconciler has tried.
    pub(crate) attempts: i32,
}

impl Intent {
    /// The registration of an account that a request asks for.
    pub(crate) fn registration(account: AccountId, request: &outcome::Request) -> Self {
        Self {
            account_id: account,
            version: REGISTRATION,
            operation: request.operation.clone(),
            request_id: request.request_id.clone(),
            attempts: 0,
        }
    }

    /// The request whose outcome the acknowledgement settles at a time.
    pub(crate) fn settles(&self, tenant: TenantId, time: Timestamp) -> outcome::Request {
        outcome::Request {
            tenant,
            operation: self.operation.clone(),
            request_id: self.request_id.clone(),
            // Only a claim has these.
            hash: Vec::new(),
            principal: String::new(),
            trace_id: String::new(),
            time,
        }
    }
}

/// Inserts an intent that the reconciler leaves alone until it is due.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    intent: &Intent,
    now: Timestamp,
    due: Timestamp,
) -> QueryResult<()> {
    diesel::insert_into(ledger_intents::table)
        .values((
            ledger_intents::tenant_id.eq(tenant),
            ledger_intents::account_id.eq(intent.account_id),
            ledger_intents::version.eq(intent.version),
            ledger_intents::state.eq(PENDING),
            ledger_intents::operation.eq(&intent.operation),
            ledger_intents::request_id.eq(&intent.request_id),
            ledger_intents::attempts.eq(intent.attempts),
            ledger_intents::due_time.eq(due),
            ledger_intents::create_time.eq(now),
        ))
        .execute(conn)?;
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
    let due: Vec<Intent> = ledger_intents::table
        .filter(ledger_intents::tenant_id.eq(tenant))
        .filter(ledger_intents::state.eq(PENDING))
        .filter(ledger_intents::due_time.le(now))
        .order(ledger_intents::due_time)
        .limit(limit)
        .select(Intent::as_select())
        .for_update()
        .skip_locked()
        .load(conn)?;
    for intent in &due {
        put_off(conn, tenant, intent, until)?;
    }
    Ok(due)
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

/// Says that the ledger has an intent, and with it all that came before: each is full state.
pub(crate) fn acknowledge(
    conn: &mut PgConnection,
    tenant: TenantId,
    intent: &Intent,
    now: Timestamp,
) -> QueryResult<()> {
    diesel::update(ledger_intents::table)
        .filter(ledger_intents::tenant_id.eq(tenant))
        .filter(ledger_intents::account_id.eq(intent.account_id))
        .filter(ledger_intents::version.le(intent.version))
        .filter(ledger_intents::state.eq(PENDING))
        .set((ledger_intents::state.eq(ACKNOWLEDGED), ledger_intents::acknowledge_time.eq(now)))
        .execute(conn)?;
    Ok(())
}
