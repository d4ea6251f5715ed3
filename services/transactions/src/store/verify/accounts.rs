//! What accounts say of themselves, and what their holds and days do.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Date, Nullable, Numeric, SmallInt, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Day;

use crate::domain::AccountId;
use crate::store::column;

/// An account as its row has it.
#[derive(Debug, Clone, QueryableByName)]
pub(crate) struct Stated {
    #[diesel(sql_type = Uuid)]
    pub(crate) id: AccountId,
    #[diesel(sql_type = Text)]
    pub(crate) currency: String,
    #[diesel(sql_type = SmallInt)]
    pub(crate) decimals: i16,
    #[diesel(sql_type = SmallInt)]
    class: i16,
    #[diesel(sql_type = Numeric)]
    pub(crate) posted_debits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) posted_credits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) held: Units,
    #[diesel(sql_type = BigInt)]
    pub(crate) entry_seq: i64,
    #[diesel(sql_type = Nullable<Date>)]
    pub(crate) day: Option<Day>,
    #[diesel(sql_type = Numeric)]
    pub(crate) day_debits: Units,
    #[diesel(sql_type = Numeric)]
    pub(crate) day_credits: Units,
    /// What its open holds keep back.
    #[diesel(sql_type = Numeric)]
    pub(crate) open_holds: Units,
}

impl Stated {
    /// Whether debits add to its balance.
    pub(crate) fn grows_by_debits(&self) -> bool {
        matches!(self.class, 1 | 5)
    }
}

/// Reads the accounts behind one and up to another, at most `limit` of them, by id.
pub(crate) fn stated(
    conn: &mut PgConnection,
    tenant: TenantId,
    after: Option<AccountId>,
    last: AccountId,
    limit: i64,
) -> QueryResult<Vec<Stated>> {
    const READ: &str = "\
        SELECT a.*, (SELECT least(coalesce(sum(h.remaining), 0), \
                99999999999999999999999999999999999999) FROM holds h \
            WHERE h.tenant_id = $1 AND h.account_id = a.id AND h.state = 1) AS open_holds \
        FROM (SELECT id, currency, decimals, class, posted_debits, posted_credits, held, \
                  entry_seq, day, day_debits, day_credits \
              FROM ledger_accounts WHERE tenant_id = $1 AND id >= $2 AND id <= $3 \
              ORDER BY id LIMIT (SELECT $4)) a";
    let next = |after: AccountId| after.uuid().as_u128().checked_add(1);
    let Some(from) = after.map_or(Some(0), next) else { return Ok(Vec::new()) };
    let binds = (
        tenant.into_sql::<Uuid>(),
        uuid::Uuid::from_u128(from).into_sql::<Uuid>(),
        last.into_sql::<Uuid>(),
        limit.into_sql::<BigInt>(),
    );
    let mut rows: Vec<Stated> = statement(READ, binds).load(conn)?;
    rows.sort_by_key(|row| row.id);
    Ok(rows)
}

/// Sums by booking and value date.
pub(crate) type Days = BTreeMap<(Day, Day), (Units, Units)>;

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Uuid)]
    account_id: AccountId,
    #[diesel(sql_type = Date)]
    booking_date: Day,
    #[diesel(sql_type = Date)]
    value_date: Day,
    #[diesel(sql_type = Numeric)]
    debits: Units,
    #[diesel(sql_type = Numeric)]
    credits: Units,
}

/// The totals of the days of accounts, but for those that stand in their own rows.
pub(crate) fn day_totals(
    conn: &mut PgConnection,
    tenant: TenantId,
    accounts: &[AccountId],
) -> QueryResult<BTreeMap<AccountId, Days>> {
    const READ: &str = "\
        SELECT d.* FROM unnest($2) AS n (id), LATERAL ( \
            SELECT account_id, booking_date, value_date, debits, credits FROM day_totals \
            WHERE tenant_id = $1 AND account_id = n.id OFFSET 0) d";
    let binds = (tenant.into_sql::<Uuid>(), column(accounts, |id| *id).into_sql::<Array<Uuid>>());
    let rows: Vec<DayRow> = statement(READ, binds).load(conn)?;
    let mut found: BTreeMap<AccountId, Days> = BTreeMap::new();
    for row in rows {
        let days = found.entry(row.account_id).or_default();
        days.insert((row.booking_date, row.value_date), (row.debits, row.credits));
    }
    Ok(found)
}

#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    entries: i64,
}

/// About how many entries there are: as many as the accounts say.
pub(crate) fn entry_count(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<i64> {
    const READ: &str = "\
        SELECT least(coalesce(sum(entry_seq), 0), 9223372036854775807)::bigint AS entries \
        FROM ledger_accounts WHERE tenant_id = $1";
    let size: Size = statement(READ, (tenant.into_sql::<Uuid>(),)).get_result(conn)?;
    Ok(size.entries)
}
