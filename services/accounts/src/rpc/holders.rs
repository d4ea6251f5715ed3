//! What the changes of who holds an account have in common. The limits hold because whoever changes
//! them has the account locked; and because whoever comes to hold an account is kept as they are
//! meanwhile, what stops them from then on finds the account.

use diesel::PgConnection;
use shared::field::{At as _, Decoded, invalid};
use shared::grpc::Call;
use shared::ids::TenantId;
use shared::problem::{Problem, Reason};
use shared::time::Timestamp;

use super::Rpc;
use super::control::Begin;
use crate::domain::{
    Account, AccountId, CustomerId, HOLDERS_MAX, Holder, PRINCIPALS_MAX, Role, Span, holder_name,
};
use crate::error::Error;
use crate::store::events::{self, Event};
use crate::store::{account_holders, accounts};

/// Reads a role.
pub(super) fn role(number: i32) -> Decoded<Role> {
    Role::from_number(number).ok_or_else(|| invalid("must be OWNER, JOINT or VIEWER"))
}

/// An account whose holders may change, under its lock.
pub(super) fn lock(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: AccountId,
) -> Result<Account, Error> {
    let account = accounts::lock(conn, tenant, id)?.ok_or_else(|| id.not_found())?;
    account.allow_change()?;
    Ok(account)
}

/// A holder of a locked account who may change: not any more once that is over, and never the
/// customer of the account.
pub(super) fn find(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: &Account,
    customer: CustomerId,
    field: &str,
    now: Timestamp,
) -> Result<Holder, Error> {
    if account.terms.customer == Some(customer) {
        let sentence = "must not be the customer of the account, who stays its owner";
        return Err(invalid(sentence).in_field(field).into());
    }
    let found = account_holders::find(conn, tenant, account.id, customer)?;
    let holder = found.ok_or_else(|| not_found(account.id, customer))?;
    holder.allow_change(now)?;
    Ok(holder)
}

/// Whether the end of a span is still to come.
pub(super) fn check_span(span: Span, now: Timestamp) -> Decoded<()> {
    match span.end {
        Some(end) if end <= span.start => Err(invalid("must be later than the start")),
        Some(end) if end <= now => Err(invalid("must be in the future")),
        _ => Ok(()),
    }
    .at("holder.end_time")
}

/// Whether a locked account has room for a holder, whom it may have already in another role.
pub(super) fn check_room(
    conn: &mut PgConnection,
    tenant: TenantId,
    holder: &Holder,
    now: Timestamp,
) -> Result<(), Error> {
    let mut holders = account_holders::select(conn, tenant, &[holder.account], now)?;
    holders.retain(|one| one.customer != holder.customer && !one.span.is_over(now));
    holders.push(*holder);
    let principals = holders.iter().filter(|one| one.role.is_principal()).count();
    for (what, count, limit, is_concerned) in [
        ("owners and joint holders", principals, PRINCIPALS_MAX, holder.role.is_principal()),
        ("holders", holders.len(), HOLDERS_MAX, true),
    ] {
        if count > limit && is_concerned {
            let message = format!("{} cannot have more than {limit} {what}.", holder.account);
            return Err(Problem::new(Reason::TooManyItems, message).figure("limit", limit).into());
        }
    }
    Ok(())
}

/// Records what became of a holder.
pub(super) fn record(
    conn: &mut PgConnection,
    begin: &Begin<'_>,
    kind: &'static str,
    holder: Holder,
    fields: &[&'static str],
) -> Result<(), Error> {
    let mut event = Event::new(begin.tenant, kind, holder.name(), begin.now())
        .with("account", holder.account.name())
        .with("customer", holder.customer.name())
        .with("role", holder.role.name());
    if !fields.is_empty() {
        event = event.with("fields", fields.to_vec());
    }
    Ok(events::record(conn, begin.tenant, &event)?)
}

/// A holder as the answer has it, or `RESOURCE_NOT_FOUND`.
pub(super) async fn read(
    rpc: &Rpc,
    call: &Call,
    account: AccountId,
    customer: CustomerId,
) -> Result<Holder, Error> {
    let tenant = call.tenant_id()?;
    let read =
        move |conn: &mut PgConnection| account_holders::find(conn, tenant, account, customer);
    let found = rpc.db.read("get_holder", call.scope(), read).await?;
    Ok(found.ok_or_else(|| not_found(account, customer))?)
}

fn not_found(account: AccountId, customer: CustomerId) -> Problem {
    Problem::not_found("holder", holder_name(account, customer))
}
