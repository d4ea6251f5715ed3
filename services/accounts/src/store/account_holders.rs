//! `account_holders`.

use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::{account_holders, accounts};
use crate::domain::{
    Account, AccountId, AccountState, CustomerId, Holder, HolderPosition, Role, Span,
};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = account_holders)]
struct Row {
    tenant_id: TenantId,
    account_id: AccountId,
    customer_id: CustomerId,
    role: i16,
    start_time: Timestamp,
    end_time: Option<Timestamp>,
    create_time: Timestamp,
    account_create_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, account: &Account, holder: &Holder) -> Self {
        Self {
            tenant_id: tenant,
            account_id: account.id,
            customer_id: holder.customer,
            role: holder.role.number(),
            start_time: holder.span.start,
            end_time: holder.span.end,
            create_time: holder.create_time,
            account_create_time: account.create_time,
        }
    }

    fn holder(self) -> Result<Holder, DbError> {
        let fault =
            || DbError::Fault(format!("a holder of {} has no usable role", self.account_id));
        Ok(Holder {
            account: self.account_id,
            customer: self.customer_id,
            role: Role::from_number(self.role).ok_or_else(fault)?,
            span: Span { start: self.start_time, end: self.end_time },
            create_time: self.create_time,
        })
    }
}

/// Inserts somebody who has never held an account that is new or locked.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
    holder: &Holder,
) -> QueryResult<()> {
    let row = Row::new(tenant, account, holder);
    diesel::insert_into(account_holders::table).values(row).execute(conn)?;
    Ok(())
}

/// Writes a holder of a locked account back.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    holder: &Holder,
) -> QueryResult<()> {
    diesel::update(account_holders::table.find((tenant, holder.account, holder.customer)))
        .set((
            account_holders::role.eq(holder.role.number()),
            account_holders::start_time.eq(holder.span.start),
            account_holders::end_time.eq(holder.span.end),
        ))
        .execute(conn)?;
    Ok(())
}

/// Reads somebody who holds or held an account.
pub(crate) fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    customer: CustomerId,
) -> Result<Option<Holder>, DbError> {
    let row = account_holders::table.find((tenant, account, customer)).select(Row::as_select());
    let row: Option<Row> = row.first(conn).optional()?;
    row.map(Row::holder).transpose()
}

/// Reads all who hold some accounts, by now or later.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
    now: Timestamp,
) -> Result<Vec<Holder>, DbError> {
    let is_current = account_holders::end_time.is_null().or(account_holders::end_time.gt(now));
    let rows: Vec<Row> = account_holders::table
        .filter(account_holders::tenant_id.eq(tenant))
        .filter(account_holders::account_id.eq_any(ids))
        .filter(is_current)
        .order((account_holders::create_time, account_holders::customer_id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::holder).collect()
}

/// Reads holders of an account behind a position, the oldest first.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    after: Option<&HolderPosition>,
    limit: i64,
) -> Result<Vec<Holder>, DbError> {
    use account_holders::{create_time, customer_id};
    let order = (create_time, customer_id);
    let all = account_holders::table.select(Row::as_select()).order(order).limit(limit);
    let mut query = all
        .into_boxed()
        .filter(account_holders::tenant_id.eq(tenant))
        .filter(account_holders::account_id.eq(account));
    if let Some(after) = after {
        let later = create_time.gt(after.create_time).or(customer_id.gt(after.customer));
        query = query.filter(create_time.ge(after.create_time)).filter(later);
    }
    let rows: Vec<Row> = query.load(conn)?;
    rows.into_iter().map(Row::holder).collect()
}

/// The accounts that what stops a customer stops: not closed, and the customer is an owner or a
/// joint holder by now or later. In the order of their ids.
pub(crate) fn stopped_by(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
    now: Timestamp,
) -> QueryResult<Vec<AccountId>> {
    let is_current = account_holders::end_time.is_null().or(account_holders::end_time.gt(now));
    let held: Vec<AccountId> = account_holders::table
        .filter(account_holders::tenant_id.eq(tenant))
        .filter(account_holders::customer_id.eq(customer))
        .filter(account_holders::role.ne(Role::Viewer.number()))
        .filter(is_current)
        .select(account_holders::account_id)
        .load(conn)?;
    accounts::table
        .filter(accounts::tenant_id.eq(tenant))
        .filter(accounts::id.eq_any(held))
        .filter(accounts::state.ne(AccountState::Closed.number()))
        .order(accounts::id)
        .select(accounts::id)
        .load(conn)
}

/// Those of some accounts that a customer holds now, in whatever role.
pub(crate) fn holds(
    conn: &mut PgConnection,
    tenant: TenantId,
    customer: CustomerId,
    ids: &[AccountId],
    now: Timestamp,
) -> QueryResult<Vec<AccountId>> {
    let is_current = account_holders::end_time.is_null().or(account_holders::end_time.gt(now));
    account_holders::table
        .filter(account_holders::tenant_id.eq(tenant))
        .filter(account_holders::customer_id.eq(customer))
        .filter(account_holders::account_id.eq_any(ids))
        .filter(account_holders::start_time.le(now))
        .filter(is_current)
        .select(account_holders::account_id)
        .load(conn)
}
