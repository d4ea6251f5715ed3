//! The sizes of logs, and what was signed of them.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text, Timestamptz, Uuid};

use super::Hash;
use crate::db::{DbError, statement};
use crate::ids::TenantId;
use crate::time::Timestamp;

/// What was signed of a log.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    /// How many leaves it had.
    pub(crate) size: u64,
    /// The root over them.
    pub(crate) root: Hash,
    /// The signed note.
    pub(crate) note: String,
}

/// How many leaves the log of a tenant has.
pub(crate) fn size(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<u64> {
    const SELECT: &str = "SELECT size FROM logs WHERE tenant_id = $1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        size: i64,
    }
    let binds = (tenant.into_sql::<Uuid>(),);
    let row: Option<Row> = statement(SELECT, binds).get_result(conn).optional()?;
    Ok(row.map_or(0, |row| row.size.cast_unsigned()))
}

/// The checkpoint of a size, or the latest.
pub(crate) fn signed(
    conn: &mut PgConnection,
    tenant: TenantId,
    size: Option<u64>,
) -> Result<Option<Signed>, DbError> {
    const SELECT: &str = "\
        SELECT size, root_hash, note FROM checkpoints WHERE tenant_id = $1 AND size = $2";
    const LATEST: &str = "\
        SELECT size, root_hash, note FROM checkpoints WHERE tenant_id = $1 \
        ORDER BY size DESC LIMIT 1";
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        size: i64,
        #[diesel(sql_type = Binary)]
        root_hash: Vec<u8>,
        #[diesel(sql_type = Text)]
        note: String,
    }
    let row: Option<Row> = match size {
        Some(size) => {
            let binds = (tenant.into_sql::<Uuid>(), size.cast_signed().into_sql::<BigInt>());
            statement(SELECT, binds).get_result(conn).optional()?
        }
        None => statement(LATEST, (tenant.into_sql::<Uuid>(),)).get_result(conn).optional()?,
    };
    let signed = |row: Row| {
        let root = Hash::try_from(row.root_hash.as_slice());
        let root = root.map_err(|_| DbError::Fault("a checkpoint has no root".to_owned()))?;
        Ok(Signed { size: row.size.cast_unsigned(), root, note: row.note })
    };
    row.map(signed).transpose()
}

/// Keeps what was signed. Another replica may have signed the same.
pub(crate) fn insert(
    conn: &mut PgConnection,
    tenant: TenantId,
    signed: &Signed,
    time: Timestamp,
) -> QueryResult<()> {
    const INSERT: &str = "\
        INSERT INTO checkpoints (tenant_id, size, root_hash, note, create_time) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let binds = (
        tenant.into_sql::<Uuid>(),
        signed.size.cast_signed().into_sql::<BigInt>(),
        signed.root.as_slice().into_sql::<Binary>(),
        signed.note.as_str().into_sql::<Text>(),
        time.into_sql::<Timestamptz>(),
    );
    statement(INSERT, binds).execute(conn)?;
    Ok(())
}
