//! `account_external_ids`: the callers' own ids, each of one account.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::problem::{Problem, Reason};

use super::schema::account_external_ids;
use crate::domain::{Account, AccountId};
use crate::error::Error;

#[derive(Debug, Insertable)]
#[diesel(table_name = account_external_ids)]
struct Row<'a> {
    tenant_id: TenantId,
    kind: &'a str,
    value: &'a str,
    account_id: AccountId,
}

/// Inserts the ids of an account that has none, in one order, so that two writers do not wait for
/// each other: `EXTERNAL_ID_TAKEN` where another account has one.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> Result<(), Error> {
    let (id, ids) = (account.id, &account.terms.external_ids);
    if ids.is_empty() {
        return Ok(());
    }
    let rows =
        ids.iter().map(|(kind, value)| Row { tenant_id: tenant, kind, value, account_id: id });
    let rows: Vec<Row> = rows.collect();
    let insert = diesel::insert_into(account_external_ids::table).values(&rows);
    if insert.on_conflict_do_nothing().execute(conn)? == rows.len() {
        return Ok(());
    }
    check(conn, tenant, account)?;
    let message = "Another account gave an external id back at the same time.";
    Err(Problem::new(Reason::Contention, message).into())
}

/// `EXTERNAL_ID_TAKEN` where another account has one of the ids.
pub(crate) fn check(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> Result<(), Error> {
    for (kind, value) in &account.terms.external_ids {
        let holder = holder(conn, tenant, kind, value)?;
        if let Some(holder) = holder.filter(|holder| *holder != account.id) {
            return Err(Error::ExternalIdTaken { kind: kind.clone(), holder: holder.name() });
        }
    }
    Ok(())
}

/// Puts the ids of a locked account in the place of those that it had.
pub(crate) fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> Result<(), Error> {
    delete(conn, tenant, account.id)?;
    insert(conn, tenant, account)
}

/// Deletes the ids of an account.
fn delete(conn: &mut PgConnection, tenant: TenantId, id: AccountId) -> QueryResult<()> {
    diesel::delete(account_external_ids::table)
        .filter(account_external_ids::tenant_id.eq(tenant))
        .filter(account_external_ids::account_id.eq(id))
        .execute(conn)?;
    Ok(())
}

/// The account that has an id.
pub(crate) fn holder(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    value: &str,
) -> QueryResult<Option<AccountId>> {
    account_external_ids::table
        .find((tenant, kind, value))
        .select(account_external_ids::account_id)
        .first(conn)
        .optional()
}

/// Reads the ids of some accounts.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
) -> QueryResult<HashMap<AccountId, BTreeMap<String, String>>> {
    use account_external_ids::{self as columns, table};
    let found: Vec<(AccountId, String, String)> = table
        .filter(columns::tenant_id.eq(tenant))
        .filter(columns::account_id.eq_any(ids))
        .select((columns::account_id, columns::kind, columns::value))
        .load(conn)?;
    let mut of: HashMap<AccountId, BTreeMap<String, String>> = HashMap::new();
    for (id, kind, value) in found {
        of.entry(id).or_default().insert(kind, value);
    }
    Ok(of)
}
