//! Records whose retention has ended.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use shared::db::statement;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::schema::records;
use crate::domain::record::RecordId;
use crate::domain::subject::SubjectId;

/// Records whose retention has ended, behind a place.
pub(super) const LIST: &str = "\
    SELECT id, subject_id, expire_time FROM records WHERE tenant_id = $1 \
        AND expire_time IS NOT NULL AND state <> 3 AND expire_time <= $2 \
        AND expire_time >= $3 AND (expire_time > $3 OR id > $4) \
    ORDER BY expire_time, id LIMIT (SELECT $5)";
/// Earlier than everything: 0001-01-01.
const EARLIEST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);

/// A record whose retention has ended.
#[derive(Debug, QueryableByName)]
#[diesel(table_name = records)]
pub(crate) struct Expired {
    /// The record.
    pub(crate) id: RecordId,
    /// Whom it is about.
    pub(crate) subject_id: SubjectId,
    /// When it ended.
    #[diesel(sql_type = Timestamptz)]
    pub(crate) expire_time: Timestamp,
}

/// At most `limit` records whose retention has ended by now, behind a place, by their ends.
pub(crate) fn list(
    conn: &mut PgConnection,
    tenant: TenantId,
    now: Timestamp,
    after: Option<(Timestamp, RecordId)>,
    limit: i64,
) -> QueryResult<Vec<Expired>> {
    let (time, id) = after.unwrap_or((EARLIEST, RecordId::from_uuid(Uuid::nil())));
    let binds = (
        tenant.into_sql::<SqlUuid>(),
        now.into_sql::<Timestamptz>(),
        time.into_sql::<Timestamptz>(),
        id.into_sql::<SqlUuid>(),
        limit.into_sql::<BigInt>(),
    );
    statement(LIST, binds).load(conn)
}
