//! `accounts`.

use std::collections::BTreeMap;

use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::money::{Currency, Units};
use shared::time::Timestamp;

use super::schema::accounts;
use super::{account_external_ids, account_labels};
use crate::domain::{
    Account, AccountClass, AccountId, AccountState, CustomerId, NewAccount, Overdraft,
};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The greater of two numbers.
    fn greatest(
        a: diesel::sql_types::BigInt,
        b: diesel::sql_types::BigInt,
    ) -> diesel::sql_types::BigInt;
}

#[derive(Debug, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = accounts)]
pub(super) struct Row {
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
    parent_id: Option<AccountId>,
    limits: String,
    controls_version: i64,
    acknowledged_version: i64,
    disposition_id: Option<AccountId>,
    close_time: Option<Timestamp>,
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
            parent_id: terms.parent,
            // Plain data always serialises.
            limits: serde_json::to_string(&account.limits).unwrap_or_default(),
            controls_version: account.controls_version,
            acknowledged_version: account.acknowledged_version,
            disposition_id: account.disposition,
            close_time: account.close_time,
        }
    }

    fn account(
        self,
        labels: BTreeMap<String, String>,
        external_ids: BTreeMap<String, String>,
    ) -> Result<Account, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        let terms = NewAccount {
            customer: self.customer_id,
            currency: Currency::iso(&self.currency).ok_or_else(|| fault("currency"))?,
            class: AccountClass::from_number(self.class).ok_or_else(|| fault("class"))?,
            overdraft: self.overdraft_limit.map_or(Overdraft::Unbounded, Overdraft::Limit),
            product: self.product,
            gl_code: self.gl_code,
            parent: self.parent_id,
            labels,
            external_ids,
        };
        Ok(Account {
            limits: serde_json::from_str(&self.limits).map_err(|_| fault("limits"))?,
            id: self.id,
            terms,
            state: AccountState::from_number(self.state).ok_or_else(|| fault("state"))?,
            version: self.version,
            create_time: self.create_time,
            update_time: self.update_time,
            controls_version: self.controls_version,
            acknowledged_version: self.acknowledged_version,
            disposition: self.disposition_id,
            close_time: self.close_time,
        })
    }
}

/// Inserts an account with its labels, but without its external ids; false where the id is in use.
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
    account_labels::insert(conn, tenant, account)?;
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

/// Reads those of some accounts that there are.
pub(crate) fn select_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
) -> Result<BTreeMap<AccountId, Account>, DbError> {
    let rows = accounts::table
        .filter(accounts::tenant_id.eq(tenant))
        .filter(accounts::id.eq_any(ids))
        .select(Row::as_select())
        .load(conn)?;
    let accounts = complete(conn, tenant, rows)?.into_iter();
    Ok(accounts.map(|account| (account.id, account)).collect())
}

/// Reads those of some accounts that there are, to change them, in the order of their ids.
pub(crate) fn lock_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
) -> Result<BTreeMap<AccountId, Account>, DbError> {
    let rows = accounts::table
        .filter(accounts::tenant_id.eq(tenant))
        .filter(accounts::id.eq_any(ids))
        .order(accounts::id)
        .select(Row::as_select())
        .for_no_key_update()
        .load(conn)?;
    let accounts = complete(conn, tenant, rows)?.into_iter();
    Ok(accounts.map(|account| (account.id, account)).collect())
}

/// Writes a locked account back, without its labels, its external ids and what the ledger has of
/// it.
pub(crate) fn update(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
) -> QueryResult<()> {
    let row = Row::new(tenant, account);
    diesel::update(accounts::table.find((tenant, account.id)))
        .set((
            accounts::product.eq(row.product),
            accounts::state.eq(row.state),
            accounts::version.eq(row.version),
            accounts::update_time.eq(row.update_time),
            accounts::limits.eq(row.limits),
            accounts::disposition_id.eq(row.disposition_id),
            accounts::close_time.eq(row.close_time),
        ))
        .execute(conn)?;
    Ok(())
}

/// Counts a change of what stops these accounts, in the order of their ids, and gives the versions
/// of their controls from then on: above `seen`, which the ledger has.
pub(super) fn count_controls(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &[AccountId],
    seen: i64,
) -> QueryResult<Vec<(AccountId, i64)>> {
    // The update would lock them in any order, and two of them could wait for each other.
    let locked: Vec<AccountId> = accounts::table
        .filter(accounts::tenant_id.eq(tenant))
        .filter(accounts::id.eq_any(ids))
        .order(accounts::id)
        .select(accounts::id)
        .for_no_key_update()
        .load(conn)?;
    diesel::update(accounts::table)
        .filter(accounts::tenant_id.eq(tenant))
        .filter(accounts::id.eq_any(locked))
        .set(accounts::controls_version.eq(greatest(accounts::controls_version, seen) + 1))
        .returning((accounts::id, accounts::controls_version))
        .get_results(conn)
}

/// Says which version of its controls the ledger has.
pub(super) fn acknowledge(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    version: i64,
) -> QueryResult<()> {
    diesel::update(accounts::table.find((tenant, id)))
        .filter(accounts::acknowledged_version.lt(version))
        .set(accounts::acknowledged_version.eq(version))
        .execute(conn)?;
    Ok(())
}

/// Reads accounts behind an id, in the order of their ids.
pub(crate) fn walk(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<AccountId>,
    limit: i64,
) -> Result<Vec<Account>, DbError> {
    let all = accounts::table.select(Row::as_select()).order(accounts::id).limit(limit);
    let mut query = all.into_boxed().filter(accounts::tenant_id.eq(tenant));
    if let Some(after) = after {
        query = query.filter(accounts::id.gt(after));
    }
    let rows = query.load(conn)?;
    complete(conn, tenant, rows)
}

/// Adds labels and external ids to rows, in one statement each for all of them.
pub(super) fn complete(
    conn: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<Row>,
) -> Result<Vec<Account>, DbError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<AccountId> = rows.iter().map(|row| row.id).collect();
    let mut labels = account_labels::select(conn, tenant, &ids)?;
    let mut external_ids = account_external_ids::select(conn, tenant, &ids)?;
    rows.into_iter()
        .map(|row| {
            let labels = labels.remove(&row.id).unwrap_or_default();
            let external_ids = external_ids.remove(&row.id).unwrap_or_default();
            row.account(labels, external_ids)
        })
        .collect()
}
