//! Key chains: a subject's wrapped key with the wrapped key above it.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Binary, Integer, Nullable, Uuid};
use shared::db::statement;
use shared::ids::TenantId;

use super::schema::{subject_keys, tenant_keys};
use crate::domain::subject::SubjectId;

/// All that it takes to open a subject's key, but for the key provider.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, QueryableByName)]
pub(crate) struct KeyChain {
    /// The tenant.
    #[diesel(sql_type = Uuid)]
    pub(crate) tenant_id: TenantId,
    /// The epoch of the tenant's key.
    #[diesel(sql_type = Integer)]
    pub(crate) epoch: i32,
    /// What the key provider made of the tenant's key; none once it is destroyed.
    #[diesel(sql_type = Nullable<Binary>)]
    pub(crate) tenant_key: Option<Vec<u8>>,
    /// The subject.
    #[diesel(sql_type = Uuid)]
    pub(crate) subject_id: SubjectId,
    /// The generation of the subject's key.
    #[diesel(sql_type = Integer)]
    pub(crate) generation: i32,
    /// What the tenant's key made of the subject's.
    #[diesel(sql_type = Binary)]
    pub(crate) subject_key: Vec<u8>,
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
        .select((
            tenant_keys::tenant_id,
            tenant_keys::epoch,
            tenant_keys::wrapped,
            subject_keys::subject_id,
            subject_keys::generation,
            subject_keys::wrapped,
        ))
        .into_boxed();
    if let Some(generation) = generation {
        keys = keys.filter(subject_keys::generation.eq(generation));
    }
    keys.first(conn).optional()
}

/// The last key chains of subjects. Those whose keys are destroyed are left out.
pub(crate) fn last(
    conn: &mut PgConnection,
    tenant: TenantId,
    subjects: &[SubjectId],
) -> QueryResult<BTreeMap<SubjectId, KeyChain>> {
    let subjects = subjects.to_vec();
    let binds = (tenant.into_sql::<Uuid>(), subjects.into_sql::<Array<Uuid>>());
    let chains: Vec<KeyChain> = statement(LAST, binds).load(conn)?;
    Ok(chains.into_iter().map(|chain| (chain.subject_id, chain)).collect())
}

pub(super) const LAST: &str = "\
    SELECT t.tenant_id, t.epoch, t.wrapped AS tenant_key, k.subject_id, k.generation, \
        k.wrapped AS subject_key \
    FROM unnest($2) AS n (id), LATERAL ( \
        SELECT subject_id, generation, tenant_key_epoch, wrapped FROM subject_keys \
        WHERE tenant_id = $1 AND subject_id = n.id ORDER BY generation DESC LIMIT 1) k, LATERAL ( \
        SELECT tenant_id, epoch, wrapped FROM tenant_keys \
        WHERE tenant_id = $1 AND epoch = k.tenant_key_epoch LIMIT 1) t";
