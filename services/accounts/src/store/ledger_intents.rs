//! `ledger_intents`: what the ledger shall know of an account, kept until the ledger has it.

use diesel::dsl::AsSelect;
use diesel::pg::Pg;
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
        .set((
            ledger_intents::state.eq(ACKNOWLEDGED),
            ledger_intents::due_time.eq(None::<Timestamp>),
            ledger_intents::acknowledge_time.eq(now),
        ))
        .execute(conn)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use shared::testing::{TestDatabase, plan};

    use super::*;
    use crate::SERVICE;

    /// One account in four hundred is not registered yet.
    const FILL: &str = "
        SET strongroom.tenant = '{tenant}';
        INSERT INTO accounts
            SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, NULL, 'x', 'EUR', 2, '', 0, 2, 1,
                   now(), now()
            FROM generate_series(1, 4000) n;
        INSERT INTO ledger_intents
            SELECT '{tenant}', id, 1, CASE pending WHEN true THEN 1 ELSE 2 END, 'x', id::text, 0,
                   CASE pending WHEN true THEN now() END, now()
            FROM (SELECT id, row_number() OVER () % 400 = 0 AS pending FROM accounts) a;
        ANALYZE ledger_intents;";

    #[test]
    fn what_is_due_is_found_without_what_is_done() {
        let database = TestDatabase::new(SERVICE.schema);
        let tenant = database.tenant();
        let fill = FILL.replace("{tenant}", &tenant.uuid().to_string());
        database.owner().batch_execute(&fill).unwrap();
        let plan = plan(&database, tenant, due(tenant, Timestamp::from_micros(1), 16));
        assert!(plan.contains("using ledger_intents_due "), "{plan}");
        assert!(plan.contains("due_time <="), "{plan}");
    }
}
