//! What a commit did, for the sequencer, which gives every change its position once it is
//! committed.

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz, Uuid};

use crate::db::statement;
use crate::ids::TenantId;
use crate::time::Timestamp;
use crate::transparency::Hash;

/// Records changes of one kind in the transaction that makes them, in their order. Their `time` is
/// that of the latest thing that they are about.
pub fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    names: Vec<String>,
    time: Timestamp,
) -> QueryResult<()> {
    if names.is_empty() {
        return Ok(());
    }
    write(conn, tenant, kind, names, None, time)
}

/// Records changes of one kind whose rows never change, with the hashes of their leaves: the writer
/// has made them from what it had in memory.
pub fn insert_hashed(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    ids: Vec<uuid::Uuid>,
    leaves: &[Hash],
    time: Timestamp,
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO changes (tenant_id, id, kind, ids, leaves, create_time) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    if ids.is_empty() {
        return Ok(());
    }
    let binds = (
        tenant.into_sql::<Uuid>(),
        id(time).into_sql::<Uuid>(),
        kind.into_sql::<Text>(),
        ids.into_sql::<Array<Uuid>>(),
        leaves.concat().into_sql::<Binary>(),
        time.into_sql::<Timestamptz>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}

/// Records one change whose leaf no row could say again: `data` is a JSON object, and the leaf.
pub fn record(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subject: &str,
    data: &str,
    time: Timestamp,
) -> QueryResult<()> {
    record_all(conn, tenant, kind, vec![subject.to_owned()], vec![data.to_owned()], time)
}

/// Records changes of one kind, each with its leaf, in their order: see `record`.
pub fn record_all(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    subjects: Vec<String>,
    data: Vec<String>,
    time: Timestamp,
) -> QueryResult<()> {
    if subjects.is_empty() {
        return Ok(());
    }
    write(conn, tenant, kind, subjects, Some(data), time)
}

fn write(
    conn: &mut PgConnection,
    tenant: TenantId,
    kind: &str,
    names: Vec<String>,
    data: Option<Vec<String>>,
    time: Timestamp,
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO changes (tenant_id, id, kind, names, data, create_time) \
        VALUES ($1, $2, $3, $4, $5, $6)";
    let binds = (
        tenant.into_sql::<Uuid>(),
        id(time).into_sql::<Uuid>(),
        kind.into_sql::<Text>(),
        names.into_sql::<Array<Text>>(),
        data.into_sql::<Nullable<Array<Text>>>(),
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

impl Subjects {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Ids(ids) => ids.len(),
            Self::Names(names) => names.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
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
    with_random(time, rand::random())
}

/// The least id that a change of this time has.
pub fn first_id(time: Timestamp) -> uuid::Uuid {
    with_random(time, [0; 10])
}

fn with_random(time: Timestamp, mut random: [u8; 10]) -> uuid::Uuid {
    let micros = u64::try_from(time.micros()).unwrap_or(0);
    let fraction = u16::try_from(micros % 1_000 * 4_096 / 1_000).unwrap_or(0);
    random[..2].copy_from_slice(&fraction.to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(micros / 1_000, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_their_microseconds() {
        let start = 1_795_338_000_000_000;
        for micros in (start..start + 5_000).chain([start + 999_999, start + 1_000_000]) {
            let time = Timestamp::from_micros(micros);
            assert!(id(time) < first_id(time.next()), "{time}");
            assert!(first_id(time) <= id(time), "{time}");
        }
    }
}
