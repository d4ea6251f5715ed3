//! `customer_labels`: the callers' own keys and values, where they can be redacted.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::customer_labels;
use crate::domain::{Customer, CustomerId};

#[derive(Debug, Insertable)]
#[diesel(table_name = customer_labels)]
struct Row<'a> {
    tenant_id: TenantId,
    customer_id: CustomerId,
    key: &'a str,
    value: &'a str,
    create_time: Timestamp,
}

/// Inserts the labels of a customer that has none.
pub(super) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> QueryResult<()> {
    if customer.labels.is_empty() {
        return Ok(());
    }
    let rows = customer.labels.iter().map(|(key, value)| Row {
        tenant_id: tenant,
        customer_id: customer.id,
        key,
        value,
        create_time: customer.create_time,
    });
    let rows: Vec<Row> = rows.collect();
    diesel::insert_into(customer_labels::table).values(rows).execute(conn)?;
    Ok(())
}

/// Puts the labels of a locked customer in the place of those that it had.
pub(crate) fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> QueryResult<()> {
    delete(conn, tenant, customer.id)?;
    insert(conn, tenant, customer)
}

/// Deletes the labels of a customer.
pub(crate) fn delete(conn: &mut PgConnection, tenant: TenantId, id: CustomerId) -> QueryResult<()> {
    diesel::delete(customer_labels::table)
        .filter(customer_labels::tenant_id.eq(tenant))
        .filter(customer_labels::customer_id.eq(id))
        .execute(conn)?;
    Ok(())
}

/// Reads the labels of some customers.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[CustomerId],
) -> QueryResult<HashMap<CustomerId, BTreeMap<String, String>>> {
    let labels: Vec<(CustomerId, String, String)> = customer_labels::table
        .filter(customer_labels::tenant_id.eq(tenant))
        .filter(customer_labels::customer_id.eq_any(ids))
        .select((customer_labels::customer_id, customer_labels::key, customer_labels::value))
        .load(conn)?;
    let mut of: HashMap<CustomerId, BTreeMap<String, String>> = HashMap::new();
    for (id, key, value) in labels {
        of.entry(id).or_default().insert(key, value);
    }
    Ok(of)
}
