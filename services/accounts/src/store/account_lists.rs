//! Lists of `accounts`. Whatever the filter, a list walks along one index; the rest of the filter
//! is judged for each candidate.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::{BigInt, SmallInt, Text, Timestamptz, Uuid};
use shared::db::{DbError, Statement, statement};
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::accounts::{Row, complete, select_all};
use super::schema::account_holders;
use super::{EARLIEST, LATEST, account_external_ids, account_holders as holders};
use crate::domain::{
    Account, AccountFilter, AccountId, AccountPosition, AccountState, CustomerId, HeldBy,
};

/// About how many bytes an account has in a message beside its texts and limits, and each limit.
const BYTES: usize = 512;
const LIMIT_BYTES: usize = 256;
/// Before and behind every account.
const FIRST: AccountPosition =
    AccountPosition { create_time: EARLIEST, id: AccountId::from_uuid(uuid::Uuid::nil()) };
const LAST: AccountPosition =
    AccountPosition { create_time: LATEST, id: AccountId::from_uuid(uuid::Uuid::max()) };

/// An account that may be of a page.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The account.
    pub(crate) account: Account,
    /// Whether all who have to hold it do so now.
    is_held: bool,
}

impl Candidate {
    /// Where it stands in a list.
    pub(crate) fn position(&self) -> AccountPosition {
        self.account.position()
    }

    /// Whether a filter lets it through.
    pub(crate) fn is_kept(&self, filter: &AccountFilter) -> bool {
        self.is_held && filter.fits(&self.account)
    }

    /// About how many bytes it has in a message.
    pub(crate) fn bytes(&self) -> usize {
        let terms = &self.account.terms;
        let texts = terms.labels.iter().chain(&terms.external_ids);
        let texts: usize = texts.map(|(key, value)| key.len() + value.len() + 8).sum();
        BYTES + texts + self.account.limits.len() * LIMIT_BYTES
    }
}

/// The walk of one list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk<'a> {
    /// The tenant.
    pub(crate) tenant: TenantId,
    /// What the list shows.
    pub(crate) filter: &'a AccountFilter,
    /// Who has to hold the accounts too, because nobody else's are shown.
    pub(crate) own: Option<CustomerId>,
    /// By which clock it is judged who holds them.
    pub(crate) now: Timestamp,
}

impl Walk<'_> {
    /// Reads candidates behind a position, the oldest first: fewer than `limit` where there are no
    /// more.
    pub(crate) fn candidates(
        &self,
        conn: &mut PgConnection,
        after: Option<&AccountPosition>,
        limit: i64,
    ) -> Result<Vec<Candidate>, DbError> {
        let accounts = self.accounts(conn, after, limit)?;
        let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
        let mut held: BTreeSet<AccountId> = ids.iter().copied().collect();
        for customer in self.own.into_iter().chain(self.filter.holder) {
            let holds = holders::holds(conn, self.tenant, customer, &ids, self.now)?;
            let holds: BTreeSet<AccountId> = holds.into_iter().collect();
            held.retain(|id| holds.contains(id));
        }
        let candidate =
            |account: Account| Candidate { is_held: held.contains(&account.id), account };
        Ok(accounts.into_iter().map(candidate).collect())
    }

    /// Along the index that is likely to have the fewest.
    fn accounts(
        &self,
        conn: &mut PgConnection,
        after: Option<&AccountPosition>,
        limit: i64,
    ) -> Result<Vec<Account>, DbError> {
        let (tenant, filter) = (self.tenant, self.filter);
        if let Some((kind, value)) = filter.external_ids.first_key_value() {
            let one = account_external_ids::holder(conn, tenant, kind, value)?;
            let one = one.filter(|_| after.is_none());
            return self.in_order(conn, &one.into_iter().collect::<Vec<_>>());
        }
        let from = Behind { tenant, after: after.copied().unwrap_or(FIRST), limit };
        if let Some(customer) = self.own.or(filter.holder) {
            let held: Vec<Listed> = from.held_by(customer).load(conn)?;
            return self.listed(conn, held);
        }
        if filter.customer.is_none()
            && let Some(label) = filter.labels.first_key_value()
        {
            let labelled: Vec<Listed> = from.labelled(label).load(conn)?;
            return self.listed(conn, labelled);
        }
        let rows: Vec<Row> = match filter {
            AccountFilter { customer: Some(HeldBy::Customer(id)), .. } => {
                from.of(*id).load(conn)?
            }
            AccountFilter { customer: Some(HeldBy::House), .. } => from.of_house().load(conn)?,
            // Most accounts are OPEN, so that this leaves out the least.
            AccountFilter { state: Some(state), .. } if *state != AccountState::Open => {
                from.in_state(*state).load(conn)?
            }
            AccountFilter { product: Some(product), .. } => from.sold_as(product).load(conn)?,
            AccountFilter { currency: Some(currency), .. } => {
                from.in_currency(currency.code()).load(conn)?
            }
            AccountFilter { state: Some(state), .. } => from.in_state(*state).load(conn)?,
            _ => from.all().load(conn)?,
        };
        complete(conn, tenant, rows)
    }

    fn listed(&self, conn: &mut PgConnection, ids: Vec<Listed>) -> Result<Vec<Account>, DbError> {
        let ids: Vec<AccountId> = ids.into_iter().map(|one| one.account_id).collect();
        self.in_order(conn, &ids)
    }

    fn in_order(
        &self,
        conn: &mut PgConnection,
        ids: &[AccountId],
    ) -> Result<Vec<Account>, DbError> {
        let mut found = select_all(conn, self.tenant, ids)?;
        Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
    }
}

#[derive(Debug, QueryableByName)]
#[diesel(table_name = account_holders)]
struct Listed {
    account_id: AccountId,
}

/// What a page may have of an index: so many behind a position.
#[derive(Debug, Clone, Copy)]
struct Behind {
    tenant: TenantId,
    after: AccountPosition,
    limit: i64,
}

// In all of these the limit is a query, so that the planner does not know it: it would else sort
// what it takes for a few rows. Each asks for one range of its own index, in terms or in an order
// that no other index serves.

/// The columns of an account. Not `*`: a statement that is prepared fails once a later migration
/// adds a column.
macro_rules! select {
    () => {
        "SELECT tenant_id, id, customer_id, product, currency, class, gl_code, overdraft_limit, \
            state, version, create_time, update_time, parent_id, limits, controls_version, \
            acknowledged_version, disposition_id, close_time FROM accounts "
    };
}

/// The accounts with one value in a column, by the index of that column.
macro_rules! with {
    ($column:literal) => {
        concat!(
            select!(),
            "WHERE tenant_id = $1 AND (",
            $column,
            ", create_time, id) > ($5, $2, $3) AND (",
            $column,
            ", create_time, id) <= ($5, $6, $7) ORDER BY ",
            $column,
            ", create_time, id LIMIT (SELECT $4)"
        )
    };
}

/// The binds of a statement: the tenant, the position, the limit, and what follows.
macro_rules! binds {
    ($from:ident $(, $more:expr)*) => {
        (
            $from.tenant.into_sql::<Uuid>(),
            $from.after.create_time.into_sql::<Timestamptz>(),
            $from.after.id.into_sql::<Uuid>(),
            $from.limit.into_sql::<BigInt>(),
            $($more,)*
        )
    };
}

impl Behind {
    fn all(&self) -> Statement<impl QueryFragment<Pg> + use<>> {
        const SELECT: &str = concat!(
            select!(),
            "WHERE tenant_id = $1 AND (create_time, id) > ($2, $3) \
            ORDER BY create_time, id LIMIT (SELECT $4)"
        );
        statement(SELECT, binds!(self))
    }

    fn of(&self, customer: CustomerId) -> Statement<impl QueryFragment<Pg> + use<>> {
        statement(with!("customer_id"), self.up_to_last(customer.into_sql::<Uuid>()))
    }

    fn of_house(&self) -> Statement<impl QueryFragment<Pg> + use<>> {
        const SELECT: &str = concat!(
            select!(),
            "WHERE tenant_id = $1 AND customer_id IS NULL AND (create_time, id) > ($2, $3) \
            ORDER BY customer_id, create_time, id LIMIT (SELECT $4)"
        );
        statement(SELECT, binds!(self))
    }

    fn in_state(&self, state: AccountState) -> Statement<impl QueryFragment<Pg> + use<>> {
        statement(with!("state"), self.up_to_last(state.number().into_sql::<SmallInt>()))
    }

    fn sold_as(&self, product: &str) -> Statement<impl QueryFragment<Pg> + use<>> {
        statement(with!("product"), self.up_to_last(product.to_owned().into_sql::<Text>()))
    }

    fn in_currency(&self, code: &str) -> Statement<impl QueryFragment<Pg> + use<>> {
        statement(with!("currency"), self.up_to_last(code.to_owned().into_sql::<Text>()))
    }

    fn labelled(
        &self,
        (key, value): (&String, &String),
    ) -> Statement<impl QueryFragment<Pg> + use<>> {
        const SELECT: &str = "\
            SELECT account_id FROM account_labels \
            WHERE tenant_id = $1 AND key = $5 AND value = $6 \
                AND (create_time, account_id) > ($2, $3) \
            ORDER BY create_time, account_id LIMIT (SELECT $4)";
        let (key, value) = (key.clone().into_sql::<Text>(), value.clone().into_sql::<Text>());
        statement(SELECT, binds!(self, key, value))
    }

    /// Those that a customer holds or held, or will.
    fn held_by(&self, customer: CustomerId) -> Statement<impl QueryFragment<Pg> + use<>> {
        const SELECT: &str = "\
            SELECT account_id FROM account_holders \
            WHERE tenant_id = $1 AND customer_id = $5 \
                AND (account_create_time, account_id) > ($2, $3) \
            ORDER BY account_create_time, account_id LIMIT (SELECT $4)";
        statement(SELECT, binds!(self, customer.into_sql::<Uuid>()))
    }

    /// The binds of `with`.
    fn up_to_last<V: QueryFragment<Pg>>(&self, value: V) -> impl QueryFragment<Pg> + use<V> {
        let (time, id) = (LAST.create_time.into_sql::<Timestamptz>(), LAST.id.into_sql::<Uuid>());
        binds!(self, value, time, id)
    }
}
