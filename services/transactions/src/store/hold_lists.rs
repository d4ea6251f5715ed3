//! Lists of `holds`, and what is held on one account.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid};
use serde::{Deserialize, Serialize};
use shared::db::statement;
use shared::filter::Period;
use shared::ids::TenantId;
use shared::money::Units;
use shared::time::Timestamp;

use super::holds::state_column;
use super::schema::holds;
use super::{EARLIEST, LATEST, external_ids};
use crate::domain::{AccountId, Collection, HoldId, HoldState};

/// About how many bytes a hold has in a message.
pub(crate) const BYTES: usize = 512;
/// Before every id.
const FIRST_ID: HoldId = HoldId::from_uuid(uuid::Uuid::nil());

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) account: Option<AccountId>,
    pub(crate) kind: Option<String>,
    /// As the clock has it: an expiry holds whether or not anybody has recorded it.
    pub(crate) state: Option<HoldState>,
    pub(crate) external_ids: BTreeMap<String, String>,
    pub(crate) period: Period,
}

/// A place in a list: the latest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place {
    create_time: Timestamp,
    id: HoldId,
}

/// A hold that may be of a page.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = holds)]
pub(crate) struct Candidate {
    pub(crate) id: HoldId,
    account_id: AccountId,
    kind: String,
    state: i16,
    expire_time: Option<Timestamp>,
    create_time: Timestamp,
}

impl Candidate {
    pub(crate) fn place(&self) -> Place {
        Place { create_time: self.create_time, id: self.id }
    }

    /// Whether a filter lets it through.
    pub(crate) fn is_kept(&self, filter: &Filter, now: Timestamp) -> bool {
        let open = state_column(HoldState::Open);
        let is_past = self.state == open && self.expire_time.is_some_and(|time| time <= now);
        let state = if is_past { state_column(HoldState::Expired) } else { self.state };
        filter.account.is_none_or(|account| account == self.account_id)
            && filter.kind.as_ref().is_none_or(|kind| *kind == self.kind)
            && filter.state.is_none_or(|wanted| state_column(wanted) == state)
            && filter.period.from.is_none_or(|from| from <= self.create_time)
            && filter.period.before.is_none_or(|before| self.create_time < before)
    }
}

// In all of these the limit is a query, so that the planner does not know it: it would else sort
// what it takes for a few rows.

const BY_TIME: &str = "\
    SELECT id, account_id, kind, state, expire_time, create_time FROM holds \
    WHERE tenant_id = $1 AND create_time >= $2 AND (create_time, id) < ($3, $4) \
    ORDER BY create_time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES";

/// One range of the index by account, in terms that the index by time does not serve.
const BY_ACCOUNT: &str = "\
    SELECT id, account_id, kind, state, expire_time, create_time FROM holds \
    WHERE tenant_id = $1 AND create_time IS NOT NULL AND (account_id, create_time) >= ($6, $2) \
        AND (account_id, create_time) <= ($6, $3) AND (create_time < $3 OR id < $4) \
    ORDER BY account_id DESC, create_time DESC FETCH FIRST (SELECT $5) ROWS WITH TIES";

/// Reads candidates behind a place in the order of the list, along one index whatever the filter:
/// fewer than `limit` where there are no more, else as many and those that share the last one's
/// time.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Candidate>> {
    if !filter.external_ids.is_empty() {
        return match after {
            Some(_) => Ok(Vec::new()),
            None => by_external_ids(conn, tenant, &filter.external_ids),
        };
    }
    let create_time = filter.period.before.unwrap_or(LATEST);
    let place = after.copied().unwrap_or(Place { create_time, id: FIRST_ID });
    let tenant = tenant.into_sql::<Uuid>();
    let from = filter.period.from.unwrap_or(EARLIEST).into_sql::<Timestamptz>();
    let time = place.create_time.into_sql::<Timestamptz>();
    let (id, limit) = (place.id.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let mut rows: Vec<Candidate> = match filter.account {
        None => statement(BY_TIME, (tenant, from, time, id, limit)).load(conn)?,
        Some(account) => {
            let account = account.into_sql::<Uuid>();
            statement(BY_ACCOUNT, (tenant, from, time, id, limit, account)).load(conn)?
        }
    };
    // The index does not know the order of those of one time.
    rows.sort_by_key(|row| Reverse(row.place()));
    Ok(rows)
}

/// The hold that has all of these, if any.
fn by_external_ids(
    conn: &mut PgConnection,
    tenant: TenantId,
    ids: &BTreeMap<String, String>,
) -> QueryResult<Vec<Candidate>> {
    const READ: &str = "\
        SELECT id, account_id, kind, state, expire_time, create_time FROM holds \
        WHERE tenant_id = $1 AND id = $2";
    let Some(holder) = external_ids::holder(conn, tenant, Collection::Holds, ids)? else {
        return Ok(Vec::new());
    };
    let binds = (tenant.into_sql::<Uuid>(), HoldId::from_uuid(holder).into_sql::<Uuid>());
    statement(READ, binds).load(conn)
}

/// What an open hold keeps back.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = holds)]
pub(crate) struct Held {
    pub(crate) id: HoldId,
    pub(crate) kind: String,
    pub(crate) remaining: Units,
    pub(crate) expire_time: Option<Timestamp>,
}

/// Reads at most `limit` of an account's open holds that have not expired: those that expire first
/// in front, those that never do behind them.
pub(crate) fn held(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: AccountId,
    now: Timestamp,
    limit: i64,
) -> QueryResult<Vec<Held>> {
    // The state as the index has it: a bound value would say nothing of it to a plan for all
    // values.
    const READ: &str = "\
        SELECT * FROM ( \
            (SELECT id, kind, remaining, expire_time FROM holds \
             WHERE tenant_id = $1 AND account_id = $2 AND state = 1 AND expire_time > $3 \
             ORDER BY expire_time LIMIT (SELECT $4)) \
            UNION ALL \
            (SELECT id, kind, remaining, expire_time FROM holds \
             WHERE tenant_id = $1 AND account_id = $2 AND state = 1 AND expire_time IS NULL \
             LIMIT (SELECT $4))) h \
        ORDER BY expire_time, id LIMIT $4";
    let binds = (
        tenant.into_sql::<Uuid>(),
        account.into_sql::<Uuid>(),
        now.into_sql::<Timestamptz>(),
        limit.into_sql::<BigInt>(),
    );
    statement(READ, binds).load(conn)
}
