//! `customer_labels`: the callers' own keys and values, where they can be redacted.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::ids::TenantId;

use super::schema::customer_labels;
use crate::domain::CustomerId;

#[derive(Debug, Insertable)]
#[diesel(table_name = customer_labels)]
struct Row<'a> {
    tenant_id: TenantId,
    customer_id: CustomerId,
    key: &'a str,
    value: &'a str,
}

/// Inserts the labels of a new customer.
pub(super) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
    labels: &BTreeMap<String, String>,
) -> QueryResult<()> {
    if labels.is_empty() {
        return Ok(());
    }
    let rows =
        labels.iter().map(|(key, value)| Row { tenant_id: tenant, customer_id: id, key, value });
    let rows: Vec<Row> = rows.collect();
    diesel::insert_into(customer_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Reads the labels of a customer.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> QueryResult<BTreeMap<String, String>> {
    let labels: Vec<(String, String)> = customer_labels::table
        .filter(customer_labels::tenant_id.eq(tenant))
        .filter(customer_labels::customer_id.eq(id))
        .select((customer_labels::key, customer_labels::value))
        .load(conn)?;
    Ok(labels.into_iter().collect())
}
