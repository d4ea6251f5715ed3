//! Partitions of the access log are made ahead, so that entries do not pile up in the rest.

use diesel::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use shared::db::{DbError, Scope, statement};
use shared::deadline::Deadline;
use shared::problem::Problem;

use super::TIMEOUT;
use crate::rpc::Rpc;

/// Months ahead that have a partition.
const MONTHS: i32 = 3;

/// Makes the partitions of the next months, where they are missing.
pub(super) async fn make(rpc: &Rpc) -> Result<(), Problem> {
    const MAKE: &str = "\
        SELECT make_access_partition((now() AT TIME ZONE 'UTC') + n * interval '1 month') \
        FROM generate_series(0, $1) AS n";
    let scope = Scope::tenantless(Deadline::after(TIMEOUT));
    let make = |conn: &mut PgConnection| {
        statement(MAKE, (MONTHS.into_sql::<Integer>(),)).execute(conn)?;
        Ok::<_, DbError>(())
    };
    Ok(rpc.db.write("make_partitions", scope, make).await?)
}
