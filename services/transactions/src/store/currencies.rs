//! `currencies`: what a tenant counts in beside ISO 4217. Registered for good.

use diesel::prelude::*;
use diesel::sql_types::Uuid;
use shared::db::{DbError, statement};
use shared::ids::TenantId;
use shared::money::Currency;
use shared::time::Timestamp;

use super::schema::currencies;

/// A currency that a tenant has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registered {
    /// The currency.
    pub(crate) currency: Currency,
    /// A name for people; it may be empty.
    pub(crate) display_name: String,
    /// When it was registered.
    pub(crate) create_time: Timestamp,
}

#[derive(Debug, Queryable, Insertable, Selectable)]
#[diesel(table_name = currencies)]
struct Row {
    tenant_id: TenantId,
    code: String,
    decimals: i16,
    display_name: String,
    create_time: Timestamp,
}

impl TryFrom<Row> for Registered {
    type Error = DbError;

    fn try_from(row: Row) -> Result<Self, DbError> {
        let decimals = u8::try_from(row.decimals).ok();
        let currency = decimals.and_then(|decimals| Currency::new(&row.code, decimals));
        let fault = || DbError::Fault(format!("currency {} cannot be used", row.code));
        Ok(Self {
            currency: currency.ok_or_else(fault)?,
            display_name: row.display_name,
            create_time: row.create_time,
        })
    }
}

/// Makes the other registrations of a tenant wait, so that none passes the limit beside another.
pub(crate) fn lock(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<()> {
    const LOCK: &str = "SELECT FROM tenants WHERE id = $1 FOR NO KEY UPDATE";
    statement(LOCK, (tenant.into_sql::<Uuid>(),)).execute(conn)?;
    Ok(())
}

/// Inserts a currency whose code the tenant has not.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    registered: &Registered,
) -> QueryResult<()> {
    let row = Row {
        tenant_id: tenant,
        code: registered.currency.code().to_owned(),
        decimals: i16::from(registered.currency.decimals()),
        display_name: registered.display_name.clone(),
        create_time: registered.create_time,
    };
    diesel::insert_into(currencies::table).values(row).execute(conn)?;
    Ok(())
}

/// How many a tenant has.
pub(crate) fn count(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<i64> {
    currencies::table.filter(currencies::tenant_id.eq(tenant)).count().get_result(conn)
}

/// Reads a currency.
pub(crate) fn select(
    conn: &mut PgConnection,
    tenant: TenantId,
    code: &str,
) -> Result<Option<Registered>, DbError> {
    let row = currencies::table.find((tenant, code)).select(Row::as_select());
    row.first(conn).optional()?.map(Row::try_into).transpose()
}

/// Reads the currencies of a tenant by their codes, from behind one of them.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: &str,
    limit: i64,
) -> Result<Vec<Registered>, DbError> {
    let rows = currencies::table
        .filter(currencies::tenant_id.eq(tenant))
        .filter(currencies::code.gt(after))
        .order(currencies::code)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(Row::try_into).collect()
}
