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

/// What happened to whom: by id, or by name where an id does not say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subjects {
    /// By id.
    Ids(Vec<uuid::Uuid>),
    /// By name.
    Names(Vec<String>),
}

/// What the log says of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// What it is about, such as `transactions/{uuid}`.
    pub subject: String,
    /// The line of JSON whose bytes are the leaf.
    pub data: String,
}

/// The id of a change: a UUIDv7 with microseconds (RFC 9562 6.2, method 3), so that changes whose
/// times differ sort by them.
pub fn id(time: Timestamp) -> uuid::Uuid {
    let micros = u64::try_from(time.micros()).unwrap_or(0);
    let mut random: [u8; 10] = rand::random();
    let fraction = u16::try_from(micros % 1_000 * 4_096 / 1_000).unwrap_or(0);
    random[..2].copy_from_slice(&fraction.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &random).into_uuid()
}
