//! `account_labels`: the callers' own keys and values, where they can be redacted.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::ids::TenantId;

use super::schema::account_labels;
use crate::domain::AccountId;

#[derive(Debug, Insertable)]
#[diesel(table_name = account_labels)]
struct Row<'a> {
    tenant_id: TenantId,
    account_id: AccountId,
    key: &'a str,
    value: &'a str,
}

/// Inserts the labels of a new account.
pub(super) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    labels: &BTreeMap<String, String>,
) -> QueryResult<()> {
    if labels.is_empty() {
        return Ok(());
    }
    let rows =
        labels.iter().map(|(key, value)| Row { tenant_id: tenant, account_id: id, key, value });
    let rows: Vec<Row> = rows.collect();
    diesel::insert_into(account_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Reads the labels of accounts, in one statement.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
) -> QueryResult<BTreeMap<AccountId, BTreeMap<String, String>>> {
    let labels: Vec<(AccountId, String, String)> = account_labels::table
        .filter(account_labels::tenant_id.eq(tenant))
        .filter(account_labels::account_id.eq_any(ids))
        .select((account_labels::account_id, account_labels::key, account_labels::value))
        .load(conn)?;
    let mut found: BTreeMap<AccountId, BTreeMap<String, String>> = BTreeMap::new();
    for (id, key, value) in labels {
        found.entry(id).or_default().insert(key, value);
    }
    Ok(found)
}
