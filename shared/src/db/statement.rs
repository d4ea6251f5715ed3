//! Statements with a fixed text, prepared once for each connection.
//!
//! Diesel prepares `sql_query` and multi-row inserts anew each time, which costs a round trip and a
//! plan. A set-based statement over arrays has one text for every number of rows, so it is kept.

use diesel::connection::Connection;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::Untyped;

/// A statement and the values of `$1`, `$2` and so on.
#[derive(Debug, Clone, Copy)]
pub struct Statement<B> {
    body: &'static str,
    binds: B,
}

/// A statement over a tuple of binds, each made by `value.into_sql::<Type>()`.
///
/// Diesel numbers binds where it writes them, so they are written into a first CTE, which Postgres
/// drops because nothing refers to it; `body` follows that and may use `$1` as often as it likes.
/// A body with CTEs of its own starts with a comma.
pub fn statement<B>(body: &'static str, binds: B) -> Statement<B> {
    Statement { body, binds }
}

impl<B: QueryFragment<Pg>> QueryFragment<Pg> for Statement<B> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH bound AS (SELECT ");
        self.binds.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        out.push_sql(self.body);
        Ok(())
    }
}

/// The text is the key of the cache: two statements have the same Rust type.
impl<B> QueryId for Statement<B> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<B> Query for Statement<B> {
    type SqlType = Untyped;
}

impl<B, C: Connection> RunQueryDsl<C> for Statement<B> {}
