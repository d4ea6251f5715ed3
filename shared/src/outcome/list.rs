//! The list of what did not simply succeed: refused, fenced, or still in progress.

#[cfg(test)]
mod tests;

use diesel::dsl::{AsSelect, SqlTypeOf, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};

use super::store::{Outcome, Row, outcomes};
use crate::filter::Period;
use crate::ids::TenantId;
use crate::time::Timestamp;

/// A place in the list: the latest first, then by operation and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// When the id was claimed.
    pub create_time: Timestamp,
    /// The operation.
    pub operation: String,
    /// The id.
    pub request_id: String,
}

impl Outcome {
    /// Where it stands in the list.
    pub fn place(&self) -> Place {
        Place {
            create_time: self.create_time,
            operation: self.operation.clone(),
            request_id: self.request_id.clone(),
        }
    }
}

/// Reads at most `limit` outcomes of a period from behind a place: all that did not succeed, or the
/// refusals about one account.
pub fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    account: Option<&str>,
    period: Period,
    after: Option<&Place>,
    limit: i64,
) -> QueryResult<Vec<Outcome>> {
    let rows: Vec<Row> = query(tenant, account, period, after, limit).load(conn)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// The statement of `list`: along one of the two indexes, from the latest time on.
fn query(
    tenant: TenantId,
    account: Option<&str>,
    period: Period,
    after: Option<&Place>,
    limit: i64,
) -> outcomes::BoxedQuery<'static, Pg, SqlTypeOf<AsSelect<Row, Pg>>> {
    let order = (outcomes::create_time.desc(), outcomes::operation, outcomes::request_id);
    let all = outcomes::table.select(Row::as_select()).order(order).limit(limit).into_boxed();
    let mut query = all.filter(outcomes::tenant_id.eq(tenant));
    query = match account {
        Some(account) => query.filter(outcomes::account.eq(account.to_owned())),
        // As the index has it: a bound value would say nothing of it to a plan for all values.
        None => query.filter(sql::<Bool>("state <> 3")),
    };
    if let Some(from) = period.from {
        query = query.filter(outcomes::create_time.ge(from));
    }
    if let Some(before) = period.before {
        query = query.filter(outcomes::create_time.lt(before));
    }
    if let Some(Place { create_time, operation, request_id }) = after.cloned() {
        let earlier = outcomes::create_time.lt(create_time);
        let same = outcomes::operation.eq(operation.clone());
        let later_id = same.and(outcomes::request_id.gt(request_id));
        let later = outcomes::operation.gt(operation).or(later_id);
        // In a form whose first half the index takes.
        query = query.filter(outcomes::create_time.le(create_time)).filter(earlier.or(later));
    }
    query
}
