//! `accounts`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::Timestamp;

use super::account_labels;
use super::schema::accounts;
use crate::domain::{
    Account, AccountClass, AccountFilter, AccountId, AccountState, CustomerId, Holder, NewAccount,
    Overdraft, Position,
};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = accounts)]
struct Row {
    tenant_id: TenantId,
    id: AccountId,
    customer_id: Option<CustomerId>,
    product: String,
    currency: String,
    class: i16,
    gl_code: String,
    overdraft_limit: Option<Units>,
    state: i16,
    version: i64,
    create_time: Timestamp,
    update_time: Timestamp,
}

impl Row {
    fn new(tenant: TenantId, account: &Account) -> Self {
        let terms = &account.terms;
        Self {
            tenant_id: tenant,
            id: account.id,
            customer_id: terms.customer,
            product: terms.product.clone(),
            currency: terms.currency.code().to_owned(),
            class: terms.class.number(),
            gl_code: terms.gl_code.clone(),
            overdraft_limit: match terms.overdraft {
                Overdraft::Limit(limit) => Some(limit),
                Overdraft::Unbounded => None,
            },
            state: account.state.number(),
            version: account.version,
            create_time: account.create_time,
            update_time: account.update_time,
        }
    }

    fn account(self, labels: BTreeMap<String, String>) -> Result<Account, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        let terms = NewAccount {
            customer: self.customer_id,
            currency: Currency::iso(&self.currency).ok_or_else(|| fault("currency"))?,
            class: AccountClass::from_number(self.class).ok_or_else(|| fault("class"))?,
            overdraft: self.overdraft_limit.map_or(Overdraft::Unbounded, Overdraft::Limit),
            product: self.product,
            gl_code: self.gl_code,
            labels,
        };
        Ok(Account {
            id: self.id,
            terms,
            state: AccountState::from_number(self.state).ok_or_else(|| fault("state"))?,
            version: self.version,
            create_time: self.create_time,
            update_time: self.update_time,
        })
    }
}

/// Inserts an account with its labels; false where the id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(accounts::table)
        .values(Row::new(tenant, account))
        .on_conflict_do_nothing()
        .execute(conn)?;
    if inserted == 0 {
        return Ok(false);
    }
    account_labels::insert(conn, tenant, account.id, &account.terms.labels)?;
    Ok(true)
}

/// Reads an account.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
) -> Result<Option<Account>, DbError> {
    let row = accounts::table.find((tenant, id)).select(Row::as_select());
    let rows = row.load(conn)?;
    Ok(complete(conn, tenant, rows)?.pop())
}

/// Reads an account to change it.
pub(crate) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
) -> Result<Option<Account>, DbError> {
    let row = accounts::table.find((tenant, id)).select(Row::as_select());
    let rows = row.for_no_key_update().load(conn)?;
    Ok(complete(conn, tenant, rows)?.pop())
}

/// Writes the state of a locked account back.
pub(crate) fn update_state(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> QueryResult<()> {
    diesel::update(accounts::table.find((tenant, account.id)))
        .set((
            accounts::state.eq(account.state.number()),
            accounts::version.eq(account.version),
            accounts::update_time.eq(account.update_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Reads the accounts that a filter lets through, the oldest first, from behind a position.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &AccountFilter,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Account>, DbError> {
    let rows = page(tenant, filter, after, limit).load(conn)?;
    complete(conn, tenant, rows)
}

/// The statement of `list`: equality on the tenant and on what is filtered, then the order, which
/// is what the indexes have.
fn page(
    tenant: TenantId,
    filter: &AccountFilter,
    after: Option<Position>,
    limit: i64,
) -> accounts::BoxedQuery<'static, Pg, SqlTypeOf<AsSelect<Row, Pg>>> {
    let order = (accounts::create_time, accounts::id);
    let all = accounts::table.select(Row::as_select()).order(order).limit(limit).into_boxed();
    let mut query = all.filter(accounts::tenant_id.eq(tenant));
    match filter.holder {
        Some(Holder::Customer(id)) => query = query.filter(accounts::customer_id.eq(id)),
        Some(Holder::House) => query = query.filter(accounts::customer_id.is_null()),
        None => {}
    }
    if let Some(currency) = filter.currency {
        query = query.filter(accounts::currency.eq(currency.code().to_owned()));
    }
    if let Some(state) = filter.state {
        query = query.filter(accounts::state.eq(state.number()));
    }
    if let Some(product) = &filter.product {
        query = query.filter(accounts::product.eq(product.clone()));
    }
    if let Some(Position { create_time, id }) = after {
        // `(create_time, id) > (..)`, in a form whose first half the index takes.
        let later = accounts::create_time.gt(create_time).or(accounts::id.gt(id));
        query = query.filter(accounts::create_time.ge(create_time)).filter(later);
    }
    query
}

/// Adds the labels to rows, in one statement for all of them.
fn complete(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<Row>,
) -> Result<Vec<Account>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id).collect();
    let mut labels = account_labels::select(conn, tenant, &ids)?;
    rows.into_iter()
        .map(|row| {
            let labels = labels.remove(&row.id).unwrap_or_default();
            row.account(labels)
        })
        .collect()
}
