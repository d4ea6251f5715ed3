//! `customer_external_ids`: the callers' own ids, each of one customer.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::problem::{Problem, Reason};

use super::schema::customer_external_ids;
use crate::domain::{Customer, CustomerId};
use crate::error::Error;

#[derive(Debug, Insertable)]
#[diesel(table_name = customer_external_ids)]
struct Row<'a> {
    tenant_id: TenantId,
    kind: &'a str,
    value: &'a str,
    customer_id: CustomerId,
}

/// Inserts the ids of a customer that has none, in one order, so that two writers do not wait for
/// each other: `EXTERNAL_ID_TAKEN` where another customer has one.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> Result<(), Error> {
    let (id, ids) = (customer.id, &customer.external_ids);
    if ids.is_empty() {
        return Ok(());
    }
    let rows =
        ids.iter().map(|(kind, value)| Row { tenant_id: tenant, kind, value, customer_id: id });
    let rows: Vec<Row> = rows.collect();
    let insert = diesel::insert_into(customer_external_ids::table).values(&rows);
    if insert.on_conflict_do_nothing().execute(conn)? == rows.len() {
        return Ok(());
    }
    check(conn, tenant, customer)?;
    let message = "Another customer gave an external id back at the same time.";
    Err(Problem::new(Reason::Contention, message).into())
}

/// `EXTERNAL_ID_TAKEN` where another customer has one of the ids.
pub(crate) fn check(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> Result<(), Error> {
    for (kind, value) in &customer.external_ids {
        let holder = holder(conn, tenant, kind, value)?;
        if let Some(holder) = holder.filter(|holder| *holder != customer.id) {
            return Err(Error::ExternalIdTaken { kind: kind.clone(), holder: holder.name() });
        }
    }
    Ok(())
}

/// Puts the ids of a locked customer in the place of those that it had.
pub(crate) fn replace(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> Result<(), Error> {
    delete(conn, tenant, customer.id)?;
    insert(conn, tenant, customer)
}

/// Deletes the ids of a customer.
pub(crate) fn delete(conn: &mut PgConnection, tenant: TenantId, id: CustomerId) -> QueryResult<()> {
    diesel::delete(customer_external_ids::table)
        .filter(customer_external_ids::tenant_id.eq(tenant))
        .filter(customer_external_ids::customer_id.eq(id))
        .execute(conn)?;
    Ok(())
}

/// The customer that has an id.
pub(crate) fn holder(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    value: &str,
) -> QueryResult<Option<CustomerId>> {
    customer_external_ids::table
        .find((tenant, kind, value))
        .select(customer_external_ids::customer_id)
        .first(conn)
        .optional()
}

/// Reads the ids of some customers.
pub(super) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[CustomerId],
) -> QueryResult<HashMap<CustomerId, BTreeMap<String, String>>> {
    use customer_external_ids::{self as columns, table};
    let found: Vec<(CustomerId, String, String)> = table
        .filter(columns::tenant_id.eq(tenant))
        .filter(columns::customer_id.eq_any(ids))
        .select((columns::customer_id, columns::kind, columns::value))
        .load(conn)?;
    let mut of: HashMap<CustomerId, BTreeMap<String, String>> = HashMap::new();
    for (id, kind, value) in found {
        of.entry(id).or_default().insert(kind, value);
    }
    Ok(of)
}
