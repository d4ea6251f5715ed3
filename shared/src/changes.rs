//! What a commit did, for the sequencer, which gives every change its position once it is
//! committed.

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid};

use crate::db::statement;
use crate::ids::TenantId;
use crate::time::Timestamp;

/// Records changes of one kind in the transaction that makes them, in their order.
pub fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    names: Vec<String>,
    time: Timestamp,
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO changes (tenant_id, id, kind, names, create_time) VALUES ($1, $2, $3, $4, $5)";
    if names.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        uuid::Uuid::now_v7().into_sql::<Uuid>(),
        kind.into_sql::<Text>(),
        names.into_sql::<Array<Text>>(),
        time.into_sql::<Timestamptz>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}
