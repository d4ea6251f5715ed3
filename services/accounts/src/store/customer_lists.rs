//! Lists of `customers`. Whatever the filter, a list walks along one index; the rest of the filter
//! is judged for each candidate.

#[cfg(test)]
mod tests;

use diesel::dsl::{AsSelect, SqlTypeOf, sql};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use shared::db::DbError;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::customer_external_ids;
use super::customers::{Row, complete, select_all};
use super::schema::{customer_labels, customers};
use crate::domain::{Customer, CustomerFilter, CustomerId, CustomerPosition, KycState};

type Query = customers::BoxedQuery<'static, Pg, SqlTypeOf<AsSelect<Row, Pg>>>;

/// The walk of one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// What the list shows.
    pub(crate) filter: &'a CustomerFilter,
    /// By which clock verifications are judged.
    pub(crate) now: Timestamp,
}

impl Walk<'_> {
    /// Reads candidates behind a position, the oldest first: fewer than `limit` where there are no
    /// more.
    pub(crate) fn candidates(
        &self,
        conn: &mut PgConnection,
        after: Option<&CustomerPosition>,
        limit: i64,
    ) -> Result<Vec<Customer>, DbError> {
        if let Some((kind, value)) = self.filter.external_ids.first_key_value() {
            let holder = customer_external_ids::holder(conn, self.tenant, kind, value)?;
            let first = holder.filter(|_| after.is_none());
            return self.in_order(conn, &first.into_iter().collect::<Vec<_>>());
        }
        if let Some(label) = self.filter.labels.first_key_value() {
            let ids = self.labelled(label, after, limit).load(conn)?;
            return self.in_order(conn, &ids);
        }
        let rows = self.page(after, limit).load(conn)?;
        let mut found = complete(conn, self.tenant, rows)?;
        if self.filter.kyc_state == Some(KycState::Expired) {
            let expired = self.expired(after, limit).load(conn)?;
            found.extend(complete(conn, self.tenant, expired)?);
            found.sort_by_key(Customer::position);
            found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        }
        Ok(found)
    }

    fn in_order(
        &self,
        conn: &mut PgConnection,
        ids: &[CustomerId],
    ) -> Result<Vec<Customer>, DbError> {
        let mut found = select_all(conn, self.tenant, ids)?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }

    /// Those of a state, a state of verification or a kind, or all: each has its index.
    fn page(&self, after: Option<&CustomerPosition>, limit: i64) -> Query {
        let CustomerFilter { kind, state, kyc_state, .. } = self.filter;
        let query = self.behind(after, limit);
        match (kyc_state, state, kind) {
            (Some(state), ..) => query.filter(customers::kyc_state.eq(state.number())),
            (None, Some(state), _) => query.filter(customers::state.eq(state.number())),
            (None, None, Some(kind)) => query.filter(customers::kind.eq(kind.number())),
            (None, None, None) => query,
        }
    }

    /// Those whose approval has passed, and of whom that is not written down yet: few.
    fn expired(&self, after: Option<&CustomerPosition>, limit: i64) -> Query {
        let query = self.behind(after, limit).filter(sql::<Bool>("kyc_state = 3"));
        query.filter(customers::kyc_expire_time.le(self.now))
    }

    fn behind(&self, after: Option<&CustomerPosition>, limit: i64) -> Query {
        let order = (customers::create_time, customers::id);
        let all = customers::table.select(Row::as_select()).order(order).limit(limit).into_boxed();
        let mut query = all.filter(customers::tenant_id.eq(self.tenant));
        if let Some(from) = self.filter.period.from {
            query = query.filter(customers::create_time.ge(from));
        }
        if let Some(before) = self.filter.period.before {
            query = query.filter(customers::create_time.lt(before));
        }
        if let Some(CustomerPosition { create_time, id }) = after.copied() {
            // `(create_time, id) > (..)`, in a form whose first half the index takes.
            let later = customers::create_time.gt(create_time).or(customers::id.gt(id));
            query = query.filter(customers::create_time.ge(create_time)).filter(later);
        }
        query
    }

    fn labelled(
        &self,
        (key, value): (&String, &String),
        after: Option<&CustomerPosition>,
        limit: i64,
    ) -> customer_labels::BoxedQuery<'static, Pg, diesel::sql_types::Uuid> {
        let order = (customer_labels::create_time, customer_labels::customer_id);
        let mut query = customer_labels::table
            .select(customer_labels::customer_id)
            .order(order)
            .limit(limit)
            .into_boxed()
            .filter(customer_labels::tenant_id.eq(self.tenant))
            .filter(customer_labels::key.eq(key.clone()))
            .filter(customer_labels::value.eq(value.clone()));
        if let Some(from) = self.filter.period.from {
            query = query.filter(customer_labels::create_time.ge(from));
        }
        if let Some(before) = self.filter.period.before {
            query = query.filter(customer_labels::create_time.lt(before));
        }
        if let Some(CustomerPosition { create_time, id }) = after.copied() {
            let later_id = customer_labels::customer_id.gt(id);
            let later = customer_labels::create_time.gt(create_time).or(later_id);
            query = query.filter(customer_labels::create_time.ge(create_time)).filter(later);
        }
        query
    }
}
