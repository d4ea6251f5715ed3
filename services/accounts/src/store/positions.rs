//! Accounts with all that stops them, out of four tables.

use std::collections::{BTreeMap, BTreeSet};

use diesel::PgConnection;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::{account_holders, accounts, customers, freezes};
use crate::domain::{Account, AccountId, CustomerId, Freeze, Frozen, Holder, Position, Principal};

/// Reads the position of an account. The version of its controls is read first: what is read with
/// it is then at least as new, and what comes in between has a version of its own.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
    now: Timestamp,
) -> Result<Option<Position>, DbError> {
    let account = accounts::select(conn, tenant, id)?;
    Ok(of(conn, tenant, account.into_iter().collect(), now)?.pop())
}

/// The positions of accounts that were read, in their order.
pub(crate) fn of(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: Vec<Account>,
    now: Timestamp,
) -> Result<Vec<Position>, DbError> {
    let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
    let held = account_holders::select(conn, tenant, &ids, now)?.into_iter();
    let is_principal = |holder: &Holder| holder.role.is_principal() && !holder.span.is_over(now);
    let held: Vec<Holder> = held.filter(is_principal).collect();
    let who: BTreeSet<CustomerId> = held.iter().map(|holder| holder.customer).collect();
    let who: Vec<CustomerId> = who.into_iter().collect();
    let customers = customers::select_bare(conn, tenant, &who)?;
    let mut frozen: BTreeMap<Frozen, Vec<Freeze>> = BTreeMap::new();
    for freeze in freezes::active(conn, tenant, &ids, &who, now)? {
        frozen.entry(freeze.of).or_default().push(freeze);
    }
    let freezes = |of| frozen.get(&of).cloned().unwrap_or_default();
    let mut principals: BTreeMap<AccountId, Vec<Principal>> = BTreeMap::new();
    for holder in held {
        let Some(customer) = customers.get(&holder.customer).cloned() else { continue };
        let freezes = freezes(Frozen::Customer(holder.customer));
        let principal = Principal { holder, customer, freezes };
        principals.entry(holder.account).or_default().push(principal);
    }
    let position = |account: Account| Position {
        freezes: freezes(Frozen::Account(account.id)),
        principals: principals.remove(&account.id).unwrap_or_default(),
        account,
    };
    Ok(accounts.into_iter().map(position).collect())
}
