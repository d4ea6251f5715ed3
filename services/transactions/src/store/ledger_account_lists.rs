//! Lists of `ledger_accounts`, by id.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::ledger_accounts::class_column;
use super::schema::ledger_accounts;
use crate::domain::{AccountClass, AccountId, CustomerId};

/// About how many bytes an account has in a message beside its controls.
const BYTES: usize = 512;

/// What an account has to have of what it may be without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has<T> {
    Nothing,
    This(T),
}

impl<T: PartialEq> Has<T> {
    fn fits(&self, found: Option<&T>) -> bool {
        match self {
            Self::Nothing => found.is_none(),
            Self::This(wanted) => found == Some(wanted),
        }
    }
}

/// What a list lets through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) customer: Option<Has<CustomerId>>,
    pub(crate) parent: Option<Has<AccountId>>,
    /// Empty for accounts without one.
    pub(crate) gl_code: Option<String>,
    pub(crate) class: Option<AccountClass>,
    pub(crate) currency: Option<String>,
    pub(crate) is_closed: Option<bool>,
}

/// An account that may be of a page.
#[derive(Debug, Clone, QueryableByName)]
#[diesel(table_name = ledger_accounts)]
pub(crate) struct Candidate {
    pub(crate) id: AccountId,
    currency: String,
    class: i16,
    gl_code: String,
    customer_id: Option<CustomerId>,
    parent_id: Option<AccountId>,
    close_time: Option<Timestamp>,
    #[diesel(sql_type = Nullable<Integer>)]
    controls_bytes: Option<i32>,
}

impl Candidate {
    /// About how many bytes it has in a message.
    pub(crate) fn bytes(&self) -> usize {
        let controls = self.controls_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        BYTES + controls.unwrap_or(0)
    }

    /// Whether a filter lets it through.
    pub(crate) fn is_kept(&self, filter: &Filter) -> bool {
        filter.customer.is_none_or(|wanted| wanted.fits(self.customer_id.as_ref()))
            && filter.parent.is_none_or(|wanted| wanted.fits(self.parent_id.as_ref()))
            && filter.gl_code.as_ref().is_none_or(|code| *code == self.gl_code)
            && filter.class.is_none_or(|class| class_column(class) == self.class)
            && filter.currency.as_ref().is_none_or(|currency| *currency == self.currency)
            && filter.is_closed.is_none_or(|is_closed| is_closed == self.close_time.is_some())
    }
}

// What else the filter asks for is left out here: it would let Postgres walk along another index,
// or along this one for long. The limit is a query, so that the planner does not know it: it would
// else sort what it takes for a few rows.
const BY_ID: &str = "\
    SELECT id, currency, class, gl_code, customer_id, parent_id, close_time, \
        octet_length(controls) AS controls_bytes FROM ledger_accounts \
    WHERE tenant_id = $1 AND id >= $2 ORDER BY id LIMIT (SELECT $3)";
const BY_CUSTOMER: &str = "\
    SELECT id, currency, class, gl_code, customer_id, parent_id, close_time, \
        octet_length(controls) AS controls_bytes FROM ledger_accounts \
    WHERE tenant_id = $1 AND customer_id = $4 AND id >= $2 ORDER BY id LIMIT (SELECT $3)";
const BY_PARENT: &str = "\
    SELECT id, currency, class, gl_code, customer_id, parent_id, close_time, \
        octet_length(controls) AS controls_bytes FROM ledger_accounts \
    WHERE tenant_id = $1 AND parent_id = $4 AND id >= $2 ORDER BY id LIMIT (SELECT $3)";
const BY_GL_CODE: &str = "\
    SELECT id, currency, class, gl_code, customer_id, parent_id, close_time, \
        octet_length(controls) AS controls_bytes FROM ledger_accounts \
    WHERE tenant_id = $1 AND gl_code = $4 AND gl_code <> '' AND id >= $2 \
    ORDER BY id LIMIT (SELECT $3)";

/// Reads at most `limit` candidates behind an id, along one index whatever the filter.
pub(crate) fn candidates(
    conn: &mut PgConnection,
    tenant: TenantId,
    filter: &Filter,
    after: Option<&AccountId>,
    limit: i64,
) -> QueryResult<Vec<Candidate>> {
    let next = |after: &AccountId| after.uuid().as_u128().checked_add(1);
    let Some(from) = after.map_or(Some(0), next) else { return Ok(Vec::new()) };
    let from = AccountId::from_uuid(uuid::Uuid::from_u128(from)).into_sql::<Uuid>();
    let (tenant, limit) = (tenant.into_sql::<Uuid>(), limit.into_sql::<BigInt>());
    let code = filter.gl_code.as_deref().filter(|code| !code.is_empty());
    if let Some(Has::This(customer)) = filter.customer {
        let binds = (tenant, from, limit, customer.into_sql::<Uuid>());
        statement(BY_CUSTOMER, binds).load(conn)
    } else if let Some(Has::This(parent)) = filter.parent {
        statement(BY_PARENT, (tenant, from, limit, parent.into_sql::<Uuid>())).load(conn)
    } else if let Some(code) = code {
        statement(BY_GL_CODE, (tenant, from, limit, code.into_sql::<Text>())).load(conn)
    } else {
        statement(BY_ID, (tenant, from, limit)).load(conn)
    }
}
