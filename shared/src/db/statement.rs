//! Statements with a fixed text, prepared once for each connection.
//!
//! Diesel prepares `sql_query` and multi-row inserts anew each time, which costs a round trip and a
//! plan. A set-based statement over arrays has one text for every number of rows, so it is kept.

use std::marker::PhantomData;

use diesel::connection::Connection;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::query_dsl::RunQueryDsl;
use diesel::result::QueryResult;
use diesel::sql_types::Untyped;

/// A statement and the values of `$1`, `$2` and so on. `T` is what it gives: rows whose columns are
/// found by their names, unless it is said.
#[derive(Debug, Clone, Copy)]
pub struct Statement<B, T = Untyped> {
    body: &'static str,
    binds: B,
    gives: PhantomData<T>,
}

/// A statement over a tuple of binds, each made by `value.into_sql::<Type>()`.
///
/// Diesel numbers binds where it writes them, so they are written into a first CTE, which Postgres
/// drops because nothing refers to it; `body` follows that and may use `$1` as often as it likes.
/// A body with CTEs of its own starts with a comma.
pub fn statement<B>(body: &'static str, binds: B) -> Statement<B> {
    Statement { body, binds, gives: PhantomData }
}

impl<B> Statement<B> {
    /// Says the types of its columns, in their order: where there are many rows, to look for each
    /// column of each by its name costs more than to decode it.
    pub fn gives<T>(self) -> Statement<B, T> {
        Statement { body: self.body, binds: self.binds, gives: PhantomData }
    }
}

impl<B: QueryFragment<Pg>, T> QueryFragment<Pg> for Statement<B, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH bound AS (SELECT ");
        self.binds.walk_ast(out.reborrow())?;
        out.push_sql(") ");
        out.push_sql(self.body);
        Ok(())
    }
}

/// The text is the key of the cache: two statements have the same Rust type.
impl<B, T> QueryId for Statement<B, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<B, T> Query for Statement<B, T> {
    type SqlType = T;
}

impl<B, T, C: Connection> RunQueryDsl<C> for Statement<B, T> {}
