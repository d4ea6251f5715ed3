//! `customers`.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::customers;
use super::{customer_external_ids, customer_labels};
use crate::domain::{Customer, CustomerId, CustomerKind, CustomerState, Kyc, KycState};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = customers)]
pub(super) struct Row {
    tenant_id: TenantId,
    id: CustomerId,
    kind: i16,
    state: i16,
    version: i64,
    create_time: Timestamp,
    update_time: Timestamp,
    kyc_state: i16,
    kyc_level: i16,
    kyc_expire_time: Option<Timestamp>,
    kyc_update_time: Option<Timestamp>,
    profile_version: i64,
    close_time: Option<Timestamp>,
    erase_time: Option<Timestamp>,
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
            kyc_state: customer.kyc.state.number(),
            kyc_level: customer.kyc.level,
            kyc_expire_time: customer.kyc.expire_time,
            kyc_update_time: customer.kyc.update_time,
            profile_version: customer.profile_version,
            close_time: customer.close_time,
            erase_time: customer.erase_time,
        }
    }

    fn customer(
        self,
        labels: BTreeMap<String, String>,
        external_ids: BTreeMap<String, String>,
    ) -> Result<Customer, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        let state = KycState::from_number(self.kyc_state).ok_or_else(|| fault("KYC state"))?;
        Ok(Customer {
            id: self.id,
            kind: CustomerKind::from_number(self.kind).ok_or_else(|| fault("kind"))?,
            state: CustomerState::from_number(self.state).ok_or_else(|| fault("state"))?,
            kyc: Kyc {
                state,
                level: self.kyc_level,
                expire_time: self.kyc_expire_time,
                update_time: self.kyc_update_time,
            },
            profile_version: self.profile_version,
            labels,
            external_ids,
            version: self.version,
            create_time: self.create_time,
            update_time: self.update_time,
            close_time: self.close_time,
            erase_time: self.erase_time,
        })
    }
}

/// Inserts a customer with its labels, but without its external ids; false where the id is in use.
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
    customer_labels::insert(conn, tenant, customer)?;
    Ok(true)
}

/// Reads a customer.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let rows = customers::table.find((tenant, id)).select(Row::as_select()).load(conn)?;
    Ok(complete(conn, tenant, rows)?.pop())
}

/// Reads those of some customers that there are.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[CustomerId],
) -> Result<BTreeMap<CustomerId, Customer>, DbError> {
    let rows = customers::table
        .filter(customers::tenant_id.eq(tenant))
        .filter(customers::id.eq_any(ids))
        .select(Row::as_select())
        .load(conn)?;
    let customers = complete(conn, tenant, rows)?.into_iter();
    Ok(customers.map(|customer| (customer.id, customer)).collect())
}

/// Reads those of some customers that there are, as far as rules need them: their labels and
/// external ids are left out.
pub(crate) fn select_bare(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[CustomerId],
) -> Result<BTreeMap<CustomerId, Customer>, DbError> {
    let rows: Vec<Row> = customers::table
        .filter(customers::tenant_id.eq(tenant))
        .filter(customers::id.eq_any(ids))
        .select(Row::as_select())
        .load(conn)?;
    let bare = |row: Row| row.customer(BTreeMap::new(), BTreeMap::new());
    rows.into_iter().map(bare).map(|one| one.map(|one| (one.id, one))).collect()
}

/// Reads a customer to change it.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let row = customers::table.find((tenant, id)).select(Row::as_select());
    let rows = row.for_no_key_update().load(conn)?;
    Ok(complete(conn, tenant, rows)?.pop())
}

/// Reads a customer, as far as rules need it, and keeps it as it is until the end of the
/// transaction: its labels and external ids are left out.
pub(crate) fn hold(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> Result<Option<Customer>, DbError> {
    let row = customers::table.find((tenant, id)).select(Row::as_select());
    let row: Option<Row> = row.for_share().first(conn).optional()?;
    row.map(|row| row.customer(BTreeMap::new(), BTreeMap::new())).transpose()
}

/// Adds labels and external ids to rows, in one statement each for all of them.
pub(super) fn complete(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<Row>,
) -> Result<Vec<Customer>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
    let mut labels = customer_labels::select(conn, tenant, &ids)?;
    let mut external_ids = customer_external_ids::select(conn, tenant, &ids)?;
    let complete = |row: Row| {
        let labels = labels.remove(&row.id).unwrap_or_default();
        let external_ids = external_ids.remove(&row.id).unwrap_or_default();
        row.customer(labels, external_ids)
    };
    rows.into_iter().map(complete).collect()
}

/// Writes a locked customer back, without its labels and external ids.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: &Customer,
) -> QueryResult<()> {
    diesel::update(customers::table.find((tenant, customer.id)))
        .set((
            customers::state.eq(customer.state.number()),
            customers::version.eq(customer.version),
            customers::update_time.eq(customer.update_time),
            customers::kyc_state.eq(customer.kyc.state.number()),
            customers::kyc_level.eq(customer.kyc.level),
            customers::kyc_expire_time.eq(customer.kyc.expire_time),
            customers::kyc_update_time.eq(customer.kyc.update_time),
            customers::profile_version.eq(customer.profile_version),
            customers::close_time.eq(customer.close_time),
            customers::erase_time.eq(customer.erase_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Writes down that approvals have passed, the longest ago first, and gives their customers. Their
/// versions stay: by the clock nothing changes.
pub(crate) fn expire(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Customer>, DbError> {
    let rows = customers::table
        .filter(customers::tenant_id.eq(tenant))
        // As the index has it: a bound value would say nothing of it to a plan for all values.
        .filter(sql::<Bool>("kyc_state = 3"))
        .filter(customers::kyc_expire_time.le(now))
        .order(customers::kyc_expire_time)
        .limit(limit)
        .select(Row::as_select())
        .for_no_key_update()
        .skip_locked()
        .load(conn)?;
    let mut expired = complete(conn, tenant, rows)?;
    for customer in &mut expired {
        customer.kyc.state = KycState::Expired;
        update(conn, tenant, customer)?;
    }
    Ok(expired)
}

/// Has the records service told, from a time on, for how long the data of a closed customer is
/// needed.
pub(crate) fn retain_from(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
    due: Timestamp,
) -> QueryResult<()> {
    diesel::update(customers::table.find((tenant, id)))
        .set(customers::retain_due_time.eq(due))
        .execute(conn)?;
    Ok(())
}

/// Closed customers of whom the records service is to be told by now, with when they were closed.
/// No other replica takes them until `until`.
pub(crate) fn take_retained(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> QueryResult<Vec<(CustomerId, Option<Timestamp>)>> {
    let due: Vec<(CustomerId, Option<Timestamp>)> = customers::table
        .filter(customers::tenant_id.eq(tenant))
        .filter(customers::retain_due_time.le(now))
        .order(customers::retain_due_time)
        .limit(limit)
        .select((customers::id, customers::close_time))
        .for_no_key_update()
        .skip_locked()
        .load(conn)?;
    for (id, _) in &due {
        retain_from(conn, tenant, *id, until)?;
    }
    Ok(due)
}

/// Says that the records service knows.
pub(crate) fn retained(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: CustomerId,
) -> QueryResult<()> {
    diesel::update(customers::table.find((tenant, id)))
        .set(customers::retain_due_time.eq(None::<Timestamp>))
        .execute(conn)?;
    Ok(())
}
