//! Wrapped keys of tenants and of subjects.

use diesel::prelude::*;
use shared::ids::TenantId;
use shared::time::Timestamp;

use super::schema::{subject_keys, tenant_keys};
use crate::domain::subject::SubjectId;

/// The wrapped key of a tenant in an epoch.
#[derive(Debug, Clone, Queryable, Insertable, Selectable)]
#[diesel(table_name = tenant_keys)]
pub(crate) struct TenantKeyRow {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
    /// The epoch: 1, 2, 3.
    pub(crate) epoch: i32,
    /// What the key provider made of it.
    pub(crate) wrapped: Vec<u8>,
    /// When it was made.
    pub(crate) create_time: Timestamp,
}

/// The wrapped key of a subject.
#[derive(Debug, Clone, Queryable, Insertable, Selectable)]
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
}

/// A subject's key with the key above it: all that it takes to open it, but for the key provider.
#[derive(Debug, Clone)]
pub(crate) struct KeyChain {
    /// The tenant's key.
    pub(crate) tenant: TenantKeyRow,
    /// The subject's key.
    pub(crate) subject: SubjectKeyRow,
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

/// Inserts a subject's key.
pub(crate) fn insert_subject_key(conn: &mut PgConnection, row: &SubjectKeyRow) -> QueryResult<()> {
    diesel::insert_into(subject_keys::table).values(row).execute(conn)?;
    Ok(())
}

/// The key chain of a subject: of one generation, or of the last. None once it is destroyed.
pub(crate) fn key_chain(
    conn: &mut PgConnection,
    tenant: TenantId,
    subject: SubjectId,
    generation: Option<i32>,
) -> QueryResult<Option<KeyChain>> {
    let above = tenant_keys::tenant_id
        .eq(subject_keys::tenant_id)
        .and(tenant_keys::epoch.eq(subject_keys::tenant_key_epoch));
    let mut keys = subject_keys::table
        .inner_join(tenant_keys::table.on(above))
        .filter(subject_keys::tenant_id.eq(tenant))
        .filter(subject_keys::subject_id.eq(subject))
        .order(subject_keys::generation.desc())
        .select((TenantKeyRow::as_select(), SubjectKeyRow::as_select()))
        .into_boxed();
    if let Some(generation) = generation {
        keys = keys.filter(subject_keys::generation.eq(generation));
    }
    let found = keys.first(conn).optional()?;
    Ok(found.map(|(tenant, subject)| KeyChain { tenant, subject }))
}
