//! `customers`.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::customer_labels;
use super::schema::customers;
use crate::domain::{Customer, CustomerId, CustomerKind, CustomerState};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = customers)]
struct Row {
    tenant_id: TenantId,
    id: CustomerId,
    kind: i16,
    state: i16,
    version: i64,
    create_time: Timestamp,
    update_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, customer: &Customer) -> Self {
        Self {
            tenant_id: tenant,
            id: customer.id,
            kind: customer.kind.number(),
            state: customer.state.number(),
            version: customer.version,
            create_time: customer.create_time,
            update_time: customer.update_time,
        }
    }

    fn customer(self, labels: BTreeMap<String, String>) -> Result<Customer, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        Ok(Customer {
            id: self.id,
            kind: CustomerKind::from_number(self.kind).ok_or_else(|| fault("kind"))?,
            state: CustomerState::from_number(self.state).ok_or_else(|| fault("state"))?,
            labels,
            version: self.version,
            create_time: self.create_time,
            update_time: self.update_time,
        })
    }
}

/// Inserts a customer with its labels; false where the id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(customers::table)
        .values(Row::new(tenant, customer))
        .on_conflict_do_nothing()
        .execute(conn)?;
    if inserted == 0 {
        return Ok(false);
    }
    customer_labels::insert(conn, tenant, customer.id, &customer.labels)?;
    Ok(true)
}

/// Reads a customer.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let row = customers::table.find((tenant, id)).select(Row::as_select());
    let row = row.first(conn).optional()?;
    row.map(|row| complete(conn, tenant, row)).transpose()
}

/// Reads a customer to change it.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let row = customers::table.find((tenant, id)).select(Row::as_select());
    let row = row.for_no_key_update().first(conn).optional()?;
    row.map(|row| complete(conn, tenant, row)).transpose()
}

/// Reads a customer and keeps it as it is until the end of the transaction.
pub(crate) fn hold(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let row = customers::table.find((tenant, id)).select(Row::as_select());
    let row = row.for_share().first(conn).optional()?;
    row.map(|row| complete(conn, tenant, row)).transpose()
}

fn complete(conn: &mut PgConnection, tenant: TenantId, row: Row) -> Result<Customer, DbError> {
    let labels = customer_labels::select(conn, tenant, row.id)?;
    row.customer(labels)
}

/// Writes the state of a locked customer back.
pub(crate) fn update_state(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> QueryResult<()> {
    diesel::update(customers::table.find((tenant, customer.id)))
        .set((
            customers::state.eq(customer.state.number()),
            customers::version.eq(customer.version),
            customers::update_time.eq(customer.update_time),
        ))
        .execute(conn)?;
    Ok(())
}
