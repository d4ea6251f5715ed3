//! `freezes`.

#[cfg(test)]
mod tests;

use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Timestamp;

use super::schema::freezes;
use crate::domain::{AccountId, CustomerId, Direction, Freeze, FreezeId, FreezePosition, Frozen};

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = freezes)]
struct Row {
    tenant_id: TenantId,
    id: FreezeId,
    account_id: Option<AccountId>,
    customer_id: Option<CustomerId>,
    direction: i16,
    amount: Option<Units>,
    reason_code: String,
    authority: String,
    case_reference: Option<String>,
    end_time: Option<Timestamp>,
    honour_holds: bool,
    principal: String,
    create_time: Timestamp,
    lifter: Option<String>,
    lift_time: Option<Timestamp>,
    version: i64,
}

impl Row {
    fn new(tenant: TenantId, freeze: &Freeze) -> Self {
        let (account_id, customer_id) = match freeze.of {
            Frozen::Account(id) => (Some(id), None),
            Frozen::Customer(id) => (None, Some(id)),
        };
        Self {
            tenant_id: tenant,
            id: freeze.id,
            account_id,
            customer_id,
            direction: freeze.direction.number(),
            amount: freeze.amount,
            reason_code: freeze.reason_code.clone(),
            authority: freeze.authority.clone(),
            case_reference: freeze.case_reference.clone(),
            end_time: freeze.end_time,
            honour_holds: freeze.honour_holds,
            principal: freeze.principal.clone(),
            create_time: freeze.create_time,
            lifter: freeze.lift.as_ref().map(|(principal, _)| principal.clone()),
            lift_time: freeze.lift.as_ref().map(|(_, time)| *time),
            version: freeze.version,
        }
    }

    fn freeze(self) -> Result<Freeze, DbError> {
        let fault = |what: &str| DbError::Fault(format!("{} has no usable {what}", self.id));
        let of = match (self.account_id, self.customer_id) {
            (Some(id), None) => Frozen::Account(id),
            (None, Some(id)) => Frozen::Customer(id),
            _ => return Err(fault("place")),
        };
        Ok(Freeze {
            id: self.id,
            of,
            direction: Direction::from_number(self.direction).ok_or_else(|| fault("direction"))?,
            amount: self.amount,
            reason_code: self.reason_code,
            authority: self.authority,
            case_reference: self.case_reference,
            end_time: self.end_time,
            honour_holds: self.honour_holds,
            principal: self.principal,
            create_time: self.create_time,
            lift: self.lifter.zip(self.lift_time),
            version: self.version,
        })
    }
}

/// Inserts a freeze; false where the id is in use.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    freeze: &Freeze,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(freezes::table)
        .values(Row::new(tenant, freeze))
        .on_conflict_do_nothing()
        .execute(conn)?;
    Ok(inserted == 1)
}

/// Reads a freeze.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: FreezeId,
) -> Result<Option<Freeze>, DbError> {
    let row = freezes::table.find((tenant, id)).select(Row::as_select());
    let row: Option<Row> = row.first(conn).optional()?;
    row.map(Row::freeze).transpose()
}

/// Writes the end of a freeze back, of an account or a customer that is locked.
pub(crate) fn lift(conn: &mut PgConnection, tenant: TenantId, freeze: &Freeze) -> QueryResult<()> {
    let lift = freeze.lift.as_ref();
    diesel::update(freezes::table.find((tenant, freeze.id)))
        .set((
            freezes::lifter.eq(lift.map(|(principal, _)| principal)),
            freezes::lift_time.eq(lift.map(|(_, time)| *time)),
            freezes::version.eq(freeze.version),
        ))
        .execute(conn)?;
    Ok(())
}

/// Reads the freezes of some accounts and customers that nobody has lifted and that have not ended.
pub(crate) fn active(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: &[AccountId],
    customers: &[CustomerId],
    now: Timestamp,
) -> Result<Vec<Freeze>, DbError> {
    let of_accounts = of(tenant, now).filter(freezes::account_id.eq_any(accounts));
    let of_customers = of(tenant, now).filter(freezes::customer_id.eq_any(customers));
    let mut rows: Vec<Row> = of_accounts.load(conn)?;
    rows.extend(of_customers.load(conn)?);
    // Whoever compares what follows from them needs one order.
    rows.sort_by_key(|row| row.id);
    rows.into_iter().map(Row::freeze).collect()
}

#[diesel::dsl::auto_type(no_type_alias)]
fn of(tenant: TenantId, now: Timestamp) -> _ {
    let row: AsSelect<Row, Pg> = Row::as_select();
    freezes::table
        .filter(freezes::tenant_id.eq(tenant))
        .filter(freezes::lift_time.is_null())
        .filter(freezes::end_time.is_null().or(freezes::end_time.gt(now)))
        .select(row)
}

/// Reads freezes of an account or a customer behind a position, the latest first.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    of: Frozen,
    after: Option<&FreezePosition>,
    limit: i64,
) -> Result<Vec<Freeze>, DbError> {
    let rows: Vec<Row> = page(tenant, of, after, limit).load(conn)?;
    rows.into_iter().map(Row::freeze).collect()
}

/// The statement of `list`, along the index of accounts or that of customers.
fn page(
    tenant: TenantId,
    of: Frozen,
    after: Option<&FreezePosition>,
    limit: i64,
) -> freezes::BoxedQuery<'static, Pg, SqlTypeOf<AsSelect<Row, Pg>>> {
    let order = (freezes::create_time.desc(), freezes::id.desc());
    let latest = freezes::table.select(Row::as_select()).order(order).limit(limit);
    let mut query = latest.into_boxed().filter(freezes::tenant_id.eq(tenant));
    query = match of {
        Frozen::Account(id) => query.filter(freezes::account_id.eq(id)),
        Frozen::Customer(id) => query.filter(freezes::customer_id.eq(id)),
    };
    if let Some(after) = after {
        // In a form whose first half the index takes.
        let time = after.create_time;
        let earlier = freezes::create_time.lt(time).or(freezes::id.lt(after.id));
        query = query.filter(freezes::create_time.le(time)).filter(earlier);
    }
    query
}
