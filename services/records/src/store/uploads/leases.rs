//! What a stream writes of its upload: only for as long as it holds the lease.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;
use uuid::Uuid;

use super::super::schema::uploads;
use super::column;
use crate::domain::upload::{Lease, UploadId};

/// Gives a stream the lease of an upload that is locked.
pub(crate) fn take(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Lease,
) -> QueryResult<()> {
    diesel::update(uploads::table.find((tenant, id)))
        .set((uploads::lease_id.eq(lease.id), uploads::lease_time.eq(lease.until)))
        .execute(conn)?;
    Ok(())
}

/// Makes a lease last longer; false where it is lost.
pub(crate) fn renew(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Lease,
) -> QueryResult<bool> {
    let held = uploads::table.find((tenant, id)).filter(uploads::lease_id.eq(lease.id));
    let renewed = diesel::update(held).set(uploads::lease_time.eq(lease.until)).execute(conn)?;
    Ok(renewed == 1)
}

/// Notes that a segment is kept; false where the lease is lost.
pub(crate) fn advance(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Uuid,
    (segments, received): (u32, u64),
    expire_time: Timestamp,
) -> QueryResult<bool> {
    let held = uploads::table.find((tenant, id)).filter(uploads::lease_id.eq(lease));
    let advanced = diesel::update(held).set((
        uploads::segments.eq(column::<_, i32>(segments)?),
        uploads::received_bytes.eq(column::<_, i64>(received)?),
        uploads::expire_time.eq(expire_time),
    ));
    Ok(advanced.execute(conn)? == 1)
}

/// Gives a lease back.
pub(crate) fn release(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Uuid,
) -> QueryResult<()> {
    let held = uploads::table.find((tenant, id)).filter(uploads::lease_id.eq(lease));
    diesel::update(held)
        .set((uploads::lease_id.eq(None::<Uuid>), uploads::lease_time.eq(None::<Timestamp>)))
        .execute(conn)?;
    Ok(())
}

/// Notes that its content is a version of its record; false where the lease is lost.
pub(crate) fn finish(
    conn: &mut PgConnection,
    tenant: TenantId,
    id: UploadId,
    lease: Uuid,
    size: i64,
    now: Timestamp,
) -> QueryResult<bool> {
    let held = uploads::table.find((tenant, id)).filter(uploads::lease_id.eq(lease));
    let finished = diesel::update(held).set((
        uploads::received_bytes.eq(size),
        uploads::data_key.eq(None::<Vec<u8>>),
        uploads::lease_id.eq(None::<Uuid>),
        uploads::lease_time.eq(None::<Timestamp>),
        uploads::done_time.eq(now),
    ));
    Ok(finished.execute(conn)? == 1)
}
