//! How Postgres runs a query behind the policies: as the runtime role, in one tenant.

use diesel::connection::SimpleConnection as _;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;

use super::TestDatabase;
use crate::ids::TenantId;

struct Explain<Q>(Q);

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("EXPLAIN (COSTS OFF) ");
        self.0.walk_ast(out)
    }
}

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = Text;
}

impl<Q> RunQueryDsl<PgConnection> for Explain<Q> {}

/// The plan, a line for each node and condition.
pub fn plan(database: &TestDatabase, tenant: TenantId, query: impl QueryFragment<Pg>) -> String {
    let mut runtime = database.runtime();
    let scope = format!("SET strongroom.tenant = '{}'", tenant.uuid());
    runtime.batch_execute(&scope).expect("the tenant is set");
    let lines: Vec<String> = Explain(query).load(&mut runtime).expect("the query is explained");
    lines.join("\n")
}
