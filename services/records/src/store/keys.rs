//! Wrapped keys of tenants and of subjects.

use std::collections::BTreeMap;

use diesel::dsl::{count_star, exists};
use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::{index_keys, subject_keys, tenant_keys};
use crate::domain::subject::SubjectId;

pub(crate) use super::key_chains::{KeyChain, key_chain};

/// The wrapped key of a tenant in an epoch.
#[derive(Debug, Clone, Queryable, Insertable, Selectable)]
#[diesel(table_name = tenant_keys)]
pub(crate) struct TenantKeyRow {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
    /// The epoch: 1, 2, 3.
    pub(crate) epoch: i32,
    /// What the key provider made of it; none once it is destroyed.
    pub(crate) wrapped: Option<Vec<u8>>,
    /// When it was made.
    pub(crate) create_time: Timestamp,
    /// Every key-encryption key that has wrapped it.
    pub(crate) keks: Vec<String>,
    /// When another took its place.
    pub(crate) retire_time: Option<Timestamp>,
    /// When it was destroyed.
    pub(crate) destroy_time: Option<Timestamp>,
}

/// The wrapped key of a subject.
#[derive(Debug, Clone, Queryable, QueryableByName, Insertable, Selectable)]
#[diesel(table_name = subject_keys)]
pub(crate) struct SubjectKeyRow {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
    /// The subject.
    pub(crate) subject_id: SubjectId,
    /// The generation: 1, 2, 3.
    pub(crate) generation: i32,
    /// Which key of the tenant wraps it.
    pub(crate) tenant_key_epoch: i32,
    /// What the tenant's key made of it.
    pub(crate) wrapped: Vec<u8>,
    /// When it was made.
    pub(crate) create_time: Timestamp,
    /// The epoch that wrapped the subject's first key; the current one where that is not known.
    pub(crate) first_epoch: Option<i32>,
    /// The epoch that was the current one when this key was made.
    pub(crate) made_epoch: i32,
}

/// The tenant's key of the last epoch, which new subject keys are wrapped by.
pub(crate) fn current_tenant_key(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> QueryResult<Option<TenantKeyRow>> {
    tenant_keys::table
        .filter(tenant_keys::tenant_id.eq(tenant))
        .order(tenant_keys::epoch.desc())
        .select(TenantKeyRow::as_select())
        .first(conn)
        .optional()
}

/// Inserts a tenant's key; false where the epoch has one.
pub(crate) fn insert_tenant_key(conn: &mut PgConnection, row: &TenantKeyRow) -> QueryResult<bool> {
    let inserted = diesel::insert_into(tenant_keys::table).values(row).on_conflict_do_nothing();
    Ok(inserted.execute(conn)? == 1)
}

/// Reads the tenant's key of an epoch.
pub(crate) fn tenant_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i32,
) -> QueryResult<Option<TenantKeyRow>> {
    let found = tenant_keys::table.find((tenant, epoch)).select(TenantKeyRow::as_select());
    found.first(conn).optional()
}

/// Reads the tenant's key of an epoch and locks it: nobody begins to use it until the end of the
/// transaction.
pub(crate) fn lock_tenant_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i32,
) -> QueryResult<Option<TenantKeyRow>> {
    let found = tenant_keys::table.find((tenant, epoch)).select(TenantKeyRow::as_select());
    found.for_update().first(conn).optional()
}

/// Reads the tenant's keys of all epochs, the first in front.
pub(crate) fn tenant_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
) -> QueryResult<Vec<TenantKeyRow>> {
    tenant_keys::table
        .filter(tenant_keys::tenant_id.eq(tenant))
        .order(tenant_keys::epoch)
        .select(TenantKeyRow::as_select())
        .load(conn)
}

/// Keeps the tenant's key of an epoch the current one until the end of the transaction; false where
/// another took its place. Whoever stores what it wraps anew asks this first, so that nothing new
/// comes under an epoch that has ended.
pub(crate) fn keep_current(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i32,
) -> QueryResult<bool> {
    let current = tenant_keys::table
        .find((tenant, epoch))
        .filter(tenant_keys::retire_time.is_null())
        .select(tenant_keys::epoch)
        .for_share();
    Ok(current.first::<i32>(conn).optional()?.is_some())
}

/// Ends the epochs before another. It waits for those who keep one of them current.
pub(crate) fn retire_tenant_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    before: i32,
    now: Timestamp,
) -> QueryResult<()> {
    let ended = tenant_keys::table
        .filter(tenant_keys::tenant_id.eq(tenant))
        .filter(tenant_keys::epoch.lt(before))
        .filter(tenant_keys::retire_time.is_null());
    diesel::update(ended).set(tenant_keys::retire_time.eq(now)).execute(conn)?;
    Ok(())
}

/// Puts another wrap in the place of one; false where that one is not there any more.
pub(crate) fn rewrap_tenant_key(
    conn: &mut PgConnection,
    old: &TenantKeyRow,
    wrapped: &[u8],
    keks: &[String],
) -> QueryResult<bool> {
    let same = tenant_keys::table
        .find((old.tenant_id, old.epoch))
        .filter(tenant_keys::wrapped.eq(&old.wrapped));
    let new = (tenant_keys::wrapped.eq(wrapped), tenant_keys::keks.eq(keks));
    Ok(diesel::update(same).set(new).execute(conn)? == 1)
}

/// Destroys the tenant's key of an epoch.
pub(crate) fn destroy_tenant_key(
    conn: &mut PgConnection,
    tenant: TenantId,
    epoch: i32,
    now: Timestamp,
) -> QueryResult<()> {
    let gone = (tenant_keys::wrapped.eq(None::<Vec<u8>>), tenant_keys::destroy_time.eq(now));
    diesel::update(tenant_keys::table.find((tenant, epoch))).set(gone).execute(conn)?;
    Ok(())
}

/// How many keys of subjects and indexes each epoch wraps; those that wrap none are left out.
pub(crate) fn uses(conn: &mut PgConnection, tenant: TenantId) -> QueryResult<BTreeMap<i32, i64>> {
    let subjects: Vec<(i32, i64)> = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .group_by(subject_keys::tenant_key_epoch)
        .select((subject_keys::tenant_key_epoch, count_star()))
        .load(conn)?;
    let indexes: Vec<(i32, i64)> = index_keys::table
        .filter(index_keys::tenant_id.eq(tenant))
        .group_by(index_keys::tenant_key_epoch)
        .select((index_keys::tenant_key_epoch, count_star()))
        .load(conn)?;
    let mut uses = BTreeMap::new();
    for (epoch, count) in subjects.into_iter().chain(indexes) {
        *uses.entry(epoch).or_default() += count;
    }
    Ok(uses)
}

/// Whether an epoch wraps any key of a subject or an index.
pub(crate) fn is_used(conn: &mut PgConnection, tenant: TenantId, epoch: i32) -> QueryResult<bool> {
    let subjects = subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::tenant_key_epoch.eq(epoch));
    let indexes = index_keys::table
        .filter(index_keys::tenant_id.eq(tenant))
        .filter(index_keys::tenant_key_epoch.eq(epoch));
    diesel::select(exists(subjects).or(exists(indexes))).get_result(conn)
}

/// Inserts a subject's key; false where the epoch that wraps it has ended: then it is to be made
/// anew under the current one.
pub(crate) fn insert_subject_key(
    conn: &mut PgConnection,
    row: &SubjectKeyRow,
) -> QueryResult<bool> {
    if !keep_current(conn, row.tenant_id, row.tenant_key_epoch)? {
        return Ok(false);
    }
    diesel::insert_into(subject_keys::table).values(row).execute(conn)?;
    Ok(true)
}

/// Whether a subject has its key of a generation. Whoever stores what that key wraps, and has read
/// it before the transaction, asks this once the subject is locked: a key is deleted under that
/// lock only, and once nothing needs it.
pub(crate) fn has_generation(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    generation: i32,
) -> QueryResult<bool> {
    diesel::select(exists(subject_keys::table.find((tenant, subject, generation)))).get_result(conn)
}

/// Reads the keys of a subject, the first in front.
pub(crate) fn subject_keys(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
) -> QueryResult<Vec<SubjectKeyRow>> {
    subject_keys::table
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::subject_id.eq(subject))
        .order(subject_keys::generation)
        .select(SubjectKeyRow::as_select())
        .load(conn)
}

#[cfg(test)]
mod tests;
